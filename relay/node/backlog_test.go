package node

import (
	"context"
	"flag"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"waxwing/core/store"
	"waxwing/core/wire"
	"waxwing/ratelimit/gcra"
	"waxwing/ratelimit/limits"
	"waxwing/relay"
	"waxwing/relay/quicnet"
)

func TestBacklog(t *testing.T) {
	top := &backlog{limit: 10}
	a, b := &backlog{limit: 6, above: top}, &backlog{limit: 6, above: top}
	for i, step := range []struct {
		of   *backlog
		n    int
		want bool
	}{
		{a, 6, true},  // up to its own bound
		{a, 1, false}, // not above it
		{b, 4, true},  // up to the bound of all
		{b, 1, false}, // not above that
		{a, -6, true}, // given back
		{b, 2, true},
		{a, 5, false},
		{a, 4, true},
	} {
		if step.n < 0 {
			step.of.give(-step.n)
			continue
		}
		if ref := step.of.take(step.n); (ref == nil) != step.want || ref != nil && ref.Reason != relay.RefusedBusy {
			t.Errorf("step %d: %v", i, ref)
		}
	}
	a.give(4)
	b.give(6)
	if a.load() != 0 || b.load() != 0 || top.load() != 0 {
		t.Errorf("%d, %d and %d bytes stay", a.load(), b.load(), top.load())
	}
}

// stalled is a store whose appends wait for a gate.
type stalled struct {
	store.Store
	gate atomic.Pointer[chan struct{}] // nil: open
}

func (s *stalled) Append(ctx context.Context, reqs []store.AppendReq) []store.AppendRes {
	if gate := s.gate.Load(); gate != nil {
		<-*gate
	}
	return s.Store.Append(ctx, reqs)
}

// unlimited leaves capacity to the server alone.
func unlimited() limits.Settings {
	return limits.Settings{
		{Name: limits.AccountEnvelopes}: gcra.PerSecond(1<<40, 1<<40), {Name: limits.AccountTickets}: gcra.PerSecond(1<<40, 1<<40),
		{Name: limits.MailboxEnvelopes}: gcra.PerSecond(1<<40, 1<<40),
	}
}

// answers reads a submit stream's answers until the last is acked.
func answers(s *quicnet.Stream, last uint64) (refused int, code wire.Code) {
	for {
		typ, body, err := s.ReadFrame()
		if err != nil {
			return refused, code
		}
		switch typ {
		case wire.TypeRefused:
			var r wire.Refused
			if wire.Unmarshal(body, &r) == nil && r.RetryAfter > 0 {
				refused, code = refused+1, r.Code
			}
		case wire.TypeAck:
			var a wire.Ack
			if wire.Unmarshal(body, &a) == nil && a.UpTo >= last {
				return refused, code
			}
		}
	}
}

// TestOverloadIsRefusedEarly stops the disk under a client that floods on several
// streams, and one that does not: what is taken stays within its bound, what is
// above is refused with a time, and the other one loses nothing.
func TestOverloadIsRefusedEarly(t *testing.T) {
	beta := newServer(t, "beta.example")
	disk := &stalled{Store: store.NewMemory(store.MemoryConfig{})}
	beta.conf.Store, beta.conf.Limits, beta.conf.connBacklog = disk, unlimited(), 100<<10
	beta.start()
	mallory, bob := newDevice(t, beta, "mallory@beta.example"), newDevice(t, beta, "bob@beta.example")
	big, small := envelope(&mallory.mint(1).Tickets[0], wire.Class64K), envelope(&bob.mint(1).Tickets[0], wire.Class1K)
	gate := make(chan struct{})
	disk.gate.Store(&gate)
	const streams, each = 4, 20
	var all sync.WaitGroup
	var refused atomic.Int64
	submit := func(s *quicnet.Stream, n int, e []byte, done func(int, wire.Code)) {
		all.Go(func() {
			for i := range uint64(n) {
				if s.WriteFrame(wire.TypeSubmit, &wire.Submit{Number: i + 1, Dest: beta.domain, Auth: wire.AuthConnection, Envelope: e}) != nil {
					return
				}
			}
			_ = s.Flush()
		})
		all.Go(func() { done(answers(s, uint64(n))) })
	}
	for range streams {
		submit(mallory.stream(wire.StreamSubmit), each, big, func(n int, code wire.Code) {
			if n > 0 && code != wire.CodeBusy {
				t.Errorf("refused with %v", code)
			}
			refused.Add(int64(n))
		})
	}
	until(t, "the backlog of a connection is full", func() bool {
		return beta.count(relay.RefusedBusy, "client") > 0
	})
	before := beta.node.fromClients.load() // one of the large ones: a second does not fit
	submit(bob.stream(wire.StreamSubmit), 50, small, func(n int, _ wire.Code) {
		if n > 0 {
			t.Errorf("%d of another client's were refused", n)
		}
	})
	until(t, "the other client's are taken", func() bool { return beta.node.fromClients.load() > before })
	if held := beta.node.fromClients.load(); held > 200<<10 {
		t.Errorf("%d bytes are held", held)
	}
	disk.gate.Store(nil)
	close(gate)
	all.Wait()
	if refused.Load() == 0 {
		t.Error("nothing was refused")
	}
	until(t, "nothing is held", func() bool { return beta.node.fromClients.load() == 0 })
}

var overload = flag.Duration("overload", 0, "how long TestOverload sends at each load; 0: not at all")

// TestOverload measures how many envelopes a second are settled for two senders
// and for six, and what the heap is beside. It asserts what is promised: 80 %.
func TestOverload(t *testing.T) {
	if *overload == 0 {
		t.Skip("a measurement: -overload 5s")
	}
	beta := newServer(t, "beta.example")
	beta.conf.Limits = unlimited()
	beta.start()
	bob := newDevice(t, beta, "bob@beta.example")
	e := envelope(&bob.mint(1).Tickets[0], wire.Class1K)
	names := []string{"a", "b", "c", "d", "e", "f"}
	var devices []*device
	for _, name := range names {
		devices = append(devices, newDevice(t, beta, name+"@beta.example"))
	}
	measure := func(senders []*device) (perSecond float64, heap uint64) {
		var settled atomic.Int64
		var all sync.WaitGroup
		end := time.Now().Add(*overload)
		for _, d := range senders {
			s := d.stream(wire.StreamSubmit)
			all.Go(func() {
				for i := uint64(1); time.Now().Before(end); i++ {
					m := wire.Submit{Number: i, Dest: beta.domain, Auth: wire.AuthConnection, Envelope: e}
					if s.WriteFrame(wire.TypeSubmit, &m) != nil {
						return
					}
				}
				s.Cancel(quicnet.CodeNone)
			})
			all.Go(func() {
				last := uint64(0)
				for {
					typ, body, err := s.ReadFrame()
					if err != nil {
						return
					}
					var a wire.Ack
					if typ == wire.TypeAck && wire.Unmarshal(body, &a) == nil {
						settled.Add(int64(a.UpTo - last))
						last = a.UpTo
					}
				}
			})
		}
		all.Wait()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(settled.Load()) / overload.Seconds(), m.HeapInuse
	}
	peak, heap := measure(devices[:2])
	over, heapOver := measure(devices)
	t.Logf("goodput at three times the senders: %.2f of the peak; heap %.2f times", over/peak, float64(heapOver)/float64(heap))
	if over < 0.8*peak {
		t.Errorf("%.0f a second, and %.0f at the peak", over, peak)
	}
}
