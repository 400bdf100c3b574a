package quicnet

import (
	"bytes"
	"errors"
	"io"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"waxwing/core/wire"
)

// pieces is a source that returns its bytes in pieces of the given sizes, over
// and over, then EOF.
type pieces struct {
	data   []byte
	sizes  []int
	i      int
	idle   func() // called before each read
	closes time.Time
}

func (p *pieces) SetReadDeadline(t time.Time) error { p.closes = t; return nil }

func (p *pieces) Read(b []byte) (int, error) {
	if p.idle != nil {
		p.idle()
	}
	if len(p.data) == 0 {
		return 0, io.EOF
	}
	n := len(b)
	if len(p.sizes) > 0 {
		n = min(n, p.sizes[p.i%len(p.sizes)])
		p.i++
	}
	n = copy(b[:n], p.data)
	p.data = p.data[n:]
	if len(p.data) == 0 {
		return n, io.EOF // as quic-go does
	}
	return n, nil
}

// record is a sink that keeps what it gets, or fails.
type record struct {
	bytes.Buffer
	writes int
	err    error
}

func (r *record) SetWriteDeadline(time.Time) error { return nil }

func (r *record) Write(b []byte) (int, error) {
	r.writes++
	if r.err != nil {
		return len(b) / 2, r.err
	}
	return r.Buffer.Write(b)
}

type frame struct {
	t    wire.FrameType
	body []byte
}

func (f frame) append(b []byte) ([]byte, error) {
	start := len(b)
	b = append(wire.BeginFrame(b, f.t), f.body...)
	return b, wire.EndFrame(b, start)
}

var frameSizes = []int{
	0, 1, 2, 4, 5, 1024, 4096, flushSize - 6, flushSize - 5, flushSize - 4, flushSize,
	wire.MaxFrame - 1, wire.MaxFrame,
}

func TestFramesRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var want []frame
		sink := new(record)
		var w frameWriter
		w.init(sink, 0)
		for range rapid.IntRange(0, 12).Draw(t, "frames") {
			n := rapid.OneOf(rapid.SampledFrom(frameSizes), rapid.IntRange(0, 3000)).Draw(t, "size")
			f := frame{wire.FrameType(rapid.Byte().Draw(t, "type")), bytes.Repeat([]byte{byte(len(want)), 7, 1}, n/3+1)[:n]}
			want = append(want, f)
			if err := w.add(f.append); err != nil {
				t.Fatal(err)
			}
			if rapid.Bool().Draw(t, "flush") {
				if err := w.flush(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := w.flush(); err != nil {
			t.Fatal(err)
		}
		src := &pieces{
			data:  append([]byte(nil), sink.Bytes()...),
			sizes: rapid.SliceOfN(rapid.OneOf(rapid.IntRange(1, 9), rapid.IntRange(1, 2*bufferSize)), 0, 5).Draw(t, "pieces"),
		}
		r := frameReader{src: src}
		for i, f := range want {
			ft, body, err := r.next()
			if err != nil || ft != f.t || !bytes.Equal(body, f.body) {
				t.Fatalf("frame %d: type %d, %d bytes, %v", i, ft, len(body), err)
			}
		}
		if _, _, err := r.next(); !errors.Is(err, ErrClosed) {
			t.Fatalf("at the end: %v", err)
		}
	})
}

// TestBufferedFrames reads two frames and a part of a third that arrive
// together.
func TestBufferedFrames(t *testing.T) {
	var b []byte
	for i := range 3 {
		b = must(frame{9, bytes.Repeat([]byte{byte(i)}, 100)}.append(b))
	}
	r := frameReader{src: &pieces{data: b[:len(b)-1]}}
	if r.buffered() {
		t.Error("a frame is buffered before anything was read")
	}
	for i, more := range []bool{true, false} {
		_, body, err := r.next()
		if err != nil || body[0] != byte(i) || r.buffered() != more {
			t.Fatalf("frame %d: %v, buffered %v", i, err, r.buffered())
		}
	}
	if _, _, err := r.next(); !errors.Is(err, ErrProtocol) {
		t.Fatalf("a frame cut short: %v", err)
	}
	if !r.buffered() {
		t.Error("an error is not at hand")
	}
}

func TestBadFrames(t *testing.T) {
	for name, b := range map[string][]byte{
		"no type":         {0, 0, 0, 0, 1},
		"too long by one": {0, 1, 0x04, 0x02, 1},
		"far too long":    {0xff, 0xff, 0xff, 0xff, 1},
		"header cut":      {0, 0, 0},
		"body cut":        {0, 0, 0, 3, 1, 1},
	} {
		r := frameReader{src: &pieces{data: b}}
		for range 2 {
			if _, _, err := r.next(); !errors.Is(err, ErrProtocol) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if wire.MaxFrame+2 != 0x00010402 {
		t.Error("the case above is not the first length that is too long")
	}
}

// TestIdleStreamsHoldNoBuffer looks at the reader whenever it waits for a
// frame to begin.
func TestIdleStreamsHoldNoBuffer(t *testing.T) {
	var b []byte
	for range 5 {
		b = must(frame{9, make([]byte, 500)}.append(b))
	}
	src := &pieces{data: b, sizes: []int{5, 500}}
	r := frameReader{src: src, timeout: time.Hour}
	waits := 0
	src.idle = func() {
		if r.w == 0 {
			waits++
			if r.buf != nil || !src.closes.IsZero() {
				t.Error("waits for a frame with a buffer or a deadline")
			}
		} else if src.closes.IsZero() {
			t.Error("waits within a frame without a deadline")
		}
	}
	for range 5 {
		if _, _, err := r.next(); err != nil {
			t.Fatal(err)
		}
	}
	if waits != 5 {
		t.Errorf("waited %d times", waits)
	}
	var w frameWriter
	w.init(new(record), 0)
	_ = w.add(frame{9, nil}.append)
	if _ = w.flush(); w.buf != nil {
		t.Error("a writer with nothing to send holds a buffer")
	}
}

func TestWritesAreCoalesced(t *testing.T) {
	sink := new(record)
	var w frameWriter
	w.init(sink, 0)
	const frames = 1000
	for range frames {
		if err := w.add(frame{9, make([]byte, 1024)}.append); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.flush(); err != nil {
		t.Fatal(err)
	}
	if most := frames*1029/flushSize + 1; sink.writes > most {
		t.Errorf("%d writes, want at most %d", sink.writes, most)
	}
}

func TestWriterErrors(t *testing.T) {
	sink := new(record)
	var w frameWriter
	w.init(sink, 0)
	if err := w.add(frame{9, []byte{1}}.append); err != nil {
		t.Fatal(err)
	}
	err := w.add(func(b []byte) ([]byte, error) {
		return wire.AppendFrame(append(b, 1, 2, 3), 9, &wire.Submit{Envelope: make([]byte, wire.MaxEnvelope+1)})
	})
	if !errors.Is(err, wire.ErrMalformed) {
		t.Fatalf("a frame that cannot be built: %v", err)
	}
	if err := w.flush(); err != nil || !bytes.Equal(sink.Bytes(), []byte{0, 0, 0, 2, 9, 1}) {
		t.Fatalf("sent %x, %v", sink.Bytes(), err)
	}
	sink.err = os.ErrDeadlineExceeded
	_ = w.add(frame{9, nil}.append)
	for range 2 {
		if err := w.flush(); !errors.Is(err, ErrTimeout) {
			t.Errorf("flush: %v", err)
		}
		if err := w.add(frame{9, nil}.append); !errors.Is(err, ErrTimeout) {
			t.Errorf("add: %v", err)
		}
	}
	if sink.writes != 2 {
		t.Errorf("%d writes: something followed a write that failed", sink.writes)
	}
}

// TestConcurrentWriters checks that frames of several goroutines are whole and
// in each one's order, whoever flushes.
func TestConcurrentWriters(t *testing.T) {
	sink := new(record)
	var w frameWriter
	w.init(sink, 0)
	const writers, frames = 8, 300
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for j := range frames {
				body := bytes.Repeat([]byte{byte(j), byte(j >> 8)}, 500)
				if err := w.add(frame{wire.FrameType(i), body}.append); err != nil {
					t.Error(err)
				}
				if j%7 == i%7 {
					if err := w.flush(); err != nil {
						t.Error(err)
					}
				}
			}
			if err := w.flush(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	r := frameReader{src: &pieces{data: sink.Bytes()}}
	var next [writers]int
	for range writers * frames {
		ft, body, err := r.next()
		if err != nil {
			t.Fatal(err)
		}
		if got := int(body[0]) | int(body[1])<<8; got != next[ft] {
			t.Fatalf("writer %d: frame %d, want %d", ft, got, next[ft])
		}
		next[ft]++
	}
}

// FuzzFrameReader checks that whatever is accepted is encoded to the same
// bytes again, that nothing but the two expected errors comes, and that
// pieces make no difference.
func FuzzFrameReader(f *testing.F) {
	var b []byte
	for _, n := range []int{0, 1, 300} {
		b = must(frame{42, make([]byte, n)}.append(b))
		f.Add(b, 3)
	}
	f.Add(must(wire.AppendFrame(nil, wire.TypeAck, &wire.Ack{UpTo: 7})), 1)
	f.Add([]byte{0, 1, 4, 2, 1}, 5)
	f.Fuzz(func(t *testing.T, b []byte, piece int) {
		var ends [2]error
		for i, sizes := range [][]int{nil, {max(1, piece)}} {
			src := &pieces{data: b, sizes: sizes}
			r := frameReader{src: src}
			var again []byte
			for {
				ft, body, err := r.next()
				if err != nil {
					ends[i] = err
					break
				}
				again = must(frame{ft, body}.append(again))
			}
			if !bytes.HasPrefix(b, again) {
				t.Fatal("not the same bytes")
			}
			if !errors.Is(ends[i], ErrProtocol) && !(errors.Is(ends[i], ErrClosed) && len(again) == len(b)) {
				t.Fatalf("%d of %d bytes, then %v", len(again), len(b), ends[i])
			}
		}
		if errors.Is(ends[0], ErrProtocol) != errors.Is(ends[1], ErrProtocol) {
			t.Fatalf("%v in one piece, %v in several", ends[0], ends[1])
		}
	})
}

// slowSink is a network that takes a second for each piece.
type slowSink struct{ record }

func (s *slowSink) Write(b []byte) (int, error) {
	time.Sleep(time.Second)
	return s.record.Write(b)
}

// Who flushes while another one's piece is sent waits for it, also where the clock goes
// on only when everybody waits for it.
func TestFlushBesideFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := new(slowSink)
		var w frameWriter
		w.init(sink, 0)
		var wg sync.WaitGroup
		for i := range 3 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * time.Millisecond)
				if err := errors.Join(w.add(frame{9, []byte{byte(i)}}.append), w.flush()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if sink.writes != 2 {
			t.Errorf("%d writes; what came while the first was sent goes with the second", sink.writes)
		}
	})
}
