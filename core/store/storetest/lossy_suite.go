package storetest

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"waxwing/core/store"
)

// testLossy repeats every operation with the same ids until an answer arrives,
// while half of the answers are lost, before or after the effect: each has its
// effect exactly once.
func testLossy(t *testing.T, s *suite) {
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(1, 2))
	lost := [3]int{}
	l := &Lossy{Store: s.Store, Next: func() Loss {
		mu.Lock()
		defer mu.Unlock()
		n := Loss(random.IntN(4) % 3)
		lost[n]++
		return n
	}}
	ctx := context.Background()
	until := func(call func() error) error {
		for {
			if err := call(); !errors.Is(err, store.ErrUnknownOutcome) {
				return err
			}
		}
	}
	must := func(call func() error) {
		t.Helper()
		s.ok(until(call))
	}
	must(func() error { _, err := l.OpenReader(ctx, box(1), 1); return err })
	must(func() error { return l.OpenSet(ctx, set(1), s.clock.Now().Add(time.Hour)) })
	var all []int
	for i := range 60 {
		r := s.serial(box(1), i, s.today(), uint64(i))
		r.HasSerial = i%2 == 0
		tries := 0
		var res store.AppendRes
		must(func() error { tries++; res = l.Append(ctx, []store.AppendReq{r})[0]; return res.Err })
		if res.Outcome != store.Appended && (res.Outcome != store.Duplicate || tries == 1) {
			t.Fatalf("Append, try %d: %v", tries, res.Outcome)
		}
		all = append(all, i)

		var won store.SpendRes
		must(func() error {
			won = l.Spend(ctx, set(1), []store.Claim{{Token: token(i), Claimant: claimant(i)}})[0]
			return won.Err
		})
		if !won.Won {
			t.Fatal("the only claimant lost")
		}
		must(func() error { return l.Put(ctx, "p", []store.Item{item(i + 1)}) })
		var it store.Item
		var remaining int
		must(func() (err error) { it, remaining, err = l.Take(ctx, "p", claimant(i)); return err })
		if it.ID != uint64(i+1) || remaining != 0 {
			t.Fatalf("Take: item %d, %d remain", it.ID, remaining)
		}
		must(func() error {
			_, err := l.Strike(ctx, box(2), []store.Serial{{Day: s.today(), N: uint64(i)}})
			return err
		})
		lossyDocuments(t, s, l, until, i)
	}
	if lost[LossBefore] == 0 || lost[LossAfter] == 0 {
		t.Fatal("nothing was lost")
	}
	s.twice(func() {
		s.holds(box(1), 0, all...)
		s.want(s.serial(box(2), 1, s.today(), 1), store.Struck)
	})
	l.Store = s.Store
	m := s.fetch(box(1), 0)
	must(func() error {
		return l.Ack(ctx, []store.AckReq{{Mailbox: box(1), Reader: 1, UpTo: m[9].Cursor}})[0]
	})
	s.twice(func() { s.holds(box(1), 0, all[10:]...) })
	l.Store = s.Store
	must(func() error { return l.Remove(ctx, box(1), []store.Cursor{m[10].Cursor, m[12].Cursor}) })
	s.twice(func() { s.holds(box(1), 0, append([]int{all[11]}, all[13:]...)...) })
	l.Store = s.Store
	must(func() error { return l.CloseReader(ctx, box(1), 1) })
	must(func() error { return l.Drop(ctx, box(1)) })
	must(func() error { return l.DropPool(ctx, "p") })
	s.twice(func() { s.stat(box(1), 0, 0) })
}

// lossyDocuments writes the i-th entry and version of a log and a document.
func lossyDocuments(t *testing.T, s *suite, l *Lossy, until func(func() error) error, i int) {
	t.Helper()
	ctx := context.Background()
	// A conflict may be the caller's own, lost success: the content tells.
	if err := until(func() error { return l.LogAppend(ctx, "l", uint64(i), [][]byte{body(i)}) }); err != nil {
		s.is(err, store.ErrConflict)
	}
	if e, err := l.LogRead(ctx, "l", uint64(i), 5); err != nil || len(e) != 1 || string(e[0]) != string(body(i)) {
		t.Fatalf("LogRead: %q, %v", e, err)
	}
	d, err := l.Get(ctx, "d")
	if i > 0 {
		s.ok(err)
	}
	if err := until(func() error { _, err := l.CAS(ctx, "d", d.Version, body(i)); return err }); err != nil {
		s.is(err, store.ErrConflict)
	}
	if d, err = l.Get(ctx, "d"); err != nil || string(d.Value) != string(body(i)) {
		t.Fatalf("Get: %q, %v", d.Value, err)
	}
}
