package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"waxwing/core/devicesync"
	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/query"
	"waxwing/core/wire"
	"waxwing/relay/client/state"
	"waxwing/relay/quicnet"
)

// Another pair W and Z takes the place of the mailbox's in steps, each of which is
// durable before the next:
//
//  1. w and z of the next generation are drawn and stored;
//  2. the provider is told what everybody who is blocked is under it;
//  3. the mailbox key with W and Z is published, of which the provider takes one for
//     each generation: of two devices that rotate at once one is refused, and forgets
//     what it drew;
//  4. the generation is in use here, and the other devices are told. The one before
//     stays until nothing can come under it.
//
// A crash anywhere leaves a state from which the next connection goes on: steps 2
// and 3 change nothing when they are repeated.

// ErrOvertaken: another device of the account drew new mailbox keys first. They are
// in use here as soon as it has told of them; if it is gone for good, and with it
// what it drew, rotating again draws others.
var ErrOvertaken = errors.New("client: another device replaced the mailbox key first")

// LaterError says that something cannot be done before a time.
type LaterError struct{ At time.Time }

func (e *LaterError) Error() string {
	return fmt.Sprintf("client: not before %s", e.At.UTC().Format(time.DateOnly))
}

// RotateMailboxKey replaces the mailbox's W and Z, for which others make their
// pseudonyms and escrows: who knows the secrets behind them, as a device does that was
// removed, could tell with the provider's help who introduced itself. Blocks hold
// before, during and after it. The former pair is kept until nothing can come under
// it any more, and cannot be replaced again before that: a removal of a device, which
// asks for a rotation by itself, has to wait, too. Errors are *LaterError,
// ErrOvertaken, ErrNotRegistered, those of the connection, after which the next one
// goes on, and the store's.
func (c *Client) RotateMailboxKey(ctx context.Context) error {
	if err := c.update(func(w *work) error { return w.beginRotation() }); err != nil {
		return err
	}
	return c.inTurn(ctx, func(l *link) error { return l.rotateNow(ctx) })
}

// MailboxGeneration returns the number of the mailbox's W and Z in use, from 1. The
// error is ErrNotRegistered or the store's.
func (c *Client) MailboxGeneration() (g uint32, err error) {
	err = c.view(func(w *work) error {
		if w.self == nil || !w.self.Registered {
			return ErrNotRegistered
		}
		g = w.self.Secrets.Generation
		return nil
	})
	return g, err
}

// rotation returns how far a rotation has come.
func (w *work) rotation() (*state.Rotation, error) {
	r, err := state.Rotations.Get(w.tx, state.Single)
	if errors.Is(err, state.ErrNotFound) {
		return new(state.Rotation), nil
	}
	return r, err
}

func (w *work) putRotation(r *state.Rotation) error {
	w.touched = true
	if *r == (state.Rotation{}) {
		return state.Rotations.Delete(w.tx, state.Single)
	}
	return state.Rotations.Put(w.tx, state.Single, r)
}

// beginRotation draws the next generation, unless that was done. Errors are
// ErrNotRegistered, *LaterError and the store's.
func (w *work) beginRotation() error {
	if w.self == nil || !w.self.Registered {
		return ErrNotRegistered
	}
	r, err := w.rotation()
	if err != nil || r.Draft != 0 {
		return err
	}
	if last, err := w.formerUntil(); err != nil {
		return err
	} else if last != 0 {
		return &LaterError{(last + 1).Start()}
	}
	r.Draft = max(w.self.Secrets.Generation, r.Ahead) + 1
	k := state.DrawMailboxKeys()
	defer k.Erase()
	// After this transaction the secrets are safe and nobody knows W and Z. A crash
	// leaves a rotation that the next connection goes on with.
	return errors.Join(
		state.MailboxPairs.Put(w.tx, state.U32(r.Draft), &k), w.putRotation(r), w.renewBlocks(r.Draft),
	)
}

// formerUntil returns the last day on which something may come under a former
// generation; 0 if there is none. The relay lets in two.
func (w *work) formerUntil() (last ids.Day, err error) {
	rows, err := state.MailboxPairs.Rows(w.tx, nil, nil, 0)
	for _, row := range rows {
		row.Record.Erase()
		last = max(last, row.Record.Until)
	}
	return last, err
}

// rotationGrace is how long a device that removed another has for the rotation which that
// asks for, before the others do it: a device that is there once a week is in time.
const rotationGrace ids.Day = 7

// watchRotation notes that another device removed one that knows the generation in use.
// Should it be lost before it replaces that, somebody else has to. Where word of the new
// generation came before the manifest this cannot be told apart, and it is replaced once
// more: that costs little, and a removed device that knows it may cost more.
func (w *work) watchRotation() error {
	r, err := w.rotation()
	if err != nil || r.Removed || r.Watched != 0 {
		return err
	}
	r.Watched = w.today
	return w.putRotation(r)
}

// wantRotation notes that a removed device knows the generation in use, which ends as
// soon as it can.
func (w *work) wantRotation() error {
	r, err := w.rotation()
	if err != nil {
		return err
	}
	r.Removed = true
	return w.putRotation(r)
}

// renewBlocks has the provider told what everybody who is blocked is under a
// generation.
func (w *work) renewBlocks(generation uint32) error {
	for _, c := range w.contacts {
		if c.Blocked {
			return w.ask(&state.Strike{Kind: state.StrikeRenew, Generation: generation})
		}
	}
	return nil
}

// renewals lists what everybody who is blocked is under a generation, in as many
// requests as that takes. Of a generation that is not known any more there are none.
func (w *work) renewals(generation uint32) (out []wire.Message, err error) {
	var m *wire.BlockPseudonyms
	for _, id := range slices.Sorted(maps.Keys(w.contacts)) {
		c := w.contacts[id]
		if !c.Blocked {
			continue
		}
		for _, xs := range c.entered() {
			p, err := w.pseudonym(xs, generation)
			if err != nil {
				return nil, err
			}
			if p.Generation == 0 {
				continue
			}
			if m == nil || len(m.Renewals) == wire.MaxRenewals {
				m = &wire.BlockPseudonyms{Generation: generation}
				out = append(out, m)
			}
			m.Renewals = append(m.Renewals, wire.Renewal{Entry: entryOf(c.Entry, xs), NR: p.NR})
		}
	}
	return out, nil
}

// draftKey is the mailbox key of this week with the next generation's W and Z; nil if
// there is none to publish, or this device has no key of this week.
func (w *work) draftKey() (*directory.MailboxKey, error) {
	r, err := w.rotation()
	if err != nil || r.Draft == 0 {
		return nil, err
	}
	k, err := w.pair(r.Draft)
	if err != nil {
		return nil, err
	}
	if k == nil {
		return nil, &state.CorruptError{Table: "mailboxkeys"}
	}
	defer k.Erase()
	signed, _, err := w.sealKeyOf(r.Draft, k)
	return signed, err
}

// rotate goes on with a rotation, or begins one that a removal asked for.
func (l *link) rotate(ctx context.Context) error {
	return l.attempt("rotate", func() error {
		due := false
		if err := l.c.view(func(w *work) (err error) { due, err = w.rotationDue(); return err }); err != nil || !due {
			return err
		}
		if err := l.c.update(func(w *work) error { return w.beginRotation() }); err != nil {
			return err
		}
		err := l.rotateNow(ctx)
		for _, e := range []error{ErrOvertaken, ErrProvider, ErrServer} {
			if errors.Is(err, e) {
				return &quicnet.RefusedError{Code: wire.CodeStale} // looked at again later
			}
		}
		return err
	})
}

// rotationDue reports whether a rotation is to go on, or one that a removal asked for
// can begin.
func (w *work) rotationDue() (bool, error) {
	if state.Rotations.Count(w.tx) == 0 {
		return false, nil
	}
	r, err := w.rotation()
	if err != nil || r.Draft != 0 {
		return r != nil && r.Draft != 0, err
	}
	waited := r.Watched != 0 && w.today >= r.Watched+rotationGrace
	if !waited && (!r.Removed || r.Ahead != 0) {
		return false, nil
	}
	last, err := w.formerUntil()
	return last == 0, err
}

// rotateNow does the steps after the first. Errors are ErrOvertaken, refusals, those
// of the connection and the store's.
func (l *link) rotateNow(ctx context.Context) error {
	// Who is blocked is so under the next generation before anybody knows it.
	if err := l.strikeNow(ctx); err != nil {
		return err
	}
	var k *directory.MailboxKey
	if err := l.c.update(func(w *work) (err error) { k, err = w.draftKey(); return err }); err != nil {
		return err
	}
	if k == nil {
		return nil
	}
	_, err := quicnet.Ask[*wire.Done](ctx, l.caller, &wire.SealKey{Key: k.Bytes()})
	var refused *quicnet.RefusedError
	if errors.As(err, &refused) && refused.Code == wire.CodeConflict {
		return l.conflicted(ctx, k, err)
	}
	if err != nil {
		return err
	}
	// The provider has it durably, and introductions under it may come. A crash
	// before the next line publishes it again.
	return l.c.update(func(w *work) error { return w.published(k.Generation()) })
}

// conflicted finds out what the provider has, which took not the key k.
func (l *link) conflicted(ctx context.Context, k *directory.MailboxKey, refused error) error {
	payload, err := wire.Marshal(&directory.LookupRequest{Address: k.Address()})
	if err != nil {
		return err
	}
	answer := new(directory.LookupAnswer)
	if err := l.ask(ctx, k.Address().Domain(), query.KindLookup, func([]byte) ([]byte, error) { return payload, nil }, answer); err != nil {
		return err
	}
	overtaken := false
	if err := l.c.update(func(w *work) (err error) {
		overtaken, err = w.overtaken(k, answer.MailboxKey)
		return err
	}); err != nil {
		return err
	}
	if overtaken {
		return ErrOvertaken
	}
	return refused // a clock that went back, perhaps: asked again later
}

// overtaken takes what the provider has in place of the refused key k, and reports
// whether that is another device's of the same generation or a later one.
func (w *work) overtaken(k *directory.MailboxKey, theirs []byte) (bool, error) {
	have, err := directory.ParseMailboxKey(theirs, w.self.manifest.Identity())
	switch {
	case err != nil || have.Address() != w.self.Address || have.Mailbox() != w.self.Mailbox:
		return false, ErrServer
	case have.Generation() < k.Generation():
		return false, nil
	case have.Generation() == k.Generation() && have.W() == k.W():
		return false, w.published(k.Generation()) // under another week: the own one after all
	}
	r, err := w.rotation()
	if err != nil || r.Draft == 0 {
		return true, err
	}
	// Nobody will ever know this W. What a removal asked for is not done by it: the
	// other device may have told the one that was removed.
	err = state.MailboxPairs.Delete(w.tx, state.U32(r.Draft))
	r.Draft = 0
	if have.Generation() > w.self.Secrets.Generation {
		// The other device tells of it, unless it is lost.
		r.Ahead, r.Watched = have.Generation(), w.today
	}
	return true, errors.Join(err, w.putRotation(r))
}

// published takes the next generation into use: the provider has it.
func (w *work) published(generation uint32) error {
	r, err := w.rotation()
	if err != nil || r.Draft != generation {
		return err // another device's came meanwhile
	}
	k, err := w.pair(generation)
	if err != nil {
		return err
	}
	if k == nil {
		return &state.CorruptError{Table: "mailboxkeys"}
	}
	defer k.Erase()
	r.Removed, r.Watched = false, 0
	if err := errors.Join(w.putRotation(r), w.useMailboxKeys(generation, k)); err != nil {
		return err
	}
	return errors.Join(w.tellMailboxKeys(), w.release(false))
}

// useMailboxKeys takes a generation into use. The one before is kept for what may
// still come under it.
func (w *work) useMailboxKeys(generation uint32, k *state.MailboxKeys) error {
	own := w.ownProfile()
	former := own.Secrets.Mailbox()
	defer former.Erase()
	former.Until = lastUnder(w.today)
	errs := []error{state.MailboxPairs.Delete(w.tx, state.U32(generation))}
	if own.Secrets.Generation < generation {
		errs = append(errs, w.keepFormer(own.Secrets.Generation, &former))
	}
	own.Secrets.W, own.Secrets.Z, own.Secrets.Generation = k.W, k.Z, generation
	clear(w.ownTo)
	r, err := w.rotation()
	if err != nil {
		return err
	}
	if r.Draft != 0 && r.Draft <= generation {
		// Without effect for the one in use; else what this device drew is nobody's.
		errs = append(errs, state.MailboxPairs.Delete(w.tx, state.U32(r.Draft)))
		r.Draft = 0
	}
	if r.Ahead <= generation {
		r.Ahead = 0
	}
	r.Watched = 0
	for _, c := range w.contacts {
		w.dirty(c)
		c.Announced = 0 // they get the new mailbox key with what is next written to them
	}
	w.known = true
	return errors.Join(append(errs, w.putRotation(r), w.renewBlocks(generation))...)
}

// lastUnder is the last day on which something may come under the generation that was
// in use until today: what the key of this week, or of one that another device's clock
// is ahead in, was used for on its last day, and was delayed.
func lastUnder(today ids.Day) ids.Day {
	return ids.Day(directory.WeekOf(today+1))*7 + directory.MailboxKeyDays + ids.MaxDelay + 1
}

// keepFormer stores a former generation, in place of an older one if there are too
// many.
func (w *work) keepFormer(generation uint32, k *state.MailboxKeys) error {
	w.touched = true
	if state.MailboxPairs.Count(w.tx) >= state.MaxPairs {
		rows, err := state.MailboxPairs.Rows(w.tx, nil, nil, 1)
		if err != nil {
			return err
		}
		rows[0].Record.Erase()
		if err := state.MailboxPairs.Delete(w.tx, rows[0].Key); err != nil {
			return err
		}
	}
	return state.MailboxPairs.Put(w.tx, state.U32(generation), k)
}

// tellMailboxKeys tells of the generations that something may come under.
func (w *work) tellMailboxKeys() error {
	items, err := w.formerKeys()
	if err != nil {
		return err
	}
	s := &w.self.Secrets
	items = append(items, &devicesync.MailboxKeys{Generation: s.Generation, W: s.W, Z: s.Z})
	for _, i := range items {
		err = errors.Join(err, w.tell(i))
		clear(i.W[:])
		clear(i.Z[:])
	}
	return err
}

// formerKeys lists the former generations.
func (w *work) formerKeys() (items []*devicesync.MailboxKeys, err error) {
	rows, err := state.MailboxPairs.Rows(w.tx, nil, nil, 0)
	for _, row := range rows {
		k := row.Record
		if k.Until != 0 {
			items = append(items, &devicesync.MailboxKeys{Generation: state.ParseU32(row.Key), W: k.W, Z: k.Z, Until: k.Until})
		}
		k.Erase()
	}
	return items, err
}

// applyMailboxKeys takes a generation that another device tells of. The highest is in
// use. Of one generation the provider takes one pair: should there be two, it shows
// each of two devices another account, and the lower W wins on both.
func (w *work) applyMailboxKeys(i *devicesync.MailboxKeys) error {
	k := &state.MailboxKeys{W: i.W, Z: i.Z, Until: i.Until}
	defer k.Erase()
	defer clear(i.W[:])
	defer clear(i.Z[:])
	s := &w.self.Secrets
	switch {
	case i.Generation == s.Generation && bytes.Compare(i.W[:], s.W[:]) < 0 && i.Until == 0, i.Generation > s.Generation && i.Until == 0:
		k.Until = 0
		return w.useMailboxKeys(i.Generation, k)
	case i.Until == 0 || w.today > i.Until || i.Generation >= s.Generation:
		return nil
	}
	if state.MailboxPairs.Has(w.tx, state.U32(i.Generation)) {
		return nil
	}
	w.known = true
	return w.keepFormer(i.Generation, k)
}

// sweepMailboxKeys erases former generations that nothing can come under any more.
func (w *work) sweepMailboxKeys() error {
	clear(w.ownTo)
	return expire(w, state.MailboxPairs, func(k *state.MailboxKeys) bool { return k.Until != 0 && w.today > k.Until })
}
