package client

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"waxwing/blocklist"
	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/ratchet"
	"waxwing/core/wire"
	"waxwing/franking"
	"waxwing/ratelimit/ticket"
	"waxwing/sealedsender"
)

// world is two providers and their users without sockets: the harness carries
// envelopes and deliveries by hand, over the real lower packages.
type world struct {
	t         testing.TB
	now       time.Time
	r         *rand.Rand
	providers map[ids.Domain]*provider
	users     []*user
	synced    bool // devices of an account tell each other, and the harness does not
	dayByDay  bool // no token is issued before its day
}

// provider is the server's side: tickets, stamps, directory, mailboxes.
type provider struct {
	admits *admitting // nil until needed
	w      *world
	domain ids.Domain
	root   *keys.SigningKey
	cert   *keys.SigningKey
	relay  *keys.SealKey
	ring   *ticket.Ring
	stamps *franking.StampRing
	bureau *bureau
	boxes  map[ids.MailboxID]*box
	byName map[ids.Address]*box

	disposed int
}

// box is an account with its mailbox.
type box struct {
	id       ids.MailboxID
	manifest *directory.Manifest
	sealKey  []byte
	prekeys  map[ids.DeviceID]*prekeyBox
	serials  uint64
	spent    map[uint64]ids.EnvelopeID
	next     uint64
	readers  []*user // the account's devices, each with its queue
	entries  map[[16]byte]bool
	list     blocklist.List
	pairs    map[uint32][32]byte     // W by generation, the newest two
	batches  map[ids.EnvelopeID]bool // sync batches that were put
}

// prekeyBox is what a device published.
type prekeyBox struct {
	signed, last []byte
	oneTime      [][]byte
}

func newWorld(t testing.TB) *world {
	if underRace {
		t.Skip("one goroutine does everything: the race detector has nothing to see") // package node has the rest
	}
	w := &world{
		t: t, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), r: rand.New(rand.NewPCG(7, 7)),
		providers: make(map[ids.Domain]*provider),
	}
	for _, name := range []string{"alpha.example", "beta.example"} {
		p := &provider{
			w: w, domain: ids.MustParseDomain(name), root: keys.NewSigningKey(), cert: keys.NewSigningKey(),
			relay: keys.NewSealKey(), boxes: make(map[ids.MailboxID]*box), byName: make(map[ids.Address]*box),
		}
		var err error
		p.ring, err = ticket.NewRing()
		w.must(err)
		p.stamps, err = franking.NewStampRing()
		w.must(err)
		p.bureau = newBureau(p)
		w.providers[p.domain] = p
		p.prepare()
	}
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) advance(d time.Duration) {
	w.now = w.now.Add(d)
	for _, p := range w.providers {
		p.prepare()
	}
}

func (p *provider) prepare() {
	today := ids.DayOf(p.w.now)
	for {
		c, err := p.ring.Prepare(today)
		p.w.must(err)
		if c == nil {
			break
		}
		p.w.must(p.ring.Commit(c))
	}
	p.ring.Expire(today)
	p.bureau.rotate(p)
	stamps, err := p.stamps.Prepare(today)
	p.w.must(err)
	for _, c := range stamps {
		p.w.must(p.stamps.Commit(c))
	}
}

func (p *provider) pin() keys.Pin { return keys.PinOf(p.root.Public()) }

func (p *provider) descriptor() []byte {
	d, err := directory.SignDescriptor(directory.DescriptorFields{
		Domain: p.domain, Sequence: 1, Endpoints: []string{"127.0.0.1:1"},
		Certificates: []directory.CertificateKey{{Key: p.cert.Public(), First: 0, Last: 1 << 20}},
		Relay:        []directory.RelayKey{{ID: 1, Key: p.relay.Public()}},
		Versions:     []uint16{1}, Expiry: ids.DayOf(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)),
	}, p.root)
	p.w.must(err)
	return d.Bytes()
}

func (p *provider) certificate(m *directory.Manifest, days ids.Day) []byte {
	return p.certificateOf(m, 1, days)
}

// certificateOf issues a certificate to one device.
func (p *provider) certificateOf(m *directory.Manifest, id ids.DeviceID, days ids.Day) []byte {
	dev, _ := m.Device(id)
	c, err := sealedsender.Issue(p.cert, sealedsender.CertificateFields{
		Address: m.Address(), Device: dev.ID, Identity: m.Identity(), DH: dev.DH, XS: m.XS(), Expiry: ids.DayOf(p.w.now) + days,
	})
	p.w.must(err)
	return c
}

func (p *provider) mint(b *box, n int) *wire.Minted {
	first := b.serials + 1
	b.serials += uint64(n)
	expiry := ids.DayOf(p.w.now) + ids.MaxTicketDays
	m, err := p.ring.Mint(ids.DayOf(p.w.now), &b.id, first, n, expiry)
	p.w.must(err)
	out := &wire.Minted{FirstSerial: first, Expiry: expiry}
	for i := range m {
		out.Tickets = append(out.Tickets, wire.MintedTicket{Ticket: m[i].Ticket, Key: *m[i].Key.Bytes()})
	}
	return out
}

// take is admission and settlement of one envelope.
func (p *provider) take(from ids.Domain, b []byte) {
	var e wire.Envelope
	p.w.must(wire.ParseEnvelope(b, &e))
	payload := wire.PayloadHash(e.Head, e.Body)
	if e.Introduction != nil {
		p.introduced(from, &e, &payload)
		return
	}
	var scratch ticket.Scratch
	o, err := p.ring.Open((*ticket.Ticket)(e.Ticket), &scratch)
	if err != nil {
		p.disposed++
		return
	}
	bound := ticket.BoundOf(&e, &payload)
	mailbox := p.boxes[o.Mailbox]
	if o.Check(&bound, (*ticket.Binder)(e.Binder)) != nil || mailbox == nil || !ids.InTime(e.Day, ids.DayOf(p.w.now)) {
		p.disposed++
		return
	}
	id := e.ID(&payload)
	if have, ok := mailbox.spent[o.Serial]; ok {
		if have != id && have != (ids.EnvelopeID{}) {
			p.w.t.Errorf("a ticket was used for two envelopes")
		}
		if have != id {
			p.disposed++
		}
		return
	}
	mailbox.spent[o.Serial] = id
	d := &wire.Delivery{
		Received: uint64(p.w.now.UnixMilli()), Com: *e.Com, Day: e.Day, Class: e.Class, Origin: wire.ByTicket,
		Ticket: *e.Ticket, Serial: o.Serial, Expiry: o.Expiry, Payload: append(slices.Clone(e.Head), e.Body...),
	}
	stamp, err := p.stamps.Stamp(&franking.Receipt{Mailbox: mailbox.id, Com: d.Com, Day: d.Day, Received: d.Received})
	p.w.must(err)
	d.Stamp = stamp
	if s := p.snapshotOf(from); s != nil {
		d.Snapshot = s.ID()
	}
	mailbox.push(wire.MustMarshal(d))
}

func (b *box) push(d []byte) {
	b.next++
	for _, u := range b.readers {
		u.queue = append(u.queue, delivery{b.next, d})
	}
}

func (p *provider) lookup(a ids.Address) *directory.LookupAnswer {
	b := p.byName[a]
	if b == nil {
		return &directory.LookupAnswer{Status: directory.LookupUnknown}
	}
	answer := &directory.LookupAnswer{Status: directory.LookupFound, Manifest: b.manifest.Bytes(), MailboxKey: b.sealKey}
	for _, dev := range b.manifest.Devices() {
		k := b.prekeys[dev.ID]
		if k == nil || len(answer.Bundles) == directory.AnswerDevices {
			continue
		}
		bundle := ratchet.Bundle{Device: dev.ID, Identity: dev.DH}
		p.w.must(wire.Unmarshal(k.signed, &bundle.Signed))
		one := k.last
		if len(k.oneTime) > 0 {
			one, k.oneTime = k.oneTime[0], k.oneTime[1:]
		}
		p.w.must(wire.Unmarshal(one, &bundle.OneTime))
		answer.Bundles = append(answer.Bundles, bundle)
	}
	return answer
}
