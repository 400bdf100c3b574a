package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"waxwing/core/ids"
	"waxwing/core/wire"
	"waxwing/relay/client/state"
	"waxwing/relay/quicnet"
)

const (
	// submitWindow is how many envelopes are sent ahead of the provider's acks:
	// enough to fill its commits, few enough to send again cheaply.
	submitWindow = 256
	// minBackoff and maxBackoff bound how long Run waits before it connects
	// again. The jitter keeps clients of a restarted provider apart.
	minBackoff = 200 * time.Millisecond
	maxBackoff = 30 * time.Second
	// providerPatience is how long Sync waits for the own provider to reach the
	// one of a new contact: a few attempts to connect.
	providerPatience = 10 * time.Second
	// idleCheck is how often a connection without events looks for what time
	// alone calls for.
	idleCheck = time.Minute
)

// Run keeps a connection until ctx ends, or the profile or clock cannot be used
// (ErrClock, quicnet.ErrExpired): it sends what there is to send, takes what
// comes, and connects again with backoff when the connection is lost. It returns
// nil when ctx ended.
func (c *Client) Run(ctx context.Context) error {
	// What is handed in with tokens has connections of its own, which come and go
	// with what there is to send.
	bearing, stop := context.WithCancel(ctx)
	var loops sync.WaitGroup
	defer loops.Wait()
	defer stop()
	loops.Go(func() { (&bearer{c: c, poke: c.nudge}).run(bearing) })
	backoff := minBackoff
	for {
		began := time.Now()
		err := c.exchange(ctx, false)
		switch {
		case ctx.Err() != nil:
			return nil
		case fatal(err):
			return err
		case time.Since(began) > maxBackoff:
			backoff = minBackoff
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(backoff/2 + rand.N(backoff)):
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

// fatal reports whether connecting again is no use.
func fatal(err error) bool {
	var refused *RefusedError
	if errors.As(err, &refused) && refused.Code == wire.CodeUnauthenticated {
		return true // the provider no longer knows the account
	}
	for _, e := range []error{
		ErrNotRegistered, ErrRemoved, ErrCorrupt, ErrClosed, state.ErrIO, quicnet.ErrPin, quicnet.ErrConfig,
		ErrClock, quicnet.ErrExpired, // until somebody sets the clock
	} {
		if errors.Is(err, e) && !errors.Is(err, quicnet.ErrClosed) {
			return true
		}
	}
	return false
}

// Sync does one exchange and returns: everything that can be sent now is with
// the provider, everything that was there is in the log, receipts are sent.
// Messages that still wait for a contact are no error. Errors are those of the
// connection (ErrClock and package quicnet's), *RefusedError, ErrNoAccount, ErrIdentityChanged
// and ErrServer of a contact that could not be looked up, and the store's.
func (c *Client) Sync(ctx context.Context) error {
	err := c.exchange(ctx, true)
	if errors.Is(err, errStepped) {
		err = c.exchange(ctx, true) // its connection says whether the clock is right now
	}
	return err
}

// session is one connection at work.
type exchange struct {
	// fixed
	*link
	once    bool
	submit  *submitter // nil: what is sent goes through bearer, or another one
	bearer  *bearer    // of this exchange alone; nil without once, and with submit
	deliver *quicnet.Stream
	failed  chan error    // of one of the goroutines; capacity for all of them
	again   chan struct{} // one token: the main loop has something to look at

	mu       sync.Mutex // guards the fields below
	caughtUp bool
	fetch    map[ids.Domain]bool
	parked   bool // messages wait for one before them
	storing  bool // something came and is not stored yet
	received bool // something came since the main loop looked
}

// exchange runs one connection, until it is lost or ctx ends or, with once,
// nothing is left to do.
func (c *Client) exchange(ctx context.Context, once bool) error {
	l, err := c.connect(ctx)
	if err != nil {
		return err
	}
	defer l.close()
	c.mu.Lock()
	if c.link == nil {
		c.link = l
	}
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		if c.link == l {
			c.link = nil
		}
		c.mu.Unlock()
	}()
	if err := l.supply(ctx); err != nil {
		return refusedError(err)
	}
	x := &exchange{
		link: l, once: once, failed: make(chan error, 3), again: make(chan struct{}, 1),
		fetch: make(map[ids.Domain]bool),
	}
	return x.run(ctx)
}

func (x *exchange) run(ctx context.Context) (err error) {
	if err := x.openSubmit(ctx); err != nil {
		return err
	}
	if x.deliver, err = x.conn.OpenStream(ctx, wire.StreamDeliver); err != nil {
		return err
	}
	var after uint64
	if err := x.c.view(func(w *work) error { after = w.n.Cursor; return nil }); err != nil {
		return err
	}
	if err := x.deliver.WriteFrame(wire.TypeSubscribe, &wire.Subscribe{After: after}); err != nil {
		return err
	}
	if err := x.deliver.Flush(); err != nil {
		return err
	}
	// Before anything of this connection is sent, and then by the clock.
	if err := x.putBatch(ctx); err != nil {
		return refusedError(err)
	}
	whole := ctx
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var loops sync.WaitGroup
	loops.Go(func() { x.failed <- x.syncLoop(ctx) })
	loops.Go(func() { x.failed <- x.takeDeliveries() })
	switch {
	case x.submit != nil:
		loops.Go(func() { x.failed <- x.submit.takeAcks() })
	case x.bearer != nil:
		loops.Go(func() { x.bearer.run(ctx) })
	}
	stop := context.AfterFunc(whole, func() { x.conn.Close(quicnet.CodeNone) })
	err = x.loop(ctx)
	stop()
	cancel()
	x.conn.Close(quicnet.CodeNone)
	loops.Wait()
	return err
}

func (x *exchange) poke() {
	select {
	case x.again <- struct{}{}:
	default:
	}
}

// loop seals, sends and asks until there is nothing to do, and waits.
func (x *exchange) loop(ctx context.Context) error {
	var missing error // lookups that failed
	began := time.Now()
	for {
		if err := x.stepped(); err != nil {
			return err
		}
		failed, err := x.lookUp(ctx)
		if err != nil {
			return err
		}
		if failed != nil || errors.Is(missing, ErrProvider) {
			missing = failed
		}
		if err := x.fetchDescriptors(ctx); err != nil {
			return err
		}
		busy, wait, err := x.send()
		if err != nil {
			return err
		}
		if err := x.supply(ctx); err != nil {
			return err
		}
		if busy || x.fresh.Swap(false) {
			continue
		}
		held, err := x.c.heldDomains()
		if err != nil {
			return err
		}
		unfranked, err := x.c.unfranked()
		if err != nil {
			return err
		}
		uncredited, err := x.c.uncredited()
		if err != nil {
			return err
		}
		unreached := len(held) > 0 || unfranked || uncredited || x.revoked.Load() || errors.Is(missing, ErrProvider)
		if unreached && (!x.once || time.Since(began) < providerPatience) {
			wait = min(wait, refusedRetry)
		} else if x.once && x.finished() {
			// After finished, which says that nothing more is sealed.
			if done, failed := x.handedIn(); done {
				return errors.Join(missing, failed)
			}
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case err = <-x.failed:
			if err == nil {
				err = quicnet.ErrClosed
			}
		case <-x.c.wake:
		case <-x.again:
		case <-timer.C:
		}
		timer.Stop()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return err
		}
	}
}

// finished reports whether a Sync is over: caught up, and nothing under way
// that will be settled soon. What the provider refused for a while is left.
func (x *exchange) finished() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.received {
		x.received = false
		x.poke() // look once more
		return false
	}
	return x.caughtUp && !x.storing && !x.parked && len(x.fetch) == 0
}

func (x *exchange) fetchDescriptors(ctx context.Context) error {
	x.mu.Lock()
	var domains []ids.Domain
	for d := range x.fetch {
		domains = append(domains, d)
	}
	clear(x.fetch)
	x.mu.Unlock()
	return x.describe(ctx, domains)
}

// send seals one batch and sends what the window has room for. It reports
// whether there may be more at once, and otherwise how long to wait.
func (x *exchange) send() (busy bool, wait time.Duration, err error) {
	room, err := x.room()
	if err != nil {
		return false, 0, err
	}
	sealed, parked, err := x.work(room)
	if err != nil {
		return false, 0, err
	}
	sent := 0
	if x.submit != nil {
		sent, err = x.submit.write(room)
	}
	wait = idleCheck
	if sealed > 0 || x.owing() {
		wait = min(wait, x.c.conf.ReceiptDelay)
	}
	if parked > 0 {
		wait = min(wait, parked)
	}
	x.mu.Lock()
	x.parked = parked > 0
	x.mu.Unlock()
	if x.submit != nil {
		if next := x.submit.next(); !next.IsZero() {
			wait = min(wait, max(time.Until(next), time.Millisecond))
		}
	}
	return sealed == batchSize || sent == batchSize, wait, err
}

// work shows what was parked for too long and seals one batch. With nothing to
// look at it takes no transaction.
func (x *exchange) work(room int) (sealed int, parked time.Duration, err error) {
	idle := false
	if err := x.c.view(func(w *work) error { idle = w.idle(); return nil }); err != nil || idle {
		return 0, 0, err
	}
	if err := x.stepped(); err != nil {
		return 0, 0, err
	}
	err = x.c.update(func(w *work) error {
		if parked, err = w.unparkLate(); err != nil || room <= 0 {
			return err
		}
		sealed, err = w.pump(min(batchSize, room), x.once)
		return err
	})
	return sealed, parked, err
}

// owing reports whether receipts are being collected.
func (x *exchange) owing() (owing bool) {
	_ = x.c.view(func(w *work) error {
		for id := range w.attention {
			if c := w.contacts[id]; c != nil && c.OwedSince != 0 {
				owing = true
			}
		}
		return nil
	})
	return owing
}

// takeDeliveries stores what the provider pushes, several in one transaction,
// and acks it then.
func (x *exchange) takeDeliveries() error {
	var batch []delivery
	caughtUp := false
	for {
		t, body, err := x.deliver.ReadFrame()
		if err != nil {
			return err
		}
		switch t {
		case wire.TypeDelivery:
			var m wire.Delivered
			if wire.Unmarshal(body, &m) != nil {
				return quicnet.ErrProtocol
			}
			batch = append(batch, delivery{m.Sequence, m.Delivery})
			x.mu.Lock()
			x.storing = true
			x.mu.Unlock()
		case wire.TypeCaughtUp:
			caughtUp = true
		default:
			return quicnet.ErrProtocol
		}
		if len(batch) < batchSize && x.deliver.Buffered() {
			continue
		}
		if len(batch) > 0 {
			if err := x.store(batch); err != nil {
				return err
			}
			batch = batch[:0]
		}
		if caughtUp { // said only after what came before is stored
			x.mu.Lock()
			x.caughtUp = true
			x.mu.Unlock()
			x.poke()
		}
	}
}

func (x *exchange) store(batch []delivery) error {
	// Not acked, it comes again: by a wrong day it would be dropped.
	if err := x.stepped(); err != nil {
		return err
	}
	var fetch map[ids.Domain]bool
	if err := x.c.update(func(w *work) error {
		err := w.receive(batch)
		fetch = w.fetch
		return err
	}); err != nil {
		return err
	}
	// Stored: the provider may forget them. A crash before the ack brings them
	// again, and the cursor knows them.
	err := x.deliver.WriteFrame(wire.TypeAck, &wire.Ack{UpTo: batch[len(batch)-1].sequence})
	if err == nil {
		err = x.deliver.Flush()
	}
	x.mu.Lock()
	x.storing, x.received = false, true
	for d := range fetch {
		x.fetch[d] = true
	}
	x.mu.Unlock()
	x.poke()
	return err
}
