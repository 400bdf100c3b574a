package quicnet

import (
	"errors"
	"io"
	"sync"
	"time"

	"waxwing/core/wire"
)

// buffers holds the read and write buffers of all streams that carry data.
var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// source is what a frameReader reads from.
type source interface {
	io.Reader
	SetReadDeadline(time.Time) error
}

// frameReader cuts a stream into frames. It is owned by one goroutine.
type frameReader struct {
	// fixed
	src     source
	timeout time.Duration

	// owned by the reading goroutine
	head  [wire.FrameHeaderSize]byte
	buf   *[bufferSize]byte // nil while nothing is buffered
	r, w  int               // buf[r:w] was read from src and not yet returned
	armed bool              // src has a deadline
	err   error             // sticky
}

// next returns the next frame. The body is a part of the buffer.
func (f *frameReader) next() (wire.FrameType, []byte, error) {
	if f.err != nil {
		return 0, nil, f.err
	}
	t, body, err := f.read()
	if err != nil {
		f.err = err
		f.release()
	}
	return t, body, err
}

func (f *frameReader) read() (wire.FrameType, []byte, error) {
	if f.r == f.w {
		if err := f.wait(); err != nil {
			return 0, nil, err
		}
	}
	begun := false
	if err := f.fill(wire.FrameHeaderSize, &begun); err != nil {
		return 0, nil, err
	}
	t, n, err := wire.ParseFrameHeader(f.buf[f.r:f.w])
	if err != nil {
		return 0, nil, ErrProtocol
	}
	end := wire.FrameHeaderSize + n
	if err := f.fill(end, &begun); err != nil {
		return 0, nil, err
	}
	body := f.buf[f.r+wire.FrameHeaderSize : f.r+end : f.r+end]
	f.r += end
	return t, body, nil
}

// wait waits for the first bytes of a frame, for as long as it takes, without
// holding a buffer: most streams of most connections are here most of the time.
func (f *frameReader) wait() error {
	f.release()
	if f.armed {
		f.armed = false
		_ = f.src.SetReadDeadline(time.Time{}) // never fails
	}
	for {
		n, err := f.src.Read(f.head[:])
		if n > 0 {
			f.buf = buffers.Get().(*[bufferSize]byte)
			f.w = copy(f.buf[:], f.head[:n])
			return nil // an error that came along comes again
		}
		if err != nil {
			return mapError(err)
		}
	}
}

// fill reads until need bytes are buffered. The first time that it has to read
// for a frame it sets the time until which the whole frame must be there.
func (f *frameReader) fill(need int, begun *bool) error {
	if f.w-f.r >= need {
		return nil
	}
	if f.r+need > len(f.buf) {
		f.w = copy(f.buf[:], f.buf[f.r:f.w])
		f.r = 0
	}
	if !*begun {
		*begun, f.armed = true, true
		_ = f.src.SetReadDeadline(time.Now().Add(f.timeout))
	}
	for f.w-f.r < need {
		n, err := f.src.Read(f.buf[f.w:])
		f.w += n
		if err != nil && f.w-f.r < need {
			if errors.Is(err, io.EOF) {
				return ErrProtocol // the stream ends within a frame
			}
			return mapError(err)
		}
	}
	return nil
}

// buffered reports whether next would return without reading.
func (f *frameReader) buffered() bool {
	if f.err != nil {
		return true
	}
	if f.w-f.r < wire.FrameHeaderSize {
		return false
	}
	_, n, err := wire.ParseFrameHeader(f.buf[f.r:f.w])
	return err != nil || f.w-f.r >= wire.FrameHeaderSize+n
}

func (f *frameReader) release() {
	if f.buf != nil {
		buffers.Put(f.buf)
		f.buf = nil
	}
	f.r, f.w = 0, 0
}
