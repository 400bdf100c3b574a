package quicnet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/quic-go/quic-go"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
	"waxwing/ratelimit/limits"
)

// Config says how to listen. Identity and one of Addr and PacketConn are
// required; every other field's zero value means its default.
type Config struct {
	Addr       string         // UDP address, "host:port"; port 0 lets the system choose
	PacketConn net.PacketConn // used instead of Addr, and left open by Close
	Identity   *Identity
	// PeerPin returns the pin of a provider that may connect as a peer. It is
	// called during handshakes, concurrently, and must not block. Without it no
	// peer may connect.
	PeerPin func(ids.Domain) (keys.Pin, bool)
	Now     func() time.Time // time.Now

	// Limits says how many connections and handshakes there may be at once
	// (limits.Connections, limits.PrefixConnections, limits.Handshakes). Default:
	// one of its own, with defaults.
	Limits *limits.Book
	// RetryAbove is how many handshakes from addresses that are not validated
	// may be under way before others must validate theirs first; 64.
	RetryAbove int
	// Failed is told of each handshake that was begun and not completed, because of
	// a packet, a certificate or the time. It must not block. Default: nobody is.
	Failed   func(Failure)
	Timeouts Timeouts
}

func (c *Config) validate() error {
	if c.Identity == nil {
		return fmt.Errorf("%w: no identity", ErrConfig)
	}
	if c.Addr == "" && c.PacketConn == nil {
		return fmt.Errorf("%w: no address to listen on", ErrConfig)
	}
	if c.PeerPin == nil {
		c.PeerPin = func(ids.Domain) (keys.Pin, bool) { return keys.Pin{}, false }
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.RetryAbove < 0 {
		return fmt.Errorf("%w: negative limit", ErrConfig)
	}
	if c.RetryAbove == 0 {
		c.RetryAbove = defaultRetryAbove
	}
	if c.Failed == nil {
		c.Failed = func(Failure) {}
	}
	if c.Limits == nil {
		var err error
		if c.Limits, err = limits.New(nil); err != nil {
			return fmt.Errorf("%w: %w", ErrConfig, err)
		}
	}
	c.Timeouts.defaults()
	return nil
}

// Listener accepts connections. Its methods may be called concurrently.
type Listener struct {
	// fixed
	conf      Config
	gate      *gate
	transport *quic.Transport
	ql        *quic.Listener
	socket    net.PacketConn // nil if it is not ours to close

	mu     sync.Mutex // guards conns and closed
	conns  map[*quic.Conn]struct{}
	closed bool
}

// Listen starts to listen. Errors are ErrConfig, or of the socket.
func Listen(conf Config) (*Listener, error) {
	if err := conf.validate(); err != nil {
		return nil, err
	}
	l := &Listener{conf: conf, conns: map[*quic.Conn]struct{}{}, gate: &gate{
		limits: conf.Limits, now: conf.Now, retryAbove: conf.RetryAbove, failed: conf.Failed,
		perPrefix: map[netip.Prefix]int{},
	}}
	socket := conf.PacketConn
	if socket == nil {
		addr, err := net.ResolveUDPAddr("udp", conf.Addr)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrConfig, err)
		}
		udp, err := net.ListenUDP("udp", addr)
		if err != nil {
			return nil, fmt.Errorf("quicnet: %w", err)
		}
		l.socket = udp
		socket = receiveJoined(udp, listenReads)
	}
	l.transport = &quic.Transport{
		Conn:                socket,
		StatelessResetKey:   &conf.Identity.reset,
		MaxTokenAge:         tokenAge,
		VerifySourceAddress: l.gate.mustValidate,
		ConnContext:         l.gate.begin,
	}
	qconf := baseQUIC(conf.Timeouts)
	qconf.MaxIncomingStreams = maxStreams
	qconf.AllowConnectionWindowIncrease = l.gate.grow
	var err error
	if l.ql, err = l.transport.Listen(serverTLS(conf.Identity, conf.PeerPin, conf.Now), qconf); err != nil {
		l.closeSocket()
		return nil, fmt.Errorf("quicnet: %w", err)
	}
	return l, nil
}

// baseQUIC is what both sides of a connection share.
func baseQUIC(t Timeouts) *quic.Config {
	return &quic.Config{
		Versions:                       []quic.Version{quic.Version1},
		HandshakeIdleTimeout:           t.Handshake,
		MaxIdleTimeout:                 t.Idle,
		InitialStreamReceiveWindow:     streamWindow,
		MaxStreamReceiveWindow:         maxStreamWindow,
		InitialConnectionReceiveWindow: connWindow,
		MaxConnectionReceiveWindow:     maxConnWindow,
		// Only the connecting side opens streams; nobody needs one-way ones.
		MaxIncomingStreams:    -1,
		MaxIncomingUniStreams: -1,
		Allow0RTT:             false,
	}
}

// Addr returns the address that is listened on.
func (l *Listener) Addr() net.Addr { return l.ql.Addr() }

// Accept waits for the next connection whose handshake is complete. Call it in
// a loop that does nothing slow: quic-go keeps 32 of them and refuses others.
// The error is ErrClosed after Close or Drain, or ctx's.
func (l *Listener) Accept(ctx context.Context) (*Conn, error) {
	for {
		q, err := l.ql.Accept(ctx)
		if err != nil {
			if errors.Is(err, quic.ErrServerClosed) {
				return nil, ErrClosed
			}
			return nil, mapError(err)
		}
		s := slotOf(q.Context())
		if s == nil || !l.gate.establish(s) {
			closeQUIC(q, wire.CodeLimit)
			continue
		}
		if !l.track(q) {
			closeQUIC(q, wire.CodeBusy)
			return nil, ErrClosed
		}
		c, err := newConn(q, l.conf.Timeouts)
		if err != nil {
			closeQUIC(q, CodeNone)
			continue
		}
		return c, nil
	}
}

func (l *Listener) track(q *quic.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.conns[q] = struct{}{} // bounded by the gate
	context.AfterFunc(q.Context(), func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.conns, q)
	})
	return true
}

// Load is how busy a listener is.
type Load struct {
	Conns      int    // connections, handshakes included
	Handshakes int    // of these, not complete
	Refused    uint64 // packets of newcomers refused since the start because of a limit
	Proven     int    // handshakes whose address is validated
	Prefixes   int    // address prefixes with connections that are validated or complete
	Fullest    int    // how many the fullest of them has
}

// Load returns how busy the listener is.
func (l *Listener) Load() Load {
	l.gate.mu.Lock()
	defer l.gate.mu.Unlock()
	g := l.gate
	load := Load{
		Conns: g.total, Handshakes: g.handshakes + g.unvalidated, Refused: g.refused, Proven: g.handshakes, Prefixes: len(g.perPrefix),
	}
	for _, n := range g.perPrefix {
		load.Fullest = max(load.Fullest, n)
	}
	return load
}

// Drain takes no more connections and leaves those that there are. Accept
// returns ErrClosed.
func (l *Listener) Drain() error { return mapError(l.ql.Close()) }

// Close ends all connections with wire.CodeBusy, which tells the other sides
// to come back later, and the listener.
func (l *Listener) Close() error {
	l.mu.Lock()
	l.closed = true
	open := make([]*quic.Conn, 0, len(l.conns))
	for q := range l.conns {
		open = append(open, q)
	}
	l.mu.Unlock()
	for _, q := range open {
		closeQUIC(q, wire.CodeBusy)
	}
	_ = l.ql.Close()
	err := l.transport.Close()
	l.closeSocket()
	if err != nil {
		return mapError(err)
	}
	return nil
}

func (l *Listener) closeSocket() {
	if l.socket != nil {
		_ = l.socket.Close()
	}
}
