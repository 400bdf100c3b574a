package quicnet

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/quic-go/quic-go/testutils/simnet"
	"go.uber.org/goleak"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	alpha = ids.MustParseDomain("alpha.example")
	beta  = ids.MustParseDomain("beta.example")
	gamma = ids.MustParseDomain("gamma.example")
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func newIdentity(t testing.TB, d ids.Domain, now time.Time) *Identity {
	t.Helper()
	id, err := NewIdentity(d, keys.NewSigningKey(), now)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// network is a simulated network whose hosts are 10 ms apart. Use it inside a
// synctest bubble: its time costs nothing.
type network struct{ hosts []*simnet.SimConn }

func newNetwork(t testing.TB, hosts int) *network {
	t.Helper()
	sim := &simnet.Simnet{Router: &simnet.PerfectRouter{}}
	n := new(network)
	for i := range hosts {
		addr := net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}), 4433))
		n.hosts = append(n.hosts, sim.NewEndpoint(addr, simnet.NodeBiDiLinkSettings{Latency: 10 * time.Millisecond}))
	}
	if err := sim.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, h := range n.hosts {
			_ = h.Close()
		}
		_ = sim.Close()
	})
	return n
}

// pair is a listener of alpha's on host 0 and a connection to it from host 1.
type pair struct {
	*network
	id       *Identity
	listener *Listener
	client   *Conn // the connecting end
	server   *Conn // the accepting end
}

func newPair(t testing.TB, conf Config, dial DialConfig) *pair {
	t.Helper()
	p := &pair{network: newNetwork(t, 3)}
	p.id = newIdentity(t, alpha, time.Now())
	conf.Identity, conf.PacketConn = p.id, p.hosts[0]
	p.listener = listen(t, conf)
	dial.Addr, dial.Domain, dial.Pin, dial.PacketConn = p.listener.Addr().String(), alpha, p.id.Pin(), p.hosts[1]
	p.client, p.server = connect(t, p.listener, dial)
	return p
}

func listen(t testing.TB, conf Config) *Listener {
	t.Helper()
	l, err := Listen(conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func connect(t testing.TB, l *Listener, dial DialConfig) (client, server *Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	client, err := Dial(ctx, dial)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(CodeNone) })
	if server, err = l.Accept(ctx); err != nil {
		t.Fatal(err)
	}
	return client, server
}

// stream opens a stream and returns both ends.
func (p *pair) stream(t testing.TB, kind wire.StreamKind) (client, server *Stream) {
	t.Helper()
	return openPair(t, p.client, p.server, kind)
}

func openPair(t testing.TB, c, s *Conn, kind wire.StreamKind) (client, server *Stream) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	client, err := c.OpenStream(ctx, kind)
	if err != nil {
		t.Fatal(err)
	}
	if server, err = s.AcceptStream(ctx); err != nil {
		t.Fatal(err)
	}
	return client, server
}
