package client

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"time"

	"waxwing/core/devicesync"
	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
	"waxwing/relay/client/state"
	"waxwing/relay/quicnet"
)

// Questions to other providers go through the own one, which sees which account
// asks whom, and when; or, if the user chose one, through a third, which sees a
// network address and no account. Each goes on a connection of its own that says
// nothing of the account. Once there is a hop, the own provider is asked nothing
// in its place: what cannot be asked waits.

const (
	// hopDial is how long an address of the hop may take to answer, and hopPatience
	// how long a question may take in all: longer than the hop gives the provider
	// that is asked.
	hopDial     = 5 * time.Second
	hopPatience = 20 * time.Second
	// hopRetryMin and hopRetryMax bound the pause after a hop failed. It doubles.
	hopRetryMin = time.Second
	hopRetryMax = 10 * time.Minute
	// hopAgain is when a question is asked again at the earliest that came back
	// refused without a time: each needs a connection.
	hopAgain = 10 * time.Second
	// hopNoPeer is when a hop is asked again for a provider that it does not know:
	// an operator has to do something.
	hopNoPeer = 10 * time.Minute
	// hopMoved is how old the hop's descriptor is when it is asked for again as
	// nobody answers at its addresses.
	hopMoved = time.Hour
)

// HopStatus says through whom other providers are asked, and whether that works.
type HopStatus struct {
	Hop     ids.Domain    // zero: the own provider
	Trouble state.Trouble // why what was asked last did not get through
	Retry   time.Time     // when the hop is asked again; zero for at once
}

// Hop returns through whom other providers are asked.
func (c *Client) Hop() (s HopStatus, err error) {
	err = c.view(func(w *work) error {
		h, err := w.hop()
		if err != nil || h == nil {
			return err
		}
		if s = (HopStatus{Hop: h.Domain, Trouble: h.Trouble}); h.Retry != 0 {
			s.Retry = time.UnixMilli(int64(h.Retry)).UTC()
		}
		return nil
	})
	return s, err
}

// Hops yields through whom other providers are asked whenever the user has to know:
// first of all, when the hop was changed, when it fails for another reason than
// before, and when it works again. It ends with ctx, which is no error, or when
// the store fails.
func (c *Client) Hops(ctx context.Context) iter.Seq2[HopStatus, error] {
	return func(yield func(HopStatus, error) bool) {
		var last HopStatus
		for first := true; ctx.Err() == nil; first = false {
			next := c.news.next()
			s, err := c.Hop()
			if err != nil {
				yield(s, err)
				return
			}
			if first || s.Hop != last.Hop || s.Trouble != last.Trouble {
				if last = s; !yield(s, nil) {
					return
				}
			}
			select {
			case <-ctx.Done():
			case <-next:
			}
		}
	}
}

// SetHop has other providers asked through a third one, instead of the own; the
// zero Domain has them asked through the own one again. A question to the hop itself
// goes through the own provider. The account's other devices follow; nothing else ever
// changes it, and while the hop cannot be reached nothing is asked. pin is the hop's root key, from somebody else
// than the own provider; with the zero Pin the own provider says at first use who the
// hop is, and could name another. Errors are ErrHop (it is the own provider),
// ErrIdentityChanged (another key is known of it), ErrNotRegistered and the store's.
func (c *Client) SetHop(hop ids.Domain, pin keys.Pin) error {
	if err := c.update(func(w *work) error { return w.setHop(hop, pin) }); err != nil {
		return err
	}
	c.mu.Lock()
	l := c.link
	c.mu.Unlock()
	if l != nil {
		l.close() // the next connection asks otherwise
	}
	return nil
}

func (w *work) setHop(hop ids.Domain, pin keys.Pin) error {
	switch {
	case w.self == nil:
		return ErrNotRegistered
	case hop.IsZero():
		return errors.Join(state.Hops.Delete(w.tx, state.Single), w.chose(hopChosen))
	case hop == w.self.Address.Domain():
		return ErrHop
	}
	if pin != (keys.Pin{}) {
		if err := w.pin(hop, pin); err != nil {
			return err
		}
		if err := w.tell(&devicesync.Provider{Domain: hop, Pin: pin}); err != nil {
			return err
		}
	}
	return errors.Join(state.Hops.Put(w.tx, state.Single, &state.Hop{Domain: hop}), w.chose(hopChosen))
}

// hop returns the chosen hop; nil for none.
func (w *work) hop() (*state.Hop, error) {
	h, err := state.Hops.Get(w.tx, state.Single)
	if errors.Is(err, state.ErrNotFound) {
		return nil, nil
	}
	return h, err
}

// hopTo returns the hop that a provider is asked through; nil for the own
// provider.
func (w *work) hopTo(d ids.Domain) (*state.Hop, error) {
	h, err := w.hop()
	if err != nil || h == nil || h.Domain == d {
		return nil, err // who carries a question must not be who can read it
	}
	return h, nil
}

// hopAbout returns the hop that an account is looked up through; nil for the own
// provider, which knows the own account's devices anyway: those tell each other
// what is new whatever becomes of a hop.
func (w *work) hopAbout(a ids.Address) (*state.Hop, error) {
	if w.self != nil && a == w.self.Address {
		return nil, nil
	}
	return w.hopTo(a.Domain())
}

// hopWait is how long nothing is asked of the hop.
func (w *work) hopWait(h *state.Hop) time.Duration {
	// A clock that was set back does not make the pause longer.
	return min(time.UnixMilli(int64(h.Retry)).Sub(w.now), hopRetryMax)
}

// hopFailing reports whether a provider is asked through a hop that failed last:
// then nothing is asked that is used up by asking.
func (w *work) hopFailing(d ids.Domain) (bool, error) {
	h, err := w.hopTo(d)
	return h != nil && (h.Failures > 0 || h.Trouble == state.TroubleNoPeer), err
}

// hopFailed notes why a question did not get through the hop, and returns how long
// it has to wait. With a pause so has every other one.
func (w *work) hopFailed(hop ids.Domain, why state.Trouble, pause bool, wait time.Duration) (time.Duration, error) {
	h, err := w.hop()
	if err != nil || h == nil || h.Domain != hop { // the user chose another meanwhile
		return max(wait, hopAgain), err
	}
	if h.Trouble, h.Retry = why, 0; pause {
		wait = min(hopRetryMin<<min(h.Failures, 20), hopRetryMax)
		wait = wait/2 + rand.N(wait/2)
		h.Failures = min(h.Failures, 254) + 1
		h.Retry = uint64(w.now.Add(wait).UnixMilli())
	}
	return max(wait, hopRetryMin/2), state.Hops.Put(w.tx, state.Single, h)
}

// hopWorked notes that a question got through.
func (w *work) hopWorked(hop ids.Domain) error {
	h, err := w.hop()
	if err != nil || h == nil || h.Domain != hop || *h == (state.Hop{Domain: hop}) {
		return err
	}
	return state.Hops.Put(w.tx, state.Single, &state.Hop{Domain: hop})
}

// carry has a question answered: through the hop, or the own provider if it is nil.
// What the hop fails at is a refusal with a time, so that the connection to the own
// provider lives on. Other errors are ctx's, those of the connection to the own
// provider if it carries the question, and the store's.
func (l *link) carry(ctx context.Context, h *state.Hop, m *wire.Query) (*wire.Answer, error) {
	if h == nil {
		return quicnet.Ask[*wire.Answer](ctx, l.caller, m)
	}
	a, err := l.throughHop(ctx, h, m)
	if err == nil {
		return a, l.c.update(func(w *work) error { return w.hopWorked(h.Domain) })
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return nil, l.c.hopError(h.Domain, err)
}

// paused refuses what would be asked in the pause after the hop failed. h may be
// nil.
func (l *link) paused(h *state.Hop) error {
	if h == nil {
		return nil
	}
	return l.c.view(func(w *work) error {
		if wait := w.hopWait(h); wait > 0 {
			return &quicnet.RefusedError{Code: wire.CodeUnreachable, RetryAfter: wait}
		}
		return nil
	})
}

// tryHop connects to a hop that did not answer, when its pause is over, and asks
// nothing: what is used up by asking waits until it is back.
func (l *link) tryHop(ctx context.Context) error {
	var h *state.Hop
	due := false
	if err := l.c.view(func(w *work) (err error) {
		if h, err = w.hop(); h != nil {
			// One that refuses, or knows too few, shows only by a question whether it
			// still does.
			due = h.Failures > 0 && h.Trouble != state.TroubleRefuses && w.hopWait(h) <= 0
		}
		return err
	}); err != nil || !due {
		return err
	}
	dialling, cancel := context.WithTimeout(ctx, hopPatience)
	defer cancel()
	conn, caller, err := l.openHop(dialling, h)
	if err == nil {
		caller.Close()
		conn.Close(quicnet.CodeNone)
		return l.c.update(func(w *work) error { return w.hopWorked(h.Domain) })
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return l.c.hopError(h.Domain, err)
}

// hopError notes a failure and makes a refusal of it. An error that is none is the
// store's.
func (c *Client) hopError(hop ids.Domain, err error) error {
	out := &quicnet.RefusedError{Code: wire.CodeUnreachable}
	why, pause := state.TroubleUnreachable, true
	var refused *quicnet.RefusedError
	switch {
	case errors.As(err, &refused):
		out.Code, out.RetryAfter = refused.Code, max(refused.RetryAfter, hopAgain)
		why, pause = troubleOf(refused.Code)
		switch why {
		case state.TroubleNoPeer:
			out.RetryAfter = hopNoPeer
		case state.TroubleRefuses:
			out.Code = wire.CodeForbidden // this account is nobody there
		}
	case errors.Is(err, errHopUnknown):
		why = state.TroubleUnknown
	case errors.Is(err, quicnet.ErrPin), errors.Is(err, quicnet.ErrCertificate):
		why = state.TroubleKey
	}
	if failed := c.update(func(w *work) (err error) {
		out.RetryAfter, err = w.hopFailed(hop, why, pause, out.RetryAfter)
		return err
	}); failed != nil {
		return failed
	}
	return out
}

// troubleOf says what a refusal says of the hop, and whether everything else waits
// as well. Refusals of the provider that was asked look like the hop's own.
func troubleOf(code wire.Code) (why state.Trouble, pause bool) {
	switch code {
	case wire.CodeForbidden, wire.CodeUnauthenticated:
		return state.TroubleRefuses, true
	case wire.CodeUnknownProvider:
		return state.TroubleNoPeer, false
	case wire.CodeLimit, wire.CodeBusy:
		return state.TroubleLimit, false
	}
	return state.TroubleNone, false
}

// throughHop asks on a connection of its own to the hop.
func (l *link) throughHop(ctx context.Context, h *state.Hop, m *wire.Query) (*wire.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, hopPatience)
	defer cancel()
	conn, caller, err := l.openHop(ctx, h)
	if err != nil {
		return nil, err
	}
	defer conn.Close(quicnet.CodeNone)
	defer caller.Close()
	return quicnet.Ask[*wire.Answer](ctx, caller, m)
}

// openHop connects to the hop and waits for its Hello, whose time is not taken: the
// own provider's clock counts.
func (l *link) openHop(ctx context.Context, h *state.Hop) (*quicnet.Conn, *quicnet.Caller, error) {
	d, err := l.hopDescriptor(ctx, h)
	if err != nil {
		return nil, nil, err
	}
	conn, err := l.c.dialHop(ctx, d)
	if err != nil {
		return nil, nil, err
	}
	s, err := conn.OpenStream(ctx, wire.StreamControl)
	if err == nil {
		var caller *quicnet.Caller
		if caller, err = quicnet.NewCaller(ctx, s); err == nil {
			return conn, caller, nil
		}
	}
	conn.Close(quicnet.CodeNone)
	return nil, nil, err
}

// dialHop connects to one of the hop's addresses, and says nothing of the account.
func (c *Client) dialHop(ctx context.Context, d *directory.Descriptor) (conn *quicnet.Conn, err error) {
	err = quicnet.ErrUnreachable
	for _, addr := range d.Endpoints() { // at most directory.MaxEndpoints
		dialling, cancel := context.WithTimeout(ctx, hopDial)
		conn, err = quicnet.Dial(dialling, quicnet.DialConfig{
			Addr: addr, Domain: d.Domain(), Pin: keys.PinOf(d.Root()), Now: c.conf.Now, Timeouts: c.conf.Timeouts, Socket: c.conf.Socket,
		})
		cancel()
		if err == nil || ctx.Err() != nil {
			break
		}
	}
	return conn, err
}

// errHopUnknown says that the own provider has no descriptor of the hop.
var errHopUnknown = errors.New("client: the hop is not known")

// hopDescriptor returns the hop's descriptor. An old one does until the own
// provider gives a newer one. Errors are errHopUnknown, ctx's and the store's.
func (l *link) hopDescriptor(ctx context.Context, h *state.Hop) (d *directory.Descriptor, err error) {
	aged := false
	look := func() error {
		return l.c.view(func(w *work) (err error) {
			var fetched time.Time
			if d, fetched, err = w.descriptor(h.Domain); errors.Is(err, errDescriptor) {
				aged, err = true, errHopUnknown
				return err
			}
			age := w.now.Sub(fetched)
			aged = age > descriptorAge || h.Failures > 0 && age > hopMoved
			return err
		})
	}
	if err = look(); !aged {
		return d, err
	}
	if err := l.describe(ctx, []ids.Domain{h.Domain}); err != nil {
		return nil, err
	}
	err = look()
	return d, err
}

// askOwn asks the own provider for something that is the same for everybody. Once
// there is a hop it is not to learn whom the account asks: it is asked on a
// connection that is nobody's.
func askOwn[T wire.Message](ctx context.Context, l *link, m wire.Message) (out T, err error) {
	var h *state.Hop
	if err := l.c.view(func(w *work) (err error) { h, err = w.hop(); return err }); err != nil {
		return out, err
	}
	if h == nil {
		return quicnet.Ask[T](ctx, l.caller, m)
	}
	nobody, err := l.c.dialOwn(ctx)
	if err != nil {
		return out, cmp.Or(ctx.Err(), error(errUnusable)) // this connection stands
	}
	defer nobody.close()
	out, err = quicnet.Ask[T](ctx, nobody.caller, m)
	var refused *quicnet.RefusedError
	if err != nil && ctx.Err() == nil && !errors.As(err, &refused) {
		err = errUnusable
	}
	return out, err
}
