package daemon_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"waxwing/core/ids"
	"waxwing/relay/client"
	"waxwing/relay/client/state"
	"waxwing/relay/quicnet"
)

// user is an account of the test with its client, in this process.
type user struct {
	t       *testing.T
	ctx     context.Context
	p       *provider
	address ids.Address
	dir     string

	c    *client.Client
	stop context.CancelFunc
	done sync.WaitGroup

	mu  sync.Mutex
	got map[string]bool // texts that the application was shown; guarded by mu
	n   map[string]int  // how many, by who wrote them; guarded by mu
}

// newUser registers an account and connects. Its local part is long enough to
// be found by itself.
func newUser(ctx context.Context, t *testing.T, root string, p *provider, name string) *user {
	t.Helper()
	local := name + "-" + strings.ToLower(rand.Text()[:10])
	u := &user{
		t: t, ctx: ctx, p: p, address: ids.MustParseAddress(local + "@" + p.domain.String()),
		dir: filepath.Join(root, name), got: map[string]bool{}, n: map[string]int{},
	}
	must(t, os.MkdirAll(u.dir, 0o700))
	var err error
	u.c, err = client.Create(u.config())
	must(t, err)
	must(t, u.c.Register(ctx, client.RegisterConfig{
		Address: u.address, Server: p.addr, Pin: p.pin, Invite: []byte(p.invite),
	}))
	t.Cleanup(u.close)
	u.connect()
	return u
}

func (u *user) config() client.Config {
	return client.Config{
		Dir: u.dir, ReceiptDelay: 50 * time.Millisecond,
		// A client that listens notices by lost keep-alives that its server was
		// killed.
		Timeouts: quicnet.Timeouts{KeepAlive: 300 * time.Millisecond, Idle: 3 * time.Second},
	}
}

// connect keeps the user connected until disconnect.
func (u *user) connect() {
	ctx, cancel := context.WithCancel(u.ctx)
	u.stop = cancel
	u.done.Go(func() {
		if err := u.c.Run(ctx); err != nil {
			u.t.Errorf("%s: %v", u.address, err)
		}
	})
	u.done.Go(func() {
		for o, err := range u.c.Receive(ctx, 0) {
			if err != nil {
				return
			}
			u.mu.Lock()
			u.got[o.Text()] = true
			u.n[o.From().String()]++
			u.mu.Unlock()
		}
	})
}

func (u *user) disconnect() {
	if u.stop != nil {
		u.stop()
		u.done.Wait()
		u.stop = nil
	}
}

func (u *user) close() {
	u.disconnect()
	if u.c != nil {
		_ = u.c.Close()
		u.c = nil
	}
}

// meet has two users write to each other for the first time.
func (u *user) meet(to *user) {
	u.t.Helper()
	code, err := to.c.ContactCode(u.ctx, 0)
	must(u.t, err)
	_, err = u.c.Add(u.ctx, code)
	must(u.t, err)
}

// send writes a text and returns it.
func (u *user) send(to *user) (text string, id client.MessageID) {
	u.t.Helper()
	text = "a text that nobody else writes: " + rand.Text()
	id, err := u.c.Send(u.ctx, to.address, text)
	must(u.t, err)
	return text, id
}

// has waits until the application was shown a number of messages of somebody.
func (u *user) has(from *user, n int) {
	u.t.Helper()
	await(u.t, u.ctx, fmt.Sprintf("%d messages of %s to %s", n, from.address.Local(), u.address.Local()), func() bool {
		u.mu.Lock()
		defer u.mu.Unlock()
		return u.n[from.address.String()] >= n
	})
}

// reads waits until the application was shown a text.
func (u *user) reads(text string) {
	u.t.Helper()
	await(u.t, u.ctx, "a message to "+u.address.Local(), func() bool {
		u.mu.Lock()
		defer u.mu.Unlock()
		return u.got[text]
	})
}

// reaches waits for a status of an own message.
func (u *user) reaches(id client.MessageID, want state.Status) {
	u.t.Helper()
	await(u.t, u.ctx, "a message of "+u.address.Local()+" being "+want.String(), func() bool {
		e, err := u.c.Status(id)
		must(u.t, err)
		return e.Status >= want
	})
}

func await(t *testing.T, ctx context.Context, what string, done func() bool) {
	t.Helper()
	for !done() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited in vain for %s", what)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// secrets returns the private keys of a user whose client is closed.
func (u *user) secrets() (out [][]byte) {
	u.t.Helper()
	s, err := state.Open(filepath.Join(u.dir, "profile.db"), state.Options{})
	must(u.t, err)
	defer s.Close()
	must(u.t, s.View(func(tx *state.Tx) error {
		p, err := state.Profiles.Get(tx, state.Single)
		if err != nil {
			return err
		}
		for _, k := range [][32]byte{
			p.Identity, p.Sign, p.DeviceDH, p.AccountDH, p.Chain, p.Secrets.K, p.Secrets.W, p.Secrets.Z,
		} {
			out = append(out, k[:])
		}
		for row, err := range state.Roots.Scan(tx, nil, nil) {
			if err != nil {
				return err
			}
			out = append(out, row.Record.Key)
		}
		return nil
	}))
	return out
}
