package client

import (
	"errors"

	"waxwing/core/content"
	"waxwing/core/ids"
	"waxwing/franking"
	"waxwing/relay/client/state"
	"waxwing/sealedsender"
)

// Bundles of contacts that come in pieces, and those that are missing. Nothing here
// refuses the message that brought a piece: what does not fit is not confirmed.

// takePadding takes what came in the room that a message left.
func (w *work) takePadding(o *opening) error {
	device := o.sender.Certificate().Device()
	for _, ref := range o.control.Wanted {
		if err := w.repeat(o.c, device, ref); err != nil {
			return err
		}
	}
	if o.control.Piece == nil {
		return nil
	}
	return w.gather(o, o.control.Piece)
}

// gather takes a piece of a bundle, and the bundle if it is whole now.
func (w *work) gather(o *opening, p *content.Piece) error {
	c := o.c
	// Sent again because the confirmation was lost.
	if rows, err := state.Bundles.Rows(w.tx, state.OfContact(c.id, p.ID[:]), nil, 1); err != nil || len(rows) > 0 {
		if err != nil {
			return err
		}
		return w.acquired(c, [32]byte(state.Rest(rows[0].Key)), rows[0].Record.Epoch)
	}
	key := state.OfContact(c.id, state.U32(o.sender.Certificate().Device()))
	g, err := state.Pieces.Get(w.tx, key)
	if errors.Is(err, state.ErrNotFound) {
		g, err = new(state.Gathered), nil
	}
	if err != nil {
		return err
	}
	g.Day = w.today
	if g.Take(p) {
		done, err := w.gathered(o, g)
		if err != nil {
			return err
		}
		if done {
			return state.Pieces.Delete(w.tx, key)
		}
	}
	// Stored together with the session's step. A crash before that has the message
	// delivered again, one after it finds the piece, which may come any number of
	// times.
	err = state.Pieces.Put(w.tx, key, g)
	if errors.Is(err, state.ErrFull) {
		return nil // the bundle comes whole with the next day's first message
	}
	return err
}

// gathered takes a bundle that is whole. False says that it cannot be judged yet, and
// is looked at again with the next piece.
func (w *work) gathered(o *opening, g *state.Gathered) (done bool, err error) {
	if len(g.Bytes) <= franking.SaltSize {
		return true, nil
	}
	audience := franking.Audience{Salt: [franking.SaltSize]byte(g.Bytes)}
	raw := g.Bytes[franking.SaltSize:]
	ref := franking.RefOf(raw)
	if len(raw) > sealedsender.MaxBundle || content.PieceID(ref[:]) != g.ID {
		return true, nil
	}
	epoch := o.d.Day + 1
	if want := state.OfContact(o.c.id, ref[:]); state.Wants.Has(w.tx, want) {
		// The reference that a held message named: it is judged with that message.
		epoch = o.d.Day
	} else if done, good, err := w.judgeBundle(o, raw, &audience, epoch); !good || err != nil {
		return done, err
	}
	return true, w.keepBundle(o.c, ref, epoch, raw)
}

// judgeBundle verifies a bundle of the day after the message's, as it will be when a
// message names it: under a token of the sender's provider, of the certificate's
// account, and openable by reviewers. done is false if the keys for that are not here yet.
func (w *work) judgeBundle(o *opening, raw []byte, a *franking.Audience, epoch ids.Day) (done, good bool, err error) {
	s, err := w.snapshot(o.d.Snapshot)
	if s == nil || err != nil {
		return false, false, err
	}
	to, held, err := w.recipientFor(raw)
	if to == nil || err != nil {
		return !held, false, err
	}
	from, err := senderOf(o.sender.Certificate())
	if err != nil {
		return true, false, nil
	}
	if !s.Serves(epoch) {
		return false, false, nil
	}
	b, err := franking.CheckBundle(raw, from, to, a, s)
	if err != nil || b.Token().Epoch != epoch || s.Vouches(b.Token(), w.now) != nil {
		return true, false, nil
	}
	return true, true, nil
}

// keepBundle stores a bundle that came in padding, and has it confirmed.
func (w *work) keepBundle(c *contact, ref [32]byte, epoch ids.Day, raw []byte) error {
	if state.Bundles.Count(w.tx) >= state.MaxBundles {
		return nil // not confirmed, so it comes whole
	}
	// From here on messages may name it; what was held for it is judged again in
	// this transaction.
	if err := state.Bundles.Put(w.tx, state.OfContact(c.id, ref[:]), &state.Bundle{Epoch: epoch, Bytes: raw}); err != nil {
		return err
	}
	if err := w.bundleCame(c, ref); err != nil {
		return err
	}
	return w.acquired(c, ref, epoch)
}

// acquired has a bundle confirmed with the next message that has room for it.
func (w *work) acquired(c *contact, ref [32]byte, epoch ids.Day) error {
	w.touched = true
	err := state.Acquired.Put(w.tx, state.OfContact(c.id, ref[:]), &state.Ref{Value: uint64(epoch)})
	if errors.Is(err, state.ErrFull) {
		return nil
	}
	return err
}

// bundleCame notes that a bundle is here that held messages may name.
func (w *work) bundleCame(c *contact, ref [32]byte) error {
	w.known = true
	return state.Wants.Delete(w.tx, state.OfContact(c.id, ref[:]))
}

// want notes that a message is held for a bundle, to ask its sender for it. False says
// that too many of this sender's are held.
func (w *work) want(c *contact, ref [32]byte, until ids.Day) (bool, error) {
	rows, err := state.Wants.Rows(w.tx, state.U32(c.id), nil, 0)
	if err != nil {
		return false, err
	}
	row, held := new(state.Want), 0
	for _, r := range rows {
		held += int(r.Record.Held)
		if [32]byte(state.Rest(r.Key)) == ref {
			row = r.Record
		}
	}
	if held >= maxHeldOf {
		return false, nil
	}
	w.touched = true
	row.Until, row.Held = max(row.Until, until), row.Held+1
	// Stored together with what is held: a crash leaves both or neither.
	err = state.Wants.Put(w.tx, state.OfContact(c.id, ref[:]), row)
	if errors.Is(err, state.ErrFull) {
		return false, nil
	}
	return err == nil, err
}

// sweepPadding forgets pieces that nobody goes on with, and confirmations and
// questions that are of no use any more.
func (w *work) sweepPadding() error {
	return errors.Join(
		expire(w, state.Aheads, func(a *state.Ahead) bool { return w.today > a.Epoch+ids.MaxDelay }),
		expire(w, state.Pieces, func(g *state.Gathered) bool { return w.today > g.Day+1 }),
		expire(w, state.Acquired, func(r *state.Ref) bool { return w.today > ids.Day(r.Value)+ids.MaxDelay }),
		expire(w, state.Wants, func(t *state.Want) bool { return w.today > t.Until }),
	)
}
