package client

import (
	"errors"
	"slices"

	"waxwing/core/content"
	"waxwing/core/ids"
	"waxwing/core/wire"
	"waxwing/franking"
	"waxwing/relay/client/state"
	"waxwing/sealedsender"
)

// Where an envelope would have padding, its control part tells what can wait: which
// bundles came and are confirmed, which are wanted, and a piece of the next day's
// bundle. What is told so is never a reason for an envelope or for a larger one, so
// relays see the same with it and without. It may be lost with the message: pieces
// go again until the bundle is confirmed, in which case the next day's first message
// needs only its reference, or maxAheadRounds times, in which case that message
// brings the bundle.

// fillPadding puts what can wait into the room that the message leaves in its class.
func (w *work) fillPadding(d *draft) error {
	if err := w.fillStanding(d); err != nil {
		return err
	}
	if err := w.fillAcquired(d); err != nil {
		return err
	}
	if err := w.fillWanted(d); err != nil {
		return err
	}
	return w.fillAhead(d)
}

// spare is how many bytes the control part may have in the message's class.
func (d *draft) spare() int { return sealedsender.Room(d.class) - len(d.frame) }

// fits reports whether the control part still fits into the class.
func (d *draft) fits() bool {
	b, err := d.control.Marshal()
	return err == nil && len(b) <= d.spare()
}

// fillAcquired confirms bundles that came in padding.
func (w *work) fillAcquired(d *draft) error {
	if state.Acquired.Count(w.tx) == 0 {
		return nil
	}
	rows, err := state.Acquired.Rows(w.tx, state.U32(d.c.id), nil, content.MaxConfirmed)
	if err != nil {
		return err
	}
	for _, row := range rows {
		n := len(d.control.Confirmed)
		d.control.Confirmed = append(d.control.Confirmed, content.Digest(state.Rest(row.Key)))
		if !d.fits() {
			d.control.Confirmed = d.control.Confirmed[:n]
			return nil
		}
		// Stored together with the envelope. If that is lost, pieces come again and
		// are confirmed again.
		if err := state.Acquired.Delete(w.tx, row.Key); err != nil {
			return err
		}
	}
	return nil
}

// fillWanted asks for bundles that held messages name; again with each message,
// until they come or what is held is over.
func (w *work) fillWanted(d *draft) error {
	if state.Wants.Count(w.tx) == 0 {
		return nil
	}
	rows, err := state.Wants.Rows(w.tx, state.U32(d.c.id), nil, content.MaxWanted)
	for _, row := range rows {
		d.control.Wanted = append(d.control.Wanted, content.Digest(state.Rest(row.Key)))
		if !d.fits() {
			d.control.Wanted = d.control.Wanted[:len(d.control.Wanted)-1]
			break
		}
	}
	return err
}

// fillAhead puts a piece of a bundle in, if one is to go.
func (w *work) fillAhead(d *draft) error {
	room := d.control.PieceRoom(d.spare())
	if room < content.PieceUnit {
		return nil
	}
	a, o, salt, err := w.ahead(d)
	if a == nil || err != nil {
		return err
	}
	whole := slices.Concat(salt[:], o.Bundle)
	p := content.Cut(content.PieceID(o.Ref[:]), whole, a.Next, room)
	if p == nil {
		return nil
	}
	d.control.Piece = p
	if a.Next += uint8(content.Units(len(p.Bytes))); int(a.Next) >= content.Units(len(whole)) {
		a.Next, a.Rounds = 0, a.Rounds+1
	}
	// Stored together with the envelope: after a crash neither has gone.
	return state.Aheads.Put(w.tx, state.U32(d.c.id), a)
}

// ahead returns which bundle is to go to the contact in padding, and how far it has
// gone: one that the contact asked for, or tomorrow's. Nil if none is.
func (w *work) ahead(d *draft) (*state.Ahead, *state.Offer, [franking.SaltSize]byte, error) {
	var salt [franking.SaltSize]byte
	a, err := state.Aheads.Get(w.tx, state.U32(d.c.id))
	if err != nil && !errors.Is(err, state.ErrNotFound) {
		return nil, nil, salt, err
	}
	if a != nil && a.Wanted {
		o, err := state.Offers.Get(w.tx, offerKey(d.c, a.Epoch))
		if err != nil && !errors.Is(err, state.ErrNotFound) {
			return nil, nil, salt, err
		}
		if o != nil && o.Ref == a.Ref && a.Rounds < maxAheadRounds && !d.confirmedBy(o) {
			return a, o, salt, nil // its salt is in the messages that wait for it
		}
	}
	f, err := w.tomorrow(d.c)
	if f == nil || err != nil || d.confirmedBy(f.offer) {
		return nil, nil, salt, err
	}
	if a == nil || a.Ref != f.offer.Ref || a.Manifest != d.c.Version {
		a = &state.Ahead{Epoch: w.today + 1, Ref: f.offer.Ref, Manifest: d.c.Version}
	}
	if a.Rounds >= maxAheadRounds {
		return nil, nil, salt, nil
	}
	audience, err := f.token.Audience(&f.target)
	return a, f.offer, audience.Salt, err
}

// tomorrow returns what the contact's messages of the next day will be franked
// with, nil if that is not to be made now. Only a contact that has answered gets a
// token ahead, and the last tokenLow stay for those that are written to: so tokens
// are never asked for on account of this.
func (w *work) tomorrow(c *contact) (*franker, error) {
	epoch := w.today + 1
	if c.Announced == 0 || state.Offers.Count(w.tx) >= state.MaxOffers {
		return nil, nil
	}
	if !state.Offers.Has(w.tx, offerKey(c, epoch)) {
		purse, err := w.tokens()
		if err != nil || purse.Free(epoch) <= tokenLow {
			return nil, err
		}
	}
	s, err := w.theirs(c.Address.Domain())
	if s == nil || err != nil || !s.Serves(epoch) {
		return nil, err
	}
	return w.franker(c, epoch)
}

// offerKey is where a contact's bundle of a day is stored.
func offerKey(c *contact, epoch ids.Day) []byte { return state.OfContact(c.id, state.U32(epoch)) }

// confirmedBy reports whether all devices that the message is for have confirmed a
// bundle.
func (d *draft) confirmedBy(o *state.Offer) bool {
	if o.Manifest != d.c.Version {
		return false
	}
	for _, r := range d.to {
		if !slices.Contains(o.Confirmed, r.p.device) {
			return false
		}
	}
	return true
}

// sound is what an offer was last compared with.
type sound struct {
	ref      [32]byte
	token    *franking.OwnToken
	to       *franking.Recipient
	snapshot *franking.Snapshot
}

// isSound reports whether an offer fits what the contact's provider will judge by: a
// bundle that was made ahead may be under keys of reviewers or of the mailbox that
// were replaced since, and one from before the clock was set back under a token
// that is erased.
func (w *work) isSound(c *contact, o *state.Offer, f *franker, to *franking.Recipient, s *franking.Snapshot) bool {
	now := sound{o.Ref, f.token, to, s}
	memo := &c.sound[o.Epoch%2] // today's and tomorrow's are asked about in turn
	if *memo == now {
		return true
	}
	var b franking.BundleFields
	id, ok := s.NewestReviewers()
	if wire.Unmarshal(o.Bundle, &b) != nil || !ok || b.Token.Hash() != f.token.Token().Hash() ||
		b.Escrow.Reviewers != id || b.Escrow.Generation != to.Generation {
		return false
	}
	*memo = now
	return true
}

// offered returns the contact's offer of a reference, nil if there is none.
func (w *work) offered(c *contact, ref [32]byte) (*state.Offer, error) {
	rows, err := state.Offers.Rows(w.tx, state.U32(c.id), nil, 0)
	for _, row := range rows {
		if row.Record.Ref == ref {
			return row.Record, err
		}
	}
	return nil, err
}

// repeat has a bundle go again to a contact's device that lacks it: today's goes
// whole with the next message, one of a day before in padding.
func (w *work) repeat(c *contact, device ids.DeviceID, ref [32]byte) error {
	o, err := w.offered(c, ref)
	if o == nil || err != nil || o.Epoch > w.today || o.Epoch+ids.MaxDelay < w.today {
		return err // another device's, or nothing is held for it any more
	}
	w.touched = true
	if i := slices.Index(o.Confirmed, device); i >= 0 {
		o.Confirmed = slices.Delete(o.Confirmed, i, i+1)
		if err := state.Offers.Put(w.tx, offerKey(c, o.Epoch), o); err != nil {
			return err
		}
	}
	if o.Epoch == w.today {
		return nil
	}
	a, err := state.Aheads.Get(w.tx, state.U32(c.id))
	if err == nil && a.Wanted && a.Ref == ref && a.Rounds < maxAheadRounds {
		return nil // on its way
	}
	if err != nil && !errors.Is(err, state.ErrNotFound) {
		return err
	}
	return state.Aheads.Put(w.tx, state.U32(c.id), &state.Ahead{Epoch: o.Epoch, Ref: ref, Manifest: c.Version, Wanted: true})
}
