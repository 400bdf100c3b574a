package client

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/query"
	"waxwing/core/wire"
	"waxwing/relay/client/state"
	"waxwing/relay/quicnet"
)

var gammaDomain = ids.MustParseDomain("gamma.example")

// linked is a client around a user's engine, with a connection to the own provider
// that nothing can be asked on: whoever does falls over.
func (u *user) linked() *link {
	c := &Client{conf: Config{Now: func() time.Time { return u.w.now }}, e: u.e, wake: make(chan struct{}, 1), news: newNews()}
	return &link{c: c, later: make(map[string]time.Time)}
}

func (u *user) hop() state.Hop {
	u.w.t.Helper()
	var out state.Hop
	u.do(func(k *work) error {
		h, err := k.hop()
		if h != nil {
			out = *h
		}
		return err
	})
	return out
}

// Who is asked through whom: never the own provider as the hop, and never whoever
// is asked.
func TestHopSetting(t *testing.T) {
	w := newWorld(t)
	u := w.user("alice@alpha.example")
	through := func(d string) (out ids.Domain) {
		u.do(func(k *work) error {
			h, err := k.hopTo(ids.MustParseDomain(d))
			if h != nil {
				out = h.Domain
			}
			return err
		})
		return out
	}
	if !through("beta.example").IsZero() {
		t.Error("a hop by default")
	}
	is(t, u.linked().c.SetHop(u.address.Domain(), keys.Pin{}), ErrHop)
	if !through("beta.example").IsZero() {
		t.Error("the own provider is the hop")
	}
	w.must(u.linked().c.SetHop(gammaDomain, keys.Pin{}))
	u.reopen()
	for asked, want := range map[string]ids.Domain{"beta.example": gammaDomain, "alpha.example": gammaDomain, "gamma.example": {}} {
		if got := through(asked); got != want {
			t.Errorf("%s is asked through %v", asked, got)
		}
	}
	// The own account's devices are known to the own provider anyway.
	for about, want := range map[string]ids.Domain{"alice@alpha.example": {}, "bob@alpha.example": gammaDomain, "bob@beta.example": gammaDomain} {
		u.do(func(k *work) error {
			h, err := k.hopAbout(ids.MustParseAddress(about))
			if (h == nil) != want.IsZero() {
				t.Errorf("%s is looked up through %+v", about, h)
			}
			return err
		})
	}
	is(t, u.linked().c.SetHop(u.address.Domain(), keys.Pin{}), ErrHop)
	if s, err := u.linked().c.Hop(); err != nil || s != (HopStatus{Hop: gammaDomain}) {
		t.Errorf("%+v, %v", s, err)
	}
	w.must(u.linked().c.SetHop(ids.Domain{}, keys.Pin{}))
	if !through("beta.example").IsZero() {
		t.Error("the hop cannot be given up")
	}
	w.must(u.linked().c.SetHop(ids.Domain{}, keys.Pin{}))
}

// A pin that the user has counts, and the own provider cannot name another hop.
func TestHopPin(t *testing.T) {
	w := newWorld(t)
	u := w.user("alice@alpha.example")
	real, other := keys.PinOf(keys.NewSigningKey().Public()), keys.NewSigningKey()
	c := u.linked().c
	w.must(c.SetHop(gammaDomain, real))
	w.must(c.SetHop(gammaDomain, keys.Pin{}))
	is(t, c.SetHop(gammaDomain, keys.PinOf(other.Public())), ErrIdentityChanged)
	d, err := directory.SignDescriptor(directory.DescriptorFields{
		Domain: gammaDomain, Sequence: 1, Endpoints: []string{"127.0.0.1:1"}, Expiry: ids.DayOf(w.now) + 9, Versions: []uint16{1},
	}, other)
	w.must(err)
	w.user("carol@alpha.example").do(func(k *work) error { return k.described(gammaDomain, d.Bytes()) }) // at first use
	is(t, u.try(func(k *work) error { return k.described(gammaDomain, d.Bytes()) }), ErrServer)
	u.do(func(k *work) error {
		if _, _, err := k.descriptor(gammaDomain); !errors.Is(err, errDescriptor) {
			t.Errorf("another hop's keys: %v", err)
		}
		return nil
	})
}

// A new device of the account asks whom the others ask, from its first question on,
// and without the trouble that another one had.
func TestHopGoesAlong(t *testing.T) {
	w := newWorld(t)
	u := w.user("alice@alpha.example")
	pin := keys.PinOf(keys.NewSigningKey().Public())
	for _, hop := range []ids.Domain{gammaDomain, {}} {
		w.must(u.linked().c.SetHop(hop, keys.Pin{}))
		if !hop.IsZero() {
			w.must(u.linked().c.SetHop(hop, pin))
			_ = u.linked().c.hopError(hop, quicnet.ErrTimeout)
		}
		e, err := w.restored(u.written(false), makeDevice())
		w.must(err)
		w.must(e.update(w.now, func(k *work) error {
			h, err := k.hop()
			if err != nil {
				return err
			}
			if hop.IsZero() != (h == nil) || h != nil && *h != (state.Hop{Domain: hop}) {
				t.Errorf("%v became %+v", hop, h)
			}
			if h != nil {
				is(t, k.pin(hop, keys.Pin{1}), ErrIdentityChanged)
			}
			return nil
		}))
	}
}

// A hop that did not answer is tried again after its pause, without a question; one
// that refuses is not, as that would not show whether it still does.
func TestHopIsTried(t *testing.T) {
	w := newWorld(t)
	u := w.user("alice@alpha.example")
	dialled := 0
	try := func() error {
		l := u.linked()
		l.c.conf.Socket = func() (net.PacketConn, error) { dialled++; return nil, errUndo }
		return l.tryHop(t.Context())
	}
	w.must(try()) // no hop
	c, root := u.linked().c, keys.NewSigningKey()
	w.must(c.SetHop(gammaDomain, keys.Pin{}))
	d, err := directory.SignDescriptor(directory.DescriptorFields{
		Domain: gammaDomain, Sequence: 1, Endpoints: []string{"127.0.0.1:1", "127.0.0.1:2"}, Expiry: ids.DayOf(w.now) + 9, Versions: []uint16{1},
	}, root)
	w.must(err)
	u.do(func(k *work) error { return k.described(gammaDomain, d.Bytes()) })
	w.must(try()) // nothing is wrong with it
	_ = c.hopError(gammaDomain, quicnet.ErrTimeout)
	w.must(try()) // in the pause
	if dialled > 0 {
		t.Fatal("tried too early")
	}
	w.now = w.now.Add(hopRetryMin)
	var r *quicnet.RefusedError
	if err := try(); !errors.As(err, &r) || dialled != 2 || u.hop().Failures != 2 {
		t.Errorf("%v; dialled %d times; %+v", err, dialled, u.hop())
	}
	_ = c.hopError(gammaDomain, &quicnet.RefusedError{Code: wire.CodeForbidden})
	w.now = w.now.Add(hopRetryMax)
	if w.must(try()); dialled != 2 {
		t.Error("one that refuses is tried")
	}
}

// What is used up by asking, as the nonces of standing stamps are, is not spent on a
// hop that failed.
func TestHopCostsNoStamps(t *testing.T) {
	for _, failed := range []error{quicnet.ErrTimeout, &quicnet.RefusedError{Code: wire.CodeForbidden}, &quicnet.RefusedError{Code: wire.CodeUnknownProvider}} {
		w, alice, bob := standing(t)
		c := alice.linked().c
		asked := func() int {
			alice.send(bob, "hello")
			bob.send(alice, "hello")
			return w.day(bob)
		}
		asks := 0
		for range 7 {
			asks += asked()
		}
		if asks == 0 {
			t.Fatal("no stamp is asked for without a hop")
		}
		w.must(c.SetHop(gammaDomain, keys.Pin{}))
		_ = c.hopError(gammaDomain, failed)
		for range 8 {
			if asked() > 0 {
				t.Fatalf("a stamp is asked for while %v", failed)
			}
		}
		// The hop has no part in what is asked of itself.
		alice.do(func(k *work) error {
			if failing, err := k.hopFailing(gammaDomain); failing || err != nil {
				t.Errorf("questions to the hop wait for it: %v", err)
			}
			return k.hopWorked(gammaDomain)
		})
		asks = 0
		for range 8 {
			asks += asked()
		}
		if asks == 0 {
			t.Errorf("no stamp is asked for when the hop is back, after %v", failed)
		}
	}
}

// Messages wait, and an exchange does not, for a hop that is away for long.
func TestHopIsNotWaitedFor(t *testing.T) {
	w := newWorld(t)
	u := w.user("alice@alpha.example")
	bob := w.user("bob@beta.example")
	c := u.linked().c
	u.do(func(k *work) error { return k.addAddress(bob.address, "") })
	u.send(bob, "hello")
	waited := func() bool {
		waits, err := c.uncredited()
		w.must(err)
		return waits
	}
	if !waited() {
		t.Fatal("nothing waits for a credential")
	}
	w.must(c.SetHop(gammaDomain, keys.Pin{}))
	for range 10 {
		_ = c.hopError(gammaDomain, quicnet.ErrTimeout)
	}
	if waited() {
		t.Error("an exchange waits for the hop")
	}
	w.now = w.now.Add(hopRetryMax)
	if !waited() {
		t.Error("the hop is not asked again")
	}
}

// What a hop fails at, what the user is told of it, and whether everything else
// waits.
func TestHopTroubles(t *testing.T) {
	refused := func(c wire.Code, after time.Duration) error { return &quicnet.RefusedError{Code: c, RetryAfter: after} }
	for name, tt := range map[string]struct {
		err   error
		why   state.Trouble
		code  wire.Code
		pause bool
		least time.Duration
	}{
		"silent":       {quicnet.ErrTimeout, state.TroubleUnreachable, wire.CodeUnreachable, true, hopRetryMin / 2},
		"nowhere":      {quicnet.ErrUnreachable, state.TroubleUnreachable, wire.CodeUnreachable, true, hopRetryMin / 2},
		"too slow":     {context.DeadlineExceeded, state.TroubleUnreachable, wire.CodeUnreachable, true, hopRetryMin / 2},
		"not known":    {errHopUnknown, state.TroubleUnknown, wire.CodeUnreachable, true, hopRetryMin / 2},
		"other key":    {quicnet.ErrPin, state.TroubleKey, wire.CodeUnreachable, true, hopRetryMin / 2},
		"clock":        {quicnet.ErrExpired, state.TroubleUnreachable, wire.CodeUnreachable, true, hopRetryMin / 2},
		"no hop":       {refused(wire.CodeForbidden, 0), state.TroubleRefuses, wire.CodeForbidden, true, hopRetryMin / 2},
		"not for me":   {refused(wire.CodeUnauthenticated, 0), state.TroubleRefuses, wire.CodeForbidden, true, hopRetryMin / 2},
		"no such peer": {refused(wire.CodeUnknownProvider, 0), state.TroubleNoPeer, wire.CodeUnknownProvider, false, hopNoPeer},
		"over a limit": {refused(wire.CodeLimit, time.Hour), state.TroubleLimit, wire.CodeLimit, false, time.Hour},
		"peer is away": {refused(wire.CodeUnreachable, time.Minute), state.TroubleNone, wire.CodeUnreachable, false, time.Minute},
		"old key":      {refused(wire.CodeStale, 0), state.TroubleNone, wire.CodeStale, false, hopAgain},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			u := w.user("alice@alpha.example")
			l := u.linked()
			w.must(l.c.SetHop(gammaDomain, keys.Pin{}))
			err := l.c.hopError(gammaDomain, tt.err)
			var r *quicnet.RefusedError
			if !errors.As(err, &r) || r.Code != tt.code || r.RetryAfter < tt.least || fatal(refusedError(err)) {
				t.Fatalf("%v", err)
			}
			s, err := l.c.Hop()
			w.must(err)
			if s.Hop != gammaDomain || s.Trouble != tt.why || s.Retry.After(w.now) != tt.pause {
				t.Errorf("%+v", s)
			}
			// A hop that the user gave up meanwhile is nobody's trouble.
			w.must(l.c.SetHop(ids.MustParseDomain("delta.example"), keys.Pin{}))
			if err := l.c.hopError(gammaDomain, tt.err); !errors.As(err, &r) {
				t.Error(err)
			}
			if h := u.hop(); h != (state.Hop{Domain: ids.MustParseDomain("delta.example")}) {
				t.Errorf("another's trouble: %+v", h)
			}
		})
	}
}

// While the hop fails nothing is asked, of it or of the own provider; the pauses
// grow to a bound, outlive the process, and end when it answers.
func TestHopBackoff(t *testing.T) {
	w := newWorld(t)
	u := w.user("alice@alpha.example")
	bob := w.user("bob@beta.example")
	u.do(func(k *work) error { return k.described(bob.p.domain, bob.p.descriptor()) })
	w.must(u.linked().c.SetHop(gammaDomain, keys.Pin{}))
	ask := func() error { // of the own provider it would fall over: there is no connection
		return u.linked().ask(t.Context(), bob.p.domain, query.KindLookup, func([]byte) ([]byte, error) { return nil, nil }, new(query.StandingAnswer))
	}
	longest := time.Duration(0)
	for i := range 300 {
		var r *quicnet.RefusedError
		if err := u.linked().c.hopError(gammaDomain, quicnet.ErrTimeout); !errors.As(err, &r) {
			t.Fatal(err)
		}
		if most := hopRetryMin << min(i, 20); r.RetryAfter < min(most, hopRetryMax)/2 || r.RetryAfter > min(most, hopRetryMax) {
			t.Fatalf("failure %d: %v", i+1, r.RetryAfter)
		}
		longest = max(longest, r.RetryAfter)
		if i%100 == 0 {
			u.reopen()
		}
		if err := ask(); !errors.As(err, &r) || r.Code != wire.CodeUnreachable || r.RetryAfter <= 0 {
			t.Fatalf("asked in the pause: %v", err)
		}
		w.now = w.now.Add(r.RetryAfter)
	}
	if longest <= hopRetryMax/2 {
		t.Errorf("the longest pause is %v", longest)
	}
	w.now = w.now.Add(-48 * time.Hour) // a clock that ran ahead
	var r *quicnet.RefusedError
	if err := ask(); !errors.As(err, &r) || r.RetryAfter > hopRetryMax {
		t.Errorf("by a clock that was set back: %v", err)
	}
	u.do(func(k *work) error { return k.hopWorked(ids.MustParseDomain("delta.example")) })
	if u.hop().Failures == 0 {
		t.Error("another hop ended the pause")
	}
	u.do(func(k *work) error { return k.hopWorked(gammaDomain) })
	if h := u.hop(); h != (state.Hop{Domain: gammaDomain}) {
		t.Errorf("after an answer: %+v", h)
	}
}

// The application is told when the hop fails, why, and when it works again.
func TestHopsAreTold(t *testing.T) {
	w := newWorld(t)
	u := w.user("alice@alpha.example")
	c := u.linked().c
	told := make(chan HopStatus)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for s, err := range c.Hops(ctx) {
			if err != nil {
				t.Error(err)
				return
			}
			select {
			case told <- s:
			case <-ctx.Done():
			}
		}
	}()
	expect := func(want HopStatus) {
		t.Helper()
		select {
		case s := <-told:
			if s.Retry = want.Retry; s != want {
				t.Errorf("%+v, want %+v", s, want)
			}
		case <-time.After(time.Minute):
			t.Fatal("not told")
		}
	}
	expect(HopStatus{})
	w.must(c.SetHop(gammaDomain, keys.Pin{}))
	expect(HopStatus{Hop: gammaDomain})
	_ = c.hopError(gammaDomain, quicnet.ErrTimeout)
	expect(HopStatus{Hop: gammaDomain, Trouble: state.TroubleUnreachable})
	_ = c.hopError(gammaDomain, quicnet.ErrPin)
	expect(HopStatus{Hop: gammaDomain, Trouble: state.TroubleKey})
	w.must(c.update(func(k *work) error { return k.hopWorked(gammaDomain) }))
	expect(HopStatus{Hop: gammaDomain})
	stop()
	<-done
}
