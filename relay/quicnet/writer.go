package quicnet

import (
	"io"
	"sync"
	"time"
)

// sink is what a frameWriter writes to.
type sink interface {
	io.Writer
	SetWriteDeadline(time.Time) error
}

// frameWriter gathers frames and writes them in large pieces. While one
// goroutine waits for a piece to be sent, others fill the next one; they wait
// too when it is full.
type frameWriter struct {
	// fixed
	dst     sink
	timeout time.Duration

	mu  sync.Mutex // guards buf and err; never held while writing
	buf []byte     // nil while there is nothing to send
	err error      // sticky

	// sending holds a token while somebody writes; put in before mu is taken, never after
	// it. A mutex would do, but who waits here waits for the network, and the clock of
	// testing/synctest stands still while one goroutine waits for a mutex.
	sending chan struct{}
}

func (w *frameWriter) init(dst sink, timeout time.Duration) {
	w.dst, w.timeout, w.sending = dst, timeout, make(chan struct{}, 1)
}

// add lets build append to the buffer; what it appends is sent whole and in
// one place. If it fails, nothing of it is sent.
func (w *frameWriter) add(build func([]byte) ([]byte, error)) error {
	w.mu.Lock()
	for w.err == nil && len(w.buf) >= flushSize {
		w.mu.Unlock()
		if err := w.flush(); err != nil {
			return err
		}
		w.mu.Lock()
	}
	if w.err != nil {
		w.mu.Unlock()
		return w.err
	}
	if w.buf == nil {
		w.buf = buffers.Get().(*[bufferSize]byte)[:0]
	}
	b, err := build(w.buf)
	if err != nil {
		w.mu.Unlock()
		return err
	}
	w.buf = b
	full := len(b) >= flushSize
	w.mu.Unlock()
	if full {
		return w.flush()
	}
	return nil
}

// flush sends everything that was added before it was called.
func (w *frameWriter) flush() error {
	w.sending <- struct{}{}
	defer func() { <-w.sending }()
	w.mu.Lock()
	b, err := w.buf, w.err
	w.buf = nil
	w.mu.Unlock()
	if err == nil && len(b) > 0 {
		_ = w.dst.SetWriteDeadline(time.Now().Add(w.timeout)) // never fails
		if _, err = w.dst.Write(b); err != nil {
			// Part of a frame may have been sent: nothing can follow it.
			err = w.fail(mapError(err))
		}
	}
	if cap(b) == bufferSize { // else build made it grow, or it is nil
		buffers.Put((*[bufferSize]byte)(b[:bufferSize]))
	}
	return err
}

// fail makes every later call return err, or the error that was first.
func (w *frameWriter) fail(err error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = err
	}
	return w.err
}
