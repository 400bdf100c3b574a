package introduction

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	"waxwing/core/wire"
)

// A share under another limit never gains a nonce, and has none from the limit on.
func TestShareWithin(t *testing.T) {
	for _, tt := range []struct{ share, want Share }{
		{Share{9, 0, 4}, Share{9, 0, 4}},
		{Share{9, 3, 6}, Share{9, 3, 5}},
		{Share{9, 5, 6}, Share{9, 5, 5}},
		{Share{9, 8, 9}, Share{9, 8, 8}},
		{Share{9, 0, 0}, Share{9, 0, 0}},
	} {
		if got := tt.share.Within(5); got != tt.want {
			t.Errorf("%+v within 5 is %+v, want %+v", tt.share, got, tt.want)
		}
	}
}

// Nonces of an account's devices never meet, whatever they do, and all are there.
func TestShares(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit, n := rapid.Uint32Range(0, StandingLimit).Draw(t, "limit"), rapid.IntRange(1, MaxShares).Draw(t, "devices")
		shares, err := Split(9, limit, n)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[uint32]bool{}
		for _, s := range shares {
			if s.Left() != limit/uint32(n) && s.Left() != limit/uint32(n)+1 {
				t.Fatalf("uneven: %+v", s)
			}
			for {
				nonce, after, err := s.Reserve()
				if errors.Is(err, ErrSpent) {
					break
				}
				// As it comes back from the disk.
				var stored Share
				if err := wire.Unmarshal(wire.MustMarshal(&after), &stored); err != nil || stored != after || seen[nonce] || nonce >= limit {
					t.Fatalf("nonce %d: %+v, %v", nonce, after, err)
				}
				seen[nonce], s = true, stored
			}
		}
		if len(seen) != int(limit) {
			t.Fatalf("%d of %d", len(seen), limit)
		}
	})
	for _, n := range []int{0, -1, MaxShares + 1} {
		if _, err := Split(1, 32, n); err != ErrTerms {
			t.Errorf("%d devices: %v", n, err)
		}
	}
	if _, err := Split(1, StandingLimit+1, 1); err != ErrTerms {
		t.Error("a limit that does not exist")
	}
	if _, err := wire.Marshal(&Share{Next: 2, End: 1}); !errors.Is(err, wire.ErrMalformed) {
		t.Errorf("a share backwards: %v", err)
	}
}
