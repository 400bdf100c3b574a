package quicnet

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quic-go/quic-go/testutils/simnet"

	"waxwing/core/wire"
)

// provoke sends datagrams from a raw socket, and counts what comes back without
// answering any of it.
func provoke(t *testing.T, raw *simnet.SimConn, to net.Addr, datagrams ...[]byte) (sent, received int) {
	t.Helper()
	for _, d := range datagrams {
		if _, err := raw.WriteTo(d, to); err != nil {
			t.Fatal(err)
		}
		sent += len(d)
	}
	// A minute of a clock that costs nothing: every retransmission is over.
	if err := raw.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	for buf := make([]byte, 2048); ; {
		n, _, err := raw.ReadFrom(buf)
		if err != nil {
			return sent, received
		}
		received += n
	}
}

// initials returns the datagrams of a client that hears nothing for a second.
func initials(t *testing.T, own *simnet.SimConn, sink *simnet.SimConn, dial DialConfig) (list [][]byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	dial.Addr, dial.PacketConn = sink.LocalAddr().String(), own
	if _, err := Dial(ctx, dial); err == nil {
		t.Fatal("connected to nothing")
	}
	if err := sink.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	for buf := make([]byte, 2048); ; {
		n, _, err := sink.ReadFrom(buf)
		if err != nil {
			return list
		}
		list = append(list, append([]byte(nil), buf[:n]...))
	}
}

// TestAmplification counts what a raw socket gets back that proves nothing of
// its address: less than three times what it sent (RFC 9000 section 8.1).
func TestAmplification(t *testing.T) {
	for _, c := range []struct {
		name   string
		retry  bool
		edit   func(first [][]byte) [][]byte
		answer bool // there is one
		factor int  // the answer is smaller than so many times the question
	}{
		{"the first packet", false, func(d [][]byte) [][]byte { return d[:1] }, true, 3},
		{"the whole first flight", false, func(d [][]byte) [][]byte { return d }, true, 3},
		{"the first packet, again and again", false, func(d [][]byte) [][]byte { return [][]byte{d[0], d[0], d[0], d[0]} }, true, 3},
		{"above the threshold", true, func(d [][]byte) [][]byte { return d }, true, 1},
		{"cut short", false, func(d [][]byte) [][]byte { return [][]byte{d[0][:1199]} }, false, 1},
		{"unknown version", false, func(d [][]byte) [][]byte {
			d[0][1], d[0][2], d[0][3], d[0][4] = 0x1a, 0x2a, 0x3a, 0x4a
			return d[:1]
		}, true, 1},
		{"unknown version, cut short", false, func(d [][]byte) [][]byte {
			d[0][1], d[0][2], d[0][3], d[0][4] = 0x1a, 0x2a, 0x3a, 0x4a
			return [][]byte{d[0][:200]}
		}, false, 1},
		{"of no connection", false, func(d [][]byte) [][]byte { d[0][0] = 0x40; return [][]byte{d[0][:100]} }, true, 1},
		{"noise", false, func(d [][]byte) [][]byte {
			for i := range d[0] {
				d[0][i] = byte(i * 167)
			}
			return [][]byte{d[0][:20]}
		}, false, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(t, 4)
				id := newIdentity(t, alpha, time.Now())
				l := listen(t, Config{Identity: id, PacketConn: n.hosts[0]})
				if c.retry {
					l.gate.retryAbove = 0
				}
				flight := initials(t, n.hosts[1], n.hosts[2], DialConfig{Domain: alpha, Pin: id.Pin()})
				if len(flight) == 0 || len(flight[0]) < 1200 {
					t.Fatalf("%d datagrams of a client", len(flight))
				}
				sent, got := provoke(t, n.hosts[3], l.Addr(), c.edit(flight)...)
				if got >= c.factor*sent || got > 0 != c.answer {
					t.Errorf("%d bytes for %d", got, sent)
				}
				if load := l.Load(); load.Conns != 0 {
					t.Errorf("%+v", load)
				}
			})
		})
	}
}

// echo answers every message of a stream with an Ack, until it ends.
func echo(s *Stream) {
	for number := uint64(1); ; number++ {
		if _, _, err := s.ReadFrame(); err != nil {
			return
		}
		if s.WriteFrame(wire.TypeAck, &wire.Ack{UpTo: number}) != nil || s.Flush() != nil {
			return
		}
	}
}

// echoes serves a connection's streams with echo until it ends.
func echoes(ctx context.Context, c *Conn) {
	var streams sync.WaitGroup
	defer streams.Wait()
	for {
		s, err := c.AcceptStream(ctx)
		if err != nil {
			return
		}
		streams.Go(func() { echo(s) })
	}
}

// exchange sends a message and waits for its answer.
func exchange(t *testing.T, s *Stream, number uint64) time.Duration {
	t.Helper()
	began := time.Now()
	send(t, s, number)
	receive(t, s, number)
	return time.Since(began)
}

// TestStreamFlood has one connection open and abandon streams as fast as it can.
// Another one's exchanges take as long as before, and nothing stays.
func TestStreamFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, Config{}, DialConfig{})
		honest, honestServer := connect(t, p.listener, DialConfig{
			Addr: p.listener.Addr().String(), Domain: alpha, Pin: p.id.Pin(), PacketConn: p.hosts[2],
		})
		var served sync.WaitGroup
		defer served.Wait()
		defer p.client.Close(CodeNone)
		defer honest.Close(CodeNone)
		served.Go(func() { echoes(t.Context(), p.server) })
		served.Go(func() { echoes(t.Context(), honestServer) })
		s, err := honest.OpenStream(t.Context(), wire.StreamSubmit)
		if err != nil {
			t.Fatal(err)
		}
		calm := exchange(t, s, 1)
		synctest.Wait()
		before := runtime.NumGoroutine()
		for i := range uint64(100) {
			for range maxStreams {
				q, err := p.client.q.OpenStreamSync(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				_, _ = q.Write([]byte{byte(wire.StreamSubmit)})
				q.CancelWrite(1)
				q.CancelRead(1)
			}
			if took := exchange(t, s, i+2); took > 2*calm {
				t.Fatalf("an exchange took %v beside the flood, and %v before", took, calm)
			}
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if after := runtime.NumGoroutine(); after > before+maxStreams {
			t.Errorf("%d goroutines, %d before the flood", after, before)
		}
	})
}

// TestSlowloris has one connection open every stream that it may and drip a byte
// of a frame now and then on each. All of them are cut off in their time, and
// another connection does not notice.
func TestSlowloris(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, Config{}, DialConfig{})
		honest, honestServer := connect(t, p.listener, DialConfig{
			Addr: p.listener.Addr().String(), Domain: alpha, Pin: p.id.Pin(), PacketConn: p.hosts[2],
		})
		var served sync.WaitGroup
		defer served.Wait()
		defer p.client.Close(CodeNone)
		defer honest.Close(CodeNone)
		var cut sync.WaitGroup
		began := time.Now()
		for range maxStreams {
			c, s := p.stream(t, wire.StreamSubmit)
			cut.Go(func() {
				_, _, err := s.ReadFrame()
				if !errors.Is(err, ErrTimeout) {
					t.Error(err)
				}
				s.Cancel(wire.CodeMalformed)
			})
			served.Go(func() {
				for _, b := range append([]byte{0, 1, 0, 0, 200}, make([]byte, 200)...) {
					if _, err := c.q.Write([]byte{b}); err != nil {
						return
					}
					time.Sleep(defaultFrameTimeout / 10)
				}
			})
		}
		served.Go(func() { echoes(t.Context(), honestServer) })
		s, err := honest.OpenStream(t.Context(), wire.StreamSubmit)
		if err != nil {
			t.Fatal(err)
		}
		for i := range uint64(20) {
			if took := exchange(t, s, i+1); took > 100*time.Millisecond {
				t.Errorf("an exchange took %v", took)
			}
			time.Sleep(500 * time.Millisecond)
		}
		cut.Wait()
		if took := time.Since(began); took > 2*defaultFrameTimeout {
			t.Errorf("the last stream was cut off after %v", took)
		}
		// There is room for streams again.
		openPair(t, p.client, p.server, wire.StreamSubmit)
	})
}

// TestSlowReaderCostsItself has one connection that reads nothing of what it is
// sent, beside one that does.
func TestSlowReaderCostsItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, Config{}, DialConfig{})
		honest, honestServer := connect(t, p.listener, DialConfig{
			Addr: p.listener.Addr().String(), Domain: alpha, Pin: p.id.Pin(), PacketConn: p.hosts[2],
		})
		_, slow := p.stream(t, wire.StreamDeliver)
		reader, quick := openPair(t, honest, honestServer, wire.StreamDeliver)
		var all sync.WaitGroup
		began := time.Now()
		all.Go(func() {
			sent := 0
			var err error
			for ; err == nil && sent < 64<<20; sent += 1024 {
				err = slow.WriteFrame(wire.TypeForward, &wire.Forward{Envelope: make([]byte, 1024)})
			}
			if !errors.Is(err, ErrTimeout) || sent > streamWindow+2*bufferSize {
				t.Errorf("%d bytes were taken: %v", sent, err)
			}
		})
		const frames = 4096
		all.Go(func() {
			for i := range uint64(frames) {
				if err := quick.WriteFrame(wire.TypeForward, &wire.Forward{Number: i + 1, Envelope: make([]byte, 1024)}); err != nil {
					t.Error(err)
					return
				}
			}
			if err := quick.Flush(); err != nil {
				t.Error(err)
			}
		})
		for range frames {
			if _, _, err := reader.ReadFrame(); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took > defaultWriteTimeout {
			t.Errorf("the other reader waited %v", took)
		}
		all.Wait()
	})
}

// rough is a network that loses, repeats and reorders datagrams.
type rough struct {
	simnet.PerfectRouter

	mu   sync.Mutex // guards r, kept
	r    *rand.Rand
	kept *simnet.Packet
}

func (r *rough) SendPacket(p simnet.Packet) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch r.r.IntN(12) {
	case 0: // lost
		return nil
	case 1: // twice
		_ = r.PerfectRouter.SendPacket(simnet.Packet{To: p.To, From: p.From, Data: append([]byte(nil), p.Data...)})
	case 2, 3: // behind the next one
		if r.kept == nil {
			r.kept = &p
			return nil
		}
	}
	err := r.PerfectRouter.SendPacket(p)
	if k := r.kept; k != nil {
		r.kept = nil
		_ = r.PerfectRouter.SendPacket(*k)
	}
	return err
}

// TestRoughNetwork sends over a network that loses, repeats and reorders: every
// frame arrives once and in order.
func TestRoughNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seed := rand.Uint64()
		t.Log("seed", seed)
		sim := &simnet.Simnet{Router: &rough{r: rand.New(rand.NewPCG(seed, 1))}}
		var hosts []*simnet.SimConn
		for i := range 2 {
			addr := net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}), 4433))
			hosts = append(hosts, sim.NewEndpoint(addr, simnet.NodeBiDiLinkSettings{Latency: 5 * time.Millisecond}))
		}
		if err := sim.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() {
			for _, h := range hosts {
				_ = h.Close()
			}
			_ = sim.Close()
		}()
		id := newIdentity(t, alpha, time.Now())
		l := listen(t, Config{Identity: id, PacketConn: hosts[0]})
		client, server := connect(t, l, DialConfig{Addr: l.Addr().String(), Domain: alpha, Pin: id.Pin(), PacketConn: hosts[1]})
		c, s := openPair(t, client, server, wire.StreamSubmit)
		const frames = 500
		go func() {
			for i := range uint64(frames) {
				_ = c.WriteFrame(wire.TypeAck, &wire.Ack{UpTo: i + 1})
				if i%7 == 0 {
					_ = c.Flush()
				}
			}
			_ = c.Flush()
		}()
		for i := range uint64(frames) {
			receive(t, s, i+1)
		}
		client.Close(CodeNone)
		_ = l.Close()
	})
}

// mover is a socket that can be exchanged for another one, as when a phone goes
// from one network to the next or a NAT forgets a binding.
type mover struct {
	mu  sync.Mutex // guards now
	now *simnet.SimConn
}

func (m *mover) current() *simnet.SimConn {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

// move goes on with another socket; what is on the way to the old one is lost.
func (m *mover) move(to *simnet.SimConn) {
	m.mu.Lock()
	old := m.now
	m.now = to
	m.mu.Unlock()
	_ = old.SetReadDeadline(time.Now()) // wakes whoever reads from it
}

func (m *mover) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		c := m.current()
		n, a, err := c.ReadFrom(b)
		if err == nil || m.current() == c {
			return n, a, err
		}
	}
}

func (m *mover) WriteTo(b []byte, a net.Addr) (int, error) { return m.current().WriteTo(b, a) }
func (m *mover) Close() error                              { return nil }
func (m *mover) LocalAddr() net.Addr                       { return m.current().LocalAddr() }
func (m *mover) SetDeadline(t time.Time) error             { return m.current().SetDeadline(t) }
func (m *mover) SetReadDeadline(t time.Time) error         { return m.current().SetReadDeadline(t) }
func (m *mover) SetWriteDeadline(t time.Time) error        { return m.current().SetWriteDeadline(t) }

// TestMigration moves a client to another address in the middle of an exchange
// (RFC 9000 section 9): the connection and its streams go on, and the server
// answers to the new address.
func TestMigration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t, 3)
		id := newIdentity(t, alpha, time.Now())
		l := listen(t, Config{Identity: id, PacketConn: n.hosts[0]})
		socket := &mover{now: n.hosts[1]}
		client, server := connect(t, l, DialConfig{Addr: l.Addr().String(), Domain: alpha, Pin: id.Pin(), PacketConn: socket})
		done := make(chan struct{})
		go func() { defer close(done); echoes(t.Context(), server) }()
		s, err := client.OpenStream(t.Context(), wire.StreamSubmit)
		if err != nil {
			t.Fatal(err)
		}
		exchange(t, s, 1)
		socket.move(n.hosts[2])
		for i := range uint64(50) {
			exchange(t, s, i+2)
		}
		if got := server.q.RemoteAddr().String(); got != n.hosts[2].LocalAddr().String() {
			t.Errorf("the server answers to %s", got)
		}
		client.Close(CodeNone)
		<-done
	})
}
