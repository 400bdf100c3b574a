package node

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

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

// Connections of one sender share what it may have, and nothing is kept of one
// that is gone.
func TestSenders(t *testing.T) {
	all := &backlog{limit: 10}
	s := senders{limit: 6, above: all}
	alice, bob := gcra.Key{1}, gcra.Key{2}
	first, second, other := s.join(alice), s.join(alice), s.join(bob)
	if first != second || first == other {
		t.Fatal("connections of one sender are apart, or of two together")
	}
	if first.take(6) != nil || second.take(1) == nil || other.take(4) != nil || other.take(1) == nil {
		t.Error("not six for one and ten for all")
	}
	first.give(6)
	s.leave(alice)
	if s.join(alice) != first {
		t.Error("the backlog of a sender with a connection was forgotten")
	}
	for _, key := range []gcra.Key{alice, alice, bob} {
		s.leave(key)
	}
	if len(s.of) != 0 {
		t.Errorf("%d are remembered", len(s.of))
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
	beta.conf.Store, beta.conf.Limits, beta.conf.senderBacklog = disk, unlimited(), 100<<10
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
