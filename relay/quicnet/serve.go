package quicnet

import (
	"context"
	"errors"
	"sync"

	"waxwing/core/wire"
)

// ServeControl is the answering end of a control stream: it sends hello, then
// calls handler for every request and sends what it returns, under the
// request's id. Up to 8 requests are handled at once, in no particular order;
// meanwhile the stream is not read, so that a peer that asks faster than it is
// answered waits. A nil answer ends the stream.
//
// handler's ctx ends with ctx and with the stream. ServeControl returns when
// every handler has returned: nil if the other side ended the stream or the
// connection, ErrProtocol if it broke the protocol (close the connection), else
// ctx's or the stream's error.
func ServeControl(ctx context.Context, s *Stream, hello *wire.Hello, handler func(context.Context, wire.Message) wire.Message) error {
	err := s.WriteFrame(wire.TypeHello, hello)
	if err == nil {
		err = s.Flush()
	}
	if err != nil {
		s.Cancel(wire.CodeBusy)
		return err
	}
	inner, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(inner, func() { s.Cancel(wire.CodeBusy) })
	sv := &server{stream: s, handler: handler, slots: make(chan struct{}, maxServed)}
	err = sv.first(sv.read(inner))
	if errors.Is(err, ErrProtocol) {
		s.Cancel(wire.CodeMalformed)
	}
	cancel()
	sv.handlers.Wait()
	stop()
	s.Cancel(CodeNone)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var closed *CloseError
	if errors.As(err, &closed) && closed.Remote {
		return nil
	}
	return err
}

type server struct {
	// fixed
	stream  *Stream
	handler func(context.Context, wire.Message) wire.Message
	slots   chan struct{} // one element per handler that runs; maxServed

	handlers sync.WaitGroup

	mu  sync.Mutex // guards err
	err error      // what ended the stream; later ones follow from it
}

func (sv *server) read(ctx context.Context) error {
	for {
		m, err := readMessage(sv.stream)
		if err != nil {
			return err
		}
		select {
		case sv.slots <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		sv.handlers.Go(func() {
			defer func() { <-sv.slots }()
			sv.answer(ctx, m)
		})
	}
}

func (sv *server) answer(ctx context.Context, req wire.Message) {
	m := sv.handler(ctx, req)
	if m == nil {
		sv.fail(&CloseError{})
		return
	}
	m.SetRequestID(req.RequestID())
	err := sv.stream.WriteFrame(m.Type(), m)
	if err == nil {
		err = sv.stream.Flush()
	}
	if err != nil {
		sv.fail(err)
	}
}

// fail ends the stream, so that read returns.
func (sv *server) fail(err error) {
	_ = sv.first(err)
	sv.stream.Cancel(CodeNone)
}

// first returns what ended the stream: err, if it comes first.
func (sv *server) first(err error) error {
	sv.mu.Lock()
	defer sv.mu.Unlock()
	if sv.err == nil {
		sv.err = err
	}
	return sv.err
}
