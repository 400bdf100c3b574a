package storetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"sync"
	"testing"
	"time"

	"waxwing/core/ids"
	"waxwing/core/store"
)

// Open makes a fresh, empty engine that runs on the clock, and closes it when
// the test ends. If the engine is durable, reopen closes it, opens what it has
// left, and returns that; otherwise it is nil.
type Open func(t testing.TB, now func() time.Time) (s store.Store, reopen func() store.Store)

// Run runs the whole suite.
func Run(t *testing.T, open Open) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, *suite)
	}{
		{"Append", testAppend},
		{"AppendLimits", testAppendLimits},
		{"ManyMailboxes", testManyMailboxes},
		{"Serials", testSerials},
		{"SerialMemory", testSerialMemory},
		{"Discard", testDiscard},
		{"Quota", testQuota},
		{"Strike", testStrike},
		{"Fetch", testFetch},
		{"Readers", testReaders},
		{"Ack", testAck},
		{"AckMany", testAckMany},
		{"Remove", testRemove},
		{"Expiry", testExpiry},
		{"ExpiryFreesQuota", testExpiryFreesQuota},
		{"ExpiryAndAcks", testExpiryAndAcks},
		{"Drop", testDrop},
		{"Sets", testSets},
		{"SetLimits", testSetLimits},
		{"Pools", testPools},
		{"PoolClaims", testPoolClaims},
		{"PoolLimits", testPoolLimits},
		{"Documents", testDocuments},
		{"List", testList},
		{"Watch", testWatch},
		{"WatchSlow", testWatchSlow},
		{"Logs", testLogs},
		{"Ownership", testOwnership},
		{"Contexts", testContexts},
		{"Closed", testClosed},
		{"Contested", testContested},
		{"ContestedMailbox", testContestedMailbox},
		{"Lossy", testLossy},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := &Clock{now: epoch}
			s, reopen := open(t, c.Now)
			test.run(t, &suite{t: t, Store: s, reopen: reopen, clock: c})
		})
	}
	t.Run("Model", func(t *testing.T) { testModel(t, open) })
}

// epoch is when the suite's clock starts: at noon, so that neither an hour nor
// a day ends by accident.
var epoch = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// Clock is a clock that stands still until it is advanced.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock returns a clock that shows t.
func NewClock(t time.Time) *Clock { return &Clock{now: t} }

// Now returns the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// suite is one test on one engine. Its helpers fail the test on any error that
// the contract does not allow there.
type suite struct {
	store.Store
	t      *testing.T
	reopen func() store.Store
	clock  *Clock
}

func (s *suite) today() ids.Day { return ids.DayOf(s.clock.Now()) }

// restart opens the engine again, if it is durable.
func (s *suite) restart() {
	if s.reopen != nil {
		s.Store = s.reopen()
	}
}

// twice runs a check on the engine, and on what it has left after a restart.
func (s *suite) twice(check func()) {
	s.t.Helper()
	check()
	s.restart()
	check()
}

func box(n byte) ids.MailboxID { return ids.MailboxID{n, 1} }

func id(n int) (e ids.EnvelopeID) {
	return sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(n)))
}

func claimant(n int) store.Claimant { return store.Claimant(id(n)) }

func token(n int) [32]byte { return [32]byte(id(n)) }

// body is the body that belongs to id(n).
func body(n int) []byte {
	e := id(n)
	return bytes.Repeat(e[:], 1+n%8)
}

// request is an append of message n without a serial that does not expire soon.
func (s *suite) request(mailbox ids.MailboxID, n int) store.AppendReq {
	return store.AppendReq{Mailbox: mailbox, ID: id(n), Body: body(n), Expires: s.clock.Now().Add(240 * time.Hour)}
}

func (s *suite) append1(r store.AppendReq) store.AppendRes {
	s.t.Helper()
	res := s.Append(context.Background(), []store.AppendReq{r})
	if len(res) != 1 {
		s.t.Fatalf("Append of 1: %d results", len(res))
	}
	if (res[0].Outcome == store.Appended) != (res[0].Cursor > 0) || (res[0].Outcome == store.AppendNone) != (res[0].Err != nil) {
		s.t.Fatalf("Append: inconsistent result %+v", res[0])
	}
	return res[0]
}

// mustAppend appends message n without a serial.
func (s *suite) mustAppend(mailbox ids.MailboxID, n int) store.Cursor {
	s.t.Helper()
	return s.want(s.request(mailbox, n), store.Appended)
}

func (s *suite) want(r store.AppendReq, o store.AppendOutcome) store.Cursor {
	s.t.Helper()
	res := s.append1(r)
	if res.Err != nil || res.Outcome != o {
		s.t.Fatalf("Append: %v, %v; want %v", res.Outcome, res.Err, o)
	}
	return res.Cursor
}

func (s *suite) wantErr(r store.AppendReq, want error) {
	s.t.Helper()
	if res := s.append1(r); !errors.Is(res.Err, want) {
		s.t.Fatalf("Append: %v, %v; want %v", res.Outcome, res.Err, want)
	}
}

func (s *suite) fetch(mailbox ids.MailboxID, after store.Cursor) []store.Message {
	s.t.Helper()
	var all []store.Message
	for {
		m, err := s.Fetch(context.Background(), mailbox, after, 0, 0)
		if err != nil {
			s.t.Fatalf("Fetch: %v", err)
		}
		if len(m) == 0 {
			return all
		}
		all = append(all, m...)
		after = m[len(m)-1].Cursor
	}
}

// holds checks that a mailbox has exactly these messages after a cursor.
func (s *suite) holds(mailbox ids.MailboxID, after store.Cursor, want ...int) {
	s.t.Helper()
	got := s.fetch(mailbox, after)
	if len(got) != len(want) {
		s.t.Fatalf("Fetch: %d messages, want %d", len(got), len(want))
	}
	last := after
	for i, m := range got {
		if m.ID != id(want[i]) || !bytes.Equal(m.Body, body(want[i])) || m.Cursor <= last {
			s.t.Fatalf("Fetch: message %d is not message %d of the test, or out of order", i, want[i])
		}
		last = m.Cursor
	}
}

func (s *suite) stat(mailbox ids.MailboxID, messages int, bytes int64) {
	s.t.Helper()
	st, err := s.Stat(context.Background(), mailbox)
	if err != nil || st.Messages != messages || st.Bytes != bytes {
		s.t.Fatalf("Stat: %+v, %v; want %d messages, %d bytes", st, err, messages, bytes)
	}
}

func (s *suite) openReader(mailbox ids.MailboxID, r store.ReaderID) store.Cursor {
	s.t.Helper()
	c, err := s.OpenReader(context.Background(), mailbox, r)
	s.ok(err)
	return c
}

func (s *suite) ack(mailbox ids.MailboxID, r store.ReaderID, upTo store.Cursor) {
	s.t.Helper()
	s.ok(s.ackErr(mailbox, r, upTo))
}

func (s *suite) ackErr(mailbox ids.MailboxID, r store.ReaderID, upTo store.Cursor) error {
	return s.Ack(context.Background(), []store.AckReq{{Mailbox: mailbox, Reader: r, UpTo: upTo}})[0]
}

func (s *suite) ok(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *suite) is(err, want error) {
	s.t.Helper()
	if !errors.Is(err, want) {
		s.t.Fatalf("error is %v, want %v", err, want)
	}
}

// eventually waits for what the engine does in the background.
func (s *suite) eventually(what string, holds func() bool) {
	s.t.Helper()
	for range 1000 {
		if holds() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	s.t.Fatalf("not within ten seconds: %s", what)
}
