package mailbox

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"waxwing/blocklist"
	"waxwing/core/ids"
	"waxwing/core/store"
	"waxwing/core/wire"
)

var (
	now   = time.Unix(1_790_000_000, 0)
	today = ids.DayOf(now)
	box   = ids.MailboxID{7}
)

// flaky loses the reply of the mutation with the number lose, or fails the one
// with the number fail before it has an effect; the first is 1.
type flaky struct {
	*store.Memory
	mu            sync.Mutex // guards the rest
	n, lose, fail int
}

func newFlaky() *flaky {
	return &flaky{Memory: store.NewMemory(store.MemoryConfig{Now: func() time.Time { return now }})}
}

func (f *flaky) mutate(do func() error) error {
	f.mu.Lock()
	f.n++
	n := f.n
	f.mu.Unlock()
	if n == f.fail {
		return store.ErrUnavailable
	}
	if err := do(); err != nil {
		return err
	}
	if n == f.lose {
		return store.ErrUnknownOutcome
	}
	return nil
}

func (f *flaky) CAS(ctx context.Context, k store.Key, v uint64, b []byte) (out uint64, err error) {
	err = f.mutate(func() (err error) { out, err = f.Memory.CAS(ctx, k, v, b); return err })
	return out, err
}

func (f *flaky) Strike(ctx context.Context, m ids.MailboxID, s []store.Serial) (n int, err error) {
	err = f.mutate(func() (err error) { n, err = f.Memory.Strike(ctx, m, s); return err })
	return n, err
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// No serial is ever reserved twice, by however many at once, whatever replies
// are lost, and after the process started again.
func TestReserveSerials(t *testing.T) {
	st := newFlaky()
	const reservers, each, n = 8, 6, 5
	var mu sync.Mutex
	seen := map[uint64]bool{}
	reserve := func(m *Mailboxes) {
		first, err := m.ReserveSerials(t.Context(), box, n)
		if errors.Is(err, ErrBusy) || errors.Is(err, store.ErrUnknownOutcome) {
			return
		}
		if err != nil {
			t.Errorf("%v", err)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		for s := first; s < first+n; s++ {
			if seen[s] || s == 0 {
				t.Errorf("serial %d twice", s)
			}
			seen[s] = true
		}
	}
	for range 3 { // processes
		st.lose = st.n + 10
		m := New(st)
		var wg sync.WaitGroup
		for range reservers {
			wg.Go(func() {
				for range each {
					reserve(m)
				}
			})
		}
		wg.Wait()
	}
	if len(seen) < 3*reservers*each*n/2 {
		t.Errorf("only %d serials", len(seen))
	}
	if first, err := New(st).ReserveSerials(t.Context(), ids.MailboxID{8}, 1); err != nil || first != 1 {
		t.Errorf("another mailbox begins at %d, %v", first, err)
	}
}

func TestReserveSerialsRefuses(t *testing.T) {
	st := newFlaky()
	m := New(st)
	for _, n := range []uint64{0, MaxReserve + 1, math.MaxUint64} {
		if _, err := m.ReserveSerials(t.Context(), box, n); !errors.Is(err, ErrReserve) {
			t.Errorf("%d serials: %v", n, err)
		}
	}
	_, err := st.CAS(t.Context(), serialsKey(box), 0, wire.MustMarshal(&serials{next: math.MaxUint64 - 10}))
	must(t, err)
	if _, err := m.ReserveSerials(t.Context(), box, 11); !errors.Is(err, ErrReserve) {
		t.Errorf("beyond the last: %v", err)
	}
	if first, err := m.ReserveSerials(t.Context(), box, 10); err != nil || first != math.MaxUint64-10 {
		t.Errorf("the last ones: %d, %v", first, err)
	}
	_, err = st.CAS(t.Context(), serialsKey(ids.MailboxID{9}), 0, []byte{1})
	must(t, err)
	if _, err := m.ReserveSerials(t.Context(), ids.MailboxID{9}, 1); !errors.Is(err, ErrState) {
		t.Errorf("corrupt counter: %v", err)
	}
}

// send appends an envelope under a serial, as a relay does.
func send(t testing.TB, st store.Store, s blocklist.Serial, id byte) store.AppendOutcome {
	t.Helper()
	res := st.Append(t.Context(), []store.AppendReq{{
		Mailbox: box, ID: ids.EnvelopeID{id}, Body: []byte("body"), Expires: now.Add(time.Hour),
		Serial: store.Serial(s), HasSerial: true, Quota: Quota,
	}})[0]
	must(t, res.Err)
	return res.Outcome
}

func request(t testing.TB, e blocklist.EntryID, s ...blocklist.Serial) *blocklist.Request {
	t.Helper()
	all := blocklist.NewRequests(e, blocklist.Pseudonym{}, s)
	if len(all) != 1 {
		t.Fatalf("%d requests", len(all))
	}
	return all[0]
}

func TestBlock(t *testing.T) {
	st := newFlaky()
	m := New(st)
	_, err := m.ReserveSerials(t.Context(), box, 100)
	must(t, err)
	expiry := today + ids.MaxTicketDays
	bobs := []blocklist.Serial{{Day: expiry, N: 3}, {Day: expiry, N: 50}, {Day: expiry, N: 100}}
	entry := blocklist.NewEntryID()
	req := request(t, entry, bobs...)
	if got := send(t, st, bobs[0], 1); got != store.Appended {
		t.Fatalf("before the block: %v", got)
	}
	if struck, err := m.Block(t.Context(), box, req, now); err != nil || struck != 2 {
		t.Fatalf("struck %d, %v", struck, err)
	}
	if got := send(t, st, bobs[1], 2); got != store.Struck {
		t.Errorf("under a struck ticket: %v", got)
	}
	if got := send(t, st, bobs[0], 1); got != store.Duplicate {
		t.Errorf("resend of what came before the block: %v", got)
	}
	if got := send(t, st, blocklist.Serial{Day: expiry, N: 4}, 3); got != store.Appended {
		t.Errorf("somebody else's ticket: %v", got)
	}
	if struck, err := m.Block(t.Context(), box, req, now); err != nil || struck != 0 {
		t.Errorf("repeated: struck %d, %v", struck, err)
	}
	if l, err := m.Blocks(t.Context(), box); err != nil || l.Len() != 1 || !l.Contains(entry) {
		t.Errorf("list: %v", err)
	}
	for range 2 {
		must(t, m.Unblock(t.Context(), box, entry))
		if l, err := m.Blocks(t.Context(), box); err != nil || l.Len() != 0 {
			t.Errorf("after unblock: %v", err)
		}
	}
	if got := send(t, st, bobs[2], 4); got != store.Struck {
		t.Errorf("unblock brought a ticket back: %v", got)
	}
	must(t, m.Unblock(t.Context(), ids.MailboxID{9}, entry)) // never used
	if _, err := m.Block(t.Context(), box, request(t, entry), now); err != nil {
		t.Errorf("no tickets to strike: %v", err)
	}
}

// Whichever step of a block fails or loses its reply, the repeated request
// completes it and its tickets are dead.
func TestBlockLostReplies(t *testing.T) {
	for step := range 2 {
		for _, lose := range []bool{false, true} {
			st := newFlaky()
			m := New(st)
			_, err := m.ReserveSerials(t.Context(), box, 10)
			must(t, err)
			at := st.n + 1 + step
			if lose {
				st.lose = at
			} else {
				st.fail = at
			}
			req := request(t, blocklist.EntryID{1}, blocklist.Serial{Day: today, N: 5})
			if _, err := m.Block(t.Context(), box, req, now); err == nil {
				t.Fatalf("step %d: no error", step)
			}
			_, err = m.Block(t.Context(), box, req, now)
			must(t, err)
			if got := send(t, st, req.Serials[0], 1); got != store.Struck {
				t.Errorf("step %d, lost %v: %v", step, lose, got)
			}
			if l, err := m.Blocks(t.Context(), box); err != nil || !l.Contains(req.Entry) {
				t.Errorf("step %d, lost %v: not listed, %v", step, lose, err)
			}
		}
	}
}

// Blocks of several devices at once are all listed.
func TestBlockRace(t *testing.T) {
	st := newFlaky()
	m := New(st)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			req := request(t, blocklist.EntryID{byte(i + 1)})
			for {
				if _, err := m.Block(t.Context(), box, req, now); err == nil {
					return
				} else if !errors.Is(err, ErrBusy) {
					t.Errorf("%v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	if l, err := m.Blocks(t.Context(), box); err != nil || l.Len() != 8 {
		t.Errorf("%d listed, %v", l.Len(), err)
	}
}

// Only serials that a ticket can have are struck.
func TestBlockRefuses(t *testing.T) {
	st := newFlaky()
	m := New(st)
	unknown := request(t, blocklist.EntryID{1}, blocklist.Serial{Day: today, N: 1})
	if _, err := m.Block(t.Context(), box, unknown, now); !errors.Is(err, wire.ErrMalformed) {
		t.Errorf("mailbox without tickets: %v", err)
	}
	_, err := m.ReserveSerials(t.Context(), box, 10)
	must(t, err)
	writes := st.n
	for name, s := range map[string]blocklist.Serial{
		"zero":         {Day: today, N: 0},
		"never minted": {Day: today, N: 11},
		"highest":      {Day: today, N: math.MaxUint64},
		"future":       {Day: today + ids.MaxTicketDays + 2, N: 1},
		"far future":   {Day: math.MaxUint32, N: 1},
	} {
		req := request(t, blocklist.EntryID{1}, s, blocklist.Serial{Day: today, N: 2})
		if _, err := m.Block(t.Context(), box, req, now); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if st.n != writes {
		t.Error("a refused block wrote something")
	}
	full := new(blocklist.List)
	for i := range blocklist.MaxEntries {
		var e blocklist.EntryID
		binary.BigEndian.PutUint32(e[:], uint32(i+1))
		_, err := full.Add(e, blocklist.Pseudonym{})
		must(t, err)
	}
	_, err = st.CAS(t.Context(), blocksKey(box), 0, full.Marshal())
	must(t, err)
	req := request(t, blocklist.EntryID{0xff}, blocklist.Serial{Day: today, N: 2})
	if _, err := m.Block(t.Context(), box, req, now); !errors.Is(err, blocklist.ErrFull) {
		t.Errorf("full list: %v", err)
	}
	if got := send(t, st, req.Serials[0], 1); got != store.Struck {
		t.Errorf("full list, ticket: %v", got)
	}
	_, err = st.CAS(t.Context(), blocksKey(ids.MailboxID{9}), 0, []byte{1})
	must(t, err)
	if _, err := m.Blocks(t.Context(), ids.MailboxID{9}); !errors.Is(err, ErrState) {
		t.Errorf("corrupt list: %v", err)
	}
}

func TestReaders(t *testing.T) {
	st := newFlaky()
	m := New(st)
	if _, err := m.Open(t.Context(), box, 0); !errors.Is(err, ErrDevice) {
		t.Errorf("open for no device: %v", err)
	}
	if err := m.Close(t.Context(), box, 0); !errors.Is(err, ErrDevice) {
		t.Errorf("close for no device: %v", err)
	}
	for _, device := range []ids.DeviceID{1, 2} {
		_, err := m.Open(t.Context(), box, device)
		must(t, err)
	}
	send(t, st, blocklist.Serial{Day: today, N: 1}, 1)
	must(t, st.Ack(t.Context(), []store.AckReq{{Mailbox: box, Reader: 1, UpTo: 1}})[0])
	if at, err := m.Open(t.Context(), box, 1); err != nil || at != 1 {
		t.Errorf("opened again at %d, %v", at, err)
	}
	if s, _ := st.Stat(t.Context(), box); s.Messages != 1 {
		t.Errorf("%d messages while device 2 has not acked", s.Messages)
	}
	must(t, m.Close(t.Context(), box, 2))
	if s, _ := st.Stat(t.Context(), box); s.Messages != 0 {
		t.Errorf("%d messages wait for a device that was removed", s.Messages)
	}
}

func TestOutbox(t *testing.T) {
	got := Outbox(ids.MustParseDomain("beta.example"))
	// printf 'waxwing outbox\0\0\0\014beta.example' | sha256sum
	if hex.EncodeToString(got[:]) != "f2d145ad5411a7af92c6c7f8aea86e90" {
		t.Errorf("outbox %x", got[:])
	}
	if got == Outbox(ids.MustParseDomain("beta.example.org")) {
		t.Error("two providers share an outbox")
	}
}

func TestSerialsRecord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := serials{rapid.Uint64Range(1, math.MaxUint64).Draw(t, "next")}
		if got, err := parseSerials(wire.MustMarshal(&s)); err != nil || got != s {
			t.Fatalf("%v, %v", got, err)
		}
	})
	b := wire.MustMarshal(&serials{5})
	for i := range b {
		m := bytes.Clone(b)
		m[i] ^= 0x20
		if got, err := parseSerials(m); err == nil && got.next == 5 {
			t.Errorf("byte %d does not matter", i)
		}
		if _, err := parseSerials(b[:i]); !errors.Is(err, ErrState) {
			t.Errorf("cut at %d: %v", i, err)
		}
	}
	for _, bad := range [][]byte{append(bytes.Clone(b), 0), make([]byte, len(b)), {1, 0, 0, 0, 0, 0, 0, 0, 0}} {
		if _, err := parseSerials(bad); !errors.Is(err, ErrState) {
			t.Errorf("%x: %v", bad, err)
		}
	}
}

func FuzzSerialsRecord(f *testing.F) {
	f.Add(wire.MustMarshal(&serials{1}))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parseSerials(append([]byte{}, b...)) // nil stands for no record
		if err == nil && !bytes.Equal(wire.MustMarshal(&s), b) {
			t.Error("not canonical")
		}
	})
}

func TestKnown(t *testing.T) {
	st := store.NewMemory(store.MemoryConfig{})
	m, box := New(st), ids.NewMailboxID()
	if known, err := m.Known(t.Context(), box); known || err != nil {
		t.Errorf("a mailbox that never was: %v, %v", known, err)
	}
	_, err := m.ReserveSerials(t.Context(), box, 1)
	must(t, err)
	if known, err := m.Known(t.Context(), box); !known || err != nil {
		t.Errorf("a mailbox with tickets: %v, %v", known, err)
	}
	must(t, st.Close())
	if _, err := m.Known(t.Context(), box); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("store closed: %v", err)
	}
}
