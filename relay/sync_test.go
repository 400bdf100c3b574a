package relay

import (
	"bytes"
	"context"
	"crypto/rand"
	"testing"
	"time"

	"waxwing/core/ids"
	"waxwing/core/mailbox"
	"waxwing/core/store"
	"waxwing/core/wire"
	"waxwing/ratelimit/gcra"
	"waxwing/ratelimit/limits"
)

func (p *provider) batch() *wire.SyncPut {
	m := &wire.SyncPut{Day: p.today(), Class: wire.Class4K, Payload: make([]byte, wire.Class4K.PayloadSize())}
	rand.Read(m.Salt[:])
	rand.Read(m.Payload)
	return m
}

// fetch returns what is in the account's mailbox.
func (l *linked) fetch() [][]byte {
	l.p.t.Helper()
	var out [][]byte
	got, err := l.p.store.Fetch(context.Background(), l.session.Device().Mailbox(), 0, 100, 1<<20)
	must(l.p.t, err)
	for _, m := range got {
		out = append(out, bytes.Clone(m.Body))
	}
	return out
}

// A batch is in the mailbox once, however often it is sent, and is a delivery
// that says who may have made it.
func TestSyncPut(t *testing.T) {
	p := newProvider(t, nil)
	l := p.linked()
	m := p.batch()
	for range 3 {
		l.is(l.ask(m), 0)
	}
	got := l.fetch()
	if len(got) != 1 {
		t.Fatalf("%d batches in the mailbox", len(got))
	}
	var d wire.Delivery
	must(t, wire.Unmarshal(got[0], &d))
	if d.Origin != wire.BySync || d.Ticket != m.Salt || d.Class != m.Class || d.Day != m.Day ||
		d.Received != uint64(p.now.UnixMilli()) || !bytes.Equal(d.Payload, m.Payload) {
		t.Errorf("stored %+v", d)
	}
	// Every field is in the id.
	for name, change := range map[string]func(m *wire.SyncPut){
		"day": func(m *wire.SyncPut) { m.Day-- }, "salt": func(m *wire.SyncPut) { m.Salt[0]++ },
		"payload": func(m *wire.SyncPut) { m.Payload[0]++ }, "class": func(m *wire.SyncPut) {
			m.Class, m.Payload = wire.Class16K, make([]byte, wire.Class16K.PayloadSize())
		},
	} {
		other := *m
		other.Payload = bytes.Clone(m.Payload)
		change(&other)
		if other.EnvelopeID() == m.EnvelopeID() {
			t.Errorf("%s is not in the id", name)
		}
	}
}

func TestSyncPutRefusals(t *testing.T) {
	p := newProvider(t, nil)
	l := p.linked()
	stranger := NewSession([32]byte{}, [wire.NonceSize]byte{3}, func() {})
	l.is(p.Handle(context.Background(), p.now, stranger, p.batch()), wire.CodeUnauthenticated)
	for _, day := range []ids.Day{p.today() + 2, p.today() - ids.MaxDelay - 1} {
		m := p.batch()
		m.Day = day
		l.is(l.ask(m), wire.CodeStale)
	}
	// A removed device puts nothing there any more.
	l.is(p.Handle(context.Background(), p.now, l.second, p.batch()), 0)
	l.is(l.ask(&wire.UpdateManifest{Manifest: l.without(l.two, 2).Bytes()}), 0)
	l.is(p.Handle(context.Background(), p.now, l.second, p.batch()), wire.CodeUnauthenticated)
	if _, ok := p.HandlePeer(context.Background(), p.now, p.peer, p.batch()).(*wire.Refusal); !ok {
		t.Error("a peer's batch was taken")
	}
}

func TestSyncPutLimit(t *testing.T) {
	p := newProvider(t, limits.Settings{{Name: limits.AccountSync}: gcra.PerSecond(1, 5)})
	l := p.linked()
	for range 5 {
		l.is(l.ask(p.batch()), 0)
	}
	l.is(l.ask(p.batch()), wire.CodeLimit)
	l.is(l.ask(new(wire.Account)), 0) // other requests have their own limit
	p.now = p.now.Add(time.Second)
	l.is(l.ask(p.batch()), 0)
}

// Batches leave the larger part of a mailbox to messages; when they were read,
// there is room again.
func TestSyncPutQuota(t *testing.T) {
	old := mailbox.SyncQuota
	mailbox.SyncQuota = store.Quota{Messages: 4, Bytes: 1 << 20}
	t.Cleanup(func() { mailbox.SyncQuota = old })
	if old.Messages*4 > mailbox.Quota.Messages || old.Bytes*4 > mailbox.Quota.Bytes {
		t.Error("batches may take more than a quarter of a mailbox")
	}
	p := newProvider(t, nil)
	l := p.linked()
	first := p.batch()
	l.is(l.ask(first), 0)
	for range 3 {
		l.is(l.ask(p.batch()), 0)
	}
	full := p.batch()
	r, ok := l.ask(full).(*wire.Refusal)
	if !ok || r.Code != wire.CodeLimit || r.RetryAfter != Milliseconds(syncRetry) {
		t.Fatalf("above the quota: %+v", r)
	}
	l.is(l.ask(first), 0) // is there already
	// A message still fits.
	box := l.session.Device().Mailbox()
	res := p.store.Append(context.Background(), []store.AppendReq{{
		Mailbox: box, ID: ids.EnvelopeID{9}, Body: []byte("message"), Expires: p.now.Add(time.Hour), Quota: mailbox.Quota,
	}})[0]
	must(t, res.Err)
	if res.Outcome != store.Appended {
		t.Fatalf("a message beside the batches: %v", res.Outcome)
	}
	// Both devices have read.
	for _, reader := range []store.ReaderID{1, 2} {
		must(t, p.store.Ack(context.Background(), []store.AckReq{{Mailbox: box, Reader: reader, UpTo: 5}})[0])
	}
	l.is(l.ask(full), 0)
}
