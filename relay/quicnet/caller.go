package quicnet

import (
	"context"
	"errors"
	"sync"
	"time"

	"waxwing/core/wire"
)

// RefusedError says that the other side understood a request and does not
// carry it out.
type RefusedError struct {
	Code       wire.Code
	RetryAfter time.Duration // 0 if trying again is no use
}

func (e *RefusedError) Error() string { return "quicnet: refused: " + e.Code.String() }

// Caller is the asking end of a control stream. Its methods may be called
// concurrently.
type Caller struct {
	// fixed
	stream *Stream
	hello  wire.Hello
	slots  chan struct{} // one element per request under way; maxCalls
	done   chan struct{} // closed when the reader has ended

	mu      sync.Mutex // guards the fields below
	last    uint32
	pending map[uint32]chan wire.Message // at most maxCalls; capacity 1 each
	err     error                        // set before done is closed
}

// NewCaller reads the server's Hello from a control stream that was just
// opened and takes the stream over: nothing else may read it. If ctx ends
// before the Hello is there, the stream is cancelled. Otherwise the caller
// lives until Close or the end of the stream.
func NewCaller(ctx context.Context, s *Stream) (*Caller, error) {
	stop := context.AfterFunc(ctx, func() { s.Cancel(CodeNone) })
	t, body, err := s.ReadFrame()
	if !stop() {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	c := &Caller{
		stream: s, slots: make(chan struct{}, maxCalls), done: make(chan struct{}),
		pending: map[uint32]chan wire.Message{},
	}
	if t != wire.TypeHello || wire.Unmarshal(body, &c.hello) != nil {
		s.Cancel(wire.CodeMalformed)
		return nil, ErrProtocol
	}
	go c.read()
	return c, nil
}

// Hello returns the server's greeting.
func (c *Caller) Hello() wire.Hello { return c.hello }

// Done is closed when the stream has ended; Err says why.
func (c *Caller) Done() <-chan struct{} { return c.done }

// Err returns why the stream has ended, or nil if it has not.
func (c *Caller) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Close ends the stream and waits for the reader's end. Calls under way fail.
func (c *Caller) Close() {
	c.stream.Cancel(CodeNone)
	<-c.done
}

// Call sends a request, whose id it sets, and waits for the answer. With
// maxCalls requests under way it waits first. A refusal is *RefusedError, and a
// request that cannot be built is wire.ErrMalformed. After any other error, the
// stream's or ctx's, the request may or may not have been carried out.
func (c *Caller) Call(ctx context.Context, req wire.Message) (wire.Message, error) {
	select {
	case c.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-c.done:
		return nil, c.Err()
	}
	answer, err := c.send(req)
	if err != nil {
		return nil, err
	}
	select {
	case m := <-answer:
		return opened(m)
	case <-ctx.Done():
		// The request stays pending, with its slot, until its answer comes: it is
		// still under way over there, and its id must not be used again.
		return nil, ctx.Err()
	case <-c.done:
		select { // the answer may have come just before the end
		case m := <-answer:
			return opened(m)
		default:
			return nil, c.Err()
		}
	}
}

func opened(m wire.Message) (wire.Message, error) {
	if r, ok := m.(*wire.Refusal); ok {
		return nil, &RefusedError{r.Code, time.Duration(r.RetryAfter) * time.Millisecond}
	}
	return m, nil
}

// Ask is Call for an answer of one type; another type is ErrProtocol.
func Ask[T wire.Message](ctx context.Context, c *Caller, req wire.Message) (T, error) {
	var zero T
	m, err := c.Call(ctx, req)
	if err != nil {
		return zero, err
	}
	t, ok := m.(T)
	if !ok {
		return zero, ErrProtocol
	}
	return t, nil
}

// send registers and sends a request for which a slot was taken.
func (c *Caller) send(req wire.Message) (<-chan wire.Message, error) {
	answer := make(chan wire.Message, 1)
	c.mu.Lock()
	for c.last++; c.pending[c.last] != nil; c.last++ { // ends: fewer than maxCalls are pending
	}
	id := c.last
	c.pending[id] = answer
	c.mu.Unlock()
	req.SetRequestID(id)
	err := c.stream.WriteFrame(req.Type(), req)
	if err == nil {
		err = c.stream.Flush()
	}
	if err == nil {
		return answer, nil
	}
	if errors.Is(err, wire.ErrMalformed) { // nothing was sent
		c.take(id)
		return nil, err
	}
	// The stream no longer works in this direction; end it in the other one,
	// and with it all calls.
	c.stream.Cancel(CodeNone)
	return nil, err
}

// take ends a pending request, frees its slot and returns where its answer goes.
func (c *Caller) take(id uint32) chan<- wire.Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	answer, ok := c.pending[id]
	if !ok {
		return nil
	}
	delete(c.pending, id)
	<-c.slots
	return answer
}

// read hands out answers until the stream ends.
func (c *Caller) read() {
	err := c.readAnswers()
	if errors.Is(err, ErrProtocol) {
		c.stream.Cancel(wire.CodeMalformed)
	} else {
		c.stream.Cancel(CodeNone)
	}
	c.mu.Lock()
	c.err = err
	c.mu.Unlock()
	close(c.done)
}

func (c *Caller) readAnswers() error {
	for {
		m, err := readMessage(c.stream)
		if err != nil {
			return err
		}
		answer := c.take(m.RequestID())
		if answer == nil {
			return ErrProtocol // an answer to nothing that was asked
		}
		answer <- m // capacity 1, one answer
	}
}

// readMessage reads the next control message.
func readMessage(s *Stream) (wire.Message, error) {
	t, body, err := s.ReadFrame()
	if err != nil {
		return nil, err
	}
	m := wire.NewMessage(t)
	if m == nil || wire.Unmarshal(body, m) != nil {
		return nil, ErrProtocol
	}
	return m, nil
}
