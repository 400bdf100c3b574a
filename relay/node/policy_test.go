package node

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"waxwing/blocklist"
	"waxwing/core/directory"
	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
	"waxwing/ratelimit/gcra"
	"waxwing/ratelimit/limits"
	"waxwing/relay"
	"waxwing/relay/quicnet"
)

func (s *server) count(reason relay.Reason, from string) float64 {
	if from == "peer" {
		return testutil.ToFloat64(s.node.metrics.forwarded[reason])
	}
	return testutil.ToFloat64(s.node.metrics.submitted[reason])
}

// A blocked sender's next envelope is disposed of in the relay, and the sender
// sees the same frames as for one that is delivered.
func TestBlockIsSilent(t *testing.T) {
	alpha, beta := federated(t)
	alice, bob := newDevice(t, alpha, "alice@alpha.example"), newDevice(t, beta, "bob@beta.example")
	minted := bob.mint(3)
	if r := alice.submit(beta.domain, envelope(&minted.Tickets[0], wire.Class1K)); len(r) != 0 {
		t.Fatal(r)
	}
	bob.receive(0, 1)
	var serials []blocklist.Serial
	for i := range minted.Tickets {
		serials = append(serials, blocklist.Serial{Day: minted.Expiry, N: minted.FirstSerial + uint64(i)})
	}
	for _, req := range blocklist.NewRequests(blocklist.NewEntryID(), blocklist.Pseudonym{}, serials) {
		b, err := req.Marshal()
		must(t, err)
		blocked, err := quicnet.Ask[*wire.Blocked](testContext(t), bob.caller, &wire.Block{Block: b})
		must(t, err)
		if blocked.Struck != 2 {
			t.Errorf("%d serials struck; one of three was spent", blocked.Struck)
		}
	}
	if r := alice.submit(beta.domain, envelope(&minted.Tickets[1], wire.Class1K)); len(r) != 0 {
		t.Errorf("alice is told of the block: %v", r)
	}
	other := bob.mint(1)
	if r := alice.submit(beta.domain, envelope(&other.Tickets[0], wire.Class1K)); len(r) != 0 {
		t.Fatal(r)
	}
	if d := bob.receive(bob.last, 1)[0]; d.Ticket != other.Tickets[0].Ticket {
		t.Error("the blocked message was delivered")
	}
	if n := beta.count(relay.DisposedStruck, "peer"); n != 1 {
		t.Errorf("%v disposals counted", n)
	}
}

// The answer to an envelope, byte for byte, for every way in which it may be
// disposed of.
func TestDisposalsAreAckedAlike(t *testing.T) {
	beta := newServer(t, "beta.example").start()
	alice, bob := newDevice(t, beta, "alice@beta.example"), newDevice(t, beta, "bob@beta.example")
	minted := bob.mint(4)
	good := envelope(&minted.Tickets[0], wire.Class1K)
	forged, unbound := envelope(&minted.Tickets[1], wire.Class1K), envelope(&minted.Tickets[2], wire.Class1K)
	forged[30] ^= 1
	unbound[900] ^= 1
	want := ""
	for _, tt := range []struct {
		name string
		raw  []byte
	}{{"delivered", good}, {"duplicate", good}, {"spent", envelope(&minted.Tickets[0], wire.Class1K)}, {"forged", forged}, {"binder", unbound}} {
		s := alice.stream(wire.StreamSubmit)
		must(t, s.WriteFrame(wire.TypeSubmit, &wire.Submit{Number: 1, Dest: beta.domain, Auth: wire.AuthConnection, Envelope: tt.raw}))
		must(t, s.Flush())
		typ, body, err := s.ReadFrame()
		must(t, err)
		got := string(rune(typ)) + string(body)
		if want == "" {
			want = got
		}
		if got != want {
			t.Errorf("%s is answered %x, a delivery %x", tt.name, got, want)
		}
		s.Cancel(quicnet.CodeNone)
	}
	if len(bob.receive(0, 1)) != 1 {
		t.Error("not one delivery")
	}
}

func refusedWith(err error, code wire.Code) bool {
	var r *quicnet.RefusedError
	return errors.As(err, &r) && r.Code == code
}

func TestAuthentication(t *testing.T) {
	beta := newServer(t, "beta.example").start()
	bob := newDevice(t, beta, "bob@beta.example")
	ctx := testContext(t)

	stranger := &device{t: t}
	stranger.dial(beta)
	if _, err := stranger.caller.Call(ctx, &wire.Mint{Count: 1, Expiry: today()}); !refusedWith(err, wire.CodeUnauthenticated) {
		t.Errorf("minting without authentication: %v", err)
	}
	for i := range 12 {
		_, err := stranger.caller.Call(ctx, &wire.Describe{Domain: beta.domain})
		if want := i >= 8; want != refusedWith(err, wire.CodeUnauthenticated) {
			t.Errorf("descriptor %d without authentication: %v", i, err)
		}
	}
	// A signature made for another connection, or by another key, or for
	// another account.
	elsewhere := directory.SignAuth(bob.sign, bob.address, 1, beta.domain, bob.challenge())
	otherKey := directory.SignAuth(keys.NewSigningKey(), bob.address, 1, beta.domain, stranger.challenge())
	other := ids.MustParseAddress("carol@beta.example")
	unknown := directory.SignAuth(bob.sign, other, 1, beta.domain, stranger.challenge())
	for name, m := range map[string]*wire.Auth{
		"another connection": {Address: bob.address, Device: 1, Signature: elsewhere},
		"another key":        {Address: bob.address, Device: 1, Signature: otherKey},
		"unknown account":    {Address: other, Device: 1, Signature: unknown},
	} {
		if _, err := stranger.caller.Call(ctx, m); !refusedWith(err, wire.CodeUnauthenticated) {
			t.Errorf("%s: %v", name, err)
		}
	}
	right := &wire.Auth{Address: bob.address, Device: 1, Signature: directory.SignAuth(bob.sign, bob.address, 1, beta.domain, stranger.challenge())}
	if _, err := stranger.caller.Call(ctx, right); !refusedWith(err, wire.CodeConflict) {
		t.Errorf("a fourth attempt: %v", err)
	}
}

// Streams of a connection that is nobody's end the connection, but for one of
// messages with tokens.
func TestStreamsNeedAuthentication(t *testing.T) {
	beta := newServer(t, "beta.example").start()
	for _, kind := range []wire.StreamKind{wire.StreamDeliver, wire.StreamForward} {
		d := &device{t: t}
		d.dial(beta)
		s := d.stream(kind)
		_, _, err := s.ReadFrame()
		if !errors.Is(err, quicnet.ErrClosed) {
			t.Errorf("stream %d: %v", kind, err)
		}
	}
}

// newApplicant makes the keys of an account that is still to be registered.
func newApplicant(t testing.TB, address string) *device {
	d := &device{t: t, address: ids.MustParseAddress(address), identity: keys.NewSigningKey(), sign: keys.NewSigningKey()}
	f := directory.ManifestFields{Address: d.address, Version: 1, Identity: d.identity.Public(), DH: keys.NewDHKey().Public()}
	f.AddDevice(d.sign.Public(), keys.NewDHKey().Public())
	var err error
	f.AccountKey, err = directory.ProveAccountKey(group.Ristretto255().RandomScalar(), d.address, d.identity.Public())
	must(t, err)
	d.manifest, err = directory.SignManifest(f, d.identity)
	must(t, err)
	return d
}

// register asks on a new connection.
func register(t testing.TB, s *server, d *device, invite string) error {
	d.dial(s)
	sig := directory.SignRegistration(d.identity, d.manifest, s.domain, d.challenge())
	_, err := d.caller.Call(testContext(t), &wire.Register{Invite: []byte(invite), Manifest: d.manifest.Bytes(), Signature: sig})
	return err
}

// Without an invite nobody gets in, nor learns of an address, nor uses up the
// limit of those who have one; a code works once, and again for a lost answer.
func TestRegistrationByInvite(t *testing.T) {
	beta := newServer(t, "beta.example")
	beta.conf.Registration = relay.RegistrationInvite
	beta.conf.Limits = limits.Settings{{Name: limits.Registrations}: gcra.Limit{Burst: 3, Count: 1, Period: time.Hour}}
	beta.start()
	code, _, err := beta.node.directory.NewInvite(t.Context(), 1, time.Now().Add(time.Hour), time.Now())
	must(t, err)
	bob, carol := newApplicant(t, "bob@beta.example"), newApplicant(t, "carol@beta.example")
	for _, bad := range []string{"", "nonsense", new(directory.InviteCode).Text(), code.Text()[1:]} {
		if err := register(t, beta, bob, bad); !refusedWith(err, wire.CodeForbidden) {
			t.Errorf("invite %q: %v", bad, err)
		}
	}
	for range 2 {
		if err := register(t, beta, bob, code.Text()); err != nil {
			t.Errorf("a good invite: %v", err)
		}
	}
	if err := register(t, beta, carol, code.Text()); !refusedWith(err, wire.CodeForbidden) {
		t.Errorf("a used invite: %v", err)
	}
	if err := register(t, beta, newApplicant(t, bob.address.String()), ""); !refusedWith(err, wire.CodeForbidden) {
		t.Errorf("a taken address without an invite: %v", err)
	}
}

func TestRegistration(t *testing.T) {
	beta := newServer(t, "beta.example")
	beta.conf.Limits = limits.Settings{{Name: limits.Registrations}: gcra.PerSecond(1, 3)}
	beta.start()
	bob := newDevice(t, beta, "bob@beta.example")
	register := func(address string) error { return register(t, beta, newApplicant(t, address), "") }
	if err := register(bob.address.String()); !refusedWith(err, wire.CodeExists) {
		t.Errorf("a taken address: %v", err)
	}
	if err := register("bob@alpha.example"); !refusedWith(err, wire.CodeForbidden) {
		t.Errorf("an address elsewhere: %v", err)
	}
	if err := register("carol@beta.example"); !refusedWith(err, wire.CodeLimit) {
		t.Errorf("above the limit: %v", err)
	}
	beta.halt()
	beta.conf.Registration = relay.RegistrationClosed
	beta.start()
	if err := register("carol@beta.example"); !refusedWith(err, wire.CodeForbidden) {
		t.Errorf("closed: %v", err)
	}
}

// Over its limit an account is told when to come back; what was taken before
// is not lost.
func TestAccountLimit(t *testing.T) {
	beta := newServer(t, "beta.example")
	beta.conf.Limits = limits.Settings{{Name: limits.AccountEnvelopes}: gcra.Limit{Burst: 2, Count: 1, Period: 1e12}}
	beta.start()
	alice, bob := newDevice(t, beta, "alice@beta.example"), newDevice(t, beta, "bob@beta.example")
	minted := bob.mint(4)
	var all [][]byte
	for i := range minted.Tickets {
		all = append(all, envelope(&minted.Tickets[i], wire.Class1K))
	}
	r := alice.submit(beta.domain, all...)
	if len(r) != 2 || r[3].Code != wire.CodeLimit || r[4].RetryAfter == 0 {
		t.Errorf("refused: %v", r)
	}
	bob.receive(0, 2)
}

// Frames that break the protocol end the connection with code 1, count once each, and
// cost nothing that was acked before.
func TestProtocolErrors(t *testing.T) {
	beta := newServer(t, "beta.example").start()
	alice, bob := newDevice(t, beta, "alice@beta.example"), newDevice(t, beta, "bob@beta.example")
	minted := bob.mint(2).Tickets
	if r := alice.submit(beta.domain, envelope(&minted[0], wire.Class1K)); len(r) != 0 {
		t.Fatal(r)
	}
	good := envelope(&minted[1], wire.Class1K)
	for name, m := range map[string]func(s *quicnet.Stream) error{
		"number out of order": func(s *quicnet.Stream) error {
			return s.WriteFrame(wire.TypeSubmit, &wire.Submit{Number: 2, Dest: beta.domain, Auth: wire.AuthConnection, Envelope: good})
		},
		"frame of another stream": func(s *quicnet.Stream) error {
			return s.WriteFrame(wire.TypeForward, &wire.Forward{Number: 1, Envelope: good})
		},
		"unknown frame": func(s *quicnet.Stream) error { return s.WriteFrame(99, &wire.Ack{UpTo: 1}) },
		"oversized frame": func(s *quicnet.Stream) error {
			return s.Append(func(b []byte) ([]byte, error) {
				return append(binary.BigEndian.AppendUint32(b, 1+wire.MaxFrame+1), byte(wire.TypeSubmit)), nil
			})
		},
		"frame without a type": func(s *quicnet.Stream) error {
			return s.Append(func(b []byte) ([]byte, error) { return append(b, 0, 0, 0, 0, byte(wire.TypeSubmit)), nil })
		},
	} {
		alice.reconnect(beta)
		before := testutil.ToFloat64(beta.node.metrics.protocol)
		s := alice.stream(wire.StreamSubmit)
		must(t, m(s))
		must(t, s.Flush())
		_, _, err := s.ReadFrame()
		<-alice.conn.Context().Done()
		var closed *quicnet.CloseError
		if err == nil || !errors.As(alice.conn.Err(), &closed) || closed.Code != wire.CodeMalformed || !closed.Remote {
			t.Errorf("%s: %v, %v", name, err, alice.conn.Err())
		}
		if n := testutil.ToFloat64(beta.node.metrics.protocol) - before; n != 1 {
			t.Errorf("%s: counted %v times", name, n)
		}
	}
	alice.reconnect(beta)
	if r := alice.submit(beta.domain, good); len(r) != 0 {
		t.Errorf("afterwards: %v", r)
	}
	bob.receive(0, 2)
}

// A device that subscribes again gets what it has not acked, and nothing that
// it has.
func TestDeliveryResumes(t *testing.T) {
	beta := newServer(t, "beta.example").start()
	alice, bob := newDevice(t, beta, "alice@beta.example"), newDevice(t, beta, "bob@beta.example")
	minted := bob.mint(10)
	var all [][]byte
	for i := range minted.Tickets {
		all = append(all, envelope(&minted.Tickets[i], wire.Class1K))
	}
	alice.submit(beta.domain, all...)
	bob.receive(0, 4)
	bob.reconnect(beta)
	for i, d := range bob.receive(bob.last, 6) {
		if d.Serial != minted.FirstSerial+4+uint64(i) {
			t.Errorf("delivery %d has serial %d", i, d.Serial)
		}
	}
}

// No metric has an address, a mailbox or a provider in it.
func TestMetricsNameNobody(t *testing.T) {
	alpha, beta := federated(t)
	alice, bob := newDevice(t, alpha, "alice@alpha.example"), newDevice(t, beta, "bob@beta.example")
	alice.submit(beta.domain, envelope(&bob.mint(1).Tickets[0], wire.Class1K))
	bob.receive(0, 1)
	for _, s := range []*server{alpha, beta} {
		families, err := s.node.Gatherer().Gather()
		must(t, err)
		for _, f := range families {
			text := f.String()
			for _, name := range []string{"alice", "bob", "alpha", "beta", "example", string(bob.mailbox[:])} {
				if strings.Contains(text, name) {
					t.Errorf("%s holds %q", f.GetName(), name)
				}
			}
		}
	}
}

func TestInit(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(Config{Dir: dir, Listen: "127.0.0.1:0"}); !errors.Is(err, ErrNotInitialised) {
		t.Errorf("an empty directory: %v", err)
	}
	domain := ids.MustParseDomain("beta.example")
	pin, err := Init(dir, domain, nil)
	must(t, err)
	if _, err := Init(dir, domain, nil); !errors.Is(err, ErrInitialised) {
		t.Errorf("twice: %v", err)
	}
	got, again, err := Identify(dir)
	if err != nil || got != domain || again != pin {
		t.Errorf("%v %v %v", got, again, err)
	}
	for name, peers := range map[string][]Peer{
		"itself": {{Domain: domain}}, "nobody": {{}},
		"twice": {{Domain: ids.MustParseDomain("a.example")}, {Domain: ids.MustParseDomain("a.example")}},
	} {
		if _, err := Open(Config{Dir: dir, Listen: "127.0.0.1:0", Peers: peers}); !errors.Is(err, ErrConfig) {
			t.Errorf("peer %s: %v", name, err)
		}
	}
}
