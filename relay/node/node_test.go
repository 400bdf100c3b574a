package node

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"

	"waxwing/core/directory"
	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/query"
	"waxwing/core/ratchet"
	"waxwing/core/wire"
	"waxwing/ratelimit/ticket"
	"waxwing/relay"
	"waxwing/relay/quicnet"
)

func TestMain(m *testing.M) {
	// Badger's caches keep goroutines of their own until some time after Close.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/golang/glog.(*fileSink).flushDaemon"),
		goleak.IgnoreAnyFunction("github.com/dgraph-io/ristretto/v2/z.(*AllocatorPool).freeupAllocators"))
}

// server is a provider of a test, which can be stopped and started again at
// the same address.
type server struct {
	t      testing.TB
	conf   Config
	domain ids.Domain
	pin    keys.Pin

	node *Node
	stop context.CancelFunc
	done chan error
}

func newServer(t testing.TB, domain string) *server {
	t.Helper()
	s := &server{t: t, domain: ids.MustParseDomain(domain), conf: Config{
		Dir: t.TempDir(), Listen: "127.0.0.1:0", Registration: relay.RegistrationOpen,
	}}
	var err error
	if s.pin, err = Init(s.conf.Dir, s.domain, nil); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *server) start() *server {
	s.t.Helper()
	n, err := Open(s.conf)
	if err != nil {
		s.t.Fatal(err)
	}
	s.conf.Listen = n.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	s.node, s.stop, s.done = n, cancel, make(chan error, 1)
	go func(done chan error) { done <- n.Run(ctx) }(s.done)
	s.t.Cleanup(s.halt)
	return s
}

func (s *server) halt() {
	if s.stop == nil {
		return
	}
	s.stop()
	if err := <-s.done; err != nil {
		s.t.Errorf("server ended with %v", err)
	}
	s.stop = nil
}

// federated starts two servers that know each other.
func federated(t testing.TB) (alpha, beta *server) {
	alpha, beta = newServer(t, "alpha.example"), newServer(t, "beta.example")
	alpha.conf.Listen, beta.conf.Listen = freeAddr(t), freeAddr(t)
	alpha.conf.Peers = []Peer{{beta.domain, beta.conf.Listen, beta.pin}}
	beta.conf.Peers = []Peer{{alpha.domain, alpha.conf.Listen, alpha.pin}}
	return alpha.start(), beta.start()
}

// device is a client of a test: it speaks the protocol and knows no messages.
type device struct {
	t        testing.TB
	address  ids.Address
	identity *keys.SigningKey
	sign     *keys.SigningKey
	manifest *directory.Manifest
	mailbox  ids.MailboxID
	conn     *quicnet.Conn
	caller   *quicnet.Caller
	last     uint64 // sequence number of the newest delivery; they have gaps
	k, w, z  group.Scalar
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func newDevice(t testing.TB, s *server, address string) *device {
	t.Helper()
	d := &device{t: t, address: ids.MustParseAddress(address), identity: keys.NewSigningKey(), sign: keys.NewSigningKey()}
	g := group.Ristretto255()
	d.k, d.w, d.z = g.RandomScalar(), g.RandomScalar(), g.RandomScalar()
	f := directory.ManifestFields{Address: d.address, Version: 1, Identity: d.identity.Public(), DH: keys.NewDHKey().Public()}
	f.AddDevice(d.sign.Public(), keys.NewDHKey().Public())
	var err error
	f.AccountKey, err = directory.ProveAccountKey(d.k, d.address, d.identity.Public())
	must(t, err)
	d.manifest, err = directory.SignManifest(f, d.identity)
	must(t, err)
	d.dial(s)
	sig := directory.SignRegistration(d.identity, d.manifest, s.domain, d.challenge())
	d.enter(&wire.Register{Manifest: d.manifest.Bytes(), Signature: sig})
	return d
}

func (d *device) dial(s *server) {
	d.t.Helper()
	ctx := testContext(d.t)
	var err error
	d.conn, err = quicnet.Dial(ctx, quicnet.DialConfig{Addr: s.conf.Listen, Domain: s.domain, Pin: s.pin, Now: s.conf.Now})
	must(d.t, err)
	d.t.Cleanup(func() { d.conn.Close(quicnet.CodeNone) })
	stream, err := d.conn.OpenStream(ctx, wire.StreamControl)
	must(d.t, err)
	d.caller, err = quicnet.NewCaller(ctx, stream)
	must(d.t, err)
}

func (d *device) challenge() directory.Challenge {
	return directory.Challenge{Exporter: d.conn.Exporter(), Nonce: d.caller.Hello().Nonce}
}

func (d *device) enter(m wire.Message) {
	d.t.Helper()
	s, err := quicnet.Ask[*wire.Session](testContext(d.t), d.caller, m)
	must(d.t, err)
	d.mailbox = s.Mailbox
}

func (d *device) reconnect(s *server) {
	d.t.Helper()
	d.conn.Close(quicnet.CodeNone)
	d.dial(s)
	d.enter(d.auth(s))
}

// auth is for the newest connection.
func (d *device) auth(s *server) *wire.Auth {
	return &wire.Auth{Address: d.address, Device: 1, Signature: directory.SignAuth(d.sign, d.address, 1, s.domain, d.challenge())}
}

func (d *device) mint(n int) *wire.Minted {
	d.t.Helper()
	m, err := quicnet.Ask[*wire.Minted](testContext(d.t), d.caller, &wire.Mint{Count: uint16(n), Expiry: today() + 3})
	must(d.t, err)
	return m
}

func today() ids.Day { return ids.DayOf(time.Now()) }

// envelope makes an envelope under a ticket, with random contents.
func envelope(m *wire.MintedTicket, class wire.Class) []byte { return envelopeOf(today(), m, class) }

func envelopeOf(day ids.Day, m *wire.MintedTicket, class wire.Class) []byte {
	e := &wire.Envelope{
		Ticket: &m.Ticket, Binder: new([wire.BinderSize]byte), Com: new([wire.ComSize]byte), Day: day, Class: class,
		TTL: 86400, Head: make([]byte, class.HeadSize()), Body: make([]byte, class.BodySize()),
	}
	rand.Read(e.Com[:])
	rand.Read(e.Head)
	rand.Read(e.Body)
	payload := wire.PayloadHash(e.Head, e.Body)
	bound := ticket.BoundOf(e, &payload)
	key := ticket.KeyFrom(&m.Key)
	t := ticket.Ticket(m.Ticket)
	*e.Binder = key.Binder(&t, &bound)
	return e.Append(nil)
}

func (d *device) stream(kind wire.StreamKind) *quicnet.Stream {
	d.t.Helper()
	s, err := d.conn.OpenStream(testContext(d.t), kind)
	must(d.t, err)
	return s
}

// submit hands envelopes in and returns what was refused.
func (d *device) submit(dest ids.Domain, envelopes ...[]byte) map[uint64]wire.Refused {
	d.t.Helper()
	s := d.stream(wire.StreamSubmit)
	defer s.Cancel(quicnet.CodeNone)
	for i, e := range envelopes {
		must(d.t, s.WriteFrame(wire.TypeSubmit, &wire.Submit{
			Number: uint64(i + 1), Dest: dest, Auth: wire.AuthConnection, Envelope: e,
		}))
	}
	must(d.t, s.Flush())
	refused := map[uint64]wire.Refused{}
	for {
		typ, body, err := s.ReadFrame()
		must(d.t, err)
		switch typ {
		case wire.TypeRefused:
			var r wire.Refused
			must(d.t, wire.Unmarshal(body, &r))
			refused[r.Number] = r
		case wire.TypeAck:
			var a wire.Ack
			must(d.t, wire.Unmarshal(body, &a))
			if a.UpTo == uint64(len(envelopes)) {
				return refused
			}
		default:
			d.t.Fatalf("frame of type %d", typ)
		}
	}
}

// receive waits for n deliveries behind a sequence number and acks them.
func (d *device) receive(after uint64, n int) []wire.Delivery {
	d.t.Helper()
	s := d.stream(wire.StreamDeliver)
	defer s.Cancel(quicnet.CodeNone)
	must(d.t, s.WriteFrame(wire.TypeSubscribe, &wire.Subscribe{After: after}))
	must(d.t, s.Flush())
	var out []wire.Delivery
	for len(out) < n {
		typ, body, err := s.ReadFrame()
		must(d.t, err)
		if typ != wire.TypeDelivery {
			continue
		}
		seq, raw, err := wire.ParseDelivered(body)
		must(d.t, err)
		var del wire.Delivery
		must(d.t, wire.Unmarshal(raw, &del))
		out = append(out, del)
		d.last = seq
		must(d.t, s.WriteFrame(wire.TypeAck, &wire.Ack{UpTo: seq}))
		must(d.t, s.Flush())
	}
	return out
}

func TestOneHop(t *testing.T) {
	beta := newServer(t, "beta.example").start()
	alice, bob := newDevice(t, beta, "alice@beta.example"), newDevice(t, beta, "bob@beta.example")
	minted := bob.mint(8)
	var sent [][]byte
	for i := range minted.Tickets {
		sent = append(sent, envelope(&minted.Tickets[i], wire.Class(1+i%5)))
	}
	if r := alice.submit(beta.domain, sent...); len(r) != 0 {
		t.Fatalf("refused: %v", r)
	}
	for i, d := range bob.receive(0, len(sent)) {
		if d.Serial != minted.FirstSerial+uint64(i) || !bytes.HasSuffix(sent[i], d.Payload) || d.Ticket != minted.Tickets[i].Ticket {
			t.Errorf("delivery %d is not what was sent", i)
		}
	}
}

func TestTwoHopsThroughRestarts(t *testing.T) {
	alpha, beta := federated(t)
	alice, bob := newDevice(t, alpha, "alice@alpha.example"), newDevice(t, beta, "bob@beta.example")
	minted := bob.mint(300)
	want := map[[32]byte]bool{}
	send := func(from, to int) {
		var batch [][]byte
		for i := from; i < to; i++ {
			e := envelope(&minted.Tickets[i], wire.Class1K)
			var p wire.Envelope
			must(t, wire.ParseEnvelope(e, &p))
			want[*p.Com] = true
			batch = append(batch, e)
		}
		if r := alice.submit(beta.domain, batch...); len(r) != 0 {
			t.Fatalf("refused: %v", r)
		}
	}
	send(0, 100)
	beta.halt()
	send(100, 200) // acked by alpha, which keeps them
	alpha.halt()
	alpha.start()
	beta.start()
	alice.reconnect(alpha)
	bob.reconnect(beta)
	send(200, 300)
	for _, d := range bob.receive(0, 300) {
		if !want[d.Com] {
			t.Fatal("delivered twice, or never sent")
		}
		delete(want, d.Com)
	}
}

func TestQueryThroughTheOtherProvider(t *testing.T) {
	alpha, beta := federated(t)
	alice, bob := newDevice(t, alpha, "alice@alpha.example"), newDevice(t, beta, "bob@beta.example")
	publish(t, bob)
	ctx := testContext(t)
	var described *wire.Described
	for { // until the link is up
		var err error
		if described, err = quicnet.Ask[*wire.Described](ctx, alice.caller, &wire.Describe{Domain: beta.domain}); err == nil {
			break
		}
		var refused *quicnet.RefusedError
		if !errors.As(err, &refused) {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	d, err := directory.VerifyDescriptor(described.Descriptor, directory.DescriptorTrust{
		Domain: beta.domain, Pin: beta.pin, Today: today(),
	})
	must(t, err)
	first, second := lookup(t, alice, d, bob.address), lookup(t, alice, d, bob.address)
	if first.Bundles[0] == second.Bundles[0] {
		t.Error("two lookups share a bundle")
	}
}

func publish(t testing.TB, d *device) {
	t.Helper()
	publishAt(t, d, today())
}

func publishAt(t testing.TB, d *device, today ids.Day) {
	t.Helper()
	ctx := testContext(t)
	signed := ratchet.GenerateSignedPrekey(1, d.sign)
	last := ratchet.GenerateOneTime(1, d.sign, true)
	one := ratchet.GenerateOneTime(2, d.sign, false)
	_, err := quicnet.Ask[*wire.Stock](ctx, d.caller, &wire.Prekeys{
		Signed: wire.MustMarshal(ptr(signed.Public())), LastResort: wire.MustMarshal(ptr(last.Public())),
		OneTime: [][]byte{wire.MustMarshal(ptr(one.Public()))},
	})
	must(t, err)
	week := directory.WeekOf(today)
	pw, pz, err := directory.ProveMailboxKeys(d.w, d.z, d.address, d.mailbox, 1)
	must(t, err)
	k, err := directory.SignMailboxKey(directory.MailboxKeyFields{
		Mailbox: d.mailbox, Address: d.address, Week: week, Key: keys.NewSealKey().Public(), Expiry: today + 7,
		Generation: 1, W: pw, Z: pz,
	}, d.identity)
	must(t, err)
	_, err = quicnet.Ask[*wire.Done](ctx, d.caller, &wire.SealKey{Key: k.Bytes()})
	must(t, err)
}

func ptr[T any](v T) *T { return &v }

func lookup(t testing.TB, d *device, dest *directory.Descriptor, whom ids.Address) *directory.Contact {
	t.Helper()
	relayKey, ok := dest.RelayKey()
	if !ok {
		t.Fatal("descriptor without a relay key")
	}
	sealed, pending, err := query.Ask(relayKey.Key, relayKey.ID, query.KindLookup,
		wire.MustMarshal(&directory.LookupRequest{Address: whom}), time.Now())
	must(t, err)
	ask := func() *wire.Answer {
		var a *wire.Answer
		until(t, "answer of the other provider", func() bool { // which may not be connected yet
			a, err = quicnet.Ask[*wire.Answer](testContext(t), d.caller, &wire.Query{
				Dest: dest.Domain(), Kind: uint8(query.KindLookup), Sealed: sealed,
			})
			var refused *quicnet.RefusedError
			if errors.As(err, &refused) && refused.Code == wire.CodeUnreachable {
				return false
			}
			must(t, err)
			return true
		})
		return a
	}
	first := ask()
	if !bytes.Equal(first.Sealed, ask().Sealed) {
		t.Error("a repeated question got another answer")
	}
	payload, err := pending.Open(first.Sealed)
	must(t, err)
	c, err := directory.VerifyAnswer(payload, whom, today())
	must(t, err)
	return c
}

// freeAddr returns a loopback address that nobody listens on.
func freeAddr(t testing.TB) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	must(t, err)
	defer c.Close()
	return c.LocalAddr().String()
}
