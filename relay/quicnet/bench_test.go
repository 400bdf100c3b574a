package quicnet

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

const (
	benchWindow = 256  // frames sent and not yet acked
	benchBody   = 1024 // bytes of an envelope
)

// BenchmarkLongStream sends 1 KiB envelopes on one stream over loopback, in
// one process, at most 256 ahead of the cumulative acks, in turns through this
// package and through a bare quic-go stream that carries the same bytes and
// looks at nothing but their number: the floor. It reports CPU per message,
// both ends together, and the ratio.
func BenchmarkLongStream(b *testing.B) {
	id := newIdentity(b, alpha, time.Now())
	l := listen(b, Config{Identity: id, Addr: "127.0.0.1:0"})
	client, server := connect(b, l, DialConfig{Addr: l.Addr().String(), Domain: alpha, Pin: id.Pin()})
	framedClient, framedServer := openPair(b, client, server, wire.StreamForward)
	bareClient, bareServer := bareStreams(b, l, id)

	const turn = 20_000
	var cpu [2]time.Duration
	var sent int
	b.ReportAllocs()
	b.ResetTimer()
	for left := b.N; left > 0; left -= turn {
		n := min(turn, left)
		start := cpuTime()
		benchFrames(b, framedClient, framedServer, n)
		middle := cpuTime()
		b.StopTimer() // ns/op and allocs/op are this package's
		benchBare(b, bareClient, bareServer, n)
		b.StartTimer()
		cpu[0] += middle - start
		cpu[1] += cpuTime() - middle
		sent += n
	}
	b.StopTimer()
	b.ReportMetric(float64(cpu[0].Nanoseconds())/float64(sent)/1000, "cpu-us/msg")
	b.ReportMetric(float64(cpu[1].Nanoseconds())/float64(sent)/1000, "floor-cpu-us/msg")
	b.ReportMetric(float64(cpu[0])/float64(cpu[1]), "cpu-ratio")
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func benchFrames(b *testing.B, c, s *Stream, n int) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for got := 0; got < n; {
			_, body, err := s.ReadFrame()
			if err != nil || len(body) != benchBody+8 {
				b.Errorf("%d bytes, %v", len(body), err)
				return
			}
			if got++; s.Buffered() && got < n {
				continue
			}
			if s.WriteFrame(wire.TypeAck, &wire.Ack{UpTo: uint64(got)}) != nil || s.Flush() != nil {
				b.Error("ack not sent")
				return
			}
		}
	}()
	envelope := make([]byte, benchBody)
	for sent, acked := 0, 0; acked < n; {
		for ; sent < n && sent-acked < benchWindow; sent++ {
			err := c.Append(func(dst []byte) ([]byte, error) {
				start := len(dst)
				dst = wire.BeginFrame(dst, wire.TypeForward)
				dst = binary.BigEndian.AppendUint64(dst, uint64(sent))
				dst = append(dst, envelope...)
				return dst, wire.EndFrame(dst, start)
			})
			if err != nil {
				b.Fatal(err)
			}
		}
		if err := c.Flush(); err != nil {
			b.Fatal(err)
		}
		for more := true; more; more = c.Buffered() {
			_, body, err := c.ReadFrame()
			if err != nil {
				b.Fatal(err)
			}
			acked = int(binary.BigEndian.Uint64(body))
		}
	}
	<-done
}

const (
	bareMessage = wire.FrameHeaderSize + 8 + benchBody
	bareAck     = wire.FrameHeaderSize + 8
)

func benchBare(b *testing.B, c, s *quic.Stream, n int) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 128<<10)
		total, acked := 0, 0
		for acked < n {
			m, err := s.Read(buf)
			if total += m; err != nil {
				b.Error(err)
				return
			}
			if got := total / bareMessage; got > acked {
				acked = got
				var ack [bareAck]byte
				binary.BigEndian.PutUint64(ack[5:], uint64(acked))
				if _, err := s.Write(ack[:]); err != nil {
					b.Error(err)
					return
				}
			}
		}
	}()
	buf := make([]byte, benchWindow*bareMessage)
	acks := make([]byte, 64*bareAck)
	have := 0
	for sent, acked := 0, 0; acked < n; {
		more := min(n-sent, benchWindow-(sent-acked))
		for piece := buf[:more*bareMessage]; len(piece) > 0; {
			k := min(len(piece), flushSize)
			if _, err := c.Write(piece[:k]); err != nil {
				b.Fatal(err)
			}
			piece = piece[k:]
		}
		sent += more
		m, err := c.Read(acks[have:])
		if err != nil {
			b.Fatal(err)
		}
		have += m
		for ; have >= bareAck; have -= bareAck {
			acked = int(binary.BigEndian.Uint64(acks[5:]))
			copy(acks, acks[bareAck:have])
		}
	}
	<-done
}

// bareStreams opens a stream with nothing of this package around it, but its
// configuration.
func bareStreams(b *testing.B, l *Listener, id *Identity) (client, server *quic.Stream) {
	var timeouts Timeouts
	timeouts.defaults()
	q, err := quic.DialAddr(b.Context(), l.Addr().String(), clientTLS(alpha, id.Pin(), nil, time.Now), baseQUIC(timeouts))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { closeQUIC(q, CodeNone) })
	accepted, err := l.Accept(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	client = must(q.OpenStream())
	if _, err := client.Write([]byte{0}); err != nil {
		b.Fatal(err)
	}
	server = must(accepted.q.AcceptStream(b.Context()))
	if _, err := io.ReadFull(server, make([]byte, 1)); err != nil {
		b.Fatal(err)
	}
	return client, server
}

// BenchmarkHandshake makes connections, both ends in one process, one after
// another.
func BenchmarkHandshake(b *testing.B) {
	id, peer := newIdentity(b, alpha, time.Now()), newIdentity(b, beta, time.Now())
	l := listen(b, Config{
		Identity: id, Addr: "127.0.0.1:0",
		PeerPin: func(ids.Domain) (keys.Pin, bool) { return peer.Pin(), true },
	})
	for name, show := range map[string]*Identity{"client": nil, "peer": peer} {
		b.Run(name, func(b *testing.B) {
			start := cpuTime()
			for range b.N {
				c, _ := connect(b, l, DialConfig{Addr: l.Addr().String(), Domain: alpha, Pin: id.Pin(), Identity: show})
				c.Close(CodeNone)
			}
			b.ReportMetric(float64((cpuTime()-start).Nanoseconds())/float64(b.N)/1e6, "cpu-ms/op")
		})
	}
}

// BenchmarkIdleConnection holds connections with a control and a deliver
// stream, each waiting for a frame, and reports the memory of one end. The
// connecting ends share a socket, so that the two ends are alike. The budget
// is 64 KiB; quic-go and crypto/tls alone need 50 to 57 without a stream.
func BenchmarkIdleConnection(b *testing.B) {
	id := newIdentity(b, alpha, time.Now())
	l := listen(b, Config{Identity: id, Addr: "127.0.0.1:0"})
	tr := &quic.Transport{Conn: must(net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}))}
	b.Cleanup(func() { _ = tr.Close(); _ = tr.Conn.Close() })
	var timeouts Timeouts
	timeouts.defaults()
	before := inUse()
	const conns = 1000
	for range conns {
		q, err := tr.Dial(b.Context(), l.Addr(), clientTLS(alpha, id.Pin(), nil, time.Now), baseQUIC(timeouts))
		if err != nil {
			b.Fatal(err)
		}
		c, s := must(newConn(q, timeouts)), must(l.Accept(b.Context()))
		b.Cleanup(func() { c.Close(CodeNone) })
		for _, kind := range []wire.StreamKind{wire.StreamControl, wire.StreamDeliver} {
			cs, ss := openPair(b, c, s, kind)
			for _, end := range []*Stream{cs, ss} {
				if err := end.WriteFrame(wire.TypeAck, &wire.Ack{}); err != nil || end.Flush() != nil {
					b.Fatal("not sent")
				}
			}
			for _, end := range []*Stream{cs, ss} {
				if _, _, err := end.ReadFrame(); err != nil {
					b.Fatal(err)
				}
				go func() { _, _, _ = end.ReadFrame() }()
			}
		}
	}
	for range b.N { // so that the time is not what is measured
	}
	time.Sleep(time.Second)
	b.ReportMetric(float64(inUse()-before)/conns/2/1024, "KiB/conn-end")
}

func inUse() uint64 {
	runtime.GC()
	runtime.GC() // the second empties what pools have kept through the first
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

// BenchmarkCall makes control requests, several at once.
func BenchmarkCall(b *testing.B) {
	id := newIdentity(b, alpha, time.Now())
	l := listen(b, Config{Identity: id, Addr: "127.0.0.1:0"})
	client, server := connect(b, l, DialConfig{Addr: l.Addr().String(), Domain: alpha, Pin: id.Pin()})
	cs, ss := openPair(b, client, server, wire.StreamControl)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = ServeControl(context.Background(), ss, &wire.Hello{Domain: alpha}, func(context.Context, wire.Message) wire.Message { return &wire.Done{} })
	}()
	c, err := NewCaller(b.Context(), cs)
	if err != nil {
		b.Fatal(err)
	}
	var failed atomic.Int32
	b.SetParallelism(8)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := Ask[*wire.Done](b.Context(), c, &wire.Certify{}); err != nil {
				failed.Add(1)
			}
		}
	})
	if failed.Load() > 0 {
		b.Fatal(failed.Load(), "calls failed")
	}
	c.Close()
	<-served
}
