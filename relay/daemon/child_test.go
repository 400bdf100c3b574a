package daemon

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"waxwing/relay/admin"
)

// childEnv makes the test binary the server.
const childEnv = "WAXWING_DAEMON_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		_ = os.Unsetenv(childEnv)
		os.Exit(Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// child is a server in a process of its own, which ends with the test.
type child struct {
	t     *testing.T
	cmd   *osexec.Cmd
	ready ready
	log   *strings.Builder // complete after wait
	ended chan error
}

// newProvider initialises a data directory with a short path.
func newProvider(t *testing.T, domain string) (dir string, id identity) {
	t.Helper()
	dir, err := os.MkdirTemp("", "waxwing")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	dir = filepath.Join(dir, "data")
	code, out, errs := exec(t, "init", domain, "--data", dir, "--json")
	if code != ExitOK {
		t.Fatal(errs)
	}
	must(t, json.Unmarshal([]byte(out), &id))
	return dir, id
}

// spawn starts a server and waits until it is ready.
func spawn(t *testing.T, dir string, flags ...string) *child {
	t.Helper()
	c := &child{t: t, log: new(strings.Builder), ended: make(chan error, 1)}
	args := append([]string{"serve", "--data", dir, "--listen", "127.0.0.1:0", "--exit-with-stdin"}, flags...)
	c.cmd = osexec.Command(os.Args[0], args...)
	c.cmd.Env = append(os.Environ(), childEnv+"=1")
	c.cmd.Stderr = c.log
	stdin, err := c.cmd.StdinPipe() // it ends when this process does, however it ends
	must(t, err)
	stdout, err := c.cmd.StdoutPipe()
	must(t, err)
	must(t, c.cmd.Start())
	t.Cleanup(func() { _ = stdin.Close(); _ = c.cmd.Process.Kill() })
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	go func() { c.ended <- c.cmd.Wait() }()
	if err != nil || json.Unmarshal(line, &c.ready) != nil || !c.ready.Ready {
		c.wait()
		t.Fatalf("not ready: %q, %v\n%s", line, err, c.log)
	}
	return c
}

// wait waits for the end and returns the exit code.
func (c *child) wait() int {
	c.t.Helper()
	select {
	case err := <-c.ended:
		var e *osexec.ExitError
		if err != nil && !errors.As(err, &e) {
			c.t.Fatal(err)
		}
	case <-time.After(20 * time.Second):
		c.t.Fatal("the server does not end")
	}
	return c.cmd.ProcessState.ExitCode()
}

func call[R any](t *testing.T, c *child, m admin.Method, params any) *R {
	t.Helper()
	r, err := admin.Call[R](t.Context(), c.ready.Admin, m, params)
	must(t, err)
	return r
}

// refused makes a request that has to fail and returns why.
func refused(t *testing.T, c *child, m admin.Method, params any) *admin.Error {
	t.Helper()
	_, err := admin.Call[admin.Done](t.Context(), c.ready.Admin, m, params)
	var e *admin.Error
	if !errors.As(err, &e) {
		t.Fatalf("%s %+v: %v", m, params, err)
	}
	return e
}

// All that the admin socket offers about one server.
func TestAdminSocket(t *testing.T) {
	dir, _ := newProvider(t, "alpha.example")
	c := spawn(t, dir)
	if c.ready.Admin != filepath.Join(dir, "admin.sock") {
		t.Errorf("socket at %s", c.ready.Admin)
	}
	if st, err := os.Stat(c.ready.Admin); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st, err)
	}
	if h := call[admin.HealthResult](t, c, admin.Health, nil); !h.Healthy {
		t.Errorf("%+v", h)
	}

	made := call[admin.InviteResult](t, c, admin.InviteCreate, &admin.InviteParams{Uses: 3, Days: 7})
	if len(made.Code) != 39 || made.Uses != 3 || made.State != "open" || time.Until(made.Expires) > 7*24*time.Hour {
		t.Errorf("%+v", made)
	}
	second := call[admin.InviteResult](t, c, admin.InviteCreate, &admin.InviteParams{Uses: 1, Days: 30})
	list := call[admin.InvitesResult](t, c, admin.InviteList, nil).Invites
	if len(list) != 2 || list[0].ID != second.ID || list[1] != made.Invite {
		t.Errorf("%+v", list)
	}
	call[admin.Done](t, c, admin.InviteRevoke, &admin.IDParams{ID: made.ID[:8]})
	if list := call[admin.InvitesResult](t, c, admin.InviteList, nil).Invites; list[1].State != "revoked" {
		t.Errorf("%+v", list)
	}
	for _, tt := range []struct {
		m      admin.Method
		params any
		code   admin.Code
	}{
		{admin.InviteCreate, &admin.InviteParams{Uses: 0, Days: 7}, admin.CodeUsage},
		{admin.InviteCreate, &admin.InviteParams{Uses: 1, Days: 0}, admin.CodeUsage},
		{admin.InviteCreate, &admin.InviteParams{Uses: 1, Days: 1 << 40}, admin.CodeUsage},
		{admin.InviteRevoke, &admin.IDParams{ID: "abc"}, admin.CodeUsage},
		{admin.InviteRevoke, &admin.IDParams{ID: "ffffffffffffffffffffffffffffffff"}, admin.CodeNotFound},
		{admin.PeerAdd, &admin.PeerAddParams{Domain: "beta.example", Address: "h:1", Pin: "short"}, admin.CodeUsage},
		{admin.PeerAdd, &admin.PeerAddParams{Domain: "alpha.example", Address: "h:1", Pin: c.ready.Pin.String()}, admin.CodeUsage},
		{admin.PeerRemove, &admin.PeerRemoveParams{Domain: "beta.example"}, admin.CodeNotFound},
		{admin.PeerRemove, &admin.PeerRemoveParams{Domain: "-"}, admin.CodeUsage},
		{admin.PeerList, &admin.PeerListParams{Domain: "beta.example"}, admin.CodeNotFound},
	} {
		if e := refused(t, c, tt.m, tt.params); e.Code != tt.code || e.What == "" {
			t.Errorf("%s %+v: %+v", tt.m, tt.params, e)
		}
	}

	keys := call[admin.RotateResult](t, c, admin.KeysRotate, nil).Keys
	if len(keys) != 5 {
		t.Errorf("%+v", keys)
	}
	for _, k := range keys {
		if _, err := time.Parse(time.DateOnly, k.From); err != nil || k.Reason != "" {
			t.Errorf("%+v", k)
		}
	}
	s := call[admin.StatsResult](t, c, admin.Stats, nil)
	if s.Domain != "alpha.example" || !s.Healthy || len(s.Queues) != 0 || len(s.Counters) < 10 {
		t.Errorf("%+v", s)
	}
	call[admin.Done](t, c, admin.Drain, nil)
	if code := c.wait(); code != ExitOK || !strings.Contains(c.log.String(), "drained") {
		t.Errorf("drain: exit code %d\n%s", code, c.log)
	}
	if _, err := admin.Call[admin.Done](t.Context(), c.ready.Admin, admin.Health, nil); !errors.Is(err, admin.ErrNoServer) {
		t.Errorf("after the end: %v", err)
	}
	if strings.Contains(c.log.String(), "beta.example") || strings.Contains(c.log.String(), made.ID) {
		t.Errorf("the log names somebody:\n%s", c.log)
	}
}

// Two servers are made peers by their operators; a killed one finds its peers
// and its socket again.
func TestPeersByCommand(t *testing.T) {
	dirA, _ := newProvider(t, "alpha.example")
	dirB, idB := newProvider(t, "beta.example")
	a, b := spawn(t, dirA), spawn(t, dirB)
	toB := &admin.PeerAddParams{Domain: "beta.example", Address: b.ready.Addr, Pin: idB.Pin.String()}
	toA := &admin.PeerAddParams{Domain: "alpha.example", Address: a.ready.Addr, Pin: a.ready.Pin.String()}
	wrong := *toB
	wrong.Pin = a.ready.Pin.String()

	call[admin.Done](t, a, admin.PeerAdd, &wrong)
	p := a.until(t, "beta.example", func(p *admin.Peer) bool { return p.Error != "" })
	if p.State != admin.PeerDown || !strings.Contains(p.Error, "pinned") || !strings.Contains(p.Next, "waxwing peer add beta.example HOST:PORT PIN --replace") {
		t.Errorf("wrong pin: %+v", p)
	}
	if e := refused(t, a, admin.PeerAdd, toB); e.Code != admin.CodeExists || !strings.Contains(e.Next, "--replace") {
		t.Errorf("another pin: %+v", e)
	}
	replace := *toB
	replace.Replace = true
	call[admin.Done](t, a, admin.PeerAdd, &replace)
	p = a.until(t, "beta.example", func(p *admin.Peer) bool { return strings.Contains(p.Error, "refuses") })
	if want := "waxwing peer add alpha.example " + a.ready.Addr + " " + a.ready.Pin.String(); !strings.Contains(p.Next, want) {
		t.Errorf("%q is not in %q", want, p.Next)
	}
	call[admin.Done](t, b, admin.PeerAdd, toA)
	up := func(p *admin.Peer) bool { return p.State == admin.PeerConnected && p.Incoming == 1 }
	if p = a.until(t, "beta.example", up); p.Sequence != 1 || p.Expires == "" || p.Since == nil || p.Next != "" {
		t.Errorf("connected: %+v", p)
	}

	must(t, a.cmd.Process.Signal(syscall.SIGKILL))
	a.wait()
	if _, err := os.Stat(a.ready.Admin); err != nil {
		t.Error("a killed server removed its socket")
	}
	a = spawn(t, dirA, "--listen", a.ready.Addr)
	a.until(t, "beta.example", func(p *admin.Peer) bool { return p.State == admin.PeerConnected })
	if s := call[admin.StatsResult](t, a, admin.Stats, nil); s.Links != 1 || len(s.Queues) != 1 || s.Queues[0].Domain != "beta.example" {
		t.Errorf("%+v", s)
	}
	call[admin.Done](t, a, admin.PeerRemove, &admin.PeerRemoveParams{Domain: "beta.example", Drop: true})
	if all := call[admin.PeersResult](t, a, admin.PeerList, nil).Peers; len(all) != 0 {
		t.Errorf("%+v", all)
	}
}

// until waits until a peer is as wanted.
func (c *child) until(t *testing.T, domain string, ok func(*admin.Peer) bool) *admin.Peer {
	t.Helper()
	var last admin.Peer
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		last = call[admin.PeersResult](t, c, admin.PeerList, &admin.PeerListParams{Domain: domain}).Peers[0]
		if ok(&last) {
			return &last
		}
	}
	t.Fatalf("the peer is %+v", last)
	return nil
}

// The configuration that init wrote, changed by hand, is what serve uses.
func TestServeByConfiguration(t *testing.T) {
	dir, id := newProvider(t, "alpha.example")
	path := filepath.Join(dir, configName)
	must(t, os.WriteFile(path, []byte("registration = \"closed\"\nmetrics = \"127.0.0.1:0\"\nadmin_socket = \"none\"\n[log]\nformat = \"json\"\n"), 0o600))
	c := spawn(t, dir)
	if c.ready.Metrics == "" || c.ready.Admin != "" || c.ready.Pin != id.Pin {
		t.Errorf("%+v", c.ready)
	}
	must(t, c.cmd.Process.Signal(syscall.SIGTERM))
	if code := c.wait(); code != ExitOK {
		t.Errorf("exit code %d", code)
	}
	for line := range strings.Lines(c.log.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("log line %q", line)
		}
	}
}

// A socket that cannot be made is a clear failure, and everything else ends.
func TestNoAdminSocket(t *testing.T) {
	dir, _ := newProvider(t, "alpha.example")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var out, errs strings.Builder
	code := run(ctx, []string{"serve", "--data", dir, "--listen", "127.0.0.1:0", "--admin-socket", filepath.Join(dir, "no", "where")}, strings.NewReader(""), &out, &errs)
	if code != ExitFailed || out.String() != "" || !strings.Contains(errs.String(), "--admin-socket") {
		t.Errorf("%d, %q, %q", code, out.String(), errs.String())
	}
}

// The secret of the key files comes from a file, the environment or a systemd
// credential; without it, or with another one, the server says what is missing.
func TestKeyEncryptionKey(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	credentials := t.TempDir()
	good, other := filepath.Join(credentials, credential), filepath.Join(t.TempDir(), "other")
	must(t, os.WriteFile(good, []byte("sixteen bytes and more\n"), 0o600))
	must(t, os.WriteFile(other, []byte("sixteen other bytes..."), 0o644))
	if code, _, errs := exec(t, "init", "alpha.example", "--data", dir, "--key-encryption-key-file", good); code != ExitOK {
		t.Fatal(errs)
	}
	if code, out, _ := exec(t, "pin", "--data", dir); code != ExitOK || len(out) != 44 {
		t.Errorf("pin: %d, %q", code, out)
	}
	for name, tt := range map[string]struct {
		args []string
		says string
	}{
		"none":    {nil, "key_encryption_key_file"},
		"wrong":   {[]string{"--key-encryption-key-file", other}, "not the secret"},
		"missing": {[]string{"--key-encryption-key-file", other + "x"}, other + "x"},
	} {
		code, out, errs := exec(t, append([]string{"serve", "--data", dir, "--listen", "127.0.0.1:0"}, tt.args...)...)
		if code != ExitFailed || out != "" || !strings.Contains(errs, tt.says) || !strings.Contains(errs, "next: ") {
			t.Errorf("%s: %d, %q, %q", name, code, out, errs)
		}
	}
	if code, out, _ := exec(t, "check-config", "--data", dir, "--key-encryption-key-file", other); code != ExitOK || !strings.Contains(out, "chmod 600") {
		t.Errorf("check-config: %d, %q", code, out)
	}
	spawn(t, dir, "--key-encryption-key-file", good).end()
	t.Setenv("WAXWING_KEY_ENCRYPTION_KEY_FILE", good)
	spawn(t, dir).end()
	must(t, os.Unsetenv("WAXWING_KEY_ENCRYPTION_KEY_FILE"))
	t.Setenv("CREDENTIALS_DIRECTORY", credentials)
	spawn(t, dir).end()
}

// end drains the server.
func (c *child) end() {
	c.t.Helper()
	must(c.t, c.cmd.Process.Signal(syscall.SIGTERM))
	if code := c.wait(); code != ExitOK {
		c.t.Errorf("exit code %d", code)
	}
}
