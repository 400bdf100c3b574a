package gcra

import (
	"encoding/binary"
	"errors"
	"math/big"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var start = time.Unix(1_800_000_000, 0)

// Over any span a limit lets through at most its burst and what comes back in
// that time, and a refused cost is allowed when RetryAfter is over.
func TestNeverAboveTheLimit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := Limit{
			Burst: rapid.Int64Range(1, 50).Draw(t, "burst"), Count: rapid.Int64Range(1, 1000).Draw(t, "count"),
			Period: time.Duration(rapid.Int64Range(int64(time.Millisecond), int64(time.Hour)).Draw(t, "period")),
		}
		now, tat, spent := start, time.Time{}, int64(0)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(l.Period)/2+1).Draw(t, "dt")))
			cost := rapid.Int64Range(0, l.Burst+1).Draw(t, "cost")
			d, next := Decide(now, l, tat, cost)
			if d.Allowed {
				spent += cost
			} else if d.RetryAfter != Never {
				if e, _ := Decide(now.Add(d.RetryAfter), l, next, cost); !e.Allowed {
					t.Fatalf("not allowed after the time that it was told: %+v", d)
				}
				if e, _ := Decide(now.Add(d.RetryAfter-1), l, next, cost); e.Allowed {
					t.Fatalf("allowed before the time that it was told: %+v", d)
				}
			} else if cost <= l.Burst {
				t.Fatalf("cost %d within the burst is never allowed", cost)
			}
			if e, _ := Decide(now, l, next, d.Remaining); !e.Allowed {
				t.Fatalf("remaining %d cannot be spent", d.Remaining)
			}
			if e, _ := Decide(now, l, next, d.Remaining+1); e.Allowed {
				t.Fatalf("more than remaining %d can be spent", d.Remaining)
			}
			tat = next
			if limit := l.Burst + int64(now.Sub(start)/l.interval()); spent > limit {
				t.Fatalf("spent %d of %d", spent, limit)
			}
		}
	})
}

func TestClockSteps(t *testing.T) {
	l := PerSecond(1, 10)
	_, tat := Decide(start, l, time.Time{}, 10)
	for _, back := range []time.Duration{time.Second, time.Hour, 1000 * time.Hour} {
		d, _ := Decide(start.Add(-back), l, tat, 1)
		if d.Allowed || d.RetryAfter > 11*time.Second {
			t.Errorf("clock back by %v: %+v", back, d)
		}
	}
	if d, _ := Decide(start.Add(time.Hour), l, tat, 10); !d.Allowed || d.Remaining != 0 {
		t.Errorf("clock on by an hour: %+v", d)
	}
}

// The rate that a limit names, in whole numbers: also where the time of one
// unit is no whole number of nanoseconds.
func TestNeverAboveTheRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := Limit{
			Burst:  rapid.Int64Range(1, 1_000_000).Draw(t, "burst"),
			Count:  rapid.Int64Range(1, 2_000_000_000).Draw(t, "count"),
			Period: time.Duration(rapid.Int64Range(1, int64(time.Minute)).Draw(t, "period")),
		}
		now, tat, spent := start, time.Time{}, new(big.Int)
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(time.Minute)).Draw(t, "dt")))
			d, _ := Decide(now, l, tat, 0) // take all there is
			_, tat = Decide(now, l, tat, d.Remaining)
			spent.Add(spent, big.NewInt(d.Remaining))
			// (spent - burst) * period <= elapsed * count
			left := new(big.Int).Sub(spent, big.NewInt(l.Burst))
			left.Mul(left, big.NewInt(int64(l.Period)))
			right := new(big.Int).Mul(big.NewInt(int64(now.Sub(start))), big.NewInt(l.Count))
			if left.Cmp(right) > 0 {
				t.Fatalf("%v spent in %v under %+v", spent, now.Sub(start), l)
			}
		}
	})
}

// A higher cost never passes where a lower one does not, and time only helps.
func TestMonotonic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := Limit{
			Burst: rapid.Int64Range(1, 50).Draw(t, "burst"), Count: rapid.Int64Range(1, 50).Draw(t, "count"), Period: time.Second,
		}
		tat := start.Add(time.Duration(rapid.Int64Range(-5e9, 60e9).Draw(t, "tat")))
		cost := rapid.Int64Range(1, l.Burst).Draw(t, "cost")
		d, next := Decide(start, l, tat, cost)
		less, _ := Decide(start, l, tat, cost-1)
		later, _ := Decide(start.Add(time.Duration(rapid.Int64Range(0, 5e9).Draw(t, "dt"))), l, tat, cost)
		if d.Allowed && !(less.Allowed && later.Allowed) || less.RetryAfter > d.RetryAfter || later.RetryAfter > d.RetryAfter {
			t.Fatalf("cost %d: %+v; one less: %+v; later: %+v", cost, d, less, later)
		}
		if d.Allowed && next.Before(tat) {
			t.Fatal("spending fills the bucket")
		}
	})
}

func TestZeroValues(t *testing.T) {
	if d, _ := Decide(start, Limit{}, time.Time{}, 1<<40); !d.Allowed {
		t.Error("the zero limit limits")
	}
	tab, err := NewTable(Limit{}, 0)
	if err != nil || !tab.Spend(start, Key{}, 1<<40).Allowed || tab.Len() != 0 {
		t.Error("the zero table limits or remembers")
	}
	for _, l := range []Limit{{1, 0, 1}, {0, 1, 1}, {1, 1, 0}, {-1, 1, 1}, {1 << 62, 1, time.Hour}} {
		if _, err := NewTable(l, 1); !errors.Is(err, ErrLimit) {
			t.Errorf("%+v: %v", l, err)
		}
	}
}

func TestRefund(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := Limit{Burst: rapid.Int64Range(1, 20).Draw(t, "burst"), Count: 1, Period: time.Second}
		before := rapid.Int64Range(0, l.Burst).Draw(t, "before")
		cost := rapid.Int64Range(0, l.Burst-before).Draw(t, "cost")
		_, tat := Decide(start, l, time.Time{}, before)
		_, next := Decide(start, l, tat, cost)
		d, _ := Decide(start, l, Refund(start, l, next, cost), 0)
		if d.Remaining != l.Burst-before {
			t.Fatalf("remaining %d after a refund, want %d", d.Remaining, l.Burst-before)
		}
		if d, _ := Decide(start, l, Refund(start, l, tat, l.Burst), 0); d.Remaining > l.Burst {
			t.Fatal("a refund overfills")
		}
	})
}

// What no caller should ask for changes nothing in the asker's favour.
func TestOddCosts(t *testing.T) {
	l := PerSecond(1, 4)
	_, tat := Decide(start, l, time.Time{}, 3)
	if d, next := Decide(start, l, tat, -2); !d.Allowed || d.Remaining != 1 || !next.Equal(tat) {
		t.Errorf("a negative cost: %+v", d)
	}
	for name, after := range map[string]time.Time{
		"nothing":              Refund(start, l, tat, 0),
		"a negative cost":      Refund(start, l, tat, -1),
		"more than the burst":  Refund(start, l, tat, 5),
		"of a limit of nobody": Refund(start, Limit{}, tat, 1),
	} {
		if !after.Equal(tat) {
			t.Errorf("a refund of %s: %v instead of %v", name, after, tat)
		}
	}
}

func key(i int) (k Key) {
	binary.BigEndian.PutUint64(k[:], uint64(i))
	return k
}

func TestTableIsBoundedAndFair(t *testing.T) {
	tab, err := NewTable(PerSecond(1, 2), 100)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		if !tab.Spend(start, key(i), 2).Allowed {
			t.Fatal("fresh key refused")
		}
	}
	if d := tab.Spend(start, key(100), 1); d.Allowed || d.RetryAfter != time.Second || tab.Len() != 100 {
		t.Errorf("above its bound: %+v, %d keys", d, tab.Len())
	}
	if tab.Spend(start, key(5), 1).Allowed {
		t.Error("a known key got a new bucket")
	}
	tab.Refund(start, key(5), 1)
	if !tab.Spend(start, key(5), 1).Allowed {
		t.Error("refund is not remembered")
	}
	later := start.Add(time.Minute)
	for i := 100; i < 1000; i++ {
		if !tab.Spend(later, key(i), 1).Allowed {
			t.Fatalf("key %d refused although the others are idle", i)
		}
		later = later.Add(time.Second)
	}
	if tab.Len() > 10 {
		t.Errorf("%d keys kept, nearly all of them idle", tab.Len())
	}
}

func TestTableAgreesWithDecide(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := PerSecond(rapid.Int64Range(1, 5).Draw(t, "rate"), rapid.Int64Range(1, 5).Draw(t, "burst"))
		tab, _ := NewTable(l, 0)
		model, now := map[Key]time.Time{}, start
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, "dt")))
			k := key(rapid.IntRange(0, 5).Draw(t, "key"))
			want, next := Decide(now, l, model[k], 1)
			model[k] = next
			if got := tab.Spend(now, k, 1); got != want {
				t.Fatalf("%+v, want %+v", got, want)
			}
		}
	})
}

func BenchmarkSpend(b *testing.B) {
	tab, _ := NewTable(PerSecond(1_000_000_000, 1_000_000), 0)
	var mu sync.Mutex
	floor := map[Key]time.Time{}
	i := 0
	b.Run("floor: a map under a mutex", func(b *testing.B) {
		for b.Loop() {
			mu.Lock()
			floor[key(i&0xfff)] = start
			mu.Unlock()
			i++
		}
	})
	b.Run("table", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			tab.Spend(start.Add(time.Duration(i)*time.Microsecond), key(i&0xfff), 1)
			i++
		}
	})
}
