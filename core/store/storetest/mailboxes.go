package storetest

import (
	"bytes"
	"context"
	"testing"
	"time"

	"waxwing/core/ids"
	"waxwing/core/store"
)

func testAppend(t *testing.T, s *suite) {
	if c := s.mustAppend(box(1), 1); c != 1 {
		t.Fatalf("the first cursor is %d", c)
	}
	reqs := []store.AppendReq{
		s.request(box(1), 2), s.request(box(2), 3), s.request(box(1), 2),
		{Mailbox: box(1), ID: id(9)},
		s.request(box(1), 4),
	}
	res := s.Append(context.Background(), reqs)
	for i, want := range []store.AppendOutcome{store.Appended, store.Appended, store.Duplicate, store.AppendNone, store.Appended} {
		if res[i].Outcome != want {
			t.Fatalf("element %d: %v, want %v", i, res[i].Outcome, want)
		}
	}
	s.is(res[3].Err, store.ErrInvalid)
	if res[1].Cursor != 1 || res[4].Cursor <= res[0].Cursor {
		t.Fatal("cursors are not those of each mailbox, in order")
	}
	s.twice(func() {
		s.holds(box(1), 0, 1, 2, 4)
		s.holds(box(2), 0, 3)
		s.want(s.request(box(1), 4), store.Duplicate)
	})
	if got := s.fetch(box(1), 0)[0]; !got.Expires.Equal(epoch.Add(240*time.Hour)) || got.Expires.Location() != time.UTC {
		t.Fatalf("expires %v", got.Expires)
	}
	// The same id in another mailbox is another message.
	s.want(s.request(box(2), 4), store.Appended)
	if res := s.Append(context.Background(), nil); len(res) != 0 {
		t.Fatal("results for no requests")
	}
}

func testAppendLimits(t *testing.T, s *suite) {
	r := s.request(box(1), 1)
	r.Body = nil
	s.wantErr(r, store.ErrInvalid)
	r.Body = make([]byte, store.MaxBody+1)
	s.wantErr(r, store.ErrInvalid)
	r.Body, r.Quota.Messages = r.Body[1:], -1
	s.wantErr(r, store.ErrInvalid)
	r.Quota = store.Quota{Bytes: -1}
	s.wantErr(r, store.ErrInvalid)
	r.Quota = store.Quota{}
	s.want(r, store.Appended)
	s.stat(box(1), 1, store.MaxBody)
	for _, res := range s.Append(context.Background(), make([]store.AppendReq, store.MaxBatch+1)) {
		s.is(res.Err, store.ErrInvalid)
	}
	s.twice(func() {
		if got := s.fetch(box(1), 0); len(got) != 1 || !bytes.Equal(got[0].Body, r.Body) {
			t.Fatal("the longest body did not survive")
		}
	})
	// A time long past or far ahead is no reason to refuse.
	r = s.request(box(2), 2)
	r.Expires = time.Time{}
	s.want(r, store.Appended)
	r = s.request(box(2), 3)
	r.Expires = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	s.want(r, store.Appended)
	s.holds(box(2), 0, 3)
}

// testManyMailboxes has every element of a call in another mailbox.
func testManyMailboxes(t *testing.T, s *suite) {
	mailbox := func(i int) ids.MailboxID { return ids.MailboxID{byte(i), byte(i >> 8), 1} }
	for _, size := range []int{1, 260, 3000} {
		reqs, acks := make([]store.AppendReq, store.MaxBatch), make([]store.AckReq, store.MaxBatch)
		for i := range reqs {
			reqs[i] = s.request(mailbox(i), size*10_000+i)
			reqs[i].Body = make([]byte, size)
			reqs[i].HasSerial, reqs[i].Serial = i%2 == 0, store.Serial{Day: s.today(), N: uint64(size)}
			reqs[i].Discard = i%3 == 0
			acks[i] = store.AckReq{Mailbox: mailbox(i), Reader: 1, UpTo: 1 << 40}
		}
		for i, r := range s.Append(context.Background(), reqs) {
			if want := reqs[i].Discard; r.Err != nil || (r.Outcome == store.Discarded) != want {
				t.Fatalf("element %d of %d bytes: %+v", i, size, r)
			}
		}
		if size == 1 {
			contest(store.MaxBatch, func(i int) bool { s.openReader(mailbox(i), 1); return true })
		}
		s.stat(mailbox(1), 1, int64(size))
		for _, err := range s.Ack(context.Background(), acks) {
			s.ok(err)
		}
		s.stat(mailbox(1), 0, 0)
		s.stat(mailbox(store.MaxBatch-2), 0, 0)
	}
}

func (s *suite) serial(mailbox ids.MailboxID, n int, day ids.Day, number uint64) store.AppendReq {
	r := s.request(mailbox, n)
	r.Serial, r.HasSerial = store.Serial{Day: day, N: number}, true
	return r
}

func testSerials(t *testing.T, s *suite) {
	day := s.today() + 3
	first := s.serial(box(1), 1, day, 7)
	s.want(first, store.Appended)
	s.twice(func() {
		s.want(first, store.Duplicate)
		s.want(s.serial(box(1), 2, day, 7), store.Spent)
		s.holds(box(1), 0, 1)
	})
	// A serial belongs to a mailbox and a day.
	s.want(s.serial(box(2), 3, day, 7), store.Appended)
	s.want(s.serial(box(1), 4, day+1, 7), store.Appended)
	// Within one call, too, one wins.
	res := s.Append(context.Background(), []store.AppendReq{s.serial(box(1), 5, day, 8), s.serial(box(1), 6, day, 8), s.serial(box(1), 5, day, 8)})
	if res[0].Outcome != store.Appended || res[1].Outcome != store.Spent || res[2].Outcome != store.Duplicate {
		t.Fatalf("in one call: %+v", res)
	}
	// Remembered also when the message is gone.
	s.openReader(box(1), 1)
	s.ack(box(1), 1, 1<<40)
	s.twice(func() {
		s.holds(box(1), 0)
		s.want(first, store.Duplicate)
		s.want(s.serial(box(1), 2, day, 7), store.Spent)
	})
	// A full mailbox spends nothing.
	full := s.serial(box(3), 7, day, 9)
	full.Quota.Bytes = int64(len(full.Body)) - 1
	s.wantErr(full, store.ErrFull)
	full.Quota.Bytes++
	s.want(full, store.Appended)
}

func testSerialMemory(t *testing.T, s *suite) {
	s.want(s.serial(box(1), 1, s.today(), 1), store.Appended)
	_, err := s.Strike(context.Background(), box(1), []store.Serial{{Day: s.today(), N: 2}})
	s.ok(err)
	day := s.today()
	for s.today() < day+store.SerialMemory {
		s.clock.Advance(24 * time.Hour)
		s.restart()
		s.want(s.serial(box(1), 1, day, 1), store.Duplicate)
		s.want(s.serial(box(1), 2, day, 1), store.Spent)
		s.want(s.serial(box(1), 2, day, 2), store.Struck)
		s.want(s.serial(box(2), int(s.today()), day, 1000+uint64(s.today())), store.Appended)
	}
	s.clock.Advance(24 * time.Hour)
	s.twice(func() {
		s.want(s.serial(box(1), 1, day, 1), store.Spent)
		s.want(s.serial(box(1), 3, day, 3), store.Spent) // never spent, and no longer known not to be
		n, err := s.Strike(context.Background(), box(1), []store.Serial{{Day: day, N: 4}})
		if err != nil || n != 0 {
			t.Fatalf("Strike of a forgotten day: %d, %v", n, err)
		}
	})
	s.want(s.serial(box(1), 5, s.today(), 1), store.Appended)
}

func testDiscard(t *testing.T, s *suite) {
	r := s.serial(box(1), 1, s.today(), 1)
	r.Discard = true
	s.want(r, store.Discarded)
	s.want(r, store.Discarded)
	s.stat(box(1), 0, 0)
	r.Discard = false
	s.want(r, store.Appended)
	r.Discard = true
	s.want(r, store.Discarded)
	s.twice(func() { s.holds(box(1), 0, 1) })
	// Invalid stays invalid.
	r.Body = nil
	s.wantErr(r, store.ErrInvalid)
	// Many in one call, in one mailbox and in many.
	var reqs []store.AppendReq
	for i := range 300 {
		r := s.request(box(byte(10+i%3)), i)
		r.Discard = true
		reqs = append(reqs, r)
	}
	for _, res := range s.Append(context.Background(), reqs) {
		if res.Outcome != store.Discarded {
			t.Fatalf("%+v", res)
		}
	}
	s.stat(box(10), 0, 0)
}

func testQuota(t *testing.T, s *suite) {
	r := s.request(box(1), 0) // bodies of 32 bytes
	r.Quota = store.Quota{Messages: 2, Bytes: 96}
	s.want(r, store.Appended)
	r.ID, r.Body = id(8), body(8)
	s.want(r, store.Appended)
	r.ID, r.Body = id(16), body(16)
	s.wantErr(r, store.ErrFull)
	r.Quota.Messages = 0
	r.Body = make([]byte, 33)
	s.wantErr(r, store.ErrFull)
	r.Body = make([]byte, 32)
	s.want(r, store.Appended)
	s.twice(func() { s.stat(box(1), 3, 96) })
	// What is known already is a duplicate, not too much.
	s.want(r, store.Duplicate)
	s.openReader(box(1), 1)
	s.ack(box(1), 1, 1<<40)
	s.twice(func() { s.stat(box(1), 0, 0) })
	r.ID = id(24)
	s.want(r, store.Appended)
	// The default quota.
	big := make([]byte, store.MaxBody)
	var reqs []store.AppendReq
	for i := range store.DefaultBytes/store.MaxBody + 1 {
		r := s.request(box(2), i)
		r.Body = big
		reqs = append(reqs, r)
	}
	res := s.Append(context.Background(), reqs)
	for _, x := range res[:len(res)-1] {
		s.ok(x.Err)
	}
	s.is(res[len(res)-1].Err, store.ErrFull)
}

func testStrike(t *testing.T, s *suite) {
	day := s.today() + 1
	s.want(s.serial(box(1), 1, day, 1), store.Appended)
	strike := func(want int, numbers ...uint64) {
		t.Helper()
		var serials []store.Serial
		for _, n := range numbers {
			serials = append(serials, store.Serial{Day: day, N: n})
		}
		n, err := s.Strike(context.Background(), box(1), serials)
		if err != nil || n != want {
			t.Fatalf("Strike: %d, %v; want %d", n, err, want)
		}
	}
	strike(2, 1, 2, 3, 2)
	s.twice(func() {
		strike(0, 2, 3)
		strike(0)
		s.want(s.serial(box(1), 2, day, 2), store.Struck)
		s.want(s.serial(box(1), 3, day, 1), store.Spent)
		s.want(s.serial(box(1), 1, day, 1), store.Duplicate)
	})
	s.want(s.serial(box(2), 4, day, 2), store.Appended) // another mailbox
	_, err := s.Strike(context.Background(), box(1), make([]store.Serial, store.MaxBatch+1))
	s.is(err, store.ErrInvalid)
	many := make([]store.Serial, store.MaxBatch)
	for i := range many {
		many[i] = store.Serial{Day: day, N: uint64(100 + i)}
	}
	n, err := s.Strike(context.Background(), box(3), many)
	if err != nil || n != len(many) {
		t.Fatalf("Strike of many: %d, %v", n, err)
	}
	s.want(s.serial(box(3), 5, day, 100), store.Struck)
	s.want(s.serial(box(3), 5, day, 99+store.MaxBatch), store.Struck)
}

func testFetch(t *testing.T, s *suite) {
	s.holds(box(9), 0)
	var all []int
	for i := range 150 {
		s.mustAppend(box(1), i)
		all = append(all, i)
	}
	s.twice(func() {
		s.holds(box(1), 0, all...)
		cursors := s.fetch(box(1), 0)
		for _, i := range []int{0, 1, 63, 64, 100, 148, 149} {
			s.holds(box(1), cursors[i].Cursor, all[i+1:]...)
		}
		s.holds(box(1), 1<<63)
		s.holds(box(1), 1<<64-1)
		m, err := s.Fetch(context.Background(), box(1), 0, 7, 0)
		if err != nil || len(m) != 7 {
			t.Fatalf("at most 7: %d, %v", len(m), err)
		}
		// Bodies are of 32, 64, 96, ... bytes.
		m, err = s.Fetch(context.Background(), box(1), 0, 0, 32+64+96)
		if err != nil || len(m) != 3 {
			t.Fatalf("192 bytes: %d, %v", len(m), err)
		}
		m, err = s.Fetch(context.Background(), box(1), 0, 0, 32+64+95)
		if err != nil || len(m) != 2 {
			t.Fatalf("191 bytes: %d, %v", len(m), err)
		}
		m, err = s.Fetch(context.Background(), box(1), 0, 0, 1)
		if err != nil || len(m) != 1 {
			t.Fatalf("1 byte: %d, %v; want one message all the same", len(m), err)
		}
	})
	// The limits of one call.
	var reqs []store.AppendReq
	for i := range store.MaxFetch + 10 {
		r := s.request(box(2), i)
		reqs = append(reqs, r)
	}
	for _, r := range s.Append(context.Background(), reqs) {
		s.ok(r.Err)
	}
	m, err := s.Fetch(context.Background(), box(2), 0, 1<<30, 1<<30)
	if err != nil || len(m) != store.MaxFetch {
		t.Fatalf("%d messages, %v", len(m), err)
	}
	for i := range 20 {
		r := s.request(box(3), i)
		r.Body = make([]byte, store.MaxBody)
		s.want(r, store.Appended)
	}
	m, err = s.Fetch(context.Background(), box(3), 0, 0, 1<<30)
	if err != nil || len(m) != store.MaxFetchBytes/store.MaxBody {
		t.Fatalf("%d long messages, %v", len(m), err)
	}
}
