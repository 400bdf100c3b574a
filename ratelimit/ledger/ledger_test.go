package ledger

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"waxwing/core/ids"
	"waxwing/core/store"
	"waxwing/ratelimit"
	"waxwing/ratelimit/privacypass"
)

var (
	ctx   = context.Background()
	alice = ids.MustParseAddress("alice@alpha.example")
	carol = ids.MustParseAddress("carol@alpha.example")
	beta  = ids.MustParseDomain("beta.example")
	gamma = ids.MustParseDomain("gamma.example")
	today = ids.Day(20000)
)

// clock is the store's and the callers' time.
type clock struct{ now time.Time }

func newLedger(t testing.TB) (*Ledger, *store.Memory, *clock) {
	t.Helper()
	c := &clock{today.Start().Add(time.Hour)}
	s := store.NewMemory(store.MemoryConfig{Now: func() time.Time { return c.now }})
	t.Cleanup(func() { s.Close() })
	return New(s), s, c
}

// race lets 16 claim at once and returns how many won.
func race(f func(i int) error) (won, spent int) {
	var wg sync.WaitGroup
	errs := make([]error, 16)
	for i := range errs {
		wg.Go(func() { errs[i] = f(i) })
	}
	wg.Wait()
	for _, err := range errs {
		switch {
		case err == nil:
			won++
		case errors.Is(err, ErrSpent):
			spent++
		}
	}
	return won, spent
}

// By the numbers of docs/admission.md.
func TestAttack(t *testing.T) {
	spend := privacypass.Spend{Epoch: privacypass.EpochOf(today), ID: [32]byte{1}}
	id := func(i int) ids.EnvelopeID { return ids.EnvelopeID{byte(i), 1} }

	t.Run("1 one token, many envelopes", func(t *testing.T) {
		l, _, c := newLedger(t)
		won, spent := race(func(i int) error { return l.SpendToken(ctx, spend, beta, id(i), c.now) })
		if won != 1 || spent != 15 {
			t.Errorf("%d won, %d spent", won, spent)
		}
		// To another provider it is another use of it.
		if err := l.SpendToken(ctx, privacypass.Spend{Epoch: spend.Epoch, ID: [32]byte{2}}, beta, id(0), c.now); err != nil {
			t.Fatal(err)
		}
		if err := l.SpendToken(ctx, privacypass.Spend{Epoch: spend.Epoch, ID: [32]byte{2}}, gamma, id(0), c.now); err != ErrSpent {
			t.Errorf("one token, two destinations: %v", err)
		}
	})
	t.Run("1 one tag, many envelopes", func(t *testing.T) {
		l, _, c := newLedger(t)
		won, spent := race(func(i int) error {
			return l.SpendTags(ctx, today, []TagSpend{{Tag: [32]byte{7}, Claimant: id(i)}}, c.now)[0]
		})
		if won != 1 || spent != 15 {
			t.Errorf("%d won, %d spent", won, spent)
		}
	})
	t.Run("2 and 3 a retry, also by another process", func(t *testing.T) {
		l, s, c := newLedger(t)
		for range 3 {
			if err := l.SpendToken(ctx, spend, beta, id(1), c.now); err != nil {
				t.Fatal(err)
			}
			if err := l.SpendTags(ctx, today, []TagSpend{{Tag: [32]byte{7}, Claimant: id(1)}}, c.now)[0]; err != nil {
				t.Fatal(err)
			}
			l = New(s) // as after a crash
		}
	})
	t.Run("6 periods", func(t *testing.T) {
		l, _, c := newLedger(t)
		if err := l.SpendToken(ctx, spend, beta, id(1), c.now); err != nil {
			t.Fatal(err)
		}
		c.now = (spend.Epoch.Last() + privacypass.OverlapDays).End().Add(-time.Second)
		if err := l.SpendToken(ctx, spend, beta, id(2), c.now); err != ErrSpent {
			t.Errorf("on its last day: %v", err)
		}
		c.now = c.now.Add(24*time.Hour + time.Second)
		if err := l.SpendToken(ctx, spend, beta, id(2), c.now); err != ErrOver {
			t.Errorf("after it: %v", err)
		}
		if err := l.SpendTags(ctx, today, []TagSpend{{}}, c.now)[0]; err != ErrOver {
			t.Errorf("a tag of long ago: %v", err)
		}
	})
	t.Run("9 purposes and periods are apart", func(t *testing.T) {
		l, _, c := newLedger(t)
		tag := TagSpend{Tag: [32]byte{7}, Claimant: id(1)}
		other := TagSpend{Tag: [32]byte{7}, Claimant: id(2)}
		for name, err := range map[string]error{
			"day":      l.SpendTags(ctx, today, []TagSpend{tag}, c.now)[0],
			"next day": l.SpendTags(ctx, today+1, []TagSpend{other}, c.now)[0],
			"week":     l.SpendStanding(ctx, ratelimit.WeekOf(today), other, c.now),
			"refill":   l.Refill(ctx, today, tag.Tag, [32]byte{3}, c.now),
		} {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
	t.Run("20 refills", func(t *testing.T) {
		l, _, c := newLedger(t)
		nb := [32]byte{1}
		hash := func(i int) [32]byte { return [32]byte{byte(i)} }
		won, spent := race(func(i int) error { return l.Refill(ctx, today, nb, hash(i), c.now) })
		if won != 1 || spent != 15 {
			t.Errorf("%d won, %d spent", won, spent)
		}
		again := 0
		for i := range 16 {
			if l.Refill(ctx, today, nb, hash(i), c.now) == nil {
				again++
			}
		}
		if again != 1 {
			t.Errorf("%d different refills are answered", again)
		}
		if err := l.Refill(ctx, today+1, nb, hash(3), c.now); err != nil {
			t.Errorf("in the next epoch: %v", err)
		}
	})
	t.Run("24 quota", func(t *testing.T) {
		l, _, c := newLedger(t)
		const daily = 40
		var mu sync.Mutex
		total := 0
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				g, err := l.Quota(ctx, alice, daily, fmt.Append(nil, i), 8, c.now)
				mu.Lock()
				defer mu.Unlock()
				if err == nil && g.Allowed {
					total += 8
				}
			})
		}
		wg.Wait()
		if total != daily {
			t.Errorf("%d of %d", total, daily)
		}
		if g, err := l.Quota(ctx, alice, daily, []byte("new"), 8, c.now); err != nil || g.Allowed || g.Remaining != 0 {
			t.Errorf("beyond the quota: %+v, %v", g, err)
		}
		allowed := 0
		for i := range 16 {
			if g, err := l.Quota(ctx, alice, daily, fmt.Append(nil, i), 8, c.now); err == nil && g.Repeated {
				allowed++
			}
		}
		if allowed != daily/8 {
			t.Errorf("%d requests are answered again", allowed)
		}
		if g, err := l.Quota(ctx, carol, daily, []byte("x"), 8, c.now); err != nil || !g.Allowed || g.Remaining != 32 {
			t.Errorf("another account: %+v, %v", g, err)
		}
		c.now = c.now.Add(24 * time.Hour)
		if g, err := l.Quota(ctx, alice, daily, []byte("new"), 8, c.now); err != nil || !g.Allowed {
			t.Errorf("the next day: %+v, %v", g, err)
		}
	})
}

func TestForget(t *testing.T) {
	l, _, c := newLedger(t)
	if err := l.Forget(ctx, alice); err != nil {
		t.Errorf("nothing to forget: %v", err)
	}
	if _, err := l.Quota(ctx, alice, 8, []byte("x"), 8, c.now); err != nil {
		t.Fatal(err)
	}
	if err := l.Forget(ctx, alice); err != nil {
		t.Fatal(err)
	}
	if g, err := l.Quota(ctx, alice, 8, []byte("y"), 8, c.now); err != nil || !g.Allowed {
		t.Errorf("%+v, %v", g, err)
	}
}

// A store that fails is no ticket: nothing is spent, and nothing admitted.
func TestStoreFails(t *testing.T) {
	l, s, c := newLedger(t)
	s.Close()
	if err := l.SpendToken(ctx, privacypass.Spend{Epoch: privacypass.EpochOf(today)}, beta, ids.EnvelopeID{}, c.now); !errors.Is(err, store.ErrUnavailable) {
		t.Error(err)
	}
	if g, err := l.Quota(ctx, alice, 8, []byte("x"), 8, c.now); !errors.Is(err, store.ErrUnavailable) || g.Allowed {
		t.Errorf("%+v, %v", g, err)
	}
	if err := l.Forget(ctx, alice); !errors.Is(err, store.ErrUnavailable) {
		t.Error(err)
	}
}

// What a Ledger remembers is bounded, and forgetting it changes nothing.
func TestManyPeriods(t *testing.T) {
	l, _, c := newLedger(t)
	for i := range ids.Day(3 * maxOpen) {
		for range 2 {
			if err := l.SpendTags(ctx, today+i, []TagSpend{{Claimant: [32]byte{1}}}, c.now)[0]; err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(l.open) > maxOpen {
		t.Errorf("%d sets remembered", len(l.open))
	}
	if err := l.SpendTags(ctx, today, []TagSpend{{Claimant: [32]byte{2}}}, c.now)[0]; err != ErrSpent {
		t.Errorf("after all that: %v", err)
	}
}
