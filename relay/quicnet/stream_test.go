package quicnet

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"waxwing/core/wire"
)

func send(t testing.TB, s *Stream, n uint64) {
	t.Helper()
	if err := s.WriteFrame(wire.TypeAck, &wire.Ack{UpTo: n}); err != nil {
		t.Fatal(err)
	}
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
}

func receive(t testing.TB, s *Stream, want uint64) {
	t.Helper()
	ft, body, err := s.ReadFrame()
	var m wire.Ack
	if err != nil || ft != wire.TypeAck || wire.Unmarshal(body, &m) != nil || m.UpTo != want {
		t.Fatalf("type %d, %v, %v, want %d", ft, m, err, want)
	}
}

func TestStreamKinds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, Config{}, DialConfig{})
		for _, k := range []wire.StreamKind{wire.StreamControl, wire.StreamSubmit, wire.StreamForward, wire.StreamDeliver} {
			c, s := p.stream(t, k)
			if c.Kind() != k || s.Kind() != k {
				t.Errorf("kind %d became %d", k, s.Kind())
			}
			send(t, s, 1) // the accepting end may speak first
			receive(t, c, 1)
			send(t, c, 2)
			receive(t, s, 2)
		}
		for _, k := range []wire.StreamKind{0, 5, 255} {
			if _, err := p.client.OpenStream(t.Context(), k); err != nil {
				t.Fatal(err)
			}
			if _, err := p.server.AcceptStream(t.Context()); !errors.Is(err, ErrProtocol) {
				t.Errorf("kind %d: %v", k, err)
			}
		}
	})
}

// TestSilentStream opens a stream by sending on the next one only.
func TestSilentStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, Config{}, DialConfig{})
		silent := must(p.client.q.OpenStream())
		start := time.Now()
		c, s := p.stream(t, wire.StreamSubmit)
		if d := time.Since(start); d < defaultKindTimeout || d > defaultKindTimeout+time.Second {
			t.Errorf("waited %v for a silent stream", d)
		}
		send(t, c, 1)
		receive(t, s, 1)
		if _, err := silent.Read(make([]byte, 1)); err == nil {
			t.Error("the silent stream is open")
		}
	})
}

func TestStreamLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, Config{}, DialConfig{})
		var last, lastServer *Stream
		for range maxStreams {
			last, lastServer = p.stream(t, wire.StreamSubmit)
		}
		short, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := p.client.OpenStream(short, wire.StreamSubmit); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("one stream more: %v", err)
		}
		_, _ = last.Close(), lastServer.Close()
		p.stream(t, wire.StreamSubmit)

		short, cancel = context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := p.server.OpenStream(short, wire.StreamSubmit); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the accepting side opened a stream: %v", err)
		}
		if _, err := p.client.q.OpenUniStream(); err == nil {
			t.Error("a one-way stream was opened")
		}
	})
}

// TestIdle leaves a stream alone for an hour: keep-alives carry it, and the
// deadline of an earlier frame does not end it.
func TestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, Config{}, DialConfig{})
		c, s := p.stream(t, wire.StreamSubmit)
		if err := c.WriteFrame(wire.TypeSubmit, &wire.Submit{Auth: wire.AuthConnection, Dest: beta, Envelope: make([]byte, wire.MaxEnvelope)}); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.ReadFrame(); err != nil {
			t.Fatal(err)
		}
		go func() {
			time.Sleep(time.Hour)
			_ = c.WriteFrame(wire.TypeAck, &wire.Ack{UpTo: 2})
			_ = c.Flush()
		}()
		receive(t, s, 2)
	})
}

func TestPeerVanishes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, Config{}, DialConfig{})
		_, s := p.stream(t, wire.StreamSubmit)
		_ = p.hosts[1].Close()
		start := time.Now()
		_, _, err := s.ReadFrame()
		if !errors.Is(err, ErrTimeout) || !errors.Is(err, ErrClosed) {
			t.Fatal(err)
		}
		if d := time.Since(start); d > defaultIdleTimeout+time.Second {
			t.Errorf("noticed after %v", d)
		}
		<-p.server.Context().Done()
		if !errors.Is(p.server.Err(), ErrClosed) {
			t.Error(p.server.Err())
		}
	})
}

// TestDrippedFrame sends one byte a second of a frame that is never complete.
func TestDrippedFrame(t *testing.T) {
	for name, header := range map[string][]byte{"within the body": {0, 1, 0, 0, 40}, "within the header": {0}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPair(t, Config{}, DialConfig{})
				c, s := p.stream(t, wire.StreamSubmit)
				ctx, cancel := context.WithCancel(t.Context())
				drip := func(b []byte) {
					_ = c.Append(func(dst []byte) ([]byte, error) { return append(dst, b...), nil })
					_ = c.Flush()
				}
				done := make(chan struct{})
				go func() {
					defer close(done)
					drip(header)
					for i := 0; ctx.Err() == nil; i++ {
						time.Sleep(10 * time.Second)
						if len(header) > 1 {
							drip([]byte{1})
						}
					}
				}()
				start := time.Now()
				_, _, err := s.ReadFrame()
				if !errors.Is(err, ErrTimeout) || errors.Is(err, ErrClosed) {
					t.Error(err)
				}
				if d := time.Since(start); d > defaultFrameTimeout+time.Second {
					t.Errorf("waited %v", d)
				}
				cancel()
				<-done
			})
		})
	}
}

// TestSlowReader writes to a peer that never reads.
func TestSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, Config{}, DialConfig{})
		c, s := p.stream(t, wire.StreamSubmit)
		start := time.Now()
		var err error
		sent := 0
		for err == nil && sent < 100<<20 {
			err = c.WriteFrame(wire.TypeForward, &wire.Forward{Envelope: make([]byte, 1024)})
			sent += 1024
		}
		if !errors.Is(err, ErrTimeout) {
			t.Fatalf("after %d bytes: %v", sent, err)
		}
		if sent > streamWindow+2*bufferSize {
			t.Errorf("%d bytes were taken for a peer that reads nothing", sent)
		}
		if d := time.Since(start); d > defaultWriteTimeout+time.Second {
			t.Errorf("waited %v", d)
		}
		// The peer learns that the stream is given up.
		for err = nil; err == nil; {
			_, _, err = s.ReadFrame()
		}
		var closed *CloseError
		if !errors.As(err, &closed) || closed.Code != wire.CodeBusy || !closed.Remote {
			t.Error(err)
		}
	})
}

func TestEndings(t *testing.T) {
	type ends struct {
		p    *pair
		c, s *Stream
	}
	for _, c := range []struct {
		name string
		end  func(ends)
		code wire.Code
	}{
		{"stream closed", func(e ends) { _ = e.c.Close() }, CodeNone},
		{"stream cancelled", func(e ends) { e.c.Cancel(wire.CodeForbidden) }, wire.CodeForbidden},
		{"connection closed", func(e ends) { e.p.client.Close(wire.CodeMalformed) }, wire.CodeMalformed},
		{"unknown code", func(e ends) { e.p.client.Close(77) }, CodeNone},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPair(t, Config{}, DialConfig{})
				cs, ss := p.stream(t, wire.StreamSubmit)
				c.end(ends{p, cs, ss})
				_, _, err := ss.ReadFrame()
				var closed *CloseError
				if !errors.As(err, &closed) || closed.Code != c.code || !closed.Remote || !errors.Is(err, ErrClosed) {
					t.Errorf("the other side sees %v", err)
				}
				_, _, err = cs.ReadFrame()
				if !errors.As(err, &closed) || closed.Remote {
					t.Errorf("reading here: %v", err)
				}
				err = cs.WriteFrame(wire.TypeAck, &wire.Ack{})
				if err == nil {
					err = cs.Flush()
				}
				if !errors.Is(err, ErrClosed) {
					t.Errorf("writing here: %v", err)
				}
			})
		})
	}
}

// TestCloseDelivers checks that what was written before Close arrives.
func TestCloseDelivers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, Config{}, DialConfig{})
		c, s := p.stream(t, wire.StreamSubmit)
		for i := range uint64(100) {
			if err := c.WriteFrame(wire.TypeAck, &wire.Ack{UpTo: i}); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		for i := range uint64(100) {
			receive(t, s, i)
		}
		if _, _, err := s.ReadFrame(); !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	})
}

// TestCancelUnblocks ends calls that wait for the network.
func TestCancelUnblocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, Config{}, DialConfig{})
		c, s := p.stream(t, wire.StreamSubmit)
		read, written := make(chan error), make(chan error)
		go func() {
			_, _, err := s.ReadFrame()
			read <- err
		}()
		go func() {
			var err error
			for err == nil {
				err = c.WriteFrame(wire.TypeForward, &wire.Forward{Envelope: make([]byte, 1024)})
			}
			written <- err
		}()
		<-read // the first frame; now nobody reads
		synctest.Wait()
		go func() {
			for {
				if _, _, err := s.ReadFrame(); err != nil {
					read <- err
					return
				}
			}
		}()
		time.Sleep(50 * time.Millisecond) // in which tens of megabytes pass
		c.Cancel(wire.CodeBusy)
		if err := <-written; !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
		if err := <-read; !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	})
}

// TestStopReading answers what was taken after it takes no more.
func TestStopReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, Config{}, DialConfig{})
		c, s := p.stream(t, wire.StreamSubmit)
		send(t, c, 1)
		receive(t, s, 1)
		s.StopReading(wire.CodeBusy)
		if _, _, err := s.ReadFrame(); !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
		send(t, s, 2)
		receive(t, c, 2)
		err := c.WriteFrame(wire.TypeAck, &wire.Ack{})
		if err == nil {
			err = c.Flush()
		}
		var closed *CloseError
		if !errors.As(err, &closed) || closed.Code != wire.CodeBusy || !closed.Remote {
			t.Error(err)
		}
	})
}
