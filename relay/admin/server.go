package admin

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"
)

// Handler carries out a request. Its result is encoded as JSON; an error other
// than *Error is told as CodeFailed without its text, which could name anybody.
type Handler func(ctx context.Context, params json.RawMessage) (any, error)

// Handle makes a Handler of a function with typed parameters, which are parsed
// strictly.
func Handle[P, R any](f func(context.Context, *P) (*R, error)) Handler {
	return func(ctx context.Context, raw json.RawMessage) (any, error) {
		p := new(P)
		if len(raw) > 0 {
			d := json.NewDecoder(bytes.NewReader(raw))
			d.DisallowUnknownFields()
			if err := d.Decode(p); err != nil {
				return nil, &Error{CodeUsage, "the parameters of the request are wrong: " + err.Error(), "use a waxwing command of the server's version"}
			}
		}
		return f(ctx, p)
	}
}

// Server answers requests on a socket.
type Server struct {
	// fixed
	path     string
	listener *net.UnixListener
	handlers map[Method]Handler
	log      *slog.Logger
	cancel   context.CancelFunc
	ctx      context.Context
	slots    chan struct{} // one element per connection
	work     sync.WaitGroup
}

// Listen makes the socket, in place of one that an ended process left, and
// serves until Close. The caller makes sure that no other process serves it.
// Errors are ErrConfig and those of the file system.
func Listen(path string, handlers map[Method]Handler, log *slog.Logger) (*Server, error) {
	// Made under another name and moved, so that nobody finds it before its mode
	// is set.
	fresh := path + ".new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	addr, done, err := reachable(fresh)
	if err != nil {
		return nil, err
	}
	defer done()
	l, err := net.ListenUnix("unix", addr)
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false) // it would unlink the first name
	err = os.Chmod(fresh, 0o600)
	if err == nil {
		err = os.Rename(fresh, path)
	}
	if err != nil {
		return nil, errors.Join(err, l.Close(), os.Remove(fresh))
	}
	s := &Server{path: path, listener: l, handlers: handlers, log: log, slots: make(chan struct{}, maxConns)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.work.Go(s.accept)
	return s, nil
}

// Close ends all connections, waits for what they are doing and removes the
// socket.
func (s *Server) Close() {
	s.cancel()
	_ = s.listener.Close()
	s.work.Wait()
	_ = os.Remove(s.path)
}

func (s *Server) accept() {
	for {
		c, err := s.listener.Accept()
		if err != nil {
			if s.ctx.Err() == nil {
				s.log.Error("the admin socket failed")
			}
			return
		}
		select {
		case s.slots <- struct{}{}:
		default:
			s.reply(c, &answer{Error: &Error{CodeBusy, "too many admin connections at once", "close some of them"}})
			_ = c.Close()
			continue
		}
		s.work.Go(func() {
			defer func() { <-s.slots }()
			stop := context.AfterFunc(s.ctx, func() { _ = c.SetReadDeadline(time.Unix(1, 0)) })
			defer stop()
			defer c.Close()
			s.serve(c)
		})
	}
}

// serve answers the requests of one connection.
func (s *Server) serve(c net.Conn) {
	r := bufio.NewReader(c)
	for s.ctx.Err() == nil {
		if c.SetDeadline(time.Now().Add(requestTime)) != nil || s.ctx.Err() != nil {
			return
		}
		line, err := readLine(r, maxRequest)
		if err != nil {
			if errors.Is(err, errTooLong) {
				s.reply(c, &answer{Error: &Error{CodeUsage, "the request is too long", ""}})
			}
			return
		}
		if c.SetDeadline(time.Now().Add(2*requestTime)) != nil || !s.reply(c, s.answer(line)) {
			return
		}
	}
}

func (s *Server) answer(line []byte) *answer {
	var req request
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&req); err != nil || req.V != protocol {
		return &answer{Error: &Error{
			CodeUsage, "the server does not understand the request", "use a waxwing command of the server's version",
		}}
	}
	h := s.handlers[req.Method]
	if h == nil {
		return &answer{Error: &Error{
			CodeUsage, fmt.Sprintf("the server knows no request %q", req.Method), "use a waxwing command of the server's version",
		}}
	}
	ctx, cancel := context.WithTimeout(s.ctx, requestTime)
	defer cancel()
	result, err := h(ctx, req.Params)
	a := new(answer)
	if err == nil {
		a.Result, err = json.Marshal(result)
	}
	code := Code("ok")
	if err != nil {
		var e *Error
		if !errors.As(err, &e) {
			e = &Error{CodeFailed, "the server could not carry out the request", "look at its log and try again"}
		}
		a.Error, code = e, e.Code
	}
	s.log.Info("admin request", "method", string(req.Method), "result", string(code))
	return a
}

func (s *Server) reply(c net.Conn, a *answer) bool {
	a.V = protocol
	b, err := json.Marshal(a)
	if err == nil {
		_, err = c.Write(append(b, '\n'))
	}
	return err == nil
}

var errTooLong = errors.New("admin: line is too long")

// readLine reads a line of at most limit bytes.
func readLine(r *bufio.Reader, limit int) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > limit:
			return nil, errTooLong
		case err == nil:
			return line, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			if errors.Is(err, io.EOF) && len(line) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
}
