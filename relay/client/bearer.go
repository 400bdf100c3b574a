package client

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"waxwing/core/wire"
	"waxwing/relay/quicnet"
)

const (
	// bearerIdle is how long a connection that is nobody's stays without anything
	// to send, and half as much again at random: receipts and the next message
	// share it, and what is sent an hour later does not.
	bearerIdle = 10 * time.Second
	// tokenPatience is how long Sync waits for the next attempt: of an envelope
	// whose token was not taken.
	tokenPatience = 2 * minBackoff
	// bearerLife is after how long it is replaced when it has nothing under way,
	// and half as much again at random: what one connection brings, the provider
	// knows to be of one sender.
	bearerLife = 5 * time.Minute
)

// bearer hands the outbox in with submission tokens, on connections that never
// authenticate: own socket, own time. It connects when there is something to
// send, and not when the account does.
type bearer struct {
	// fixed
	c    *Client
	once bool   // it ends at the first error
	poke func() // something was settled, or failed

	mu   sync.Mutex // guards the fields below
	sub  *submitter // nil without a connection
	rest time.Time  // nothing is sent before it: the provider refused something for a while
	err  error      // of the last connection; nil after an ack
}

// run hands in what there is until ctx ends.
func (b *bearer) run(ctx context.Context) {
	backoff := minBackoff
	for ctx.Err() == nil {
		next := b.c.news.next()
		wait := b.wait()
		if wait <= 0 {
			err := b.carry(ctx)
			b.end(err)
			if err == nil {
				backoff = minBackoff
				continue
			}
			if b.once || fatal(err) {
				return // who has the account's connection meets the same
			}
			next, wait, backoff = nil, backoff/2+rand.N(backoff), min(2*backoff, maxBackoff)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-next:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// wait is how long there is nothing to hand in; zero if there is something.
func (b *bearer) wait() time.Duration {
	payable := false
	if err := b.c.view(func(w *work) (err error) {
		w.wakeRests(func(uint64) bool { return false })
		payable, err = w.payable(0)
		return err
	}); err != nil || !payable {
		if next := b.c.e.rests.next(time.Now()); err == nil && !next.IsZero() {
			return min(idleCheck, max(time.Until(next), time.Millisecond))
		}
		return idleCheck
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return time.Until(b.rest)
}

// settled reports whether nothing is left that could be handed in now, and why a
// connection failed.
func (b *bearer) settled() (bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return true, b.err
	}
	rest := b.rest
	if b.sub != nil {
		flying, resume := b.sub.state()
		if flying > 0 {
			return false, nil
		}
		rest = resume
	}
	switch until := time.Until(rest); {
	case until > tokenPatience:
		return true, nil
	case until > 0: // the next token may do
		return false, nil
	}
	payable := false
	err := b.c.view(func(w *work) (err error) {
		payable, err = w.payable(0)
		return err
	})
	return !payable, err
}

func (b *bearer) end(err error) {
	b.mu.Lock()
	if b.sub != nil {
		_, b.rest = b.sub.state()
	}
	b.sub, b.err = nil, err
	b.mu.Unlock()
	b.poke()
}

// carry makes one connection and hands in on it, until it is idle.
func (b *bearer) carry(ctx context.Context) error {
	conn, err := b.c.dialBearer(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(quicnet.CodeNone)
	stream, err := conn.OpenStream(ctx, wire.StreamSubmit)
	if err != nil {
		return err
	}
	again := make(chan struct{}, 1)
	s := newSubmitter(b.c, stream, func() {
		select {
		case again <- struct{}{}:
		default:
		}
		b.poke()
	})
	s.paid, s.revoked, s.ask = true, new(atomic.Bool), s.poke
	b.mu.Lock()
	b.sub = s
	b.mu.Unlock()
	failed := make(chan error, 1)
	go func() { failed <- s.takeAcks() }()
	err = b.feed(ctx, conn, s, again, failed)
	conn.Close(quicnet.CodeNone)
	<-failed // nothing of it stays behind
	return err
}

// feed sends until there was nothing for a while, or the connection fails.
func (b *bearer) feed(ctx context.Context, conn *quicnet.Conn, s *submitter, again <-chan struct{}, failed chan error) error {
	over := time.Now().Add(bearerLife + rand.N(bearerLife/2))
	idle := bearerIdle + rand.N(bearerIdle/2)
	last := time.Now()
	for {
		next := b.c.news.next()
		if s.revoked.Load() {
			if err := b.askKeys(ctx, conn); err != nil {
				return err
			}
			s.revoked.Store(false)
		}
		n, err := s.write(s.room())
		if err != nil {
			return err
		}
		flying, _ := s.state()
		now := time.Now()
		if n > 0 || flying > 0 {
			last = now
		}
		rest := last.Add(idle).Sub(now)
		if flying == 0 && n == 0 && (rest <= 0 || now.After(over)) {
			return nil
		}
		if flying == 0 && b.once {
			b.poke() // Sync may be over
		}
		if n == batchSize {
			continue
		}
		if next := s.next(); !next.IsZero() {
			rest = min(rest, next.Sub(now))
		}
		timer := time.NewTimer(max(rest, time.Millisecond))
		select {
		case <-ctx.Done():
			err = ctx.Err()
		case err = <-failed:
			failed <- err
			if err == nil {
				err = quicnet.ErrClosed
			}
		case <-next:
		case <-again:
		case <-timer.C:
		}
		timer.Stop()
		if err != nil {
			return err
		}
	}
}

// askKeys asks for the provider's list of token-signing keys, one of which was
// revoked, on the connection that was refused: to ask on the account's would tell
// whose the other one is.
func (b *bearer) askKeys(ctx context.Context, conn *quicnet.Conn) error {
	l, err := b.c.control(ctx, conn)
	if err != nil {
		return err
	}
	defer l.caller.Close()
	if err := l.fetchOwnKeys(ctx); err != nil {
		return err
	}
	b.poke() // messages may have to be sealed anew
	return nil
}

// dialBearer connects to the own provider and opens no control stream: as a rule
// nothing is asked on this connection.
func (c *Client) dialBearer(ctx context.Context) (*quicnet.Conn, error) {
	addr, domain, pin, err := c.provider()
	if err != nil {
		return nil, err
	}
	return quicnet.Dial(ctx, quicnet.DialConfig{
		Addr: addr, Domain: domain, Pin: pin, Now: c.conf.Now, Timeouts: c.conf.Timeouts, Socket: c.conf.Socket,
	})
}

// openSubmit decides for the whole connection how envelopes leave: on a stream of
// it, or with tokens. There is no way from the second to the first but the user's.
func (x *exchange) openSubmit(ctx context.Context) error {
	anonymous := false
	if err := x.c.view(func(w *work) (err error) {
		anonymous, err = w.anonymous()
		return err
	}); err != nil {
		return err
	}
	if anonymous {
		if x.once {
			x.bearer = &bearer{c: x.c, once: true, poke: x.poke}
		}
		return nil
	}
	s, err := x.conn.OpenStream(ctx, wire.StreamSubmit)
	if err == nil {
		x.submit = newSubmitter(x.c, s, x.poke)
		x.submit.revoked, x.submit.ask = &x.link.revoked, x.lookAgain
	}
	return err
}

// lookAgain has the main loop look once more.
func (x *exchange) lookAgain() {
	x.mu.Lock()
	x.received = true
	x.mu.Unlock()
}

// room is how many more envelopes may be sealed.
func (x *exchange) room() (n int, err error) {
	if x.submit != nil {
		return x.submit.room(), nil
	}
	err = x.c.view(func(w *work) error {
		n, err = w.sealable()
		return err
	})
	return n, err
}

// handedIn reports whether what was sealed is with the provider, as far as it can
// be now.
func (x *exchange) handedIn() (done bool, failed error) {
	if x.submit != nil {
		flying, _ := x.submit.state()
		return flying == 0, nil
	}
	return x.bearer.settled()
}
