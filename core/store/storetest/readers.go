package storetest

import (
	"context"
	"slices"
	"testing"
	"time"

	"waxwing/core/store"
)

func testReaders(t *testing.T, s *suite) {
	if c := s.openReader(box(1), 1); c != 0 {
		t.Fatalf("reader of an empty mailbox stands at %d", c)
	}
	a := s.mustAppend(box(1), 1)
	b := s.mustAppend(box(1), 2)
	s.ack(box(1), 1, a)
	s.twice(func() {
		if c := s.openReader(box(1), 1); c != a {
			t.Fatalf("opened again it stands at %d, want %d", c, a)
		}
	})
	// A new one stands before what is kept, behind what is gone.
	if c := s.openReader(box(1), 2); c < a || c >= b {
		t.Fatalf("a new reader stands at %d, want %d", c, a)
	}
	s.ack(box(1), 1, b)
	s.holds(box(1), 0, 2)
	s.ok(s.CloseReader(context.Background(), box(1), 2)) // nothing waits for it now
	s.twice(func() { s.holds(box(1), 0) })
	s.ok(s.CloseReader(context.Background(), box(1), 2))
	s.ok(s.CloseReader(context.Background(), box(8), 1))
	s.is(s.ackErr(box(1), 2, b), store.ErrNotFound)
	// Without readers nothing is removed.
	c := s.mustAppend(box(1), 3)
	s.ok(s.CloseReader(context.Background(), box(1), 1))
	s.twice(func() {
		s.holds(box(1), 0, 3)
		s.is(s.ackErr(box(1), 1, c), store.ErrNotFound)
	})
	// The limit counts open ones.
	for i := range store.MaxReaders {
		s.openReader(box(2), store.ReaderID(i)*1_000_003)
	}
	s.openReader(box(2), 0)
	_, err := s.OpenReader(context.Background(), box(2), 5)
	s.is(err, store.ErrFull)
	s.ok(s.CloseReader(context.Background(), box(2), 1_000_003))
	s.openReader(box(2), 5)
	// A reader that opens when all is gone stands at the end.
	last := s.mustAppend(box(3), 1)
	s.openReader(box(3), 1)
	s.ack(box(3), 1, last)
	if c := s.openReader(box(3), 2); c != last {
		t.Fatalf("a reader of an emptied mailbox stands at %d, want %d", c, last)
	}
}

func testAck(t *testing.T, s *suite) {
	s.openReader(box(1), 1)
	s.openReader(box(1), 2)
	var c []store.Cursor
	for i := range 5 {
		c = append(c, s.mustAppend(box(1), i))
	}
	s.ack(box(1), 1, c[2])
	s.holds(box(1), 0, 0, 1, 2, 3, 4)
	s.ack(box(1), 2, c[1])
	s.twice(func() { s.holds(box(1), 0, 2, 3, 4) })
	s.ack(box(1), 2, c[0]) // lower: no-op
	s.ack(box(1), 2, c[1]) // again: no-op
	if got := s.openReader(box(1), 2); got != c[1] {
		t.Fatalf("reader stands at %d, want %d", got, c[1])
	}
	s.ack(box(1), 2, 1<<63) // beyond the last: the last
	s.twice(func() { s.holds(box(1), 0, 3, 4) })
	if got := s.openReader(box(1), 2); got != c[4] {
		t.Fatalf("reader stands at %d, want the last, %d", got, c[4])
	}
	// What comes later is not acked by that.
	s.mustAppend(box(1), 5)
	s.ack(box(1), 1, 1<<63)
	s.twice(func() { s.holds(box(1), 0, 5) })
	s.stat(box(1), 1, int64(len(body(5))))
	// In one call each element is for itself.
	errs := s.Ack(context.Background(), []store.AckReq{
		{Mailbox: box(1), Reader: 9, UpTo: 1}, {Mailbox: box(1), Reader: 2, UpTo: 1 << 40}, {Mailbox: box(7), Reader: 1, UpTo: 1},
	})
	s.is(errs[0], store.ErrNotFound)
	s.ok(errs[1])
	s.is(errs[2], store.ErrNotFound)
	s.twice(func() { s.holds(box(1), 0) })
	for _, err := range s.Ack(context.Background(), make([]store.AckReq, store.MaxBatch+1)) {
		s.is(err, store.ErrInvalid)
	}
	// An id whose message was removed may come again.
	s.want(s.request(box(1), 5), store.Appended)
}

// testAckMany acks more than an engine may do in one go, in uneven steps.
func testAckMany(t *testing.T, s *suite) {
	s.openReader(box(1), 0)
	var reqs []store.AppendReq
	for i := range store.MaxBatch {
		reqs = append(reqs, s.request(box(1), i))
	}
	var all []int
	for i, r := range s.Append(context.Background(), reqs) {
		if r.Outcome != store.Appended {
			t.Fatalf("%+v", r)
		}
		all = append(all, i)
	}
	for _, i := range []int{1, 100, 165, 166, store.MaxBatch - 2} {
		m := s.fetch(box(1), 0)
		at := slices.IndexFunc(m, func(m store.Message) bool { return m.ID == id(i) })
		s.ack(box(1), 0, m[at].Cursor)
		s.twice(func() { s.holds(box(1), 0, all[i+1:]...) })
		s.stat(box(1), len(all)-i-1, sizes(all[i+1:]))
	}
	s.want(s.request(box(1), store.MaxBatch-1), store.Duplicate)
	s.want(s.request(box(1), 3), store.Appended)
	s.ack(box(1), 0, 1<<40)
	s.twice(func() { s.stat(box(1), 0, 0) })
}

// testRemove removes single messages, before and behind what is acked.
func testRemove(t *testing.T, s *suite) {
	s.openReader(box(1), 0)
	var reqs []store.AppendReq
	for i := range 300 {
		reqs = append(reqs, s.request(box(1), i))
	}
	var at []store.Cursor
	for _, r := range s.Append(context.Background(), reqs) {
		at = append(at, r.Cursor)
	}
	remove := func(which ...int) {
		t.Helper()
		cursors := make([]store.Cursor, len(which))
		for i, n := range which {
			cursors[i] = at[n]
		}
		for range 2 { // again: no-op
			s.ok(s.Remove(context.Background(), box(1), cursors))
		}
	}
	// All but one in a hundred, as behind one that stays for long.
	var stay, go1, go2 []int
	for i := range at {
		switch {
		case i%100 == 7:
			stay = append(stay, i)
		case i%2 == 0:
			go1 = append(go1, i)
		default:
			go2 = append(go2, i)
		}
	}
	remove(go1...)
	slices.Reverse(go2)
	remove(go2...)
	s.twice(func() {
		s.holds(box(1), 0, stay...)
		s.stat(box(1), len(stay), sizes(stay))
		if c := s.openReader(box(1), 0); c >= at[stay[0]] {
			t.Fatalf("the reader was moved to %d", c)
		}
	})
	// What is gone gives way to others, and its id is forgotten; the others' is not.
	full := s.request(box(1), 1000)
	full.Quota = store.Quota{Messages: len(stay)}
	s.wantErr(full, store.ErrFull)
	s.want(s.request(box(1), stay[1]), store.Duplicate)
	remove(stay[1])
	full.Quota.Messages = len(stay)
	last := s.want(full, store.Appended)
	s.want(s.request(box(1), 8), store.Appended)
	s.twice(func() { s.holds(box(1), 0, 7, 207, 1000, 8) })
	s.ack(box(1), 0, last)
	s.twice(func() { s.holds(box(1), 0, 8) })
	// Nothing there: none, never used, acked, beyond the last.
	s.ok(s.Remove(context.Background(), box(1), nil))
	s.ok(s.Remove(context.Background(), box(1), []store.Cursor{0, at[7], last, 1 << 40, 1<<64 - 1}))
	s.ok(s.Remove(context.Background(), box(5), []store.Cursor{1}))
	s.twice(func() { s.holds(box(1), 0, 8); s.stat(box(5), 0, 0) })
	s.is(s.Remove(context.Background(), box(1), make([]store.Cursor, store.MaxBatch+1)), store.ErrInvalid)
	// Without readers, all of it, and what comes after.
	s.ok(s.CloseReader(context.Background(), box(1), 0))
	s.ok(s.Remove(context.Background(), box(1), []store.Cursor{s.fetch(box(1), 0)[0].Cursor}))
	s.twice(func() { s.holds(box(1), 0); s.stat(box(1), 0, 0) })
	s.mustAppend(box(1), 9)
	s.twice(func() { s.holds(box(1), 0, 9) })
}

func sizes(messages []int) (sum int64) {
	for _, n := range messages {
		sum += int64(len(body(n)))
	}
	return sum
}

func testExpiry(t *testing.T, s *suite) {
	short := func(n int, life time.Duration) store.AppendReq {
		r := s.request(box(1), n)
		r.Expires = s.clock.Now().Add(life)
		return r
	}
	s.want(short(0, 10*time.Hour), store.Appended)
	s.want(short(1, 2*time.Hour), store.Appended)
	s.want(short(2, 90*time.Minute+time.Millisecond), store.Appended) // rounded up to a second
	s.want(short(3, 10*time.Hour), store.Appended)
	s.want(short(4, -time.Hour), store.Appended)
	s.holds(box(1), 0, 0, 1, 2, 3)
	s.clock.Advance(90 * time.Minute)
	s.holds(box(1), 0, 0, 1, 2, 3)
	s.clock.Advance(time.Second)
	s.twice(func() { s.holds(box(1), 0, 0, 1, 3) })
	s.clock.Advance(30 * time.Minute)
	s.twice(func() { s.holds(box(1), 0, 0, 3) })
	// Space is freed within ExpirySlack, also of what lies in the middle.
	s.clock.Advance(store.ExpirySlack)
	s.eventually("expired messages no longer count", func() bool {
		st, err := s.Stat(context.Background(), box(1))
		return err == nil && st.Messages == 2 && st.Bytes == sizes([]int{0, 3})
	})
	s.twice(func() { s.holds(box(1), 0, 0, 3) })
	// An id whose message is gone may come again, and acks step over gaps.
	s.want(short(1, 10*time.Hour), store.Appended)
	s.openReader(box(1), 1)
	m := s.fetch(box(1), 0)
	s.ack(box(1), 1, m[1].Cursor)
	s.twice(func() { s.holds(box(1), 0, 1) })
	s.stat(box(1), 1, sizes([]int{1}))
	s.ack(box(1), 1, m[2].Cursor)
	s.stat(box(1), 0, 0)
	if c := s.mustAppend(box(1), 9); c <= m[2].Cursor {
		t.Fatal("a cursor came twice")
	}
}

func testExpiryFreesQuota(t *testing.T, s *suite) {
	var reqs []store.AppendReq
	for i := range 500 {
		r := s.request(box(1), i)
		r.Expires = s.clock.Now().Add(time.Duration(1+i%2) * 3 * time.Hour)
		r.Quota.Messages = 500
		reqs = append(reqs, r)
	}
	for _, r := range s.Append(context.Background(), reqs) {
		s.ok(r.Err)
	}
	r := s.request(box(1), 1000)
	r.Quota.Messages = 500
	s.wantErr(r, store.ErrFull)
	s.clock.Advance(3*time.Hour + store.ExpirySlack)
	s.eventually("the quota has room", func() bool { return s.append1(r).Outcome == store.Appended })
	s.twice(func() {
		var want []int
		for i := 1; i < 500; i += 2 {
			want = append(want, i)
		}
		s.holds(box(1), 0, append(want, 1000)...)
		s.stat(box(1), 251, sizes(append(want, 1000)))
	})
	s.clock.Advance(3*time.Hour + store.ExpirySlack)
	s.eventually("all but one are gone", func() bool {
		st, err := s.Stat(context.Background(), box(1))
		return err == nil && st.Messages == 1
	})
	s.holds(box(1), 0, 1000)
	s.openReader(box(1), 1)
	s.ack(box(1), 1, 1<<40)
	s.stat(box(1), 0, 0)
}

// testExpiryAndAcks has messages of one call acked and expired in all orders.
func testExpiryAndAcks(t *testing.T, s *suite) {
	s.openReader(box(1), 1)
	var reqs []store.AppendReq
	for i := range 12 {
		r := s.request(box(1), i)
		if i%4 == 1 || i%4 == 2 {
			r.Expires = s.clock.Now().Add(time.Hour)
		}
		reqs = append(reqs, r)
	}
	res := s.Append(context.Background(), reqs)
	counts := func(want ...int) {
		t.Helper()
		s.eventually("only what has not expired counts", func() bool {
			st, err := s.Stat(context.Background(), box(1))
			return err == nil && st.Messages == len(want) && st.Bytes == sizes(want)
		})
		s.twice(func() { s.holds(box(1), 0, want...) })
	}
	s.ack(box(1), 1, res[1].Cursor)
	counts(2, 3, 4, 5, 6, 7, 8, 9, 10, 11)
	s.clock.Advance(time.Hour + store.ExpirySlack)
	counts(3, 4, 7, 8, 11)
	s.ack(box(1), 1, res[2].Cursor)
	counts(3, 4, 7, 8, 11)
	s.ack(box(1), 1, res[5].Cursor)
	counts(7, 8, 11)
	s.ack(box(1), 1, res[8].Cursor)
	counts(11)
	s.want(reqs[9], store.Appended) // expired already when it came again
	s.ack(box(1), 1, res[11].Cursor)
	s.holds(box(1), 0)
	s.mustAppend(box(1), 20)
	s.ack(box(1), 1, 1<<40)
	counts()
}

func testDrop(t *testing.T, s *suite) {
	s.ok(s.Drop(context.Background(), box(9)))
	day := s.today()
	var last store.Cursor
	for i := range 200 {
		last = s.mustAppend(box(1), i)
	}
	s.want(s.serial(box(1), 500, day, 1), store.Appended)
	s.mustAppend(box(2), 1)
	s.openReader(box(1), 1)
	s.ok(s.Drop(context.Background(), box(1)))
	s.twice(func() {
		s.holds(box(1), 0)
		s.stat(box(1), 0, 0)
		s.is(s.ackErr(box(1), 1, 1), store.ErrNotFound)
		s.want(s.serial(box(1), 500, day, 1), store.Duplicate)
		s.want(s.serial(box(1), 501, day, 1), store.Spent)
		s.holds(box(2), 0, 1)
	})
	s.ok(s.Drop(context.Background(), box(1)))
	if c := s.mustAppend(box(1), 0); c <= last {
		t.Fatalf("cursor %d after %d", c, last)
	}
	s.holds(box(1), 0, 0)
}
