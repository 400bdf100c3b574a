package node

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"waxwing/core/ids"
	"waxwing/core/store"
	"waxwing/core/wire"
	"waxwing/ratelimit/gcra"
	"waxwing/ratelimit/limits"
	"waxwing/relay"
)

// Far more than a window of envelopes waits for one mailbox at the other provider;
// what comes behind them for another one does not wait, and of the flood none is
// lost or comes twice.
func TestOneMailboxDoesNotStopALink(t *testing.T) {
	const flood, few = 3 * forwardWindow / 2, 4
	alpha, beta := newServer(t, "alpha.example"), newServer(t, "beta.example")
	alpha.conf.Listen, beta.conf.Listen = freeAddr(t), freeAddr(t)
	alpha.conf.Peers = []Peer{{beta.domain, beta.conf.Listen, beta.pin}}
	beta.conf.Peers = []Peer{{alpha.domain, alpha.conf.Listen, alpha.pin}}
	alpha.conf.Store, beta.conf.Store = store.NewMemory(store.MemoryConfig{}), store.NewMemory(store.MemoryConfig{})
	beta.conf.Limits = limits.Settings{{Name: limits.MailboxEnvelopes}: gcra.PerSecond(1, few)}
	alpha.start()
	beta.start()
	alice := newDevice(t, alpha, "alice@alpha.example")
	bob, carol := newDevice(t, beta, "bob@beta.example"), newDevice(t, beta, "carol@beta.example")
	for sent := 0; sent < flood; sent += wire.MaxMint {
		minted := bob.mint(wire.MaxMint)
		var batch [][]byte
		for i := range minted.Tickets {
			batch = append(batch, envelope(&minted.Tickets[i], wire.Class1K))
		}
		if r := alice.submit(beta.domain, batch...); len(r) != 0 {
			t.Fatalf("%d refused by the own provider", len(r))
		}
	}
	minted := carol.mint(few)
	for i := range minted.Tickets {
		alice.submit(beta.domain, envelope(&minted.Tickets[i], wire.Class1K))
	}
	carol.receive(0, few)
	if n := beta.count(relay.RefusedMailbox, "peer"); n == 0 {
		t.Fatal("nothing was refused for its mailbox")
	}
	must(t, beta.node.SetLimit(t.Context(), limits.Target{Name: limits.MailboxEnvelopes}, limits.Change{Limit: gcra.PerSecond(1<<40, 1<<40)}, 0))
	seen := map[uint64]bool{}
	for _, d := range bob.receive(0, flood) {
		if seen[d.Serial] {
			t.Fatal("delivered twice")
		}
		seen[d.Serial] = true
	}
	until(t, "the outbox is empty", func() bool {
		st, err := alpha.conf.Store.Stat(context.Background(), alpha.node.peers.link(beta.domain).outbox)
		return err == nil && st.Messages == 0
	})
	if n := beta.count(relay.Duplicate, "peer"); n != 0 {
		t.Errorf("%v sent twice", n)
	}
}

// parker is a forwarder with an outbox of three rows, of two batches.
func parker(t *testing.T, now *atomic.Int64) (f *forwarder, rows []row) {
	outbox := ids.NewMailboxID()
	st := store.NewMemory(store.MemoryConfig{Now: func() time.Time { return time.Unix(now.Load(), 0) }})
	t.Cleanup(func() { st.Close() })
	ctx := context.Background()
	_, err := st.OpenReader(ctx, outbox, outboxReader)
	must(t, err)
	for i := range 3 {
		must(t, st.Append(ctx, []store.AppendReq{{
			Mailbox: outbox, ID: ids.EnvelopeID{byte(i)}, Body: []byte{byte(i)}, Expires: time.Unix(now.Load(), 0).Add(time.Duration(1+i) * time.Hour),
		}})[0].Err)
	}
	f = newForwarder(&link{n: &Node{store: st}, outbox: outbox}, nil)
	for after := store.Cursor(0); after < 3; after += 2 {
		msgs, err := st.Fetch(ctx, outbox, after, 2, 0)
		must(t, err)
		rows = append(rows, f.mix(msgs)...)
	}
	return f, rows
}

func TestParking(t *testing.T) {
	var now atomic.Int64
	now.Store(time.Now().Unix())
	f, rows := parker(t, &now)
	ctx := context.Background()
	// Each time it waits longer.
	last := rows[2]
	for try := range 3 {
		f.parked, last.batch.busy = nil, 1
		last.tries = try
		if !f.park(&last, time.Second) {
			t.Fatal("no room")
		}
		wait := time.Until(f.parked[0].due)
		if least := time.Second << try; wait < least-time.Second/4 || wait > least*3/2 {
			t.Errorf("try %d: parked for %v", try, wait)
		}
	}
	f.putAside(&rows[0], time.Second)
	if due, pause, err := f.unpark(ctx, time.Now()); err != nil || len(due) != 0 || pause <= 0 {
		t.Errorf("too early: %d, %v, %v", len(due), pause, err)
	}
	before := f.bytes
	due, pause, err := f.unpark(ctx, time.Now().Add(time.Hour))
	must(t, err)
	if len(due) != 2 || pause != 0 || f.bytes != before+2 {
		t.Fatalf("%d are due, next in %v, %d bytes", len(due), pause, f.bytes-before)
	}
	for _, r := range due {
		if r.batch == last.batch && (r.at != last.at || r.tries != last.tries+1 || string(r.envelope) != string(last.envelope)) {
			t.Errorf("came back as %+v", r)
		}
	}
	// One that expired while it was parked is settled.
	f.putAside(&rows[0], time.Second)
	left := rows[0].batch.left
	now.Add(int64(150 * time.Minute / time.Second))
	if due, _, err := f.unpark(ctx, time.Now().Add(time.Hour)); err != nil || len(due) != 0 || rows[0].batch.left != left-1 || !f.expired {
		t.Errorf("expired: %d due, %d of %d left, %v", len(due), rows[0].batch.left, left, err)
	}
}

func TestParkingIsBounded(t *testing.T) {
	f := newForwarder(&link{n: &Node{}}, nil)
	r := row{envelope: []byte{1}, batch: &batch{busy: maxParked + 1}}
	for range maxParked {
		if !f.park(&r, time.Second) {
			t.Fatal("no room")
		}
	}
	if f.park(&r, time.Second) || len(f.parked) != maxParked {
		t.Errorf("%d are parked, want %d", len(f.parked), maxParked)
	}
	for try := range 70 {
		if d := parkTime(time.Second, try); d > parkMax || d < min(time.Second<<min(try, 10), parkMax) {
			t.Errorf("try %d: %v", try, d)
		}
	}
}

// Of a batch in which rows are settled, parked and left behind, the last are sent
// again, and no others.
func TestLeftBehind(t *testing.T) {
	const rows, settled = 20, 2
	ctx, outbox := context.Background(), ids.NewMailboxID()
	st := store.NewMemory(store.MemoryConfig{})
	defer st.Close()
	_, err := st.OpenReader(ctx, outbox, outboxReader)
	must(t, err)
	for i := range rows + 1 { // the last is of another batch
		must(t, st.Append(ctx, []store.AppendReq{{
			Mailbox: outbox, ID: ids.EnvelopeID{byte(i)}, Body: []byte{byte(i)}, Expires: time.Now().Add(time.Hour),
		}})[0].Err)
	}
	f := newForwarder(&link{n: &Node{store: st, maxParked: 1}, outbox: outbox}, nil)
	msgs, err := st.Fetch(ctx, outbox, 0, rows, 0)
	must(t, err)
	want := map[store.Cursor]bool{}
	for i, r := range f.mix(msgs) {
		switch {
		case i == rows-1:
			f.putAside(&r, time.Second)
			must(t, st.Remove(ctx, outbox, []store.Cursor{r.at})) // it has expired
		case i < settled:
			f.settle(&r)
		default:
			f.putAside(&r, time.Second)
			want[r.at] = i > settled // the first of them is parked
		}
	}
	must(t, f.removeSettled(ctx))
	if due, pause, err := f.lookBehind(ctx, time.Now()); err != nil || len(due) != 0 || pause <= 0 {
		t.Errorf("too early: %d, %v, %v", len(due), pause, err)
	}
	due, _, err := f.lookBehind(ctx, time.Now().Add(time.Hour))
	must(t, err)
	if len(due) != rows-settled-2 || f.bytes != len(due) || due[0].batch.left != len(due)+1 {
		t.Fatalf("%d are sent again, %d bytes", len(due), f.bytes)
	}
	for _, r := range due {
		if !want[r.at] {
			t.Errorf("%d is not one that was left behind", r.at)
		}
		delete(want, r.at)
	}
	if due, _, err := f.lookBehind(ctx, time.Now().Add(2*time.Hour)); err != nil || len(due) != 0 {
		t.Errorf("then %d more, %v", len(due), err)
	}
}
