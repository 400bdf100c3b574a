package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var quiet = slog.New(slog.DiscardHandler)

// handlers of a server of a test: create echoes, revoke fails as the id says.
var handlers = map[Method]Handler{
	InviteCreate: Handle(func(_ context.Context, p *InviteParams) (*InviteResult, error) {
		return &InviteResult{Code: "code", Invite: Invite{Uses: p.Uses, Used: p.Days}}, nil
	}),
	InviteRevoke: Handle(func(_ context.Context, p *IDParams) (*Done, error) {
		if p.ID == "secret" {
			return nil, errors.New("the secret text")
		}
		return nil, &Error{CodeNotFound, "there is no invite " + p.ID, "list them"}
	}),
	Health: Handle(func(ctx context.Context, _ *Done) (*HealthResult, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}),
}

func serve(t testing.TB, path string) *Server {
	t.Helper()
	s, err := Listen(path, handlers, quiet)
	must(t, err)
	t.Cleanup(s.Close)
	return s
}

func socket(t testing.TB) string {
	dir, err := os.MkdirTemp("", "admin")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "admin.sock")
}

func TestCall(t *testing.T) {
	path := socket(t)
	serve(t, path)
	st, err := os.Stat(path)
	must(t, err)
	if st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", st.Mode())
	}
	r, err := Call[InviteResult](t.Context(), path, InviteCreate, &InviteParams{Uses: 3, Days: 9})
	must(t, err)
	if r.Code != "code" || r.Uses != 3 || r.Used != 9 {
		t.Errorf("%+v", r)
	}
	var e *Error
	if _, err := Call[Done](t.Context(), path, InviteRevoke, &IDParams{"x"}); !errors.As(err, &e) || e.Code != CodeNotFound || e.Next != "list them" {
		t.Errorf("%v", err)
	}
	// Texts of errors that are not for the operator stay in the server.
	if _, err := Call[Done](t.Context(), path, InviteRevoke, &IDParams{"secret"}); !errors.As(err, &e) || e.Code != CodeFailed || strings.Contains(e.What, "secret") {
		t.Errorf("%v", err)
	}
	if _, err := Call[Done](t.Context(), path, Drain, nil); !errors.As(err, &e) || e.Code != CodeUsage {
		t.Errorf("unknown method: %v", err)
	}
	if _, err := Call[Done](t.Context(), path, InviteCreate, map[string]int{"users": 1}); !errors.As(err, &e) || e.Code != CodeUsage || !strings.Contains(e.What, "users") {
		t.Errorf("unknown parameter: %v", err)
	}
}

// What reaches the server on the wire and what it answers; the connection goes
// on after every mistake but one that is too long to be skipped.
func TestLines(t *testing.T) {
	path := socket(t)
	serve(t, path)
	c, err := net.Dial("unix", path)
	must(t, err)
	defer c.Close()
	r := bufio.NewReader(c)
	for _, tt := range []struct{ line, want string }{
		{`{"v":1,"method":"invite.create","params":{"uses":2}}`, `"uses":2`},
		{`nonsense`, `"usage"`},
		{`{"v":2,"method":"invite.create"}`, `"usage"`},
		{`{"method":"invite.create"}`, `"usage"`},
		{`{"v":1,"method":"invite.create","more":1}`, `"usage"`},
		{`{"v":1,"method":"dance"}`, `dance`},
		{`{"v":1,"method":"invite.create","params":{"uses":"two"}}`, `"usage"`},
		{`{"v":1,"method":"invite.create"}`, `"uses":0`},
		{`{"v":1,"method":"` + strings.Repeat("x", maxRequest) + `"}`, `too long`},
	} {
		_, err := io.WriteString(c, tt.line+"\n")
		must(t, err)
		got, err := r.ReadString('\n')
		must(t, err)
		if !strings.Contains(got, tt.want) || !json.Valid([]byte(got)) {
			t.Errorf("%.60s is answered %s", tt.line, got)
		}
	}
	if _, err := r.ReadByte(); err == nil {
		t.Error("the connection goes on behind a line that is too long")
	}
}

func TestNoServer(t *testing.T) {
	path := socket(t)
	call := func(p string) error {
		_, err := Call[Done](t.Context(), p, Drain, nil)
		return err
	}
	if err := call(path); !errors.Is(err, ErrNoServer) {
		t.Errorf("no socket: %v", err)
	}
	if err := call(filepath.Join(path, "x", "y")); !errors.Is(err, ErrNoServer) {
		t.Errorf("no directory: %v", err)
	}
	s := serve(t, path)
	s.Close()
	if err := call(path); !errors.Is(err, ErrNoServer) {
		t.Errorf("after the end: %v", err)
	}
	// What a killed process leaves.
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	must(t, err)
	l.SetUnlinkOnClose(false)
	must(t, l.Close())
	if err := call(path); !errors.Is(err, ErrNoServer) {
		t.Errorf("a socket that a killed process left: %v", err)
	}
	serve(t, path)
	if _, err := Call[InviteResult](t.Context(), path, InviteCreate, nil); err != nil {
		t.Errorf("the new server: %v", err)
	}
	file := path + ".file"
	must(t, os.WriteFile(file, nil, 0o600))
	if err := call(file); err == nil {
		t.Error("a file that is no socket")
	}
}

func TestNotTheProtocol(t *testing.T) {
	for _, reply := range []string{"hello\n", "{}\n", `{"v":2,"result":{}}` + "\n", `{"v":1}` + "\n", `{"v":1,"result":[]}` + "\n"} {
		path := socket(t)
		l, err := net.Listen("unix", path)
		must(t, err)
		done := make(chan struct{})
		go func() {
			defer close(done)
			c, err := l.Accept()
			if err == nil {
				_, _ = bufio.NewReader(c).ReadString('\n')
				_, _ = io.WriteString(c, reply)
				_ = c.Close()
			}
		}()
		if _, err := Call[Done](t.Context(), path, Drain, nil); !errors.Is(err, ErrProtocol) {
			t.Errorf("%q: %v", reply, err)
		}
		<-done
		_ = l.Close()
	}
}

// A path that does not fit into an address is reached all the same where the
// system can, and is otherwise named as the cause.
func TestLongPath(t *testing.T) {
	path := filepath.Join(filepath.Dir(socket(t)), strings.Repeat("d", 120))
	must(t, os.Mkdir(path, 0o700))
	path = filepath.Join(path, "admin.sock")
	s, err := Listen(path, handlers, quiet)
	if errors.Is(err, ErrConfig) {
		t.Skip("this system has no way to reach it")
	}
	must(t, err)
	t.Cleanup(s.Close)
	if _, err := Call[InviteResult](t.Context(), path, InviteCreate, nil); err != nil {
		t.Error(err)
	}
	if _, err := Listen(filepath.Join(filepath.Dir(path), strings.Repeat("x", 120)), handlers, quiet); err == nil {
		t.Error("a name that is too long is taken")
	}
}

func TestTooManyConnections(t *testing.T) {
	path := socket(t)
	serve(t, path)
	for range maxConns {
		c, err := net.Dial("unix", path)
		must(t, err)
		defer c.Close()
	}
	var e *Error
	deadline := time.Now().Add(10 * time.Second)
	for time.Now().Before(deadline) { // until all are accepted
		if _, err := Call[InviteResult](t.Context(), path, InviteCreate, nil); errors.As(err, &e) && e.Code == CodeBusy {
			return
		}
	}
	t.Error("one more than the limit is served")
}

// Neither the caller's end nor the server's leaves the other waiting.
func TestEndsDuringARequest(t *testing.T) {
	path := socket(t)
	s := serve(t, path)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := Call[HealthResult](ctx, path, Health, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the caller gives up: %v", err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := Call[HealthResult](context.Background(), path, Health, nil)
		done <- err
	}()
	time.Sleep(20 * time.Millisecond)
	s.Close()
	if err := <-done; err == nil {
		t.Error("the server ended and answered")
	}
}

// An answer that is taken says one thing, and says it again when it is written.
func FuzzParseAnswer(f *testing.F) {
	s := &Server{handlers: handlers, log: quiet, ctx: context.Background()}
	for _, line := range []string{
		`{"v":1,"method":"invite.create","params":{"uses":2}}`, `{"v":1,"method":"invite.revoke","params":{"id":"x"}}`,
		`{"v":1,"method":"none"}`, `{"v":2}`, `{`,
	} {
		b, err := json.Marshal(s.answer([]byte(line)))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		a, err := parseAnswer(line)
		if err != nil {
			if !errors.Is(err, ErrProtocol) {
				t.Errorf("%v", err)
			}
			return
		}
		again, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := parseAnswer(again); err != nil || (b.Error == nil) != (a.Error == nil) || a.Error != nil && *a.Error != *b.Error {
			t.Errorf("%s is read as %s: %v", line, again, err)
		}
	})
}

func FuzzAnswer(f *testing.F) {
	s := &Server{handlers: handlers, log: quiet, ctx: context.Background()}
	f.Add([]byte(`{"v":1,"method":"invite.create","params":{"uses":2}}`))
	f.Add([]byte(`{"v":1,"method":"invite.revoke","params":{"id":"x"}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		if strings.Contains(string(line), "health") {
			return // waits
		}
		a := s.answer(line)
		if (a.Error == nil) == (a.Result == nil) {
			t.Errorf("answer %+v", a)
		}
	})
}
