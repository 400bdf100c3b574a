package limits

import (
	"errors"
	"testing"
	"time"

	"waxwing/core/ids"
	"waxwing/ratelimit/gcra"
)

// A limit that the caller counts has the value in force, and counts like others.
func TestCounted(t *testing.T) {
	b := newBook(t, Settings{{Name: TokensDaily}: {Burst: 50}, {Name: TokensDaily, DryRun: true}: {Burst: 20}})
	if got := b.Number(start, TokensDaily); got != 50 {
		t.Errorf("%d in force", got)
	}
	for _, there := range []int64{8, 20, 21, 50} {
		b.Counted(start, TokensDaily, there, true)
	}
	b.Counted(start, TokensDaily, 50, false)
	if b.Refused(TokensDaily, OverRate) != 1 || b.Dried(TokensDaily) != 2 {
		t.Errorf("%d refused, %d over the dry run", b.Refused(TokensDaily, OverRate), b.Dried(TokensDaily))
	}
	if err := b.Set(Target{Name: TokensDaily}, &Change{gcra.Limit{Burst: 60}, time.Time{}}); err != nil || b.Number(start, TokensDaily) != 60 {
		t.Error("a value by command is not in force")
	}
}

// A limit that is promised has a value in force and no dry run, wherever one is
// asked for; its bounds are its own.
func TestPromised(t *testing.T) {
	for _, n := range []Name{IntroNew, IntroMember} {
		b := newBook(t, Settings{{Name: n}: {Burst: 5}})
		if b.Number(start, n) != 5 {
			t.Errorf("%s: %d in force", n, b.Number(start, n))
		}
		dry := Target{Name: n, DryRun: true}
		if _, err := New(Settings{dry: {Burst: 5}}); !errors.Is(err, ErrDryRun) {
			t.Errorf("%s: a dry run is configured: %v", n, err)
		}
		if err := b.Set(dry, &Change{Limit: gcra.Limit{Burst: 5}}); !errors.Is(err, ErrDryRun) {
			t.Errorf("%s: a dry run is set: %v", n, err)
		}
		if err := b.Set(Target{Name: n}, &Change{gcra.Limit{Burst: 6}, start.Add(1)}); err != nil || b.Number(start, n) != 6 || b.Number(start.Add(1), n) != 5 {
			t.Errorf("%s: a value for a time: %v", n, err)
		}
		for _, l := range []gcra.Limit{{}, {Burst: -1}, {Burst: 1}, {Burst: maxPromised + 1}, gcra.PerSecond(4, 4)} {
			if err := (Target{Name: n}).Check(l); !errors.Is(err, ErrValue) {
				t.Errorf("%s: %+v: %v", n, l, err)
			}
		}
		if err := (Target{Name: n, Peer: ids.MustParseDomain("b.example")}).Check(All[n].Default); !errors.Is(err, ErrTarget) {
			t.Errorf("%s: of one peer: %v", n, err)
		}
	}
}
