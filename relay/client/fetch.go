package client

import (
	"cmp"
	"context"
	"errors"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
	"waxwing/ratelimit/privacypass"
	"waxwing/relay/quicnet"
)

// submissions asks for submission tokens when it is time, on the account's
// connection: it is the account's quota. Nothing sent waits for it as long as
// there are tokens.
func (l *link) submissions(ctx context.Context) error {
	// Each turn is one batch, or one smaller than what was refused.
	for range len(privacypass.Sizes) {
		due, unfixed := false, false
		if err := l.c.view(func(w *work) (err error) {
			due, unfixed, err = w.fetchDue()
			return err
		}); err != nil {
			return err
		}
		if unfixed {
			return l.c.update(func(w *work) error { return w.schedule() })
		}
		if !due {
			return nil
		}
		if err := l.attempt("submissions", func() error { return l.fetchSubmissions(ctx) }); err != nil {
			return err
		}
	}
	return nil
}

func (l *link) fetchSubmissions(ctx context.Context) error {
	if err := l.fetchKeylist(ctx); err != nil {
		return err
	}
	var b *order
	err := l.c.update(func(w *work) (err error) {
		b, err = w.begin()
		return err
	})
	if errors.Is(err, errAlarm) {
		return nil
	}
	if err != nil {
		return unusable(err)
	}
	m, err := quicnet.Ask[*wire.SubmissionIssued](ctx, l.caller, &wire.IssueSubmission{Tokens: b.pending.Bytes()})
	var refused *quicnet.RefusedError
	if errors.As(err, &refused) {
		return l.c.update(func(w *work) error { return w.refusedBatch(refused.Code, refused.RetryAfter) })
	}
	if err != nil {
		return err
	}
	if err := l.c.update(func(w *work) error { return w.takeSubmissions(b, m) }); err != nil {
		return err
	}
	l.fresh.Store(true)
	return nil
}

// fetchKeylist asks for the provider's list of keys, unless a fresh one with the
// key of today is known. It is stored before anything is asked under it.
func (l *link) fetchKeylist(ctx context.Context) error {
	var own ids.Domain
	fresh := false
	if err := l.c.view(func(w *work) error {
		own = w.self.Address.Domain()
		list, fetched, err := w.knownList(own)
		if err != nil || list == nil {
			return err
		}
		_, has := list.Token(privacypass.EpochOf(w.today))
		fresh = has && w.now.Sub(fetched).Abs() < keylistAge
		return nil
	}); err != nil || fresh {
		return unusable(err)
	}
	return unusable(l.fetchOwnList(ctx, own))
}

// fetchOwnList asks for the own provider's list of keys and stores it.
func (l *link) fetchOwnList(ctx context.Context, own ids.Domain) error {
	// On a connection that is nobody's: whoever is asked does not know whom a list
	// made for one account alone would have to be shown to.
	nobody, err := l.c.dialOwn(ctx)
	if err != nil {
		return cmp.Or(ctx.Err(), error(errUnusable)) // this connection stands
	}
	defer nobody.close()
	m, err := quicnet.Ask[*wire.AdmissionKeysAre](ctx, nobody.caller, &wire.AdmissionKeys{Provider: own})
	if err != nil {
		return err
	}
	return l.c.update(func(w *work) error { return w.takeList(m.List) })
}

// dialOwn connects to the own provider and does not authenticate.
func (c *Client) dialOwn(ctx context.Context) (*link, error) {
	addr, domain, pin, err := c.provider()
	if err != nil {
		return nil, err
	}
	return c.dial(ctx, addr, domain, pin)
}

// provider returns where the own provider is. The error is ErrNotRegistered.
func (c *Client) provider() (addr string, domain ids.Domain, pin keys.Pin, err error) {
	err = c.view(func(w *work) error {
		if w.self == nil || !w.self.Registered {
			return ErrNotRegistered
		}
		addr, domain, pin = w.self.Server, w.self.Address.Domain(), w.self.Pin
		return nil
	})
	return addr, domain, pin, err
}
