package node

import (
	"context"
	"testing"
	"time"

	"waxwing/core/ids"
	"waxwing/core/mailbox"
	"waxwing/core/store"
	"waxwing/core/wire"
	"waxwing/ratelimit/gcra"
	"waxwing/ratelimit/limits"
	"waxwing/relay"
)

// smallOutbox is a store with another quota of one outbox.
type smallOutbox struct {
	store.Store
	box   ids.MailboxID
	quota store.Quota
}

// Append is the store's.
func (s *smallOutbox) Append(ctx context.Context, reqs []store.AppendReq) []store.AppendRes {
	for i := range reqs {
		if reqs[i].Mailbox == s.box {
			reqs[i].Quota = s.quota
		}
	}
	return s.Store.Append(ctx, reqs)
}

// twoWith are two servers, not started, of which the second takes so much for each
// mailbox.
func twoWith(t *testing.T, each gcra.Limit) (alpha, beta *server) {
	alpha, beta = newServer(t, "alpha.example"), newServer(t, "beta.example")
	alpha.conf.Listen, beta.conf.Listen = freeAddr(t), freeAddr(t)
	alpha.conf.Peers, beta.conf.Peers = []Peer{beta.asPeer()}, []Peer{alpha.asPeer()}
	alpha.conf.Store, beta.conf.Store = store.NewMemory(store.MemoryConfig{}), store.NewMemory(store.MemoryConfig{})
	beta.conf.Limits = limits.Settings{{Name: limits.MailboxEnvelopes}: each}
	return alpha, beta
}

// waiting is how many rows the outbox to a peer has.
func (s *server) waiting(d ids.Domain) int {
	st, err := s.conf.Store.Stat(context.Background(), mailbox.Outbox(d))
	must(s.t, err)
	return st.Messages
}

// once wants n deliveries, and none of them twice.
func (d *device) once(n int) {
	d.t.Helper()
	seen := map[[32]byte]bool{}
	for _, del := range d.receive(0, n) {
		if seen[del.Com] {
			d.t.Fatal("delivered twice")
		}
		seen[del.Com] = true
	}
}

// envelopes makes n envelopes for the device's mailbox.
func (d *device) envelopes(n int) (out [][]byte) {
	minted := d.mint(n)
	for i := range minted.Tickets {
		out = append(out, envelope(&minted.Tickets[i], wire.Class1K))
	}
	return out
}

// Rows that wait for one mailbox are all that stays of what was sent while they
// wait: what came behind them and was taken leaves, gives its room in the outbox
// back, and is not sent again by a server that starts anew.
func TestWhatWaitsCostsOnlyItself(t *testing.T) {
	const each, wait, room = 40, 3, 45
	alpha, beta := twoWith(t, gcra.Limit{Burst: each, Count: 1, Period: time.Hour})
	alpha.conf.Store = &smallOutbox{alpha.conf.Store, mailbox.Outbox(beta.domain), store.Quota{Messages: room}}
	alpha.start()
	beta.start()
	alice, bob := newDevice(t, alpha, "alice@alpha.example"), newDevice(t, beta, "bob@beta.example")
	carol, dave := newDevice(t, beta, "carol@beta.example"), newDevice(t, beta, "dave@beta.example")
	submit := func(envelopes [][]byte) {
		t.Helper()
		if r := alice.submit(beta.domain, envelopes...); len(r) != 0 {
			t.Fatalf("refused: %v", r)
		}
	}
	settled := func() {
		t.Helper()
		until(t, "outbox with what waits alone", func() bool { return alpha.waiting(beta.domain) == wait })
	}
	submit(bob.envelopes(each + wait))
	settled()
	for _, to := range []*device{carol, dave} {
		submit(to.envelopes(each))
		to.once(each)
		settled()
	}
	first := bob.receive(0, each)

	refused := beta.count(relay.RefusedMailbox, "peer")
	alpha.halt()
	alpha.start()
	until(t, "rows that wait and are sent again", func() bool { return beta.count(relay.RefusedMailbox, "peer") >= refused+wait })
	if n := beta.count(relay.Duplicate, "peer"); n != 0 || alpha.waiting(beta.domain) != wait {
		t.Errorf("%v were sent twice, %d wait", n, alpha.waiting(beta.domain))
	}

	// With the peer away the quota is full when it says so, and not before.
	alice.reconnect(alpha)
	erin := newDevice(t, beta, "erin@beta.example")
	envelopes := erin.envelopes(room)
	beta.halt()
	submit(envelopes[:room-wait])
	late := envelopes[room-wait:]
	for _, r := range alice.submit(beta.domain, late...) {
		if r.Code != wire.CodeUnreachable || time.Duration(r.RetryAfter)*time.Millisecond != 30*time.Second {
			t.Errorf("refused with %v, retry after %d ms", r.Code, r.RetryAfter)
		}
	}
	if n := alpha.count(relay.RefusedOutbox, "client"); int(n) != len(late) || alpha.waiting(beta.domain) != room {
		t.Errorf("%v were refused, %d wait", n, alpha.waiting(beta.domain))
	}

	beta.conf.Limits = nil
	beta.start()
	until(t, "empty outbox", func() bool { return alpha.waiting(beta.domain) == 0 })
	submit(late)
	bob.reconnect(beta)
	erin.reconnect(beta)
	for _, d := range bob.receive(bob.last, wait) {
		for _, f := range first {
			if d.Com == f.Com {
				t.Error("delivered twice")
			}
		}
	}
	erin.once(room)
}

// More waits for one mailbox than is parked and than a window: what is left behind
// is in nobody's way, outlasts a restart, and comes once when the mailbox takes it.
func TestMoreThanMayBeParked(t *testing.T) {
	const parking, flood, few = 64, 64 + forwardWindow + 200, 4
	alpha, beta := twoWith(t, gcra.PerSecond(1, few))
	alpha.conf.maxParked = parking
	alpha.start()
	beta.start()
	alice, bob, carol := newDevice(t, alpha, "alice@alpha.example"), newDevice(t, beta, "bob@beta.example"), newDevice(t, beta, "carol@beta.example")
	submit := func(envelopes [][]byte) {
		t.Helper()
		if r := alice.submit(beta.domain, envelopes...); len(r) != 0 {
			t.Fatalf("refused: %v", r)
		}
	}
	for sent := 0; sent < flood; {
		n := min(wire.MaxMint, flood-sent)
		submit(bob.envelopes(n))
		sent += n
	}
	submit(carol.envelopes(few))
	carol.once(few)
	if n := beta.count(relay.RefusedMailbox, "peer"); n < parking+forwardWindow {
		t.Fatalf("%v were refused for their mailbox", n)
	}
	alpha.halt()
	alpha.start()
	alice.reconnect(alpha)
	dave := newDevice(t, beta, "dave@beta.example")
	submit(dave.envelopes(few))
	dave.once(few)
	if n := alpha.waiting(beta.domain); n <= parking+forwardWindow {
		t.Fatalf("only %d wait", n)
	}
	must(t, beta.node.SetLimit(t.Context(), limits.Target{Name: limits.MailboxEnvelopes}, limits.Change{Limit: gcra.PerSecond(1<<40, 1<<40)}, 0))
	bob.once(flood)
	until(t, "empty outbox", func() bool { return alpha.waiting(beta.domain) == 0 })
}
