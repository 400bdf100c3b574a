package node

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/store"
	"waxwing/core/wire"
	"waxwing/relay"
	"waxwing/relay/quicnet"
)

func (s *server) asPeer() Peer { return Peer{s.domain, s.conf.Listen, s.pin} }

// status returns what the server tells of a peer.
func (s *server) status(d ids.Domain) (PeerStatus, bool) {
	s.t.Helper()
	all, err := s.node.PeerStatus(s.t.Context())
	must(s.t, err)
	for _, p := range all {
		if p.Domain == d {
			return p, true
		}
	}
	return PeerStatus{}, false
}

// until waits until a peer's status is as wanted.
func (s *server) until(d ids.Domain, what string, ok func(PeerStatus) bool) PeerStatus {
	s.t.Helper()
	var p PeerStatus
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		var has bool
		if p, has = s.status(d); has && ok(p) {
			return p
		}
	}
	s.t.Fatalf("not %s: %v, last %v", what, p.Connected, p.LastError)
	return p
}

func connected(p PeerStatus) bool { return !p.Connected.IsZero() }

func lastError(e LinkError) func(PeerStatus) bool {
	return func(p PeerStatus) bool { return p.LastError == e }
}

// send submits n fresh envelopes for bob through alice's provider.
func send(alice, bob *device, dest ids.Domain, n int) map[uint64]wire.Refused {
	minted := bob.mint(n)
	var all [][]byte
	for i := range minted.Tickets {
		all = append(all, envelope(&minted.Tickets[i], wire.Class1K))
	}
	return alice.submit(dest, all...)
}

// Two providers that know nothing of each other federate, through restarts,
// part, and federate again; what was taken in between arrives.
func TestPeersComeAndGo(t *testing.T) {
	ctx := t.Context()
	alpha, beta := newServer(t, "alpha.example").start(), newServer(t, "beta.example").start()
	alice, bob := newDevice(t, alpha, "alice@alpha.example"), newDevice(t, beta, "bob@beta.example")
	if r := send(alice, bob, beta.domain, 1); r[1].Code != wire.CodeUnknownProvider {
		t.Fatalf("before: %v", r)
	}
	must(t, alpha.node.AddPeer(ctx, beta.asPeer(), false))
	alpha.until(beta.domain, "refused by who does not know it", lastError(LinkRefused))
	if n := testutil.ToFloat64(beta.node.metrics.failed[quicnet.FailedPin]); n == 0 {
		t.Error("beta has not counted it")
	}
	must(t, beta.node.AddPeer(ctx, alpha.asPeer(), false))
	if r := send(alice, bob, beta.domain, 2); len(r) != 0 {
		t.Fatalf("as peers: %v", r)
	}
	bob.receive(0, 2)
	// Also keys, at once: whoever registers now may introduce itself.
	agreed(t, alpha, beta)
	p := alpha.until(beta.domain, "connected", connected)
	if p.Sequence != 1 || p.Expiry < today() || p.Configured || p.Removed {
		t.Errorf("%+v", p)
	}
	if p := beta.until(alpha.domain, "connected", connected); p.Forwarded[relay.Delivered] != 2 || p.Incoming != 1 {
		t.Errorf("%+v", p)
	}

	alpha.halt()
	beta.halt()
	alpha.start()
	beta.start()
	alice.reconnect(alpha)
	bob.reconnect(beta)
	send(alice, bob, beta.domain, 1)
	bob.receive(bob.last, 1)

	// Settled: an ack that is lost now would leave the message in the queue.
	alpha.until(beta.domain, "empty queue", func(p PeerStatus) bool { return p.Queue.Messages == 0 })

	// Beta removes alpha: the connections end, and new ones are refused. What
	// alpha takes for beta waits there.
	must(t, beta.node.RemovePeer(ctx, alpha.domain, false))
	if err := beta.node.RemovePeer(ctx, alpha.domain, false); !errors.Is(err, ErrNoPeer) {
		t.Errorf("removed twice: %v", err)
	}
	alpha.until(beta.domain, "refused", lastError(LinkRefused))
	if _, has := beta.status(alpha.domain); has {
		t.Error("beta still knows alpha")
	}
	if r := send(alice, bob, beta.domain, 3); len(r) != 0 {
		t.Fatal(r)
	}
	alpha.until(beta.domain, "full queue", func(p PeerStatus) bool { return p.Queue.Messages == 3 })
	must(t, beta.node.AddPeer(ctx, alpha.asPeer(), false))
	bob.receive(bob.last, 3)

	// Alpha removes beta: nothing more is taken for it.
	must(t, alpha.node.RemovePeer(ctx, beta.domain, false))
	if r := send(alice, bob, beta.domain, 1); r[1].Code != wire.CodeUnknownProvider {
		t.Errorf("removed: %v", r)
	}
	alpha.halt()
	alpha.start()
	if _, has := alpha.status(beta.domain); has {
		t.Error("a removed peer comes back with a restart")
	}
}

// What waits for a removed peer waits on, unless it is dropped.
func TestQueueOfARemovedPeer(t *testing.T) {
	ctx := t.Context()
	alpha, beta := newServer(t, "alpha.example").start(), newServer(t, "beta.example").start()
	alice, bob := newDevice(t, alpha, "alice@alpha.example"), newDevice(t, beta, "bob@beta.example")
	must(t, alpha.node.AddPeer(ctx, beta.asPeer(), false)) // beta does not take part
	send(alice, bob, beta.domain, 2)
	for _, tt := range []struct {
		drop bool
		want int
	}{{false, 2}, {true, 0}} {
		must(t, alpha.node.RemovePeer(ctx, beta.domain, tt.drop))
		must(t, alpha.node.AddPeer(ctx, beta.asPeer(), false))
		if p, _ := alpha.status(beta.domain); p.Queue.Messages != tt.want {
			t.Errorf("dropped %v: %d wait", tt.drop, p.Queue.Messages)
		}
	}
	send(alice, bob, beta.domain, 1)
	must(t, alpha.node.RemovePeer(ctx, beta.domain, false))
	must(t, alpha.node.RemovePeer(ctx, beta.domain, true))
	must(t, alpha.node.AddPeer(ctx, beta.asPeer(), false))
	if p, _ := alpha.status(beta.domain); p.Queue.Messages != 0 {
		t.Error("dropped later: messages wait")
	}
}

// A wrong pin is told as such and is replaced only when that is said.
func TestRepin(t *testing.T) {
	ctx := t.Context()
	alpha, beta := newServer(t, "alpha.example").start(), newServer(t, "beta.example").start()
	alice, bob := newDevice(t, alpha, "alice@alpha.example"), newDevice(t, beta, "bob@beta.example")
	must(t, beta.node.AddPeer(ctx, alpha.asPeer(), false))
	wrong := beta.asPeer()
	wrong.Pin = keys.Pin{1}
	must(t, alpha.node.AddPeer(ctx, wrong, false))
	send(alice, bob, beta.domain, 1)
	p := alpha.until(beta.domain, "refused for its pin", lastError(LinkPin))
	if p.LastError.Advice() == "" || p.LastErrorAt.IsZero() {
		t.Errorf("%+v", p)
	}
	if err := alpha.node.AddPeer(ctx, beta.asPeer(), false); !errors.Is(err, ErrPeerPinned) {
		t.Errorf("another pin without a word: %v", err)
	}
	must(t, alpha.node.AddPeer(ctx, beta.asPeer(), true))
	bob.receive(0, 1)
	// The same again, and another address, need no such word.
	must(t, alpha.node.AddPeer(ctx, beta.asPeer(), false))
	moved := beta.asPeer()
	moved.Addr = freeAddr(t)
	must(t, alpha.node.AddPeer(ctx, moved, false))
	if p, _ := alpha.status(beta.domain); p.Addr != moved.Addr || connected(p) {
		t.Errorf("%+v", p)
	}
}

// A peer that connects with a root that is no longer pinned does not slip
// through between its handshake and the change.
func TestAttachChecksThePin(t *testing.T) {
	alpha, beta := newServer(t, "alpha.example").start(), newServer(t, "beta.example").start()
	must(t, beta.node.AddPeer(t.Context(), alpha.asPeer(), false))
	must(t, alpha.node.AddPeer(t.Context(), beta.asPeer(), false))
	beta.until(alpha.domain, "connected", func(p PeerStatus) bool { return p.Incoming == 1 })
	l := beta.node.peers.link(alpha.domain)
	var c *quicnet.Conn
	for c = range l.status.conns {
	}
	other := newLink(beta.node, Peer{alpha.domain, alpha.conf.Listen, keys.Pin{1}})
	if other.attach(c) {
		t.Error("a connection under the old pin is taken")
	}
	if !l.attach(c) {
		t.Error("a good connection is refused")
	}
	must(t, beta.node.RemovePeer(t.Context(), alpha.domain, false))
	if l.attach(c) {
		t.Error("a connection of a removed peer is taken")
	}
}

// What was said by command wins over the configuration, until it is said
// otherwise.
func TestCommandsAndConfiguration(t *testing.T) {
	ctx := t.Context()
	alpha, beta := federated(t)
	if p := alpha.until(beta.domain, "connected", connected); !p.Configured || p.Differs || p.Removed {
		t.Errorf("configured: %+v", p)
	}
	must(t, alpha.node.RemovePeer(ctx, beta.domain, false))
	alpha.halt()
	alpha.start()
	if p, _ := alpha.status(beta.domain); !p.Removed || !p.Configured || alpha.node.peers.Known(beta.domain) {
		t.Errorf("removed: %+v", p)
	}
	moved := beta.asPeer()
	moved.Addr = "localhost" + moved.Addr[len("127.0.0.1"):]
	must(t, alpha.node.AddPeer(ctx, moved, false))
	alpha.halt()
	alpha.start()
	if p := alpha.until(beta.domain, "connected", connected); !p.Configured || !p.Differs || p.Removed || p.Addr != moved.Addr {
		t.Errorf("added with another address: %+v", p)
	}
}

func TestNotUsableAsAPeer(t *testing.T) {
	ctx := t.Context()
	alpha := newServer(t, "alpha.example")
	good := Peer{ids.MustParseDomain("beta.example"), "127.0.0.1:1", keys.Pin{1}}
	bad := map[string]Peer{
		"no domain":  {ids.Domain{}, good.Addr, good.Pin},
		"own domain": {alpha.domain, good.Addr, good.Pin},
		"no address": {good.Domain, "", good.Pin},
		"no port":    {good.Domain, "127.0.0.1", good.Pin},
		"bad port":   {good.Domain, "127.0.0.1:70000", good.Pin},
		"no pin":     {good.Domain, good.Addr, keys.Pin{}},
	}
	for name, p := range bad {
		alpha.conf.Peers = []Peer{p}
		if n, err := Open(alpha.conf); !errors.Is(err, ErrConfig) {
			t.Errorf("%s configured: %v", name, err)
			n.close()
		}
	}
	alpha.conf.Peers = nil
	alpha.start()
	for name, p := range bad {
		if err := alpha.node.AddPeer(ctx, p, true); !errors.Is(err, ErrPeer) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := alpha.node.RemovePeer(ctx, good.Domain, false); !errors.Is(err, ErrNoPeer) {
		t.Errorf("removing nobody: %v", err)
	}
}

// Peers may be added before the server runs, and not once it stops.
func TestAddBesideRun(t *testing.T) {
	alpha, beta := newServer(t, "alpha.example"), newServer(t, "beta.example").start()
	n, err := Open(alpha.conf)
	must(t, err)
	must(t, n.AddPeer(t.Context(), beta.asPeer(), false))
	must(t, n.RemovePeer(t.Context(), beta.domain, false))
	must(t, n.AddPeer(t.Context(), beta.asPeer(), false))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	cancel()
	must(t, <-done)
	if err := n.AddPeer(t.Context(), Peer{ids.MustParseDomain("gamma.example"), "127.0.0.1:1", keys.Pin{1}}, false); !errors.Is(err, ErrStopping) {
		t.Errorf("after the end: %v", err)
	}
}

// A descriptor that is older than the known one, contradicts it or has expired
// is refused, and what is to be done about it is said.
func TestDescriptorIsRefused(t *testing.T) {
	ctx := t.Context()
	alpha, beta := federated(t)
	alpha.until(beta.domain, "connected", connected)
	file := filepath.Join(beta.conf.Dir, fileDescriptor)
	first, err := os.ReadFile(file)
	must(t, err)
	beta.halt()
	listen := beta.conf.Listen
	beta.conf.Endpoints = []string{"relay.beta.example:4433"} // a second descriptor
	beta.start()
	alpha.until(beta.domain, "second descriptor", func(p PeerStatus) bool { return p.Sequence == 2 && connected(p) })

	// Restored from a backup.
	beta.halt()
	must(t, os.WriteFile(file, first, 0o600))
	beta.conf.Endpoints = []string{listen}
	beta.start()
	p := alpha.until(beta.domain, "refused as older", lastError(LinkDescriptorOlder))
	if connected(p) || p.Sequence != 2 {
		t.Errorf("%+v", p)
	}
	// Going on from the backup, it comes to another second descriptor.
	beta.halt()
	beta.conf.Endpoints = []string{"other.beta.example:4433"}
	beta.start()
	alpha.until(beta.domain, "refused as a fork", lastError(LinkDescriptorFork))
	// The operators have talked about it.
	must(t, alpha.node.AddPeer(ctx, beta.asPeer(), true))
	alpha.until(beta.domain, "connected", connected)
}

// A server whose clock was weeks behind when it signed its descriptor.
func TestExpiredDescriptorIsRefused(t *testing.T) {
	alpha, beta := newServer(t, "alpha.example").start(), newServer(t, "beta.example")
	var behind atomic.Bool
	behind.Store(true)
	beta.conf.Now = func() time.Time {
		if behind.Load() {
			return time.Now().Add(-(descriptorLife + 1) * 24 * time.Hour)
		}
		return time.Now()
	}
	beta.start()
	behind.Store(false)
	must(t, beta.node.AddPeer(t.Context(), alpha.asPeer(), false))
	must(t, alpha.node.AddPeer(t.Context(), beta.asPeer(), false))
	if p := alpha.until(beta.domain, "refused as expired", lastError(LinkDescriptorOver)); connected(p) || p.Sequence != 0 {
		t.Errorf("%+v", p)
	}
}

// Every reason has a text, and all but none an advice.
func TestLinkErrors(t *testing.T) {
	seen := map[string]bool{}
	for e := range linkErrorEnd {
		if e.String() == "" || seen[e.String()] || (e == LinkNone) != (e.Advice() == "") {
			t.Errorf("reason %d: %q, %q", e, e, e.Advice())
		}
		seen[e.String()] = true
	}
	if linkErrorEnd.String() != "unknown" || linkErrorEnd.Advice() != "" {
		t.Error("a reason beyond the end")
	}
	for err, want := range map[error]LinkError{
		quicnet.ErrPin:                     LinkPin,
		&descriptorError{directory.ErrPin}: LinkDescriptor,
		&quicnet.CloseError{Remote: true, Code: wire.CodeForbidden}: LinkRefused,
		&quicnet.CloseError{Code: wire.CodeForbidden}:               LinkClosed,
		&quicnet.CloseError{Remote: true, Code: wire.CodeBusy}:      LinkBusy,
		store.ErrUnavailable:     LinkStore,
		errors.New("alpha said"): LinkClosed,
	} {
		if got := linkErrorOf(err); got != want {
			t.Errorf("%v is %v", err, got)
		}
	}
}
