package node

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/mailbox"
	"waxwing/core/wire"
	"waxwing/relay/quicnet"
)

const (
	// retryMin and retryMax bound the pause before a peer is dialled again. It
	// doubles, and up to as much again is added at random, so that providers
	// do not all return to a restarted one at once.
	retryMin = 200 * time.Millisecond
	retryMax = 30 * time.Second
	// askTimeout is how long a peer may take to answer a Query.
	askTimeout = 10 * time.Second
	// settledAfter is how long a link must have lived for the pause to start
	// from its shortest again.
	settledAfter = 10 * time.Second
)

// Peer is a provider to federate with.
type Peer struct {
	Domain ids.Domain
	Addr   string // UDP address, "host:port"
	Pin    quicnet.Pin
}

// link keeps the connection to one peer: it empties the outbox to it and asks
// it the questions of clients.
type link struct {
	// fixed
	n      *Node
	peer   Peer
	outbox ids.MailboxID

	caller     atomic.Pointer[quicnet.Caller] // nil while there is no connection
	descriptor atomic.Pointer[directory.Descriptor]
}

func newLink(n *Node, p Peer) *link { return &link{n: n, peer: p, outbox: mailbox.Outbox(p.Domain)} }

// run connects, again and again, until ctx ends.
func (l *link) run(ctx context.Context) {
	pause := retryMin
	for {
		began := time.Now()
		err := l.connect(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > settledAfter {
			pause = retryMin
		}
		l.n.log.Info("link to a peer ended", "reason", reasonOf(err), "retry_in", pause.String())
		select {
		case <-time.After(pause + rand.N(pause)):
		case <-ctx.Done():
			return
		}
		pause = min(2*pause, retryMax)
	}
}

// reasonOf is a log text from a closed list: error texts of other layers could
// hold an address.
func reasonOf(err error) string {
	for _, e := range []error{
		quicnet.ErrPin, quicnet.ErrCertificate, quicnet.ErrExpired, quicnet.ErrHandshake, quicnet.ErrBusy,
		quicnet.ErrUnreachable, quicnet.ErrTimeout, quicnet.ErrProtocol, quicnet.ErrClosed, errDescriptor,
	} {
		if errors.Is(err, e) {
			return e.Error()
		}
	}
	return "other"
}

var errDescriptor = errors.New("node: peer's descriptor is not acceptable")

// connect serves the link for the life of one connection.
func (l *link) connect(ctx context.Context) error {
	c, err := quicnet.Dial(ctx, quicnet.DialConfig{
		Addr: l.peer.Addr, Domain: l.peer.Domain, Pin: l.peer.Pin, Identity: l.n.identity, Now: l.n.now,
	})
	if err != nil {
		return err
	}
	defer c.Close(quicnet.CodeNone)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(c.Context(), cancel)
	defer stop()
	// A peer that does not read holds up no drain; what it has not acked is sent
	// again.
	closed := context.AfterFunc(ctx, func() { c.Close(quicnet.CodeNone) })
	defer closed()
	if err := l.open(ctx, c); err != nil {
		return err
	}
	defer l.close()
	s, err := c.OpenStream(ctx, wire.StreamForward)
	if err != nil {
		return err
	}
	l.n.metrics.links.Inc()
	defer l.n.metrics.links.Dec()
	f := newForwarder(l, s)
	return f.run(ctx)
}

// open starts the control stream and fetches the peer's descriptor.
func (l *link) open(ctx context.Context, c *quicnet.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	s, err := c.OpenStream(ctx, wire.StreamControl)
	if err != nil {
		return err
	}
	caller, err := quicnet.NewCaller(ctx, s)
	if err != nil {
		return err
	}
	d, err := quicnet.Ask[*wire.Described](ctx, caller, &wire.Describe{Domain: l.peer.Domain})
	if err == nil {
		err = l.n.peers.learn(ctx, l, d.Descriptor)
	}
	if err != nil {
		caller.Close()
		return err
	}
	l.caller.Store(caller)
	return nil
}

func (l *link) close() {
	if c := l.caller.Swap(nil); c != nil {
		c.Close()
	}
}

// passOn asks a peer a client's question. Nothing of the client goes along.
func (n *Node) passOn(ctx context.Context, m *wire.Query) wire.Message {
	l := n.peers.link(m.Dest)
	if l == nil {
		return &wire.Refusal{Code: wire.CodeUnknownProvider}
	}
	caller := l.caller.Load()
	if caller == nil {
		return unreachable()
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	a, err := quicnet.Ask[*wire.Answer](ctx, caller, &wire.Query{Dest: m.Dest, Kind: m.Kind, Sealed: m.Sealed})
	var refused *quicnet.RefusedError
	switch {
	case err == nil:
		return &wire.Answer{Sealed: a.Sealed}
	case errors.As(err, &refused):
		return &wire.Refusal{Code: refused.Code, RetryAfter: uint32(refused.RetryAfter / time.Millisecond)}
	}
	return unreachable()
}

func unreachable() *wire.Refusal {
	return &wire.Refusal{Code: wire.CodeUnreachable, RetryAfter: uint32(retryMax / time.Millisecond)}
}
