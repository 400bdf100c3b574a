package node

import (
	"context"
	"encoding/binary"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"

	"waxwing/core/ids"
	"waxwing/core/store"
	"waxwing/core/wire"
)

// outboxMachine drives a forwarder without a peer: it answers as one might, in any
// order, and knows what became of each row.
type outboxMachine struct {
	f       *forwarder
	st      *store.Memory
	now     time.Time // for the rows that wait
	clock   time.Time // of the store
	at      store.Cursor
	added   int
	settled map[uint64]bool // by what stands in the row
	expires map[uint64]time.Time
}

func newOutboxMachine(rt *rapid.T) *outboxMachine {
	x := &outboxMachine{now: time.Now(), clock: time.Unix(1e9, 0), settled: map[uint64]bool{}, expires: map[uint64]time.Time{}}
	x.st = store.NewMemory(store.MemoryConfig{Now: func() time.Time { return x.clock }})
	x.open(rt)
	return x
}

// open begins anew, as after a crash.
func (x *outboxMachine) open(rt *rapid.T) {
	n := &Node{store: x.st, maxParked: rapid.IntRange(1, 20).Draw(rt, "parking")}
	n.metrics = &metrics{
		relayed: prometheus.NewCounter(prometheus.CounterOpts{}), givenUp: prometheus.NewCounter(prometheus.CounterOpts{}),
		peerRefused: prometheus.NewCounter(prometheus.CounterOpts{}),
	}
	x.f = newForwarder(&link{n: n, outbox: ids.MailboxID{1}, status: linkStatus{refused: map[wire.Code]uint64{}}}, nil)
	at, err := x.st.OpenReader(context.Background(), ids.MailboxID{1}, outboxReader)
	if err != nil {
		rt.Fatal(err)
	}
	x.at, x.f.progress.end = at, at
}

func (x *outboxMachine) append(rt *rapid.T) {
	for range rapid.IntRange(1, 40).Draw(rt, "rows") {
		n := uint64(x.added)
		x.added++
		body := make([]byte, rapid.SampledFrom([]int{8, 8, 8, 8, 8, 8, 8, 60 << 10}).Draw(rt, "size"))
		binary.BigEndian.PutUint64(body, n)
		id := ids.EnvelopeID{}
		binary.BigEndian.PutUint64(id[:], n)
		x.expires[n] = x.clock.Add(rapid.SampledFrom([]time.Duration{time.Hour, 100 * time.Hour}).Draw(rt, "life"))
		res := x.st.Append(context.Background(), []store.AppendReq{{Mailbox: ids.MailboxID{1}, ID: id, Body: body, Expires: x.expires[n]}})[0]
		if res.Outcome != store.Appended {
			rt.Fatalf("%+v", res)
		}
	}
}

func (x *outboxMachine) fetch(rt *rapid.T) { x.fetchSome(rt, rapid.IntRange(1, 30).Draw(rt, "rows")) }

func (x *outboxMachine) fetchSome(rt *rapid.T, most int) {
	msgs, err := x.st.Fetch(context.Background(), ids.MailboxID{1}, x.at, most, 0)
	if err != nil {
		rt.Fatal(err)
	}
	if len(msgs) == 0 {
		return
	}
	x.at = msgs[len(msgs)-1].Cursor
	x.fly(rt, x.f.mix(msgs))
}

func (x *outboxMachine) fly(rt *rapid.T, rows []row) {
	for _, r := range rows {
		if x.settled[binary.BigEndian.Uint64(r.envelope)] {
			rt.Fatal("a row that is settled is sent again")
		}
		for _, fl := range x.f.flying {
			if fl.at == r.at {
				rt.Fatal("a row is sent twice at a time")
			}
		}
		x.f.fly(r)
	}
}

func (x *outboxMachine) ack(rt *rapid.T) {
	if len(x.f.flying) == 0 {
		return
	}
	upTo := x.f.flying[rapid.IntRange(0, len(x.f.flying)-1).Draw(rt, "acked")].number
	for _, fl := range x.f.flying {
		if fl.number <= upTo {
			x.settled[binary.BigEndian.Uint64(fl.envelope)] = true
		}
	}
	if err := x.f.ack(upTo); err != nil {
		rt.Fatal(err)
	}
}

func (x *outboxMachine) refuse(rt *rapid.T) {
	for range rapid.IntRange(1, 20).Draw(rt, "refusals") {
		if len(x.f.flying) == 0 {
			return
		}
		fl := x.f.flying[rapid.IntRange(0, len(x.f.flying)-1).Draw(rt, "refused")]
		r := rapid.SampledFrom([]wire.Refused{
			{Code: wire.CodeMailbox, RetryAfter: 1000},
			{Code: wire.CodeMailbox, RetryAfter: 9000},
			{Code: wire.CodeMailbox, RetryAfter: 1},
			{Code: wire.CodeBusy, RetryAfter: 500},
			{Code: wire.CodeStale},
		}).Draw(rt, "refusal")
		r.Number = fl.number
		x.settled[binary.BigEndian.Uint64(fl.envelope)] = r.RetryAfter == 0
		if err := x.f.refused(&r); err != nil {
			rt.Fatal(err)
		}
	}
}

// refuseMost refuses all that is in flight but for a few rows, for their mailboxes.
func (x *outboxMachine) refuseMost(rt *rapid.T) {
	few := rapid.IntRange(0, 3).Draw(rt, "few")
	for len(x.f.flying) > few {
		if err := x.f.refused(&wire.Refused{Number: x.f.flying[few].number, Code: wire.CodeMailbox, RetryAfter: 100}); err != nil {
			rt.Fatal(err)
		}
	}
	if few > 0 {
		x.ack(rt)
	}
}

// again takes what is due at some time.
func (x *outboxMachine) again(rt *rapid.T) {
	// What is parked waits a random time more, and longer each time.
	x.now = time.Now().Add(rapid.SampledFrom([]time.Duration{0, 110 * time.Millisecond, 1100 * time.Millisecond, time.Minute, time.Hour}).Draw(rt, "later"))
	x.f.looked = time.Time{}
	x.sendAgain(rt)
}

func (x *outboxMachine) sendAgain(rt *rapid.T) {
	for _, take := range []func(context.Context, time.Time) ([]row, time.Duration, error){x.f.takeDue, x.f.unpark, x.f.lookBehind} {
		rows, _, err := take(context.Background(), x.now)
		if err != nil {
			rt.Fatal(err)
		}
		x.fly(rt, rows)
	}
}

func (x *outboxMachine) remove(rt *rapid.T) {
	if err := x.f.removeSettled(context.Background()); err != nil {
		rt.Fatal(err)
	}
	x.check(rt, false)
}

// check wants every row in the outbox that is not settled, and few others.
func (x *outboxMachine) check(rt *rapid.T, all bool) {
	there := map[uint64]bool{}
	kept := 0
	x.each(rt, func(n uint64) {
		there[n] = true
		if x.settled[n] {
			kept++
		}
	})
	waiting := 0
	for n := range uint64(x.added) {
		if x.settled[n] || !x.clock.Before(x.expires[n]) {
			continue
		}
		if waiting++; !there[n] {
			rt.Fatalf("row %d is lost", n)
		}
	}
	known := 0
	for e := x.f.progress.batches.Front(); e != nil; e = e.Next() {
		b := e.Value.(*batch)
		known += len(b.done)
		if b.busy == 0 && len(b.done)*keptShare > b.left {
			rt.Fatalf("a batch in which %d wait keeps %d that are settled", b.left, len(b.done))
		}
	}
	if kept > known || all && (kept > 0 || waiting > 0) {
		rt.Fatalf("%d settled rows are kept, %d of them known; %d wait", kept, known, waiting)
	}
}

func (x *outboxMachine) last(rt *rapid.T) store.Cursor {
	st, err := x.st.Stat(context.Background(), ids.MailboxID{1})
	if err != nil {
		rt.Fatal(err)
	}
	return st.Last
}

// each looks at all rows of the outbox.
func (x *outboxMachine) each(rt *rapid.T, f func(uint64)) {
	for at := store.Cursor(0); ; {
		msgs, err := x.st.Fetch(context.Background(), ids.MailboxID{1}, at, 0, 0)
		if err != nil {
			rt.Fatal(err)
		}
		if len(msgs) == 0 {
			return
		}
		for _, m := range msgs {
			at = m.Cursor
			f(binary.BigEndian.Uint64(m.Body))
		}
	}
}

// Whatever a peer answers, and whenever the forwarder begins anew, no row is
// removed before it is settled and none sent after, of the settled ones few stay,
// and in the end nothing does.
func TestOutboxProgress(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		x := newOutboxMachine(rt)
		defer x.st.Close()
		rt.Repeat(map[string]func(*rapid.T){
			"append": x.append, "fetch": x.fetch, "fetch2": x.fetch, "ack": x.ack, "ack2": x.ack, "refuse": x.refuse, "refuse2": x.refuseMost,
			"again": x.again, "again2": x.again, "remove": x.remove,
			"expire": func(rt *rapid.T) {
				if rapid.IntRange(0, 5).Draw(rt, "rarely") == 0 {
					x.clock = x.clock.Add(2 * time.Hour)
				}
			},
			"crash": func(rt *rapid.T) {
				if rapid.IntRange(0, 5).Draw(rt, "rarely") == 0 {
					x.settled = map[uint64]bool{} // what was not removed comes again
					kept := map[uint64]bool{}
					x.each(rt, func(n uint64) { kept[n] = true })
					for n := range uint64(x.added) {
						x.settled[n] = !kept[n]
					}
					x.open(rt)
				}
			},
		})
		for range 1000 {
			x.fetchSome(rt, forwardBatch)
			if len(x.f.flying) > 0 {
				for _, fl := range x.f.flying {
					x.settled[binary.BigEndian.Uint64(fl.envelope)] = true
				}
				if err := x.f.ack(x.f.next - 1); err != nil {
					rt.Fatal(err)
				}
			}
			x.now, x.f.looked = time.Now().Add(time.Hour), time.Time{}
			x.sendAgain(rt)
			x.remove(rt)
			if x.f.progress.batches.Len() == 0 && x.at == x.last(rt) {
				break
			}
		}
		x.check(rt, true)
		if x.f.bytes != 0 || len(x.f.parked) != 0 || len(x.f.progress.behind) != 0 || x.f.progress.batches.Len() != 0 {
			rt.Fatalf("%d bytes, %d parked, %d behind, %d batches are left", x.f.bytes, len(x.f.parked), len(x.f.progress.behind), x.f.progress.batches.Len())
		}
	})
}
