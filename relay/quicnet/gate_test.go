package quicnet

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quic-go/quic-go"

	"waxwing/core/wire"
	"waxwing/ratelimit/limits"
)

func newGate() *gate {
	return &gate{limits: atOnce(6, 3, 4), now: time.Now, retryAbove: 2, failed: func(Failure) {}, perPrefix: map[netip.Prefix]int{}}
}

// atOnce returns limits of connections, those from one prefix, and handshakes.
func atOnce(conns, prefix, handshakes int64) *limits.Book {
	b, err := limits.New(limits.Settings{
		{Name: limits.Connections}: {Burst: conns}, {Name: limits.PrefixConnections}: {Burst: prefix},
		{Name: limits.Handshakes}: {Burst: handshakes},
	})
	if err != nil {
		panic(err)
	}
	return b
}

func udp(s string) net.Addr { return net.UDPAddrFromAddrPort(netip.MustParseAddrPort(s)) }

func TestGate(t *testing.T) {
	g := newGate()
	var cancels []context.CancelFunc
	begin := func(addr string, verified bool) *slot {
		ctx, cancel := context.WithCancel(context.Background())
		ctx, err := g.begin(ctx, &quic.ClientInfo{RemoteAddr: udp(addr), AddrVerified: verified})
		if err != nil {
			cancel()
			return nil
		}
		cancels = append(cancels, cancel)
		return slotOf(ctx)
	}
	const mallory, alice = "192.0.2.1:1", "192.0.2.2:1"
	for range 2 {
		if g.mustValidate(udp(mallory)) {
			t.Error("validation demanded below the threshold")
		}
		begin(mallory, false)
	}
	if !g.mustValidate(udp(alice)) {
		t.Error("no validation demanded above the threshold")
	}
	// Two forged handshakes from mallory's address do not count against it.
	var last *slot
	for range 3 {
		if last = begin(mallory, true); last == nil {
			t.Fatal("refused below the limit of one place")
		}
	}
	if begin(mallory, true) != nil {
		t.Error("not refused above the limit of one place")
	}
	if begin(alice, true) == nil {
		t.Error("another place is refused")
	}
	if begin("192.0.2.3:1", true) != nil {
		t.Error("not refused above the limit of all connections")
	}
	for range 2 { // the second time changes nothing
		if !g.establish(last) || g.handshakes != 3 {
			t.Errorf("established, %d handshakes left", g.handshakes)
		}
	}
	if g.total != 6 || g.refused != 2 {
		t.Errorf("%d connections, %d refused", g.total, g.refused)
	}
	for _, cancel := range cancels {
		cancel()
	}
	for range 1000 {
		g.mu.Lock()
		total := g.total
		g.mu.Unlock()
		if total == 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.total != 0 || g.handshakes != 0 || g.unvalidated != 0 || len(g.perPrefix) != 0 {
		t.Errorf("left behind: %d, %d, %d, %v", g.total, g.handshakes, g.unvalidated, g.perPrefix)
	}
}

// TestGateEstablish covers a place that fills up while handshakes from
// addresses that are not validated are under way.
func TestGateEstablish(t *testing.T) {
	g := newGate()
	g.retryAbove, g.limits = 100, atOnce(6, 3, 100)
	var slots []*slot
	for range 4 {
		ctx, err := g.begin(t.Context(), &quic.ClientInfo{RemoteAddr: udp("192.0.2.1:9")})
		if err != nil {
			t.Fatal(err)
		}
		slots = append(slots, slotOf(ctx))
	}
	for i, s := range slots {
		if got := g.establish(s); got != (i < 3) {
			t.Errorf("connection %d: %v", i, got)
		}
	}
	for range 2 {
		for _, s := range slots {
			g.release(s)
		}
	}
	if g.total != 0 || g.unvalidated != 0 || len(g.perPrefix) != 0 || g.establish(slots[0]) {
		t.Errorf("left behind: %+v", g)
	}
}

func TestPrefix(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"192.0.2.1:1", "192.0.2.1:2", true},
		{"192.0.2.1:1", "192.0.2.2:1", false},
		{"192.0.2.1:1", "[::ffff:192.0.2.1]:1", true},
		{"[2001:db8::1]:1", "[2001:db8::ffff]:1", true},
		{"[2001:db8:0:1::1]:1", "[2001:db8:0:2::1]:1", false},
		{"[fe80::1%eth0]:1", "[fe80::1%eth1]:1", true},
	} {
		if got := prefixOf(udp(c.a)) == prefixOf(udp(c.b)); got != c.same {
			t.Errorf("%s and %s: %v", c.a, c.b, got)
		}
	}
}

func TestMaxConns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, Config{Limits: atOnce(1, 1, 1)}, DialConfig{})
		again := DialConfig{Addr: p.listener.Addr().String(), Domain: alpha, Pin: p.id.Pin(), PacketConn: p.hosts[2]}
		if _, err := Dial(t.Context(), again); !errors.Is(err, ErrBusy) {
			t.Fatal(err)
		}
		if l := p.listener.Load(); l.Conns != 1 || l.Refused == 0 {
			t.Errorf("%+v", l)
		}
		p.client.Close(CodeNone)
		time.Sleep(time.Minute)
		if l := p.listener.Load(); l.Conns != 0 {
			t.Errorf("%+v", l)
		}
		_ = p.hosts[2].SetReadDeadline(time.Time{}) // quic-go has left one
		connect(t, p.listener, again)
	})
}

// TestMaxConnsPerPrefix connects three times from one address. The third is
// not known to be one too many before its handshake is complete.
func TestMaxConnsPerPrefix(t *testing.T) {
	id := newIdentity(t, alpha, time.Now())
	l := listen(t, Config{Identity: id, Addr: "127.0.0.1:0", Limits: atOnce(10, 2, 10)})
	dial := DialConfig{Addr: l.Addr().String(), Domain: alpha, Pin: id.Pin()}
	first, _ := connect(t, l, dial)
	connect(t, l, dial)
	third, err := Dial(t.Context(), dial)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if c, err := l.Accept(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("accepted %v, %v", c, err)
		}
	}()
	<-third.Context().Done()
	cancel()
	<-done
	var closed *CloseError
	if err := third.Err(); !errors.As(err, &closed) || closed.Code != wire.CodeLimit || !closed.Remote {
		t.Error(err)
	}
	first.Close(CodeNone)
	for l.Load().Conns > 1 {
		time.Sleep(time.Millisecond)
	}
	connect(t, l, dial)
}

// TestRetry makes the listener demand validation: the connection takes one
// round trip more and succeeds, with its address known to be real.
func TestRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t, 2)
		id := newIdentity(t, alpha, time.Now())
		l := listen(t, Config{Identity: id, PacketConn: n.hosts[0]})
		l.gate.retryAbove = 0
		client, server := connect(t, l, DialConfig{Addr: l.Addr().String(), Domain: alpha, Pin: id.Pin(), PacketConn: n.hosts[1]})
		openPair(t, client, server, wire.StreamSubmit)
		if s := slotOf(server.q.Context()); !s.verified {
			t.Error("the address was not validated")
		}
	})
}

// deaf sends and hears nothing.
type deaf struct{ net.PacketConn }

func (d deaf) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		if n, a, err := d.PacketConn.ReadFrom(b); err != nil {
			return n, a, err
		}
	}
}

// TestHalfOpenHandshakes checks that handshakes that are never completed are
// forgotten, and meanwhile stay below the amplification limit of RFC 9000
// section 8.1.
func TestHalfOpenHandshakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t, 6)
		id := newIdentity(t, alpha, time.Now())
		l := listen(t, Config{Identity: id, PacketConn: n.hosts[0], RetryAbove: 3})
		for _, h := range n.hosts[1:] {
			go func() {
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				defer cancel()
				_, err := Dial(ctx, DialConfig{Addr: l.Addr().String(), Domain: alpha, Pin: id.Pin(), PacketConn: deaf{h}})
				if !errors.Is(err, ErrTimeout) {
					t.Error(err)
				}
			}()
		}
		time.Sleep(time.Second)
		if got := l.Load(); got.Handshakes != 3 || got.Conns != 3 {
			t.Errorf("%+v", got)
		}
		time.Sleep(time.Minute)
		if got := l.Load(); got.Conns != 0 {
			t.Errorf("%+v", got)
		}
		stats := n.hosts[0].Stats()
		if stats.BytesSent > 3*stats.BytesRcvd {
			t.Errorf("%d bytes sent for %d", stats.BytesSent, stats.BytesRcvd)
		}
	})
}

func TestWindowBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, Config{}, DialConfig{})
		g := p.listener.gate
		q := p.server.q
		if !g.grow(q, windowBudget) {
			t.Error("refused within the budget")
		}
		if g.grow(q, 1) {
			t.Error("granted above the budget")
		}
		p.client.Close(CodeNone)
		<-q.Context().Done()
		synctest.Wait()
		if g.window != 0 || g.grow(q, 1) {
			t.Errorf("%d bytes stay with a connection that has ended", g.window)
		}
	})
}

func TestCloseAndDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, Config{}, DialConfig{})
		c, s := p.stream(t, wire.StreamSubmit)
		if err := p.listener.Drain(); err != nil {
			t.Fatal(err)
		}
		if _, err := p.listener.Accept(t.Context()); !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
		send(t, c, 1)
		receive(t, s, 1)
		for range 2 {
			if err := p.listener.Close(); err != nil {
				t.Error(err)
			}
		}
		<-p.client.Context().Done()
		var closed *CloseError
		if err := p.client.Err(); !errors.As(err, &closed) || closed.Code != wire.CodeBusy || !closed.Remote {
			t.Error(err)
		}
	})
}

func TestListenMisuse(t *testing.T) {
	id := newIdentity(t, alpha, time.Now())
	for name, c := range map[string]Config{
		"no identity":    {Addr: "127.0.0.1:0"},
		"no address":     {Identity: id},
		"no port":        {Identity: id, Addr: "127.0.0.1"},
		"negative limit": {Identity: id, Addr: "127.0.0.1:0", RetryAbove: -1},
	} {
		if _, err := Listen(c); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
