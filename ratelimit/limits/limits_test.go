package limits

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"waxwing/core/ids"
	"waxwing/core/wire"
	"waxwing/ratelimit/gcra"
)

var (
	start = time.Unix(1_800_000_000, 0)
	beta  = ids.MustParseDomain("beta.example")
	gamma = ids.MustParseDomain("gamma.example")
)

func newBook(t testing.TB, s Settings) *Book {
	t.Helper()
	b, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func key(i int) (k gcra.Key) {
	binary.BigEndian.PutUint64(k[:], uint64(i)+1)
	return k
}

// Every row of the table is complete, its default usable, and its name unique
// and written as the configuration writes names.
func TestTable(t *testing.T) {
	form := regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)
	seen := map[string]bool{}
	for n := range End {
		i := &All[n]
		if !form.MatchString(i.Key) || seen[i.Key] || i.Unit == "" || i.What == "" || i.Why == "" || i.Least < 1 || i.Scope.String() == "invalid" {
			t.Errorf("row %d: %+v", n, i)
		}
		seen[i.Key] = true
		dry := Target{Name: n, DryRun: true}.Check(i.Default)
		if errors.Is(dry, ErrDryRun) != n.Promised() || dry != nil && !n.Promised() {
			t.Errorf("%s: a dry run: %v", n, dry)
		}
		if err := (Target{Name: n}).Check(i.Default); err != nil {
			t.Errorf("%s: default: %v", n, err)
		}
		if back, err := n.Parse(Format(i.Default)); err != nil || back != i.Default {
			t.Errorf("%s: %s is read as %+v, %v", n, Format(i.Default), back, err)
		}
		if back, ok := ParseName(n.String()); !ok || back != n {
			t.Errorf("%s is read as %v", n, back)
		}
	}
	if _, ok := ParseName("invalid"); ok || End.String() != "invalid" {
		t.Error("a limit that is none has a name")
	}
}

// Each limit lets its burst through, then refuses and says when there is more,
// and that is true; nobody else has to wait for it; and it is counted.
func TestEveryLimit(t *testing.T) {
	for n := range End {
		if All[n].AtOnce() {
			continue // TestAtOnce
		}
		t.Run(n.String(), func(t *testing.T) {
			b, l := newBook(t, nil), All[n].Default
			if d := b.Spend(start, n, key(0), l.Burst); !d.Allowed {
				t.Fatalf("the burst is refused: %+v", d)
			}
			d := b.Spend(start, n, key(0), All[n].Least)
			if d.Allowed || d.RetryAfter <= 0 || d.RetryAfter == gcra.Never {
				t.Fatalf("over the limit: %+v", d)
			}
			later := start.Add(d.RetryAfter)
			if d := b.Spend(later.Add(-1), n, key(0), All[n].Least); d.Allowed {
				t.Error("allowed before the time that it was told")
			}
			if d := b.Spend(later, n, key(0), All[n].Least); !d.Allowed {
				t.Errorf("refused at the time that it was told: %+v", d)
			}
			b.Refund(later, n, key(0), All[n].Least)
			if d := b.Spend(later, n, key(0), All[n].Least); !d.Allowed {
				t.Errorf("refused what was refunded: %+v", d)
			}
			if All[n].Scope != Provider {
				if d := b.Spend(start, n, key(1), l.Burst); !d.Allowed {
					t.Errorf("another's bucket is empty: %+v", d)
				}
			}
			for m := range End {
				want := uint64(0)
				if m == n {
					want = 2
				}
				if got := b.Refused(m, OverRate); got != want || b.Refused(m, Crowded) != 0 || b.Dried(m) != 0 {
					t.Errorf("%s counts %d", m, got)
				}
			}
		})
	}
}

// overTime are the limits with a rate.
var overTime = func() (out []Name) {
	for n := range End {
		if !All[n].AtOnce() {
			out = append(out, n)
		}
	}
	return out
}()

// A limit at once lets in one more below its value and none at it; its dry run
// counts and refuses nothing.
func TestAtOnce(t *testing.T) {
	for n := range End {
		if !All[n].AtOnce() || n.Promised() {
			continue // TestPromised
		}
		b := newBook(t, Settings{{Name: n}: {Burst: 5}, {Name: n, DryRun: true}: {Burst: 3}})
		for there := range 8 {
			if got := b.AtOnce(start, n, there); got != (there < 5) {
				t.Errorf("%s: with %d there: %v", n, there, got)
			}
		}
		if b.Refused(n, OverRate) != 3 || b.Dried(n) != 2 {
			t.Errorf("%s: %d refused, %d over the dry run", n, b.Refused(n, OverRate), b.Dried(n))
		}
		if err := b.Set(Target{Name: n}, &Change{gcra.Limit{Burst: 6}, start.Add(1)}); err != nil {
			t.Fatal(err)
		}
		if !b.AtOnce(start, n, 5) || b.AtOnce(start.Add(1), n, 5) {
			t.Errorf("%s: a value for a time", n)
		}
		if s := b.Status(start, n, ids.Domain{}); s.Value.Limit.Burst != 6 || s.Value.Origin != FromCommand {
			t.Errorf("%+v", s)
		}
		for _, l := range []gcra.Limit{{}, {Burst: -1}, {Burst: MaxAtOnce + 1}, gcra.PerSecond(1, 1)} {
			if err := (Target{Name: n}).Check(l); !errors.Is(err, ErrValue) {
				t.Errorf("%s: %+v: %v", n, l, err)
			}
		}
		for _, text := range []string{"", "x", "1/s", "1,2"} {
			if _, err := n.Parse(text); !errors.Is(err, ErrValue) {
				t.Errorf("%s: %q: %v", n, text, err)
			}
		}
		var back Change
		if err := wire.Unmarshal(wire.MustMarshal(&Change{Limit: gcra.Limit{Burst: 7}}), &back); err != nil || back.Limit.Burst != 7 {
			t.Errorf("%+v, %v", back, err)
		}
	}
}

// Whatever values are set when, no window of time sees more of one key than the
// largest burst and rate in force in it let through.
func TestNeverMoreInAnyWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.SampledFrom(overTime).Draw(t, "limit")
		draw := func(name string) gcra.Limit {
			return gcra.Limit{
				Burst:  rapid.Int64Range(All[n].Least, All[n].Least*2).Draw(t, name+" burst"),
				Count:  rapid.Int64Range(1, 1_000_000).Draw(t, name+" count"),
				Period: time.Duration(rapid.Int64Range(int64(time.Millisecond), int64(time.Second)).Draw(t, name+" period")),
			}
		}
		l := draw("first")
		b, err := New(Settings{{Name: n}: l})
		if err != nil {
			t.Fatal(err)
		}
		rate := big.NewRat(l.Count, int64(l.Period))
		burst := l.Burst
		type spent struct {
			at   time.Time
			cost int64
		}
		var all []spent
		now := start
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(2*time.Second)).Draw(t, "dt")))
			if rapid.IntRange(0, 9).Draw(t, "change") == 0 {
				l := draw("next")
				if err := b.Set(Target{Name: n}, &Change{Limit: l}); err != nil {
					t.Fatal(err)
				}
				if r := big.NewRat(l.Count, int64(l.Period)); r.Cmp(rate) > 0 {
					rate = r
				}
				// What is spent counts in time: under a higher rate it is back sooner,
				// never more than a full burst at once.
				burst += l.Burst
			}
			cost := rapid.Int64Range(1, All[n].Least).Draw(t, "cost")
			if b.Spend(now, n, key(0), cost).Allowed {
				all = append(all, spent{now, cost})
			}
		}
		for i := range all {
			sum := int64(0)
			for _, s := range all[i:] {
				sum += s.cost
				within := new(big.Rat).Mul(rate, new(big.Rat).SetInt64(int64(s.at.Sub(all[i].at))))
				if within.Add(within, new(big.Rat).SetInt64(burst)); new(big.Rat).SetInt64(sum).Cmp(within) > 0 {
					t.Fatalf("%d in %v", sum, s.at.Sub(all[i].at))
				}
			}
		}
	})
}

// A dry run changes no decision, whatever its value, and counts what its value
// would have refused.
func TestDryRunOnlyCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := gcra.PerSecond(rapid.Int64Range(1, 5).Draw(t, "count"), rapid.Int64Range(1, 10).Draw(t, "burst"))
		dry := gcra.PerSecond(rapid.Int64Range(1, 5).Draw(t, "dry count"), rapid.Int64Range(1, 10).Draw(t, "dry burst"))
		plain, err := New(Settings{{Name: PeerEnvelopes}: l})
		if err != nil {
			t.Fatal(err)
		}
		peer := ids.Domain{}
		if rapid.Bool().Draw(t, "of one peer") {
			peer = beta
		}
		trying, err := New(Settings{{Name: PeerEnvelopes}: l, {Name: PeerEnvelopes, Peer: peer, DryRun: true}: dry})
		if err != nil {
			t.Fatal(err)
		}
		now, tat, over := start, time.Time{}, uint64(0)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, "dt")))
			want, got := plain.Spend(now, PeerEnvelopes, PeerKey(beta), 1), trying.Spend(now, PeerEnvelopes, PeerKey(beta), 1)
			if got != want {
				t.Fatalf("%+v, without the dry run %+v", got, want)
			}
			if got.Allowed {
				var d gcra.Decision
				if d, tat = gcra.Decide(now, dry, tat, 1); !d.Allowed {
					over++
				}
			}
		}
		if trying.Dried(PeerEnvelopes) != over || plain.Dried(PeerEnvelopes) != 0 {
			t.Fatalf("%d counted, want %d", trying.Dried(PeerEnvelopes), over)
		}
		if s := trying.Status(now, PeerEnvelopes, beta); s.Dried != over || s.DryRun.Limit != dry || s.Value.Limit != l {
			t.Fatalf("%+v", s)
		}
	})
}

// Which value is in force, for each place that one can stand in.
func TestWhichValueIsInForce(t *testing.T) {
	l := func(n int64) gcra.Limit { return gcra.PerSecond(n, n) }
	all, own := Target{Name: PeerEnvelopes}, Target{Name: PeerEnvelopes, Peer: beta}
	for name, tt := range map[string]struct {
		config   Settings
		commands map[Target]Change
		beta     Value
		gamma    Value
	}{
		"default":         {nil, nil, Value{All[PeerEnvelopes].Default, FromDefault, time.Time{}}, Value{All[PeerEnvelopes].Default, FromDefault, time.Time{}}},
		"config":          {Settings{all: l(1)}, nil, Value{l(1), FromConfig, time.Time{}}, Value{l(1), FromConfig, time.Time{}}},
		"config of peer":  {Settings{all: l(1), own: l(2)}, nil, Value{l(2), FromConfig, time.Time{}}, Value{l(1), FromConfig, time.Time{}}},
		"command":         {Settings{all: l(1)}, map[Target]Change{all: {Limit: l(3)}}, Value{l(3), FromCommand, time.Time{}}, Value{l(3), FromCommand, time.Time{}}},
		"command of peer": {Settings{all: l(1), own: l(2)}, map[Target]Change{own: {Limit: l(4)}}, Value{l(4), FromCommand, time.Time{}}, Value{l(1), FromConfig, time.Time{}}},
		"peer over command for all": {
			Settings{own: l(2)},
			map[Target]Change{all: {Limit: l(3)}},
			Value{l(2), FromConfig, time.Time{}},
			Value{l(3), FromCommand, time.Time{}},
		},
		"for a time": {
			nil,
			map[Target]Change{own: {l(4), start.Add(1)}},
			Value{l(4), FromCommand, start.Add(1)},
			Value{All[PeerEnvelopes].Default, FromDefault, time.Time{}},
		},
		"over": {Settings{own: l(2)}, map[Target]Change{own: {l(4), start}}, Value{l(2), FromConfig, time.Time{}}, Value{All[PeerEnvelopes].Default, FromDefault, time.Time{}}},
		"over, for all": {
			Settings{all: l(1)},
			map[Target]Change{all: {l(4), start}, own: {l(5), start}},
			Value{l(1), FromConfig, time.Time{}},
			Value{l(1), FromConfig, time.Time{}},
		},
	} {
		b := newBook(t, tt.config)
		for target, c := range tt.commands {
			if err := b.Set(target, &c); err != nil {
				t.Fatal(err)
			}
		}
		for d, want := range map[ids.Domain]Value{beta: tt.beta, gamma: tt.gamma} {
			s := b.Status(start, PeerEnvelopes, d)
			if s.Value != want {
				t.Errorf("%s: %s has %+v, want %+v", name, d, s.Value, want)
			}
			// What is told is what is decided by.
			if d := b.Spend(start, PeerEnvelopes, PeerKey(d), want.Limit.Burst); !d.Allowed {
				t.Errorf("%s: less than what is told: %+v", name, d)
			}
			if d := b.Spend(start, PeerEnvelopes, PeerKey(d), 1); d.Allowed {
				t.Errorf("%s: more than what is told", name)
			}
			if s := b.Status(start, PeerEnvelopes, d); s.Used != want.Limit.Burst || s.Active != 1 || s.Refused[OverRate] != 1 {
				t.Errorf("%s: %+v", name, s)
			}
		}
		for target := range tt.commands {
			if err := b.Set(target, nil); err != nil {
				t.Fatal(err)
			}
		}
		if len(b.Over(start.Add(time.Hour))) != 0 {
			t.Errorf("%s: something is left", name)
		}
	}
}

func TestWrongValues(t *testing.T) {
	for name, tt := range map[string]struct {
		t    Target
		l    gcra.Limit
		want error
	}{
		"no limit":             {Target{Name: End}, gcra.PerSecond(1, 1), ErrTarget},
		"peer of another kind": {Target{Name: AccountEnvelopes, Peer: beta}, gcra.PerSecond(1, 1), ErrTarget},
		"peer of mailboxes":    {Target{Name: TargetPrekeys, Peer: beta}, gcra.PerSecond(1, 1), ErrTarget},
		"zero":                 {Target{Name: PeerBytes}, gcra.Limit{}, ErrValue},
		"negative":             {Target{Name: PeerRequests}, gcra.PerSecond(-1, 1), ErrValue},
		"burst below a frame":  {Target{Name: PeerBytes}, gcra.PerSecond(1<<20, wire.MaxEnvelope-1), ErrValue},
		"burst below a mint":   {Target{Name: AccountTickets}, gcra.PerSecond(1000, wire.MaxMint-1), ErrValue},
		"longer than a year":   {Target{Name: PeerRequests}, gcra.Limit{Burst: 400, Count: 1, Period: 24 * time.Hour}, ErrValue},
	} {
		if _, err := New(Settings{tt.t: tt.l}); !errors.Is(err, tt.want) {
			t.Errorf("%s: configured: %v", name, err)
		}
		b := newBook(t, nil)
		if err := b.Set(tt.t, &Change{Limit: tt.l}); !errors.Is(err, tt.want) {
			t.Errorf("%s: set: %v", name, err)
		}
	}
}

func TestChangesAreBounded(t *testing.T) {
	b := newBook(t, nil)
	target := func(i int) Target {
		return Target{Name: PeerRequests, Peer: ids.MustParseDomain(fmt.Sprintf("p%d.example", i))}
	}
	c := &Change{Limit: gcra.PerSecond(1, 1)}
	b.mu.Lock()
	for i := range MaxChanges {
		b.commands[target(i)] = *c
	}
	b.mu.Unlock()
	if err := b.Set(target(MaxChanges), c); !errors.Is(err, ErrChanges) {
		t.Errorf("one more: %v", err)
	}
	if err := b.Set(target(0), c); err != nil {
		t.Errorf("one that is there: %v", err)
	}
	if err := b.Set(target(1), nil); err != nil {
		t.Error(err)
	}
	if err := b.Set(target(MaxChanges), c); err != nil {
		t.Errorf("in place of one that was reset: %v", err)
	}
}

// The peers that are counted apart are bounded; the counts for all are not.
func TestCountedPeersAreBounded(t *testing.T) {
	b := newBook(t, Settings{{Name: PeerRequests}: gcra.Limit{Burst: 1, Count: 1, Period: 24 * time.Hour}})
	for i := range maxCounted + 10 {
		b.Spend(start, PeerRequests, key(i), 1)
		b.Spend(start, PeerRequests, key(i), 1)
	}
	if len(b.peers) != maxCounted || b.Refused(PeerRequests, OverRate) != maxCounted+10 {
		t.Errorf("%d peers, %d refused", len(b.peers), b.Refused(PeerRequests, OverRate))
	}
}

// More keys than there is room for are refused for a moment, and counted apart.
func TestCrowded(t *testing.T) {
	b := newBook(t, nil)
	for i := range keys[Peer] {
		if !b.Spend(start, PeerRequests, key(i), 1).Allowed {
			t.Fatal("refused")
		}
	}
	d := b.Spend(start, PeerRequests, key(-2), 1)
	if d.Allowed || d.RetryAfter <= 0 || b.Refused(PeerRequests, Crowded) != 1 || b.Refused(PeerRequests, OverRate) != 0 {
		t.Errorf("%+v", d)
	}
	if s := b.Status(start, PeerRequests, ids.Domain{}); s.Active != keys[Peer] || s.Used != 1 || s.Refused[Crowded] != 1 {
		t.Errorf("%+v", s)
	}
}

func TestSpendDoesNotAllocate(t *testing.T) {
	b := newBook(t, Settings{
		{Name: PeerBytes, Peer: beta}:                gcra.PerSecond(1, wire.MaxEnvelope),
		{Name: PeerBytes, DryRun: true}:              gcra.PerSecond(1, wire.MaxEnvelope),
		{Name: PeerBytes, Peer: gamma, DryRun: true}: gcra.PerSecond(1, wire.MaxEnvelope),
	})
	for name, k := range map[string]gcra.Key{"own value": PeerKey(beta), "own dry run": PeerKey(gamma), "neither": key(1)} {
		b.Spend(start, PeerBytes, k, wire.MaxEnvelope)
		b.Spend(start, PeerBytes, k, wire.MaxEnvelope)
		if n := testing.AllocsPerRun(100, func() { b.Spend(start, PeerBytes, k, 1000) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// Deciding, changing and looking at once: nobody gets more than the largest
// burst, and every decision is counted.
func TestConcurrentUse(t *testing.T) {
	l := gcra.Limit{Burst: 100, Count: 1, Period: 24 * time.Hour}
	b := newBook(t, Settings{{Name: PeerRequests}: l})
	const askers, each = 8, 200
	var allowed atomic.Int64
	var work sync.WaitGroup
	for range askers {
		work.Go(func() {
			for range each {
				if b.Spend(start, PeerRequests, PeerKey(beta), 1).Allowed {
					allowed.Add(1)
				}
			}
		})
	}
	work.Go(func() {
		for i := range 50 {
			dry := Target{Name: PeerRequests, Peer: beta, DryRun: true}
			if err := b.Set(dry, &Change{Limit: gcra.PerSecond(1, int64(i)+1)}); err != nil {
				t.Error(err)
			}
			b.Status(start, PeerRequests, beta)
			b.Status(start, PeerRequests, ids.Domain{})
			if err := b.Set(dry, nil); err != nil {
				t.Error(err)
			}
		}
	})
	work.Wait()
	s := b.Status(start, PeerRequests, beta)
	if allowed.Load() != l.Burst || s.Refused[OverRate] != askers*each-uint64(l.Burst) || s.Used != l.Burst {
		t.Errorf("%d allowed, %+v", allowed.Load(), s)
	}
}
