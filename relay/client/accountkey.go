package client

import (
	"context"
	"errors"
	"time"

	"waxwing/core/devicesync"
	"waxwing/core/directory"
	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/wire"
	"waxwing/franking"
	"waxwing/relay/client/state"
	"waxwing/relay/quicnet"
)

// Another k takes the place of the account's in steps, each of which is durable
// before the next:
//
//  1. k is drawn and stored, with the record by which the other devices are told;
//  2. the provider has the batches that tell them: whatever becomes of this device, they
//     have k, without which they could send nothing for ninety days;
//  3. the manifest with X_S = k*G is published;
//  4. k is in use here, and with each other device once it has the manifest.
//
// A crash anywhere leaves a state from which the next connection goes on. What is sent
// meanwhile goes under the former X_S, which contacts take as long as certificates name it.

var (
	// ErrUntold: the account's other devices could not be told of the new account key
	// yet. It comes into force by itself once they have been.
	ErrUntold = errors.New("client: the other devices are not told of the account key yet")
	// ErrNoAccountKey: the account has an account key whose secret did not come to
	// this device. It comes from the device that replaced it; if that is lost, replacing
	// it again makes another one.
	ErrNoAccountKey = errors.New("client: the account key's secret is not on this device")
)

const (
	// draftDays is how long a k that was drawn is tried to be published: one that the
	// others were told of longer ago may have left them.
	draftDays = 30
	// untoldBatches bounds how many batches go ahead of their time so that the others
	// are told: what waits for them is rarely more.
	untoldBatches = 64
)

// ReplaceAccountKey replaces the account's secret k and with it X_S = k*G, by which
// contacts and blocklists know it: one that is lost, or that a device knows which was
// removed. The provider does that once in directory.ReplaceDays, takes the account for
// a new one until it is older, and never lets the former X_S be registered again. To
// contacts the safety number changes, and they are told; who blocked the account has it
// blocked. Introductions and standing begin anew. Errors are *LaterError, ErrUntold,
// *RefusedError (CodeConflict: another device changed the account at the same time; the
// next connection goes on), ErrNotRegistered, ErrFull, those of the connection, after which
// the next one goes on, and the store's.
func (c *Client) ReplaceAccountKey(ctx context.Context) error {
	var drawn [32]byte // by a request before this one
	if err := c.view(func(w *work) error {
		if w.self == nil || !w.self.Registered {
			return ErrNotRegistered
		}
		k, xs, err := w.drawnKey()
		k.Erase()
		drawn = xs
		return err
	}); err != nil {
		return err
	}
	return c.inTurn(ctx, func(l *link) error {
		// Before the other devices are told of something.
		late := l.mayReplace(ctx)
		done := false
		if err := c.view(func(w *work) error { done = w.self.xs == drawn; return nil }); done || err != nil {
			return err // its answer was lost
		}
		if late != nil {
			return late
		}
		if err := c.update(func(w *work) error { return w.drawAccountKey() }); err != nil {
			return err
		}
		return l.replaceNow(ctx)
	})
}

// mayReplace takes the newest manifest: what another device, or a request whose answer
// was lost, has made of the account. The error is *LaterError, if it has another X_S
// since less than directory.ReplaceDays, and those of account.
func (l *link) mayReplace(ctx context.Context) error {
	a, err := l.accountState(ctx)
	if err != nil {
		return err
	}
	if free := a.Replaced + directory.ReplaceDays; a.Replaced != 0 && ids.DayOf(l.c.now()) < free {
		return &LaterError{free.Start()}
	}
	return nil
}

// lacksAccountKey reports whether k is not that of the manifest's X_S.
func (s *self) lacksAccountKey() bool { return s.xs != s.manifest.XS() }

// drawnKey returns the k that was drawn here and is not in force, with its X_S; nil
// for none.
func (w *work) drawnKey() (k *state.AccountKey, xs [32]byte, err error) {
	rows, err := state.AccountKeys.Rows(w.tx, nil, nil, 0)
	for _, row := range rows {
		if row.Record.Follows != 0 {
			k, xs = row.Record, [32]byte(row.Key)
			continue
		}
		row.Record.Erase()
	}
	return k, xs, err
}

// drawAccountKey draws k, unless that was done. Errors are ErrNotRegistered, ErrFull and
// the store's.
func (w *work) drawAccountKey() error {
	if w.self == nil || !w.self.Registered {
		return ErrNotRegistered
	}
	if have, _, err := w.drawnKey(); have != nil || err != nil {
		have.Erase()
		return err
	}
	k := state.DrawAccountKey()
	defer k.Erase()
	xs, err := state.AccountKeyOf(k.K)
	if err != nil {
		return err
	}
	k.Made, k.Follows = w.today, w.self.manifest.Version()
	if len(w.siblings()) > 0 {
		if state.SyncQueue.Count(w.tx) >= state.MaxSyncQueue {
			return ErrFull
		}
		item := &devicesync.AccountSecret{K: k.K}
		defer clear(item.K[:])
		if err := w.tell(item); err != nil {
			return err
		}
		s, err := w.syncState()
		if err != nil {
			return err
		}
		k.Told = s.Record
	}
	w.touched = true
	if err := w.roomForAccountKey(); err != nil {
		return err
	}
	// After this transaction k is safe, and is told and published by this connection or
	// a later one. Nobody knows X_S.
	return state.AccountKeys.Put(w.tx, xs[:], &k)
}

// roomForAccountKey forgets the oldest k of another device, if there are too many:
// devices that draw without end are broken.
func (w *work) roomForAccountKey() error {
	if state.AccountKeys.Count(w.tx) < state.MaxAccountKeys {
		return nil
	}
	rows, err := state.AccountKeys.Rows(w.tx, nil, nil, 0)
	var oldest *state.Row[*state.AccountKey]
	for i := range rows {
		row := &rows[i]
		row.Record.Erase()
		if row.Record.Follows == 0 && (oldest == nil || row.Record.Made < oldest.Record.Made) {
			oldest = row
		}
	}
	if err != nil || oldest == nil {
		return err
	}
	return state.AccountKeys.Delete(w.tx, oldest.Key)
}

// replace goes on with a replacement that was asked for.
func (l *link) replace(ctx context.Context) error {
	return l.attempt("account key", func() error {
		due, every := false, time.Duration(0)
		if err := l.c.view(func(w *work) error {
			k, _, err := w.drawnKey()
			due = k != nil
			k.Erase()
			if err == nil {
				every, err = w.syncEvery()
			}
			return err
		}); err != nil || !due {
			return err
		}
		later, err := new(LaterError), l.mayReplace(ctx)
		if errors.As(err, &later) {
			// It is done, and was before the answer was lost; or another device was first.
			return l.c.update(func(w *work) error { return w.dropDrawn() })
		}
		if err == nil {
			err = l.replaceNow(ctx)
		}
		return putOff(err, every)
	})
}

// putOff has a replacement that cannot go on looked at again later: none ends the
// connection, on which the others may be told. Batches go ahead of their time once for
// each that leaves by the clock, and not whenever something comes or is written: there
// would be no end of them, and the provider would see when the device is in use.
func putOff(err error, every time.Duration) error {
	switch {
	case errors.Is(err, ErrUntold), errors.Is(err, ErrFull):
		return &quicnet.RefusedError{Code: wire.CodeStale, RetryAfter: every}
	case errors.As(err, new(*LaterError)), errors.Is(err, ErrServer):
		return errUnusable
	}
	return err
}

// replaceNow does the steps after the first.
func (l *link) replaceNow(ctx context.Context) error {
	if err := l.certify(ctx); err != nil { // what tells the others is under it
		return err
	}
	stuck := 0
	for range untoldBatches {
		var next *directory.Manifest
		before, after := "", ""
		if err := l.c.update(func(w *work) (err error) { next, before, err = w.replacement(); return err }); err != nil {
			return err
		}
		if next != nil {
			return l.publishAccountKey(ctx, next)
		}
		if before == "" {
			return nil // in force
		}
		if err := l.putBatch(ctx); err != nil {
			return err
		}
		if err := l.c.view(func(w *work) (err error) { after, err = w.untold(); return err }); err != nil {
			return err
		}
		if after != before {
			stuck = 0
		} else if stuck++; stuck == 2 { // one was sealed before, perhaps
			return ErrUntold // no session with one of them yet, or the provider has no room
		}
	}
	return ErrUntold
}

// replacement returns the manifest to publish; or nil, and how far the others are told,
// which is empty if there is nothing to publish. What was drawn for another manifest
// than the newest, or long ago, is drawn anew: a device that was removed since knows
// it, or one that came since does not. It was not published, as the newest manifest
// would have it.
func (w *work) replacement() (next *directory.Manifest, untold string, err error) {
	k, xs, err := w.drawnKey()
	if k == nil || err != nil {
		return nil, "", err
	}
	if k.Follows != w.self.manifest.Version() || w.today > k.Made+draftDays {
		k.Erase()
		w.touched = true
		if err := state.AccountKeys.Delete(w.tx, xs[:]); err != nil {
			return nil, "", err
		}
		if err := w.drawAccountKey(); err != nil {
			return nil, "", err
		}
		if k, _, err = w.drawnKey(); err != nil {
			return nil, "", err
		}
	}
	defer k.Erase()
	if untold, err = w.untoldOf(k); untold != "" || err != nil {
		return nil, untold, err
	}
	x, err := group.Ristretto255().DecodeScalar(k.K[:])
	if err != nil {
		return nil, "", &state.CorruptError{Table: "accountkeys"}
	}
	defer x.Erase()
	f := w.self.manifest.Next()
	if f.AccountKey, err = directory.ProveAccountKey(x, w.self.Address, w.self.identity.Public()); err != nil {
		return nil, "", err
	}
	next, err = directory.SignManifest(f, w.self.identity)
	return next, "", err
}

// untold says how far the others are told of what was drawn here, empty if they are.
func (w *work) untold() (string, error) {
	k, _, err := w.drawnKey()
	if k == nil || err != nil {
		return "", err
	}
	defer k.Erase()
	return w.untoldOf(k)
}

// untoldOf compares the record that tells them with the first that waits: the provider
// has what is before that.
func (w *work) untoldOf(k *state.AccountKey) (string, error) {
	if k.Told == 0 || len(w.siblings()) == 0 {
		return "", nil
	}
	rows, err := state.SyncQueue.Rows(w.tx, nil, nil, 1)
	if err != nil || len(rows) == 0 || state.ParseU64(rows[0].Key) > k.Told {
		return "", err
	}
	s, err := w.syncState()
	if err != nil {
		return "", err
	}
	return string(append(rows[0].Key, wire.MustMarshal(s)...)), nil
}

// publishAccountKey publishes the manifest. A refusal for good ends what was begun.
func (l *link) publishAccountKey(ctx context.Context, next *directory.Manifest) error {
	_, err := quicnet.Ask[*wire.Done](ctx, l.caller, &wire.UpdateManifest{Manifest: next.Bytes()})
	var refused *quicnet.RefusedError
	switch {
	case err == nil:
		// The provider has it durably, and never takes the former one again. A crash
		// before the next line finds it in the account.
		return l.c.update(func(w *work) error { return w.ownManifest(next.Bytes()) })
	case !errors.As(err, &refused) || refused.RetryAfter > 0 || refused.Code == wire.CodeConflict || refused.Code == wire.CodeBusy:
		return err
	}
	return errors.Join(err, l.c.update(func(w *work) error { return w.dropDrawn() }))
}

// dropDrawn forgets what was drawn here.
func (w *work) dropDrawn() error {
	k, xs, err := w.drawnKey()
	if k == nil || err != nil {
		return err
	}
	k.Erase()
	w.touched = true
	return state.AccountKeys.Delete(w.tx, xs[:])
}

// applyAccountSecret takes k that another device drew. It is in use as soon as the
// manifest has its X_S.
func (w *work) applyAccountSecret(i *devicesync.AccountSecret) error {
	k := &state.AccountKey{K: i.K, Made: w.today}
	defer k.Erase()
	defer clear(i.K[:])
	xs, err := state.AccountKeyOf(k.K)
	if err != nil || xs == w.self.xs || state.AccountKeys.Has(w.tx, xs[:]) {
		return nil
	}
	if err := w.roomForAccountKey(); err != nil {
		return err
	}
	if err := state.AccountKeys.Put(w.tx, xs[:], k); err != nil || !w.self.lacksAccountKey() {
		return err
	}
	return w.useAccountKey()
}

// accountKeyChanged follows the manifest to another X_S. The certificate names the
// former one.
func (w *work) accountKeyChanged() error {
	own := w.ownProfile()
	own.Cert, own.CertExpiry, own.cert = nil, 0, nil
	w.own.XS = own.manifest.XS()
	k, xs, err := w.drawnKey()
	k.Erase()
	if err == nil && k != nil && xs != w.own.XS {
		err = w.dropDrawn() // another device was first, and tells of its own
	}
	return errors.Join(err, w.useAccountKey())
}

// useAccountKey takes k of the manifest's X_S into use, if it is here. What was made of
// the former k is over: what others keep of it is theirs.
func (w *work) useAccountKey() error {
	own := w.ownProfile()
	xs := own.manifest.XS()
	k, err := state.AccountKeys.Get(w.tx, xs[:])
	if errors.Is(err, state.ErrNotFound) {
		return nil // the device that drew it tells
	}
	if err != nil {
		return err
	}
	defer k.Erase()
	own.Secrets.K, own.xs = k.K, xs
	for id := range w.contacts {
		w.attention[id] = true
	}
	// All in one transaction: nothing is ever made of one k and sent under the
	// certificate of another.
	return errors.Join(
		expire(w, state.AccountKeys, func(*state.AccountKey) bool { return true }),
		expire(w, state.Memberships, func(*state.Membership) bool { return true }),
		expire(w, state.Credentials, func(*state.Credential) bool { return true }),
		w.dropTokens(), w.renewStamps(), w.dropOrder(),
	)
}

// dropOrder gives up a request for submission tokens that was made of the former k and
// not answered: the next one has another number.
func (w *work) dropOrder() error {
	a, err := w.admission()
	if err != nil || a.Size == 0 {
		return err
	}
	a.Size = 0
	return w.putAdmission(a)
}

// dropTokens erases all tokens: they commit to the former X_S.
func (w *work) dropTokens() error {
	purse, err := w.tokens()
	if err != nil {
		return err
	}
	for _, h := range purse.Drop(func(*franking.Token) bool { return true }) {
		err = errors.Join(err, state.Tokens.Delete(w.tx, h[:]))
	}
	return err
}

// renewStamps has each contact's stamp asked for under the new pseudonym, as if its
// tickets had just come.
func (w *work) renewStamps() error {
	rows, err := state.Stamps.Rows(w.tx, nil, nil, 0)
	for _, row := range rows {
		fresh := &state.Stamp{Since: uint64(max(0, w.now.UnixMilli()))}
		err = errors.Join(err, state.Stamps.Put(w.tx, row.Key, fresh))
	}
	return err
}

// sweepAccountKeys forgets what others drew and did not publish.
func (w *work) sweepAccountKeys() error {
	return expire(w, state.AccountKeys, func(k *state.AccountKey) bool {
		return k.Follows == 0 && w.today > k.Made+directory.ReplaceDays
	})
}

// accountSecrets lists what is told of k that is not in force.
func (w *work) accountSecrets() (items []*devicesync.AccountSecret, err error) {
	rows, err := state.AccountKeys.Rows(w.tx, nil, nil, 0)
	for _, row := range rows {
		items = append(items, &devicesync.AccountSecret{K: row.Record.K})
		row.Record.Erase()
	}
	return items, err
}
