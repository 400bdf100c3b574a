package relay

import (
	"bytes"
	"context"
	"crypto/rand"
	"testing"
	"time"

	"waxwing/blocklist"
	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/mailbox"
	"waxwing/core/store"
	"waxwing/core/wire"
	"waxwing/franking"
	"waxwing/ratelimit/arc"
	"waxwing/ratelimit/gcra"
	"waxwing/ratelimit/limits"
	"waxwing/ratelimit/ticket"
)

var (
	alpha = ids.MustParseDomain("alpha.example")
	beta  = ids.MustParseDomain("beta.example")
	gamma = ids.MustParseDomain("gamma.example")
	alice = SenderOf(ids.MustParseAddress("alice@beta.example"))
)

// provider is beta with a store in memory, a peer alpha and one mailbox.
type provider struct {
	*Relay
	t       testing.TB
	now     time.Time
	store   store.Store
	ring    *ticket.Ring
	stamps  *franking.StampRing
	peer    *Peer
	mailbox ids.MailboxID
	next    uint64 // serial
}

type peerTable struct{}

func (peerTable) Known(d ids.Domain) bool                             { return d == alpha }
func (peerTable) Descriptor(ids.Domain) (*directory.Descriptor, bool) { return nil, false }

type ownKeys struct {
	cert  *keys.SigningKey
	relay *keys.SealKey
}

func (k ownKeys) Certificate(ids.Day) (*keys.SigningKey, bool) { return k.cert, true }
func (k ownKeys) RelayKey(id uint8) (*keys.SealKey, bool)      { return k.relay, id == 0 }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newProvider(t testing.TB, settings limits.Settings) *provider {
	p := &provider{t: t, now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC), peer: PeerOf(alpha), mailbox: ids.NewMailboxID(), next: 1}
	p.store = store.NewMemory(store.MemoryConfig{Now: func() time.Time { return p.now }})
	t.Cleanup(func() { p.store.Close() })
	var err error
	p.ring, err = ticket.NewRing()
	must(t, err)
	p.stamps, err = franking.NewStampRing()
	must(t, err)
	dir, err := directory.New(p.store, directory.Config{Domain: beta})
	must(t, err)
	book, err := limits.New(settings)
	must(t, err)
	p.Relay, err = New(Config{
		Domain: beta, Store: p.store, Tickets: p.ring, Stamps: p.stamps, Directory: dir,
		Keys: ownKeys{keys.NewSigningKey(), keys.NewSealKey()}, Peers: peerTable{}, Limits: book, Registration: RegistrationOpen,
	})
	must(t, err)
	p.rotate()
	return p
}

func (p *provider) today() ids.Day { return ids.DayOf(p.now) }

func (p *provider) rotate() {
	for {
		c, err := p.ring.Prepare(p.today())
		must(p.t, err)
		if c == nil {
			break
		}
		must(p.t, p.ring.Commit(c))
	}
	changes, err := p.stamps.Prepare(p.today())
	must(p.t, err)
	for _, c := range changes {
		must(p.t, p.stamps.Commit(c))
	}
}

func (p *provider) mint() *ticket.Minted {
	p.t.Helper()
	_, err := p.mailboxes.ReserveSerials(context.Background(), p.mailbox, 1)
	must(p.t, err)
	m, err := p.ring.Mint(p.today(), &p.mailbox, p.next, 1, p.today()+3)
	must(p.t, err)
	p.next++
	return &m[0]
}

// envelope makes an envelope of the sender's day under a ticket.
func envelope(m *ticket.Minted, class wire.Class, day ids.Day) []byte {
	e := &wire.Envelope{
		Ticket: (*[wire.TicketSize]byte)(&m.Ticket), Binder: new([wire.BinderSize]byte), Com: new([wire.ComSize]byte),
		Day: day, Class: class, TTL: 86400, Head: make([]byte, class.HeadSize()), Body: make([]byte, class.BodySize()),
	}
	rand.Read(e.Com[:])
	rand.Read(e.Body)
	payload := wire.PayloadHash(e.Head, e.Body)
	bound := ticket.BoundOf(e, &payload)
	*e.Binder = m.Key.Binder(&m.Ticket, &bound)
	return e.Append(nil)
}

func (p *provider) fresh() []byte { return envelope(p.mint(), wire.Class1K, p.today()) }

// forward takes one envelope through admission and settlement.
func (p *provider) forward(raw []byte) Reason {
	p.t.Helper()
	var a Admitted
	if ref := p.AdmitForward(p.now, p.peer, raw, &a); ref != nil {
		return ref.Reason
	}
	return p.Settle(context.Background(), []*Admitted{&a})[0].Reason
}

func (p *provider) stored() []store.Message {
	p.t.Helper()
	msgs, err := p.store.Fetch(context.Background(), p.mailbox, 0, 0, 0)
	must(p.t, err)
	return msgs
}

// noSnapshots knows no provider's keys.
type noSnapshots struct{}

func (noSnapshots) SnapshotID(ids.Domain, uint64) [32]byte { return [32]byte{} }

// TestEveryReason takes an envelope to every end that there is.
func TestEveryReason(t *testing.T) {
	seen := map[Reason]bool{}
	for _, tt := range []struct {
		want Reason
		run  func(p *provider) Reason
	}{
		{Delivered, func(p *provider) Reason { return p.forward(p.fresh()) }},
		{Queued, func(p *provider) Reason { return p.submit(alpha, p.fresh()) }},
		{Duplicate, func(p *provider) Reason {
			e := p.fresh()
			p.forward(e)
			return p.forward(e)
		}},
		{DisposedForged, func(p *provider) Reason {
			m := p.mint()
			m.Ticket[30] ^= 1
			return p.forward(envelope(m, wire.Class1K, p.today()))
		}},
		{DisposedExpired, func(p *provider) Reason {
			e := p.mint()
			p.now = p.now.Add(4 * 24 * time.Hour)
			p.rotate()
			return p.forward(envelope(e, wire.Class1K, p.today()))
		}},
		{DisposedBinder, func(p *provider) Reason {
			e := p.fresh()
			e[len(e)-1] ^= 1 // the first hop changed the body
			return p.forward(e)
		}},
		{DisposedSpent, func(p *provider) Reason {
			m := p.mint()
			p.forward(envelope(m, wire.Class1K, p.today()))
			return p.forward(envelope(m, wire.Class1K, p.today()))
		}},
		{DisposedStruck, func(p *provider) Reason {
			e := p.fresh()
			p.strike(p.next - 1)
			return p.forward(e)
		}},
		{DisposedUnknown, func(p *provider) Reason {
			p.mailbox = ids.NewMailboxID() // of an account that was removed
			m, err := p.ring.Mint(p.today(), &p.mailbox, 1, 1, p.today())
			must(p.t, err)
			return p.forward(envelope(&m[0], wire.Class1K, p.today()))
		}},
		{DisposedFull, func(p *provider) Reason {
			p.fill(mailbox.Quota.Messages)
			return p.forward(p.fresh())
		}},
		{DisposedSealed, func(p *provider) Reason {
			d := p.withDoor()
			e := d.introduction(d.stranger())
			e[len(e)-1] ^= 1
			return p.forward(e)
		}},
		{DisposedProof, func(p *provider) Reason {
			d := p.withDoor()
			e := d.introduction(d.stranger())
			d.keys.epoch = arc.Ristretto255().NewSecretKey()
			return p.forward(e)
		}},
		{DisposedBlocked, func(p *provider) Reason {
			d := p.withDoor()
			carol := d.stranger()
			d.blockIt(carol)
			return p.forward(d.introduction(carol))
		}},
		{DisposedPolicy, func(p *provider) Reason {
			d := p.withDoor()
			d.policy(mailbox.Refuse)
			return p.forward(d.introduction(d.stranger()))
		}},
		{DisposedSenderLimit, func(p *provider) Reason {
			d := p.withDoor()
			carol := d.stranger()
			for range 3 {
				p.forward(d.introduction(carol))
			}
			return p.forward(d.introduction(carol))
		}},
		{DisposedMailboxLimit, func(p *provider) Reason {
			d := p.withDoor()
			must(t, p.limits.Set(limits.Target{Name: limits.MailboxIntroductions}, &limits.Change{Limit: gcra.PerSecond(1, 1)}))
			p.forward(d.introduction(d.stranger()))
			return p.forward(d.introduction(d.stranger()))
		}},
		{DisposedTag, func(p *provider) Reason {
			d := p.withDoor()
			carol := d.stranger()
			p.forward(d.introduce(carol, d.at, 1, nil))
			return p.forward(d.introduce(carol, d.at, 1, nil))
		}},
		{RefusedMalformed, func(p *provider) Reason { return p.forward(p.fresh()[1:]) }},
		{RefusedStale, func(p *provider) Reason { return p.forward(envelope(p.mint(), wire.Class1K, p.today()+2)) }},
		{RefusedAccount, func(p *provider) Reason { p.submit(alpha, p.fresh()); return p.submit(alpha, p.fresh()) }},
		{RefusedPeer, func(p *provider) Reason { p.forward(p.fresh()); return p.forward(p.fresh()) }},
		{RefusedMailbox, func(p *provider) Reason { p.forward(p.fresh()); return p.forward(p.fresh()) }},
		{RefusedDestination, func(p *provider) Reason { return p.submit(gamma, p.fresh()) }},
		{RefusedOutbox, func(p *provider) Reason {
			p.Relay.store = failing{p.store, store.ErrFull}
			return p.submit(alpha, p.fresh())
		}},
		{RefusedSuspended, func(p *provider) Reason {
			var a Admitted
			from := SenderOf(ids.MustParseAddress("mallory@beta.example"))
			from.suspended.Store(true)
			return p.AdmitSubmit(p.now, from, alpha, p.fresh(), &a).Reason
		}},
		{RefusedKeys, func(p *provider) Reason {
			p.snapshots = noSnapshots{}
			return p.forward(p.fresh())
		}},
		{RefusedAddress, func(p *provider) Reason {
			k := p.withTokens().tokens(p.t)
			p.bear(alpha, k[0], p.fresh())
			return p.bear(alpha, k[1], p.fresh())
		}},
		{RefusedToken, func(p *provider) Reason {
			return p.bear(alpha, make([]byte, wire.SubmissionTokenSize), p.fresh())
		}},
		{RefusedRevoked, func(*provider) Reason {
			if r := Revoked(); r.RetryAfter > 0 && r.Code() == wire.CodeRevoked {
				return r.Reason
			}
			return ReasonEnd
		}},
		{RefusedStore, func(p *provider) Reason {
			p.Relay.store = failing{p.store, store.ErrUnknownOutcome}
			return p.forward(p.fresh())
		}},
		{RefusedBusy, func(*provider) Reason {
			if r := Busy(); r.RetryAfter > 0 && r.Code() == wire.CodeBusy {
				return r.Reason
			}
			return ReasonEnd
		}},
	} {
		t.Run(tt.want.String(), func(t *testing.T) {
			var settings limits.Settings
			if tt.want == RefusedAddress {
				settings = limits.Settings{{Name: limits.PrefixSubmissions}: gcra.PerSecond(1, 1)}
			}
			if tt.want == RefusedAccount || tt.want == RefusedPeer {
				settings = limits.Settings{
					{Name: limits.AccountEnvelopes}: gcra.PerSecond(1, 1), {Name: limits.PeerEnvelopes}: gcra.PerSecond(1, 1),
				}
			}
			if tt.want == RefusedMailbox {
				settings = limits.Settings{{Name: limits.MailboxEnvelopes}: gcra.PerSecond(1, 1)}
			}
			p := newProvider(t, settings)
			// What was acked before is there after whatever comes, unless its own days are over.
			bob := p.mailbox
			if got := p.forward(p.fresh()); got != Delivered {
				t.Fatalf("the first: %v", got)
			}
			kept := p.stored()
			if got := tt.run(p); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			p.mailbox = bob
			if now := p.stored(); tt.want != DisposedExpired && (len(kept) != 1 || len(now) == 0 || !bytes.Equal(now[0].Body, kept[0].Body)) {
				t.Errorf("what was acked before is not there: %d messages", len(now))
			}
		})
		seen[tt.want] = true
	}
	for r := range ReasonEnd {
		if !seen[r] {
			t.Errorf("no test for %v", r)
		}
		if r.String() == "" || r.String() == "invalid" {
			t.Errorf("reason %d has no label", r)
		}
	}
}

// fill appends messages to the mailbox.
func (p *provider) fill(messages int) {
	reqs := make([]store.AppendReq, 0, 4000)
	for i := range messages {
		id := ids.EnvelopeID{byte(i), byte(i >> 8), byte(i >> 16)}
		reqs = append(reqs, store.AppendReq{Mailbox: p.mailbox, ID: id, Body: []byte("x"), Expires: p.now.Add(time.Hour)})
		if len(reqs) == cap(reqs) || i == messages-1 {
			p.store.Append(context.Background(), reqs)
			reqs = reqs[:0]
		}
	}
}

func (p *provider) submit(dest ids.Domain, raw []byte) Reason {
	p.t.Helper()
	var a Admitted
	if ref := p.AdmitSubmit(p.now, alice, dest, raw, &a); ref != nil {
		return ref.Reason
	}
	return p.Settle(context.Background(), []*Admitted{&a})[0].Reason
}

func (p *provider) strike(serial uint64) {
	p.t.Helper()
	req := blocklist.NewRequests(blocklist.NewEntryID(), blocklist.Pseudonym{}, []blocklist.Serial{{Day: p.today() + 3, N: serial}})
	_, err := p.mailboxes.Block(context.Background(), p.mailbox, req[0], p.now)
	must(p.t, err)
}

// What a relay disposes of leaves nothing behind, spends nothing, and is
// settled like a delivery.
func TestDisposalsLeaveNothing(t *testing.T) {
	p := newProvider(t, nil)
	m := p.mint()
	good := envelope(m, wire.Class1K, p.today())
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 0x40
		switch r := p.forward(bad); r {
		case DisposedForged, DisposedBinder, RefusedMalformed, RefusedStale:
		default:
			t.Fatalf("byte %d changed: %v", i, r)
		}
	}
	if n := len(p.stored()); n != 0 {
		t.Fatalf("%d messages kept", n)
	}
	if r := p.forward(good); r != Delivered {
		t.Fatalf("the untouched envelope: %v; a disposal spent its ticket", r)
	}
}

// A replay is acked at any later time, and neither stored nor stamped again.
func TestReplayAtAnyTime(t *testing.T) {
	p := newProvider(t, nil)
	m := p.mint()
	e := envelope(m, wire.Class1K, p.today())
	if r := p.forward(e); r != Delivered {
		t.Fatal(r)
	}
	ctx := context.Background()
	_, err := p.mailboxes.Open(ctx, p.mailbox, 1)
	must(t, err)
	must(t, p.store.Ack(ctx, []store.AckReq{{Mailbox: p.mailbox, Reader: 1, UpTo: 1}})[0])
	for d := range ids.MaxDelay + 3 {
		r := p.forward(e)
		if want := d <= ids.MaxDelay; want && r != Duplicate || !want && r != RefusedStale {
			t.Errorf("after %d days: %v", d, r)
		}
		if n := len(p.stored()); n != 0 {
			t.Fatalf("after %d days the replay is stored again", d)
		}
		p.now = p.now.Add(24 * time.Hour)
		p.rotate()
	}
}

// One ticket pays for one envelope, whoever is first, and the same envelope
// with another ticket is another envelope.
func TestOneTicketOneEnvelope(t *testing.T) {
	p := newProvider(t, nil)
	m := p.mint()
	var batch []*Admitted
	for range 50 {
		a := new(Admitted)
		if ref := p.AdmitForward(p.now, p.peer, envelope(m, wire.Class1K, p.today()), a); ref != nil {
			t.Fatal(ref.Reason)
		}
		batch = append(batch, a)
	}
	won := 0
	for _, s := range p.Settle(context.Background(), batch) {
		if s.Reason == Delivered {
			won++
		} else if s.Reason != DisposedSpent || s.Refusal != nil {
			t.Error(s.Reason)
		}
	}
	if won != 1 || len(p.stored()) != 1 {
		t.Errorf("%d won, %d stored", won, len(p.stored()))
	}
}

// What is stored is the schema's Delivery, with a stamp that checks.
func TestStoredDelivery(t *testing.T) {
	for class := wire.Class1K; class <= wire.Class64K; class++ {
		p := newProvider(t, nil)
		m := p.mint()
		raw := envelope(m, class, p.today())
		if r := p.forward(raw); r != Delivered {
			t.Fatal(r)
		}
		var d wire.Delivery
		must(t, wire.Unmarshal(p.stored()[0].Body, &d))
		if d.Class != class || d.Serial != p.next-1 || d.Expiry != p.today()+3 || d.Day != p.today() ||
			d.Received != uint64(p.now.UnixMilli()) || d.Ticket != m.Ticket || !bytes.HasSuffix(raw, d.Payload) {
			t.Errorf("class %d: stored %+v", class, d)
		}
		rc := franking.Receipt{Mailbox: p.mailbox, Com: d.Com, Day: d.Day, Received: d.Received}
		must(t, p.stamps.Check(&rc, (*franking.Stamp)(&d.Stamp)))
		rc.Mailbox[0] ^= 1
		if p.stamps.Check(&rc, (*franking.Stamp)(&d.Stamp)) == nil {
			t.Error("stamp fits another mailbox")
		}
	}
}

// The first hop keeps the envelope, where it goes, and nothing of who sent it.
func TestOutboxRow(t *testing.T) {
	p := newProvider(t, nil)
	raw := p.fresh()
	if r := p.submit(alpha, raw); r != Queued {
		t.Fatal(r)
	}
	msgs, err := p.store.Fetch(context.Background(), mailbox.Outbox(alpha), 0, 0, 0)
	must(t, err)
	if len(msgs) != 1 || !bytes.Equal(msgs[0].Body, raw) {
		t.Fatalf("outbox holds %d rows", len(msgs))
	}
	if want := (p.today() + ids.MaxDelay).End(); !msgs[0].Expires.Equal(want) {
		t.Errorf("given up at %v, want %v", msgs[0].Expires, want)
	}
	if r := p.submit(alpha, raw); r != Duplicate {
		t.Errorf("handed in again: %v", r)
	}
}

// Refusals depend on the form of the envelope and on peer-wide state only: for
// no recipient's state does a sender see anything but an ack.
func TestRefusalsTellNothingOfTheRecipient(t *testing.T) {
	for r := range ReasonEnd {
		recipients := r >= DisposedForged && r < RefusedMalformed
		if recipients && !r.Acked() {
			t.Errorf("%v is answered", r)
		}
		if !r.Acked() {
			if ref := (&Refusal{Reason: r}); !ref.Code().Valid() {
				t.Errorf("%v has no code", r)
			}
		}
	}
}
