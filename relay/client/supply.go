package client

import (
	"context"
	"errors"
	"time"

	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/query"
	"waxwing/core/wire"
	"waxwing/ratelimit/ticket"
	"waxwing/relay/client/state"
	"waxwing/relay/quicnet"
)

// supply asks the provider for whatever the account is short of: descriptors, a
// certificate, tickets; and publishes prekeys and seal key when it is time.
func (l *link) supply(ctx context.Context) error {
	if err := l.c.upkeep.take(ctx); err != nil {
		return err
	}
	defer l.c.upkeep.give()
	due := false
	if err := l.c.view(func(w *work) error { due = w.n.Swept != w.today; return nil }); err != nil {
		return err
	}
	if due {
		if err := l.c.update(func(w *work) error { return w.sweep() }); err != nil {
			return err
		}
	}
	if err := l.heldFor(ctx); err != nil {
		return err
	}
	for _, f := range []func(context.Context) error{l.accountNews, l.ownDescriptor, l.certify, l.publish, l.mint, l.franking, l.strikeLocked, l.replace, l.rotate, l.policy, l.submissions, l.credentials, l.standing} {
		if err := f(ctx); err != nil {
			return err
		}
	}
	return nil
}

// heldFor asks for the descriptors that held deliveries wait for: they may have
// come on a connection that ended before it asked, or the provider may not have
// had the descriptor then.
func (l *link) heldFor(ctx context.Context) error {
	domains, err := l.c.heldDomains()
	if err != nil {
		return err
	}
	return l.describe(ctx, domains)
}

func (l *link) ownDescriptor(ctx context.Context) error {
	var domains []ids.Domain
	if err := l.c.view(func(w *work) (err error) {
		domains, err = w.stale([]ids.Domain{w.self.Address.Domain()})
		return err
	}); err != nil {
		return err
	}
	return l.describe(ctx, domains)
}

// describe asks for providers' descriptors. What waited for them is judged
// again in the transaction that stores them, so that order is kept.
func (l *link) describe(ctx context.Context, domains []ids.Domain) error {
	for _, d := range domains {
		err := l.attempt("describe "+d.String(), func() error {
			m, err := askOwn[*wire.Described](ctx, l, &wire.Describe{Domain: d})
			if err != nil {
				return err
			}
			err = l.c.update(func(w *work) error {
				if err := w.described(d, m.Descriptor); err != nil {
					return err
				}
				return w.release(false)
			})
			if errors.Is(err, ErrServer) {
				return &quicnet.RefusedError{Code: wire.CodeStale} // not ours to use; ask again later
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *link) certify(ctx context.Context) error {
	due := false
	if err := l.c.view(func(w *work) error {
		due = len(w.self.Cert) == 0 || w.self.CertExpiry < w.today+certificateDays
		return nil
	}); err != nil || !due {
		return err
	}
	return l.attempt("certify", func() error {
		m, err := quicnet.Ask[*wire.Cert](ctx, l.caller, new(wire.Certify))
		if err != nil {
			return err
		}
		take := func() error {
			return l.c.update(func(w *work) error { return w.certified(m.Certificate) })
		}
		if err = take(); !errors.Is(err, ErrServer) {
			return err
		}
		// The provider may have a new key, which only a new descriptor names.
		var own ids.Domain
		if err := l.c.view(func(w *work) error { own = w.self.Address.Domain(); return nil }); err != nil {
			return err
		}
		if err := l.describe(ctx, []ids.Domain{own}); err != nil {
			return err
		}
		if err = take(); errors.Is(err, ErrServer) {
			return &quicnet.RefusedError{Code: wire.CodeStale} // asked again later; what is there can be read
		}
		return err
	})
}

// publishEvery is how often the stock of prekeys is looked at on a connection
// that stays open.
const publishEvery = time.Hour

// publish publishes prekeys and the seal key. Private keys are durable before
// the public ones leave; after a crash in between they are published again.
func (l *link) publish(ctx context.Context) error {
	return l.attempt("publish", func() error {
		stock, err := quicnet.Ask[*wire.Stock](ctx, l.caller, new(wire.Prekeys))
		if err != nil {
			return err
		}
		for range (prekeyStock + wire.MaxPrekeys - 1) / wire.MaxPrekeys {
			var m *wire.Prekeys
			if err := l.c.update(func(w *work) (err error) {
				m, err = w.prekeys(int(stock.OneTime))
				return err
			}); err != nil {
				return err
			}
			if m == nil {
				break
			}
			if stock, err = quicnet.Ask[*wire.Stock](ctx, l.caller, m); err != nil {
				return err
			}
		}
		if err := l.publishSealKey(ctx); err != nil {
			return err
		}
		l.mu.Lock()
		l.later["publish"] = l.c.now().Add(publishEvery)
		l.mu.Unlock()
		return nil
	})
}

func (l *link) publishSealKey(ctx context.Context) error {
	var k *directory.MailboxKey
	var due bool
	if err := l.c.update(func(w *work) (err error) {
		k, due, err = w.sealKey()
		return err
	}); err != nil || !due {
		return err
	}
	if k != nil {
		if _, err := quicnet.Ask[*wire.Done](ctx, l.caller, &wire.SealKey{Key: k.Bytes()}); err != nil {
			return err
		}
	}
	return l.c.update(func(w *work) error {
		w.ownProfile().Published = true
		return nil
	})
}

// mint asks for tickets until the stock is as high as the contacts' pace asks.
func (l *link) mint(ctx context.Context) error {
	for range ticket.MaxStock / wire.MaxMint {
		n := 0
		var expiry ids.Day
		if err := l.c.view(func(w *work) error {
			n, expiry = w.mintCount(), w.today+ids.MaxTicketDays
			return nil
		}); err != nil || n <= 0 {
			return err
		}
		refused := true
		err := l.attempt("mint", func() error {
			m, err := quicnet.Ask[*wire.Minted](ctx, l.caller, &wire.Mint{Count: uint16(n), Expiry: expiry})
			if err != nil {
				return err
			}
			refused = false
			return l.c.update(func(w *work) error { return w.minted(m) })
		})
		if err != nil || refused {
			return err
		}
	}
	return nil
}

func (l *link) strikeLocked(ctx context.Context) error {
	return l.attempt("strike", func() error { return l.strikeNow(ctx) })
}

// strikeNow carries out what blocking and unblocking asked for. A refusal is an
// error: whoever blocks wants to know.
func (l *link) strikeNow(ctx context.Context) error {
	for {
		var rows []strikeRow
		if err := l.c.view(func(w *work) (err error) {
			rows, err = w.strikes(batchSize)
			return err
		}); err != nil || len(rows) == 0 {
			return err
		}
		for _, r := range rows {
			for _, m := range r.ms {
				_, err := l.caller.Call(ctx, m)
				var refused *quicnet.RefusedError
				gone := errors.As(err, &refused) && refused.RetryAfter == 0 &&
					(refused.Code == wire.CodeNotFound || refused.Code == wire.CodeMalformed)
				if err != nil && !gone {
					return err
				}
			}
			// Carried out: a crash before the next line repeats it, which
			// changes nothing.
			if err := l.c.update(func(w *work) error { return w.struck(r.number) }); err != nil {
				return err
			}
		}
	}
}

// lookUp looks up the contacts whose keys are missing. What goes wrong with one
// of them is joined into failed and does not keep the others.
func (l *link) lookUp(ctx context.Context) (failed error, err error) {
	if err := l.c.upkeep.take(ctx); err != nil {
		return nil, err
	}
	defer l.c.upkeep.give()
	var addresses []ids.Address
	blocked := map[ids.Address]bool{}
	if err := l.c.view(func(w *work) error {
		addresses = w.lookups()
		for _, a := range addresses {
			c := w.find(a)
			blocked[a] = c != nil && c.Blocked
		}
		return nil
	}); err != nil {
		return nil, err
	}
	for _, a := range addresses {
		err := l.attempt("lookup "+a.String(), func() error { return l.lookUpOne(ctx, a) })
		switch {
		case errors.Is(err, ErrProvider) && !blocked[a]:
			failed = errors.Join(failed, err) // the own provider may be connecting to it
		case errors.Is(err, ErrProvider), errors.Is(err, ErrNoAccount), errors.Is(err, ErrIdentityChanged), errors.Is(err, ErrServer):
			// Who is blocked and cannot be found writes nothing: that is no failure
			// of everything else, now and with each later connection.
			if !blocked[a] {
				failed = errors.Join(failed, err)
			}
			l.mu.Lock()
			l.later["lookup "+a.String()] = l.c.now().Add(descriptorRetry)
			l.mu.Unlock()
		case err != nil:
			return failed, err
		}
	}
	return failed, nil
}

func (l *link) lookUpOne(ctx context.Context, a ids.Address) error {
	var domains []ids.Domain
	if err := l.c.view(func(w *work) (err error) {
		domains, err = w.stale([]ids.Domain{a.Domain()})
		return err
	}); err != nil {
		return err
	}
	if err := l.describe(ctx, domains); err != nil {
		return err
	}
	to, err := l.relayKey(a.Domain())
	if err != nil {
		return err
	}
	payload, err := wire.Marshal(&directory.LookupRequest{Address: a})
	if err != nil {
		return err
	}
	var h *state.Hop
	if err := l.c.view(func(w *work) (err error) { h, err = w.hopAbout(a); return err }); err != nil {
		return err
	}
	answer := new(directory.LookupAnswer)
	if err := l.askKey(ctx, h, a.Domain(), to, query.KindLookup, func([]byte) ([]byte, error) { return payload, nil }, answer); err != nil {
		return err
	}
	return l.c.update(func(w *work) error { return w.lookedUp(a, answer) })
}
