package quicnettest_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
	"waxwing/relay/quicnet"
	"waxwing/relay/quicnet/quicnettest"
)

// Every frame that one end sends the other one receives, and both are seen,
// in their order and with nothing else between.
func TestRecord(t *testing.T) {
	var seen []quicnettest.Frame
	done := make(chan struct{})
	stop := quicnettest.Record(func(f quicnettest.Frame) {
		f.Body = bytes.Clone(f.Body)
		if seen = append(seen, f); len(seen) == 6 {
			close(done)
		}
	})
	defer stop()

	domain := ids.MustParseDomain("alpha.example")
	id, err := quicnet.NewIdentity(domain, keys.NewSigningKey(), time.Now())
	must(t, err)
	l, err := quicnet.Listen(quicnet.Config{Addr: "127.0.0.1:0", Identity: id})
	must(t, err)
	defer l.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	got := make(chan *quicnet.Stream, 1)
	go func() {
		c, err := l.Accept(ctx)
		if err != nil {
			return
		}
		if s, err := c.AcceptStream(ctx); err == nil {
			got <- s
		}
	}()
	c, err := quicnet.Dial(ctx, quicnet.DialConfig{Addr: l.Addr().String(), Domain: domain, Pin: id.Pin()})
	must(t, err)
	defer c.Close(quicnet.CodeNone)
	s, err := c.OpenStream(ctx, wire.StreamSubmit)
	must(t, err)
	for n := range 3 {
		must(t, s.WriteFrame(wire.TypeAck, &wire.Ack{UpTo: uint64(n)}))
	}
	must(t, s.Flush())
	in := <-got
	for range 3 {
		_, _, err := in.ReadFrame()
		must(t, err)
	}
	<-done
	var sent, received uint64
	for _, f := range seen {
		n := &received
		if f.Sent {
			n = &sent
		}
		var a wire.Ack
		must(t, wire.Unmarshal(f.Body, &a))
		if f.Type != wire.TypeAck || f.Kind != wire.StreamSubmit || a.UpTo != *n || f.Opened != f.Sent {
			t.Errorf("frame %+v, want number %d", f, *n)
		}
		if f.Sent && f.Peer != domain.String() || !f.Sent && f.Peer != "" {
			t.Errorf("frame %+v: wrong other end", f)
		}
		*n++
	}
	if sent != 3 || received != 3 {
		t.Errorf("%d sent, %d received", sent, received)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
