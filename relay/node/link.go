package node

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/mailbox"
	"waxwing/core/wire"
	"waxwing/relay"
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
	// defaultRefresh is how often a peer's descriptor is fetched: its new keys
	// are in use from the day after they stand in it, and a descriptor lives
	// for weeks, so that an hour leaves room for many failures.
	defaultRefresh = time.Hour
	// staleRefresh is the shortest pause before it is fetched again because
	// the peer no longer knows the key that a client sealed a question to: the
	// client may have kept an old descriptor, or made the key up.
	staleRefresh = 10 * time.Second
)

// Peer is a provider to federate with.
type Peer struct {
	Domain ids.Domain
	Addr   string // UDP address, "host:port"
	Pin    keys.Pin
}

// link keeps the connection to one peer: it empties the outbox to it and asks
// it the questions of clients.
type link struct {
	// fixed
	n       *Node
	peer    Peer
	outbox  ids.MailboxID
	stale   chan struct{} // holds one token: fetch the descriptor
	verdict chan struct{} // holds one token: there may be a verdict to bring
	notice  chan struct{} // holds one token: a key was revoked
	done    chan struct{} // closed when run has ended
	hops    chan struct{} // one element for each question of nobody's under way; maxHops

	stop context.CancelFunc // guarded by peers.change; nil until it runs

	caller     atomic.Pointer[quicnet.Caller] // nil while there is no connection
	descriptor atomic.Pointer[directory.Descriptor]
	admitted   [relay.ReasonEnd]atomic.Uint64 // what became of the envelopes it forwarded

	status linkStatus
}

func newLink(n *Node, p Peer) *link {
	return &link{
		n: n, peer: p, outbox: mailbox.Outbox(p.Domain), stale: make(chan struct{}, 1), verdict: make(chan struct{}, 1),
		notice: make(chan struct{}, 1), done: make(chan struct{}), hops: make(chan struct{}, maxHops),
		status: linkStatus{refused: map[wire.Code]uint64{}, conns: map[*quicnet.Conn]struct{}{}},
	}
}

// end stops the link and closes the peer's connections. The caller holds
// peers.change.
func (l *link) end() {
	if l.stop != nil {
		l.stop()
		<-l.done
	}
	l.detachAll()
}

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
		why := linkErrorOf(err)
		l.status.ended(why, l.n.now())
		l.n.log.Info("link to a peer ended", "reason", why.String(), "retry_in", pause.String())
		select {
		case <-time.After(pause + rand.N(pause)):
		case <-ctx.Done():
			return
		}
		pause = min(2*pause, retryMax)
	}
}

// connect serves the link for the life of one connection.
func (l *link) connect(ctx context.Context) error {
	c, err := quicnet.Dial(ctx, quicnet.DialConfig{
		Addr: l.peer.Addr, Domain: l.peer.Domain, Pin: l.peer.Pin, Identity: l.n.identity, Now: l.n.now, Socket: l.n.socket, Timeouts: l.n.timeouts,
	})
	if err != nil {
		return err
	}
	defer c.Close(quicnet.CodeNone)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(c.Context(), func() { cancel(c.Err()) })
	defer stop()
	// A peer that does not read holds up no drain; what it has not acked is sent
	// again.
	closed := context.AfterFunc(ctx, func() { c.Close(quicnet.CodeNone) })
	defer closed()
	caller, err := l.open(ctx, c)
	if err != nil {
		return l.cause(ctx, err)
	}
	defer l.close()
	s, err := c.OpenStream(ctx, wire.StreamForward)
	if err != nil {
		return l.cause(ctx, err)
	}
	l.n.metrics.links.Inc()
	defer l.n.metrics.links.Dec()
	l.status.began(l.n.now())
	var refreshing sync.WaitGroup
	defer refreshing.Wait()
	defer cancel(nil)
	refreshing.Go(func() { cancel(l.refresh(ctx, caller)) })
	refreshing.Go(func() {
		if err := l.bringVerdicts(ctx, caller); err != nil {
			cancel(err)
		}
	})
	refreshing.Go(func() {
		if err := l.bringNotices(ctx, caller); err != nil {
			cancel(err)
		}
	})
	f := newForwarder(l, s)
	return l.cause(ctx, f.run(ctx))
}

// cause prefers why the connection ended to what failed because of it.
func (l *link) cause(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}

// open starts the control stream and fetches the peer's descriptor.
func (l *link) open(ctx context.Context, c *quicnet.Conn) (*quicnet.Caller, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	s, err := c.OpenStream(ctx, wire.StreamControl)
	if err != nil {
		return nil, err
	}
	caller, err := quicnet.NewCaller(ctx, s)
	if err != nil {
		return nil, err
	}
	if err := l.fetch(ctx, caller); err != nil {
		caller.Close()
		return nil, err
	}
	l.caller.Store(caller)
	return caller, nil
}

// fetch fetches the peer's descriptor.
func (l *link) fetch(ctx context.Context, caller *quicnet.Caller) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	d, err := quicnet.Ask[*wire.Described](ctx, caller, &wire.Describe{Domain: l.peer.Domain})
	if err != nil {
		return err
	}
	return l.n.peers.learn(ctx, l, d.Descriptor)
}

// refresh fetches the descriptor from time to time and when it was found to be
// old, until ctx ends or what comes is not acceptable.
func (l *link) refresh(ctx context.Context, caller *quicnet.Caller) error {
	retry := shareFirst
	for {
		if err := l.fetchKeys(ctx, caller); err != nil {
			return err
		}
		pause := l.n.refresh
		if agreed, err := l.agree(ctx, caller); err != nil {
			return err
		} else if !agreed {
			pause = min(pause, retry)
			retry = min(2*retry, shareRetry)
		} else {
			retry = shareFirst
		}
		// Not all links of all providers at the same moment.
		t := time.NewTimer(pause + rand.N(pause/8+1))
		rest := time.Duration(0)
		select {
		case <-t.C:
		case <-l.stale:
			rest = min(staleRefresh, l.n.refresh)
		case <-ctx.Done():
			t.Stop()
			return nil
		}
		t.Stop()
		if err := l.fetch(ctx, caller); err != nil {
			return err
		}
		select {
		case <-time.After(rest):
		case <-ctx.Done():
			return nil
		}
	}
}

// outdated asks for the descriptor to be fetched anew.
func (l *link) outdated() {
	select {
	case l.stale <- struct{}{}:
	default:
	}
}

func (l *link) close() {
	if c := l.caller.Swap(nil); c != nil {
		c.Close()
	}
}
