package demo

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"waxwing/cmd/waxwing/internal/child"
	"waxwing/core/ids"
	"waxwing/relay/client"
	"waxwing/relay/client/state"
	"waxwing/relay/quicnet"
)

// poll is how often something that has no notification is looked at.
const poll = 20 * time.Millisecond

// user is a person with an open profile and a connection in the background. The
// SDK runs in this process; only the servers are processes of their own.
type user struct {
	// fixed
	address  ids.Address
	provider *child.Provider
	dir      string // of the profile
	c        *client.Client
	stop     context.CancelFunc
	done     sync.WaitGroup

	mu     sync.Mutex
	got    []*client.Opened // what the application was shown, in order; guarded by mu
	failed error            // why the background ended; guarded by mu
}

// newUser registers an account at a provider's server. Nothing runs in the
// background until run.
func newUser(ctx context.Context, root string, p *child.Provider, local string) (*user, error) {
	address, err := ids.ParseAddress(local + "@" + p.Domain)
	if err != nil {
		return nil, err
	}
	dir := dirOf(root, address)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	u := &user{address: address, provider: p, dir: dir, stop: func() {}}
	if u.c, err = client.Create(configOf(dir)); err != nil {
		return nil, err
	}
	err = u.c.Register(ctx, client.RegisterConfig{Address: address, Server: p.Addr, Pin: pinOf(p)})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("register %s: %w", address, err), u.c.Close())
	}
	return u, nil
}

func configOf(dir string) client.Config {
	return client.Config{
		Dir: dir,
		// Receipts that wait less than a second make the demo quicker.
		ReceiptDelay: 100 * time.Millisecond,
		// A connection on which nothing is sent notices a dead server by lost
		// keep-alives.
		Timeouts: quicnet.Timeouts{KeepAlive: time.Second, Idle: 4 * time.Second},
	}
}

// run keeps the user connected, and notes what the application is shown.
func (u *user) run(ctx context.Context) {
	ctx, u.stop = context.WithCancel(ctx)
	u.done.Go(func() { u.end(u.c.Run(ctx)) })
	u.done.Go(func() {
		for o, err := range u.c.Receive(ctx, 0) {
			if err != nil {
				u.end(err)
				return
			}
			u.mu.Lock()
			u.got = append(u.got, o)
			u.mu.Unlock()
		}
	})
}

func (u *user) end(err error) {
	if err != nil {
		u.mu.Lock()
		u.failed = errors.Join(u.failed, fmt.Errorf("%s: %w", u.address, err))
		u.mu.Unlock()
	}
}

func (u *user) close() error {
	u.stop()
	u.done.Wait()
	return u.c.Close()
}

// shown returns what the application was shown so far.
func (u *user) shown() ([]*client.Opened, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.got[:len(u.got):len(u.got)], u.failed
}

// await waits until the application was shown n messages, and tells how many
// there are while it waits.
func (u *user) await(ctx context.Context, n int, progress func(int)) ([]*client.Opened, error) {
	for {
		got, err := u.shown()
		if err != nil || len(got) >= n {
			return got, err
		}
		progress(len(got))
		if err := pause(ctx, poll); err != nil {
			return got, fmt.Errorf("%s was shown %d of %d messages: %w", u.address, len(got), n, err)
		}
	}
}

// reaches waits until a message that the user sent has come as far as a status.
func (u *user) reaches(ctx context.Context, id client.MessageID, want state.Status) (client.Entry, error) {
	for {
		e, err := u.c.Status(id)
		if err != nil || e.Status >= want {
			return e, err
		}
		if err := pause(ctx, poll); err != nil {
			return e, fmt.Errorf("a message of %s has status %d, not %d: %w", u.address, e.Status, want, err)
		}
	}
}

// pause sleeps unless ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// mailbox returns the id of the mailbox that a contact code is for, which
// stands behind the provider's pin. The application has no other use for it;
// the demo looks for it where it must not be.
func mailbox(code string, p *child.Provider) (m ids.MailboxID, err error) {
	_, text, _ := strings.Cut(code, ":")
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return m, err
	}
	at := bytes.Index(b, p.Pin[:])
	if at < 0 || len(b) < at+len(p.Pin)+len(m) {
		return m, errors.New("demo: a contact code without a mailbox")
	}
	copy(m[:], b[at+len(p.Pin):])
	return m, nil
}
