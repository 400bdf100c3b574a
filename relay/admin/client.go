package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// maxPath is how many bytes a socket's path may have: what fits into the
// address of the smallest system (sockaddr_un of BSD), with its final zero.
const maxPath = 103

// reachable returns the address of a socket. A path that is too long is reached
// through the descriptor of its directory, where the system shows those; done
// gives it back when the address is no longer needed.
func reachable(path string) (addr *net.UnixAddr, done func(), err error) {
	if len(path) <= maxPath {
		return &net.UnixAddr{Name: path, Net: "unix"}, func() {}, nil
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, nil, err
	}
	short := fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path))
	if _, err := os.Stat(filepath.Dir(short)); err != nil || len(short) > maxPath {
		_ = dir.Close()
		return nil, nil, fmt.Errorf("%w: longer than %d bytes", ErrConfig, maxPath)
	}
	return &net.UnixAddr{Name: short, Net: "unix"}, func() { _ = dir.Close() }, nil
}

// Call asks the server behind a socket. params may be nil. Errors are *Error
// (the server does not carry it out), ErrNoServer, ErrDenied, ErrProtocol,
// ErrConfig, or ctx's.
func Call[R any](ctx context.Context, socket string, method Method, params any) (*R, error) {
	result := new(R)
	a, err := exchange(ctx, socket, method, params)
	if err != nil {
		return nil, err
	}
	if a.Error != nil {
		return nil, a.Error
	}
	// Fields that a later server adds are passed over.
	if json.Unmarshal(a.Result, result) != nil {
		return nil, ErrProtocol
	}
	return result, nil
}

func exchange(ctx context.Context, socket string, method Method, params any) (*answer, error) {
	req := request{V: protocol, Method: method}
	if params != nil {
		var err error
		if req.Params, err = json.Marshal(params); err != nil {
			return nil, err
		}
	}
	line, err := json.Marshal(req)
	if err != nil {
		return nil, err
	}
	addr, done, err := reachable(socket)
	if err != nil {
		return nil, dialError(err)
	}
	defer done()
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", addr.Name)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, dialError(err)
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err = c.Write(append(line, '\n')); err == nil {
		line, err = readLine(bufio.NewReader(c), maxAnswer)
	}
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, errTooLong):
		return nil, ErrProtocol
	case err != nil:
		return nil, ErrNoServer // it ended meanwhile
	}
	return parseAnswer(line)
}

// parseAnswer parses a line: a result or an error, not both. The error is
// ErrProtocol.
func parseAnswer(line []byte) (*answer, error) {
	a := new(answer)
	if json.Unmarshal(line, a) != nil || a.V != protocol || (a.Error == nil) == (a.Result == nil) {
		return nil, ErrProtocol
	}
	return a, nil
}

func dialError(err error) error {
	switch {
	case errors.Is(err, ErrConfig):
		return err
	case errors.Is(err, os.ErrPermission):
		return ErrDenied
	case errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOTDIR):
		return ErrNoServer
	}
	return fmt.Errorf("%w: %w", ErrConfig, err)
}
