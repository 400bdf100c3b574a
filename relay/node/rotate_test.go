package node

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/query"
	"waxwing/core/store"
	"waxwing/core/wire"
	"waxwing/relay/quicnet"
	"waxwing/sealedsender"
)

// clock is a clock that a test moves.
type clock struct{ ahead atomic.Int64 }

// earlyClock begins right after midnight: the minutes that days takes besides do not
// lead over another one within 70 days, where nobody looks at the keys.
func earlyClock() *clock {
	c := new(clock)
	c.ahead.Store(int64(c.today().End().Sub(c.now()) + time.Minute))
	return c
}

func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

func (c *clock) today() ids.Day { return ids.DayOf(c.now()) }

// days moves the clock and lets the servers look at their keys, until what is
// over is erased.
func (c *clock) days(t *testing.T, n int, servers ...*server) {
	t.Helper()
	for range n {
		c.ahead.Add(int64(24 * time.Hour))
		for range 2 {
			for _, s := range servers {
				must(t, s.node.renewKeys())
			}
			c.ahead.Add(int64(steady))
		}
	}
}

// correspondence sends messages and remembers what has to arrive.
type correspondence struct {
	t          *testing.T
	clock      *clock
	alice, bob *device
	beta       ids.Domain
	kept       []wire.MintedTicket // for later
	expected   map[[wire.ComSize]byte]bool
	received   uint64
}

func (c *correspondence) mint(n int, days ids.Day) []wire.MintedTicket {
	c.t.Helper()
	m, err := quicnet.Ask[*wire.Minted](testContext(c.t), c.bob.caller, &wire.Mint{Count: uint16(n), Expiry: c.clock.today() + days})
	must(c.t, err)
	return m.Tickets
}

// send sends one message under each ticket and fails if one is refused.
func (c *correspondence) send(tickets []wire.MintedTicket) {
	c.t.Helper()
	var all [][]byte
	for i := range tickets {
		e := envelopeOf(c.clock.today(), &tickets[i], wire.Class1K)
		var p wire.Envelope
		must(c.t, wire.ParseEnvelope(e, &p))
		c.expected[*p.Com] = true
		all = append(all, e)
	}
	if r := c.alice.submit(c.beta, all...); len(r) != 0 {
		c.t.Fatalf("refused: %v", r)
	}
}

func (c *correspondence) certify() []byte {
	c.t.Helper()
	cert, err := quicnet.Ask[*wire.Cert](testContext(c.t), c.alice.caller, &wire.Certify{})
	must(c.t, err)
	return cert.Certificate
}

// descriptor returns what a device's provider knows of another.
func (d *device) descriptor(of ids.Domain) *directory.Descriptor {
	d.t.Helper()
	m, err := quicnet.Ask[*wire.Described](testContext(d.t), d.caller, &wire.Describe{Domain: of})
	must(d.t, err)
	var f directory.DescriptorFields
	must(d.t, wire.Unmarshal(m.Descriptor, &f))
	desc, err := directory.VerifyDescriptor(m.Descriptor, directory.DescriptorTrust{Domain: of, Pin: keys.PinOf(f.Root)})
	must(d.t, err)
	return desc
}

// verifies checks a certificate as a client does: under the keys that may have
// signed in the days before.
func verifies(t *testing.T, d *directory.Descriptor, cert []byte, day ids.Day) {
	t.Helper()
	var trusted []keys.VerifyKey
	for back := range ids.Day(sealedsender.MaxLifetimeDays + 1) {
		for _, k := range d.CertificateKeys(day - back) {
			if !slices.Contains(trusted, k) {
				trusted = append(trusted, k)
			}
		}
	}
	if _, err := sealedsender.Verify(cert, trusted, d.Domain(), day); err != nil {
		t.Errorf("a certificate does not verify on day %d under %d keys: %v", day, len(trusted), err)
	}
}

// asks sends a question sealed by a descriptor and fails unless it is answered.
func asks(t *testing.T, d *device, dest *directory.Descriptor, now time.Time) {
	t.Helper()
	key, ok := dest.RelayKey()
	if !ok {
		t.Fatal("no relay key")
	}
	sealed, pending, err := query.Ask(key.Key, key.ID, query.KindLookup,
		wire.MustMarshal(&directory.LookupRequest{Address: ids.MustParseAddress("nobody@beta.example")}), now)
	must(t, err)
	a, err := quicnet.Ask[*wire.Answer](testContext(t), d.caller, &wire.Query{
		Dest: dest.Domain(), Kind: uint8(query.KindLookup), Sealed: sealed,
	})
	if err != nil {
		t.Errorf("a question under relay key %d: %v", key.ID, err)
		return
	}
	if _, err := pending.Open(a.Sealed); err != nil {
		t.Error(err)
	}
}

// rotateAll forces every key to change.
func rotateAll(s *server, at *clock) error {
	leaf, err := s.node.identity.Leaf(at.now())
	if err != nil {
		return err
	}
	done, err := s.node.RotateKeys()
	if err != nil {
		return err
	}
	for _, r := range done {
		if r.Reason != "" || r.From < at.today() {
			return fmt.Errorf("%v: from %d, %q", r.Kind, r.From, r.Reason)
		}
	}
	if again, err := s.node.identity.Leaf(at.now()); err != nil || slices.Equal(leaf, again) {
		return fmt.Errorf("the leaf is the same: %w", err)
	}
	return nil
}

// All keys of both providers change, several times and between two messages;
// nothing is lost, what was made under old keys is good for its time, and in
// the end the old files are gone.
func TestRotationWhileMessagesFlow(t *testing.T) {
	at := earlyClock()
	alpha, beta := newServer(t, "alpha.example"), newServer(t, "beta.example")
	for _, s := range []*server{alpha, beta} {
		s.conf.Now, s.conf.Refresh = at.now, 20*time.Millisecond
		s.start()
	}
	must(t, alpha.node.AddPeer(t.Context(), beta.asPeer(), false))
	must(t, beta.node.AddPeer(t.Context(), alpha.asPeer(), false))
	c := &correspondence{t: t, clock: at, beta: beta.domain, expected: map[[wire.ComSize]byte]bool{}}
	c.alice, c.bob = newDevice(t, alpha, "alice@alpha.example"), newDevice(t, beta, "bob@beta.example")
	alpha.until(beta.domain, "connected", connected)
	beta.until(alpha.domain, "connected", connected)

	born := map[*server][]string{}
	for _, s := range []*server{alpha, beta} {
		born[s] = files(t, s.node.keyring.dir, "")
	}
	oldCert, oldDay := c.certify(), at.today()
	oldBeta := c.alice.descriptor(beta.domain)
	c.kept = c.mint(12, ids.MaxTicketDays-2)
	rounds := 4
	if testing.Short() {
		rounds = 2 // later ones have the same goroutines
	}
	for round := range rounds {
		fresh := c.mint(8, 3)
		c.send(fresh[:4])
		during := c.mint(40, 3)
		rotated := make(chan error, 2)
		for _, s := range []*server{alpha, beta} {
			go func() { rotated <- rotateAll(s, at) }()
		}
		for i := range during {
			c.send(during[i : i+1])
		}
		must(t, errors.Join(<-rotated, <-rotated))
		for _, s := range []*server{alpha, beta} {
			if p, _ := s.status(map[*server]ids.Domain{alpha: beta.domain, beta: alpha.domain}[s]); !connected(p) {
				t.Error("rotation ended a link")
			}
		}
		// Before anybody has fetched anything: what is made now verifies under
		// what is known, and tickets from before the rotation are good.
		verifies(t, c.bob.descriptor(alpha.domain), c.certify(), at.today())
		c.send(fresh[4:])
		c.send(c.kept[round*3 : round*3+3])
		asks(t, c.alice, oldBeta, at.now())
		newer := beta.node.peers.own.Load()
		alpha.until(beta.domain, "newest descriptor", func(p PeerStatus) bool { return p.Sequence == newer.Sequence() })
		asks(t, c.alice, c.alice.descriptor(beta.domain), at.now())
		if key, _ := newer.RelayKey(); c.descriptorKey(oldBeta) == key.ID {
			t.Error("the relay key is the same")
		}

		c.receiveAll() // the envelopes live for a day
		at.days(t, 2, alpha, beta)
		known := alpha.node.peers.own.Load().Sequence()
		beta.until(alpha.domain, "newest descriptor", func(p PeerStatus) bool { return p.Sequence == known })
		verifies(t, c.bob.descriptor(alpha.domain), c.certify(), at.today())
		// A message of the first day that was read today.
		verifies(t, c.bob.descriptor(alpha.domain), oldCert, oldDay+1)
		// New connections show the new leaf.
		c.alice.reconnect(alpha)
		c.bob.reconnect(beta)
	}
	at.days(t, certificateKept+relayKept, alpha, beta)
	for s, names := range born {
		now := files(t, s.node.keyring.dir, "")
		for _, name := range names {
			// A desk's keys last for half a year; package reports tests their end.
			if name != keyRoot && !strings.HasPrefix(name, "desk-key-") && !strings.HasPrefix(name, "admission-") && slices.Contains(now, name) {
				t.Errorf("%s is still there", name)
			}
		}
	}
}

func (c *correspondence) descriptorKey(d *directory.Descriptor) uint8 {
	k, _ := d.RelayKey()
	return k.ID
}

func (c *correspondence) receiveAll() {
	c.t.Helper()
	n := len(c.expected)
	for _, d := range c.bob.receive(c.received, n) {
		if !c.expected[d.Com] {
			c.t.Fatal("delivered twice, or never sent")
		}
		delete(c.expected, d.Com)
	}
	c.received += uint64(n)
}

// What is asked for twice a day, or too often, is refused with a reason and
// leaves the scheduled rotation its room.
func TestRotationTooOften(t *testing.T) {
	at := earlyClock()
	s := newServer(t, "beta.example")
	s.conf.Now = at.now
	s.start()
	rotate := func() map[KeyKind]string {
		t.Helper()
		done, err := s.node.RotateKeys()
		must(t, err)
		out := map[KeyKind]string{}
		for _, r := range done {
			if (r.From == 0) != (r.Reason != "") {
				t.Errorf("%+v", r)
			}
			out[r.Kind] = r.Reason
		}
		return out
	}
	none := map[KeyKind]string{KeyCertificate: "", KeyRelay: "", KeyTicket: "", KeyStamp: "", KeyTLS: ""}
	if got := rotate(); !maps.Equal(got, none) {
		t.Errorf("first: %v", got)
	}
	if got := rotate(); got[KeyCertificate] != reasonToday || got[KeyRelay] != reasonToday || got[KeyTicket] != "" {
		t.Errorf("second: %v", got)
	}
	many := false
	for range 60 {
		at.days(t, 1, s)
		many = many || rotate()[KeyCertificate] == reasonMany
		d := s.node.peers.own.Load()
		if n := len(d.Next().Certificates); n > directory.MaxCertificateKeys || d.Expiry() < at.today() {
			t.Fatalf("%d certificate keys, expiry %d", n, d.Expiry())
		}
	}
	if !many {
		t.Error("certificate keys are drawn without end")
	}
	s.halt()
	s.start()
	if n := len(s.node.keyring.retired); n == 0 {
		t.Error("no retired key after a restart")
	}
}

// A certificate key is published before it signs.
func TestCertificateKeyIsPublishedFirst(t *testing.T) {
	at := earlyClock()
	s := newServer(t, "beta.example")
	s.conf.Now = at.now
	s.start()
	published := map[keys.VerifyKey]ids.Day{}
	first := at.today()
	for range 70 {
		key, _ := s.node.keyring.Certificate(at.today())
		since, ok := published[key.Public()]
		if !ok && at.today() > first || ok && since == at.today() && at.today() > first {
			t.Errorf("day %d: the key that signs is known since %d", at.today()-first, since-first)
		}
		for _, k := range s.node.peers.own.Load().Next().Certificates {
			if _, ok := published[k.Key]; !ok {
				published[k.Key] = at.today()
			}
		}
		at.days(t, 1, s)
	}
	if len(published) != 3 {
		t.Errorf("%d keys in 70 days", len(published))
	}
}

// A question under a key that the peer no longer has is refused as stale, and
// the peer's descriptor is fetched at once, not after an hour.
func TestStaleQuestionFetchesTheDescriptor(t *testing.T) {
	alpha, beta := newServer(t, "alpha.example").start(), newServer(t, "beta.example").start()
	must(t, alpha.node.AddPeer(t.Context(), beta.asPeer(), false))
	must(t, beta.node.AddPeer(t.Context(), alpha.asPeer(), false))
	alice := newDevice(t, alpha, "alice@alpha.example")
	alpha.until(beta.domain, "connected", connected)
	old := alice.descriptor(beta.domain)
	_, err := beta.node.RotateKeys()
	must(t, err)
	k := beta.node.keyring
	k.mu.Lock()
	k.relay = k.relay[1:]
	k.mu.Unlock()

	key, _ := old.RelayKey()
	sealed, _, err := query.Ask(key.Key, key.ID, query.KindLookup,
		wire.MustMarshal(&directory.LookupRequest{Address: ids.MustParseAddress("bob@beta.example")}), time.Now())
	must(t, err)
	_, err = alice.caller.Call(testContext(t), &wire.Query{Dest: beta.domain, Kind: uint8(query.KindLookup), Sealed: sealed})
	if !refusedWith(err, wire.CodeStale) {
		t.Errorf("a question under a key that is gone: %v", err)
	}
	alpha.until(beta.domain, "second descriptor", func(p PeerStatus) bool { return p.Sequence == 2 && connected(p) })
	asks(t, alice, alice.descriptor(beta.domain), time.Now())
}

// TestTicketsDoNotRunShort mints half of what is reserved: the next tickets that
// somebody asks for have more reserved at once, and not when the keys are looked at
// next.
func TestTicketsDoNotRunShort(t *testing.T) {
	beta := newServer(t, "beta.example")
	beta.conf.Store = store.NewMemory(store.MemoryConfig{})
	beta.start()
	bob := newDevice(t, beta, "bob@beta.example")
	ring := beta.node.keyring.tickets
	for first := uint64(0); !ring.Due(today()); first += wire.MaxMint {
		_, err := ring.Mint(today(), &ids.MailboxID{1}, first, wire.MaxMint, today())
		must(t, err)
	}
	bob.mint(1)
	until(t, "further tickets are reserved", func() bool { return !ring.Due(today()) })
}
