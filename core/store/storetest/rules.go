package storetest

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"waxwing/core/ids"
	"waxwing/core/store"
)

// testOwnership changes what was passed in and what came out.
func testOwnership(t *testing.T, s *suite) {
	ctx := context.Background()
	r := s.request(box(1), 1)
	r.Body = append([]byte(nil), r.Body...)
	s.want(r, store.Appended)
	clear(r.Body)
	clear(s.fetch(box(1), 0)[0].Body)
	s.twice(func() { s.holds(box(1), 0, 1) })

	value := []byte("value")
	_, err := s.CAS(ctx, "d", 0, value)
	s.ok(err)
	clear(value)
	d, err := s.Get(ctx, "d")
	s.ok(err)
	clear(d.Value)
	l, err := s.List(ctx, "d", "", 0)
	s.ok(err)
	clear(l[0].Value)
	if d, err = s.Get(ctx, "d"); err != nil || string(d.Value) != "value" {
		t.Fatalf("the document is %q, %v", d.Value, err)
	}

	entry := []byte("entry")
	s.ok(s.LogAppend(ctx, "l", 0, [][]byte{entry}))
	clear(entry)
	got, err := s.LogRead(ctx, "l", 0, 0)
	s.ok(err)
	clear(got[0])
	if got, err = s.LogRead(ctx, "l", 0, 0); err != nil || string(got[0]) != "entry" {
		t.Fatalf("the entry is %q, %v", got, err)
	}

	it := item(3)
	s.ok(s.Put(ctx, "p", []store.Item{it}))
	clear(it.Body)
	taken, _, err := s.Take(ctx, "p", claimant(1))
	s.ok(err)
	clear(taken.Body)
	s.take("p", 1, 3, 0)
	// Messages of one Fetch do not share what can be appended to.
	s.mustAppend(box(1), 2)
	m := s.fetch(box(1), 0)
	_ = append(m[0].Body, 0xff)
	if string(m[1].Body) != string(body(2)) {
		t.Fatal("bodies overlap")
	}
}

// calls are all operations, for rules that hold for each.
func (s *suite) calls(ctx context.Context) map[string]func() error {
	return map[string]func() error{
		"Append":      func() error { return s.Append(ctx, []store.AppendReq{s.request(box(1), 1)})[0].Err },
		"OpenReader":  func() error { _, err := s.OpenReader(ctx, box(1), 1); return err },
		"CloseReader": func() error { return s.CloseReader(ctx, box(1), 1) },
		"Fetch":       func() error { _, err := s.Fetch(ctx, box(1), 0, 0, 0); return err },
		"Ack":         func() error { return s.Ack(ctx, []store.AckReq{{Mailbox: box(1)}})[0] },
		"Remove":      func() error { return s.Remove(ctx, box(1), []store.Cursor{1}) },
		"Strike":      func() error { _, err := s.Strike(ctx, box(1), []store.Serial{{Day: s.today()}}); return err },
		"Stat":        func() error { _, err := s.Stat(ctx, box(1)); return err },
		"Drop":        func() error { return s.Drop(ctx, box(1)) },
		"OpenSet":     func() error { return s.OpenSet(ctx, set(1), s.clock.Now().Add(time.Hour)) },
		"Spend":       func() error { return s.Spend(ctx, set(1), make([]store.Claim, 1))[0].Err },
		"Put":         func() error { return s.Put(ctx, "p", []store.Item{item(1)}) },
		"Take":        func() error { _, _, err := s.Take(ctx, "p", claimant(1)); return err },
		"PoolSize":    func() error { _, err := s.PoolSize(ctx, "p"); return err },
		"DropPool":    func() error { return s.DropPool(ctx, "p") },
		"Get":         func() error { _, err := s.Get(ctx, "d"); return err },
		"CAS":         func() error { _, err := s.CAS(ctx, "d", 0, []byte("x")); return err },
		"List":        func() error { _, err := s.List(ctx, "", "", 0); return err },
		"Watch":       func() error { _, err := s.Watch(ctx, ""); return err },
		"LogAppend":   func() error { return s.LogAppend(ctx, "l", 0, [][]byte{{1}}) },
		"LogRead":     func() error { _, err := s.LogRead(ctx, "l", 0, 0); return err },
		"LogSize":     func() error { _, err := s.LogSize(ctx, "l"); return err },
		"Health":      func() error { return s.Health(ctx) },
	}
}

func testContexts(t *testing.T, s *suite) {
	s.ok(s.Health(context.Background()))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	s.ok(s.OpenSet(context.Background(), set(1), s.clock.Now().Add(time.Hour)))
	for name, call := range s.calls(ctx) {
		t.Run(name, func(t *testing.T) {
			(&suite{t: t}).is(call(), context.Canceled)
		})
	}
	s.stat(box(1), 0, 0)
	s.poolSize("p", 0)
	_, err := s.Get(context.Background(), "d")
	s.is(err, store.ErrNotFound)
	// A context that ends while many calls wait: each call either says so and
	// had no effect, or had it.
	ctx, cancel = context.WithCancel(context.Background())
	var wg sync.WaitGroup
	var stored atomic.Int64
	defer cancel()
	for i := range 200 {
		wg.Go(func() {
			if i == 100 {
				cancel()
			}
			if r := s.Append(ctx, []store.AppendReq{s.request(box(2), i)}); r[0].Outcome == store.Appended {
				stored.Add(1)
			}
		})
	}
	wg.Wait()
	if got := len(s.fetch(box(2), 0)); int64(got) < stored.Load() {
		t.Fatalf("%d messages, %d were acknowledged", got, stored.Load())
	}
}

func testClosed(t *testing.T, s *suite) {
	s.mustAppend(box(1), 1)
	s.ok(s.Close())
	for name, call := range s.calls(context.Background()) {
		t.Run(name, func(t *testing.T) {
			(&suite{t: t}).is(call(), store.ErrUnavailable)
		})
	}
	s.ok(s.Close())
	s.restart()
	if s.reopen != nil {
		s.holds(box(1), 0, 1)
	}
}

// contest runs racers at once and returns how many of them won.
func contest(racers int, wins func(racer int) bool) int {
	var won atomic.Int64
	var wg sync.WaitGroup
	start := make(chan struct{})
	for r := range racers {
		wg.Go(func() {
			<-start
			if wins(r) {
				won.Add(1)
			}
		})
	}
	close(start)
	wg.Wait()
	return int(won.Load())
}

// testContested lets 32 racers claim each key: exactly one wins.
func testContested(t *testing.T, s *suite) {
	ctx := context.Background()
	const racers = 32
	s.ok(s.OpenSet(ctx, set(1), s.clock.Now().Add(time.Hour)))
	keys := 20
	for k := range keys {
		once := func(what string, wins func(int) bool) {
			t.Helper()
			if n := contest(racers, wins); n != 1 {
				t.Fatalf("%s: %d winners", what, n)
			}
		}
		once("Spend", func(r int) bool { return s.spend(set(1), token(k), claimant(r)) })
		once("serial", func(r int) bool {
			return s.append1(s.serial(box(1), 1000*k+r, s.today(), uint64(k))).Outcome == store.Appended
		})
		once("id", func(r int) bool { return s.append1(s.request(box(2), k)).Outcome == store.Appended })
		once("Strike", func(int) bool {
			n, err := s.Strike(ctx, box(3), []store.Serial{{Day: s.today(), N: uint64(k)}})
			return err == nil && n == 1
		})
		once("CAS", func(r int) bool {
			_, err := s.CAS(ctx, store.Key([]byte{byte(k)}), 0, []byte{byte(r)})
			return err == nil
		})
		once("LogAppend", func(r int) bool { return s.LogAppend(ctx, "l", uint64(k), [][]byte{{byte(r)}}) == nil })
		s.put("p", k+1)
		once("Take", func(r int) bool { _, _, err := s.Take(ctx, "p", claimant(1000*k+r)); return err == nil })
		if k%10 == 9 {
			s.clock.Advance(store.ClaimMemory)
		}
	}
	// A serial struck and spent at once has one fate.
	for k := range keys {
		n := contest(racers, func(r int) bool {
			if r == 0 {
				n, err := s.Strike(ctx, box(4), []store.Serial{{Day: s.today(), N: uint64(k)}})
				return err == nil && n == 1
			}
			return s.append1(s.serial(box(4), 1000*k+r, s.today(), uint64(k))).Outcome == store.Appended
		})
		if n != 1 {
			t.Fatalf("Strike and Append: %d winners", n)
		}
	}
	if got := len(s.fetch(box(1), 0)); got != keys {
		t.Fatalf("%d messages for %d serials", got, keys)
	}
	s.twice(func() {
		if n, err := s.LogSize(ctx, "l"); err != nil || n != uint64(keys) {
			t.Fatalf("the log has %d entries, %v", n, err)
		}
	})
}

// testContestedMailbox appends, fetches and acks one mailbox from all sides: a
// reader that follows the cursors sees every message once, in order.
func testContestedMailbox(t *testing.T, s *suite) {
	const writers, each = 16, 60
	for r := range store.ReaderID(3) {
		s.openReader(box(1), r)
	}
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				if res := s.append1(s.request(box(1), w*each+i)); res.Outcome != store.Appended {
					t.Errorf("%+v", res)
				}
			}
		})
	}
	for r := range store.ReaderID(3) {
		wg.Go(func() {
			seen := make(map[ids.EnvelopeID]bool)
			var after store.Cursor
			for len(seen) < writers*each {
				m, err := s.Fetch(context.Background(), box(1), after, 1+int(r)*10, 0)
				if err != nil {
					t.Errorf("Fetch: %v", err)
					return
				}
				for _, m := range m {
					if m.Cursor <= after || seen[m.ID] {
						t.Errorf("a message came twice or out of order")
						return
					}
					after = m.Cursor
					seen[m.ID] = true
				}
				if len(m) == 0 {
					time.Sleep(time.Millisecond)
				} else if err := s.ackErr(box(1), r, after); err != nil {
					t.Errorf("Ack: %v", err)
				}
			}
		})
	}
	wg.Wait()
	s.twice(func() { s.stat(box(1), 0, 0) })
}
