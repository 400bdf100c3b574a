package client

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
	"waxwing/relay/quicnet"
)

// link is one connection to the own provider, authenticated.
type link struct {
	// fixed
	c      *Client
	conn   *quicnet.Conn
	caller *quicnet.Caller
	own    time.Time // by the own clock when the provider's was compared with it
	began  time.Time // the same moment by a clock that nobody sets

	mu    sync.Mutex
	later map[string]time.Time // when a request that was refused may be made again; guarded by mu

	// fresh: something came that messages may have waited for.
	fresh atomic.Bool
	// revoked: the provider refused an envelope as it revoked a token-signing key.
	revoked atomic.Bool
}

// dial connects and says Hello, but does not authenticate.
func (c *Client) dial(ctx context.Context, addr string, domain ids.Domain, pin keys.Pin) (*link, error) {
	conn, err := quicnet.Dial(ctx, quicnet.DialConfig{
		Addr: addr, Domain: domain, Pin: pin, Now: c.conf.Now, Timeouts: c.conf.Timeouts, Socket: c.conf.Socket,
	})
	if err != nil {
		return nil, err
	}
	l, err := c.control(ctx, conn)
	if err != nil {
		conn.Close(quicnet.CodeNone)
	}
	return l, err
}

// control opens a connection's control stream.
func (c *Client) control(ctx context.Context, conn *quicnet.Conn) (*link, error) {
	s, err := conn.OpenStream(ctx, wire.StreamControl)
	if err == nil {
		var caller *quicnet.Caller
		if caller, err = quicnet.NewCaller(ctx, s); err == nil {
			l := &link{c: c, conn: conn, caller: caller, later: make(map[string]time.Time)}
			if err = c.adopt(caller.Hello().Time); err == nil {
				l.own, l.began = c.conf.Now().Round(0), time.Now()
				return l, nil
			}
			caller.Close()
		}
	}
	return nil, err
}

// clockStep is how far the own clock may get from one that nobody sets before the
// connection is made anew: far below a day, which is what keys and envelopes go by,
// and far above what any clock is off by itself.
const clockStep = 10 * time.Minute

// errStepped: the own clock was set while the connection stood, or the machine
// slept. What the provider's clock said of it then is no longer true.
var errStepped = errors.New("client: the clock was set")

// stepped is asked before anything is done by the day. After errStepped the
// connection has to go: the next one compares the clocks again (Client.adopt).
func (l *link) stepped() error {
	if off := l.c.conf.Now().Round(0).Sub(l.own) - time.Since(l.began); off.Abs() > clockStep {
		return errStepped
	}
	return nil
}

func (l *link) close() {
	l.conn.Close(quicnet.CodeNone)
	l.caller.Close()
}

func (l *link) challenge() directory.Challenge {
	return directory.Challenge{Exporter: l.conn.Exporter(), Nonce: l.caller.Hello().Nonce}
}

// RegisterConfig says which account to register, and where.
type RegisterConfig struct {
	Address ids.Address // the account; its domain is the provider's
	Server  string      // "host:port" of the provider
	Pin     keys.Pin    // of the provider's root key
	Invite  []byte      // if the provider asks for one
}

// Register makes an account, with keys made here, publishes its keys and asks
// for the first tickets. Called again after a failure it goes on with the same
// keys. Errors are ErrRegistered, *RefusedError (CodeExists: the address is
// taken; CodeConfusable: its name mixes scripts or looks like another), those of the connection (ErrClock and package
// quicnet's) and the store's.
func (c *Client) Register(ctx context.Context, r RegisterConfig) error {
	// The keys are durable before anything is sent: a crash after the provider
	// made the account is healed by registering again with the same manifest.
	err := c.update(func(w *work) error { return w.prepare(r.Address, r.Server, r.Pin, r.Invite) })
	if err != nil {
		return err
	}
	l, err := c.dial(ctx, r.Server, r.Address.Domain(), r.Pin)
	if err != nil {
		return err
	}
	defer l.close()
	var m *wire.Register
	if err := c.view(func(w *work) error {
		m = w.self.registration(r.Address.Domain(), l.challenge())
		return nil
	}); err != nil {
		return err
	}
	s, err := quicnet.Ask[*wire.Session](ctx, l.caller, m)
	if err != nil {
		return refusedError(err)
	}
	if err := c.update(func(w *work) error { return w.entered(s) }); err != nil {
		return err
	}
	return l.supply(ctx)
}

// connect dials the own provider and authenticates.
func (c *Client) connect(ctx context.Context) (*link, error) {
	addr, domain, pin, err := c.provider()
	if err != nil {
		return nil, err
	}
	l, err := c.dial(ctx, addr, domain, pin)
	if err != nil {
		return nil, err
	}
	if err := l.authenticate(ctx, domain); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

func (l *link) authenticate(ctx context.Context, domain ids.Domain) error {
	var m *wire.Auth
	if err := l.c.view(func(w *work) error {
		m = w.self.auth(domain, l.challenge())
		return nil
	}); err != nil {
		return err
	}
	s, err := quicnet.Ask[*wire.Session](ctx, l.caller, m)
	if err != nil {
		return refusedError(err)
	}
	return l.c.update(func(w *work) error { return w.entered(s) })
}

// inTurn is withLink for what must not run beside the upkeep of the account.
func (c *Client) inTurn(ctx context.Context, f func(*link) error) error {
	return c.withLink(ctx, func(l *link) error {
		if err := c.upkeep.take(ctx); err != nil {
			return err
		}
		defer c.upkeep.give()
		return f(l)
	})
}

// withLink runs f on the connection that is open, or on one for f alone.
func (c *Client) withLink(ctx context.Context, f func(*link) error) error {
	c.mu.Lock()
	l := c.link
	c.mu.Unlock()
	if l != nil && l.conn.Err() == nil {
		return refusedError(f(l))
	}
	l, err := c.connect(ctx)
	if err != nil {
		return err
	}
	defer l.close()
	return refusedError(f(l))
}

// attempt runs a request unless it was refused a short while ago. A refusal is
// remembered and is no error: everything here is asked again later.
func (l *link) attempt(name string, f func() error) error {
	now := l.c.now()
	l.mu.Lock()
	wait := l.later[name].After(now)
	l.mu.Unlock()
	if wait {
		return nil
	}
	err := f()
	var r *quicnet.RefusedError
	if !errors.As(err, &r) {
		return err
	}
	l.mu.Lock()
	l.later[name] = now.Add(max(r.RetryAfter, refusedRetry))
	l.mu.Unlock()
	return nil
}

// refusedRetry is how soon a refused request is made again at the earliest.
const refusedRetry = 500 * time.Millisecond
