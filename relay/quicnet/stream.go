package quicnet

import (
	"errors"

	"github.com/quic-go/quic-go"

	"waxwing/core/wire"
	"waxwing/relay/quicnet/internal/tap"
)

// Stream carries frames both ways. One goroutine may read and any number may
// write, at the same time.
type Stream struct {
	// fixed
	q    *quic.Stream
	kind wire.StreamKind
	tap  tap.Frames // of a test that looks on; otherwise nil

	r frameReader
	w frameWriter
}

func newStream(q *quic.Stream, kind wire.StreamKind, t Timeouts) *Stream {
	s := &Stream{q: q, kind: kind}
	s.r.src, s.r.timeout = q, t.Frame
	s.w.init(q, t.Write)
	return s
}

// Kind says what the stream is for.
func (s *Stream) Kind() wire.StreamKind { return s.kind }

// ReadFrame returns the next frame's type and body, waiting for it as long as
// the connection lives. The body is valid until the next call. After an error
// every call returns the same one:
//
// ErrProtocol for a malformed frame or an end within one, ErrTimeout for one
// that began and did not arrive in time (both: close the connection),
// ErrClosed, mostly as *CloseError, when the stream or the connection ends.
func (s *Stream) ReadFrame() (wire.FrameType, []byte, error) {
	t, body, err := s.r.next()
	if s.tap != nil && err == nil {
		s.tap(false, byte(t), body)
	}
	return t, body, err
}

// Buffered reports whether ReadFrame would return at once, without waiting for
// the network. It belongs to the goroutine that calls ReadFrame: a receiver
// takes what is there and answers it together.
func (s *Stream) Buffered() bool { return s.r.buffered() }

// WriteFrame appends a frame to the write buffer. It is sent by Flush, or
// before, when the buffer is full; then WriteFrame waits. A frame that cannot
// be built (wire.ErrMalformed) leaves nothing behind. After any other error
// the stream is unusable: ErrTimeout if the other side does not read,
// ErrClosed.
func (s *Stream) WriteFrame(t wire.FrameType, m wire.Schema) error {
	return s.Append(func(b []byte) ([]byte, error) { return wire.AppendFrame(b, t, m) })
}

// Append is WriteFrame for frames that the caller builds itself, with
// wire.BeginFrame and wire.EndFrame: build appends whole frames, at most
// wire.MaxFrame bytes together, and returns the slice. It must not block or
// call the stream.
func (s *Stream) Append(build func(buf []byte) ([]byte, error)) error {
	if s.tap != nil {
		build = s.tapped(build)
	}
	return s.closeOnTimeout(s.w.add(build))
}

// tapped is build under the eyes of a test.
func (s *Stream) tapped(build func([]byte) ([]byte, error)) func([]byte) ([]byte, error) {
	return func(buf []byte) ([]byte, error) {
		before := len(buf)
		out, err := build(buf)
		for b := out[min(before, len(out)):]; err == nil && len(b) > 0; {
			t, n, bad := wire.ParseFrameHeader(b)
			if bad != nil || len(b) < wire.FrameHeaderSize+n {
				break // what quicnet itself writes in front of the frames: the kind
			}
			s.tap(true, byte(t), b[wire.FrameHeaderSize:][:n])
			b = b[wire.FrameHeaderSize+n:]
		}
		return out, err
	}
}

// Flush sends what was appended and waits until quic-go has taken it. Errors
// are those of WriteFrame.
func (s *Stream) Flush() error { return s.closeOnTimeout(s.w.flush()) }

// closeOnTimeout gives up a stream whose other side does not read, so that
// quic-go drops what it holds for it.
func (s *Stream) closeOnTimeout(err error) error {
	if errors.Is(err, ErrTimeout) {
		s.q.CancelWrite(quic.StreamErrorCode(wire.CodeBusy))
	}
	return err
}

// StopReading makes the other side send no more on this stream and ReadFrame
// return, while frames can still be written: what was taken can be answered
// before the stream is closed. The other side's writes fail with the code.
func (s *Stream) StopReading(code wire.Code) { s.q.CancelRead(quic.StreamErrorCode(code)) }

// Close sends what was appended and ends the stream; what the other side still
// sends is dropped. It returns Flush's error.
func (s *Stream) Close() error {
	err := s.Flush()
	_ = s.w.fail(&CloseError{})
	s.q.CancelRead(quic.StreamErrorCode(CodeNone))
	if e := s.q.Close(); err == nil && e != nil {
		err = mapError(e)
	}
	return err
}

// Cancel ends the stream at once, both ways; calls under way return. The
// other side learns the code.
func (s *Stream) Cancel(code wire.Code) {
	_ = s.w.fail(&CloseError{Code: code})
	s.q.CancelRead(quic.StreamErrorCode(code))
	s.q.CancelWrite(quic.StreamErrorCode(code))
}
