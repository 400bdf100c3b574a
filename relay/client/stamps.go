package client

import (
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/ratelimit"
	"waxwing/ratelimit/introduction"
	"waxwing/ratelimit/ticket"
	"waxwing/relay/client/state"
)

// Who is given tickets: whoever the user let in, once; and from then on who proved
// within the week that its provider and the own one still let it write. So the
// tickets of who is banned end (design section 8), and nobody is told anything: a
// stamp that is none, and one that does not come, are the same.

// vouch notes that the user lets a contact in: it is given tickets, and counts as
// in standing this week.
func (w *work) vouch(c *contact) {
	w.dirty(c)
	c.Fresh = true
	w.stood(c, ratelimit.WeekOf(w.today))
}

// stood notes that a contact is in standing in a week.
func (w *work) stood(c *contact, week ratelimit.Week) {
	this := uint32(ratelimit.WeekOf(w.today))
	// One of a week to come is from before the clock was set back.
	if uint32(week) >= c.Standing || c.Standing > this+1 {
		w.dirty(c)
		c.Standing = uint32(week) + 1
	}
}

// inStanding reports whether a contact may be given tickets now: it is in standing
// this week, or was last week and this week's stamp may still be on its way.
func (w *work) inStanding(c *contact) bool {
	this := uint32(ratelimit.WeekOf(w.today))
	return c.Fresh || w.self.Standing == [keys.SecretSize]byte{} ||
		c.Standing == this+1 || c.Standing == this && c.Standing > 0 && w.today%7 < ids.MaxDelay
}

// takeStanding takes what a message proves of its sender's standing: an introduction
// was made with a credential of its day, and a stamp may be with any other.
func (w *work) takeStanding(o *opening) error {
	c := o.c
	if o.intro != nil {
		w.stood(c, ratelimit.WeekOf(o.d.Day))
	}
	this := ratelimit.WeekOf(w.today)
	if o.control.Standing == ([introduction.StampSize]byte{}) || c.Standing == uint32(this)+1 {
		return nil
	}
	key, err := keys.SecretFrom(w.self.Standing[:])
	if err != nil {
		return nil // the own provider gives none
	}
	names, err := w.namesOf(o.sender.Certificate().XS())
	if err != nil {
		return err
	}
	for _, nr := range names {
		if introduction.CheckStamp(key, nr, w.today, o.control.Standing) {
			// It may be last week's, which counts no longer than it is taken.
			if introduction.Stamp(key, nr, this) != o.control.Standing {
				this--
			}
			w.stood(c, this)
			return nil
		}
	}
	return nil // ignored, and counted nowhere
}

// namesOf returns what an account with an X_S is called at the own mailbox, under each
// W that is kept: a stamp is of the one that was in force when it was asked for.
func (w *work) namesOf(xs [32]byte) ([][32]byte, error) {
	all, err := w.generations()
	if err != nil {
		return nil, err
	}
	names := make([][32]byte, 0, len(all))
	for _, g := range all {
		p, err := w.pseudonym(xs, g)
		if err != nil {
			return nil, err
		}
		if p.Generation != 0 {
			names = append(names, p.NR)
		}
	}
	return names, nil
}

// freshStamp returns the stamp for a contact that it still takes, nil for none.
func (w *work) freshStamp(c *contact) (*state.Stamp, error) {
	row, err := w.stampOf(c)
	if row == nil || err != nil || !row.Has {
		return nil, err
	}
	this := ratelimit.WeekOf(w.today)
	if row.Week == this || row.Week+1 == this && w.today%7 < ids.MaxDelay {
		return row, nil
	}
	return nil, nil
}

// fillStanding puts the stamp into the room that a message leaves: into each of the
// week, as any may be lost. An introduction proves the same.
func (w *work) fillStanding(d *draft) error {
	if d.intro != nil || d.alone {
		return nil
	}
	row, err := w.freshStamp(d.c)
	if row == nil || err != nil {
		return err
	}
	d.control.Standing = row.Stamp
	fits := d.fits()
	d.control.Standing = [introduction.StampSize]byte{}
	if !fits {
		return nil
	}
	return w.addStanding(d)
}

// addStanding puts the stamp into a message, which is large enough for it.
func (w *work) addStanding(d *draft) error {
	row, err := w.freshStamp(d.c)
	if row == nil || err != nil {
		return err
	}
	d.control.Standing = row.Stamp
	if row.Told {
		return nil
	}
	// Stored together with the envelope: after a crash neither has gone.
	row.Told = true
	return state.Stamps.Put(w.tx, state.U32(d.c.id), row)
}

// stampAlone reports whether a contact is to get the stamp without a message: its
// tickets run out, it has not had this week's, and that came on a day before, so
// that nobody sees by the times who asked for it.
func (w *work) stampAlone(c *contact) (bool, error) {
	row, err := w.freshStamp(c)
	if row == nil || err != nil || row.Told || row.Day >= w.today {
		return false, err
	}
	wallet, err := w.walletOf(c)
	if err != nil {
		return false, err
	}
	return wallet.Len(w.today) > 0 && wallet.Len(w.today+refreshDays) <= ticket.MinHigh/2, nil
}
