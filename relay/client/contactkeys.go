package client

import (
	"crypto/sha256"
	"errors"
	"slices"

	"waxwing/blocklist"
	"waxwing/core/devicesync"
	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/relay/client/state"
)

// A contact's account may have another X_S than the one that was pinned: its k was
// lost. A newer manifest under the pinned identity key says so. What is under way under
// the former one is still taken, the user is told, and who is blocked stays so under
// every X_S that it is known to have had.

const (
	// formerDays is how long a former X_S is taken, and how long after it a block covers
	// it: a membership that was issued for it is refilled until its month is over, and one
	// for the next month may have been issued ahead. Certificates that name it and what was
	// sent under them end long before that.
	formerDays ids.Day = 62
	// rekeyedDays is how long the user is told at each start that a contact's account
	// key was replaced, unless the safety number is compared again.
	rekeyedDays = 7
)

// labelEntry has the entries of one block come out the same on every device.
const labelEntry = "waxwing block entry v1"

// accepts reports whether a message may name an X_S: the contact's pinned one, any if
// none is pinned yet, or one that it had until lately.
func (c *contact) accepts(xs [32]byte, today ids.Day) bool {
	return c.XS == [32]byte{} || c.XS == xs || slices.ContainsFunc(c.Others, func(o state.OtherKey) bool {
		return o.XS == xs && today <= o.Until
	})
}

// had reports whether an X_S is, or is known to have been, the contact's.
func (c *contact) had(xs [32]byte) bool {
	return c.XS == xs || slices.ContainsFunc(c.Others, func(o state.OtherKey) bool { return o.XS == xs })
}

// isFormer reports whether the contact had an X_S before the pinned one. It never has it
// again: its provider keeps a tombstone.
func (c *contact) isFormer(xs [32]byte) bool {
	return c.XS != xs && slices.ContainsFunc(c.Others, func(o state.OtherKey) bool { return o.XS == xs && o.Until != 0 })
}

// learnKey takes X_S of a contact's newest manifest.
func (w *work) learnKey(c *contact, xs [32]byte) error {
	switch c.XS {
	case xs:
		return nil
	case [32]byte{}:
		w.dirty(c)
		if c.XS = xs; !c.Blocked {
			return nil
		}
		// It was blocked by its address alone, whose entry is not needed any more.
		return errors.Join(w.strikeContact(c), w.ask(&state.Strike{Kind: state.StrikeUnblock, Entry: c.Entry}))
	}
	return w.rekey(c, xs)
}

// rekey takes another X_S of a contact's newer manifest.
func (w *work) rekey(c *contact, xs [32]byte) error {
	w.dirty(c)
	w.known = true // held deliveries may be under it
	former, known := state.OtherKey{XS: c.XS, Until: w.today + formerDays}, c.had(xs)
	c.Others = slices.DeleteFunc(c.Others, func(o state.OtherKey) bool { return o.XS == xs })
	c.XS, c.Rekeyed = xs, w.today
	err := w.addOther(c, former)
	if c.Blocked && !known {
		err = errors.Join(err, w.enter(c, xs))
	}
	return err
}

// addOther keeps another X_S of a contact. The oldest goes if there are too many, and
// its entry in the blocklist with it.
func (w *work) addOther(c *contact, o state.OtherKey) (err error) {
	w.dirty(c)
	c.Others = slices.Insert(c.Others, 0, o)
	for len(c.Others) > devicesync.MaxOtherKeys {
		oldest := c.Others[len(c.Others)-1]
		c.Others = c.Others[:len(c.Others)-1]
		if c.Blocked {
			err = errors.Join(err, w.ask(&state.Strike{Kind: state.StrikeUnblock, Entry: entryOf(c.Entry, oldest.XS)}))
		}
	}
	return err
}

// entryOf names the entry for an X_S in the own blocklist: of a block, and the same on
// each device. Nobody who does not know the block's own random id can tell whose it is.
func entryOf(block [16]byte, xs [32]byte) (e blocklist.EntryID) {
	h := sha256.Sum256(append(append([]byte(labelEntry), block[:]...), xs[:]...))
	return blocklist.EntryID(h[:len(e)])
}

// entered lists every X_S that a contact is blocked by, the pinned one first.
func (c *contact) entered() (all [][32]byte) {
	if c.XS != [32]byte{} {
		all = append(all, c.XS)
	}
	for _, o := range c.Others {
		all = append(all, o.XS)
	}
	return all
}

// strikeContact has a blocked contact's unspent tickets struck, and its introductions
// disposed of under every X_S that is known of it.
func (w *work) strikeContact(c *contact) error {
	all := c.entered()
	if len(all) == 0 { // by its address alone, before any contact: blockFound does the rest
		return w.strike(c.Address, c.Entry, blocklist.Pseudonym{})
	}
	p, err := w.pseudonym(all[0], w.self.Secrets.Generation)
	if err != nil {
		return err
	}
	err = w.strike(c.Address, entryOf(c.Entry, all[0]), p)
	for _, xs := range all[1:] {
		err = errors.Join(err, w.enter(c, xs))
	}
	return err
}

// enter has the provider dispose of introductions under another X_S of a blocked
// contact.
func (w *work) enter(c *contact, xs [32]byte) error {
	p, err := w.pseudonym(xs, w.self.Secrets.Generation)
	if err != nil {
		return err
	}
	return w.askBlock(entryOf(c.Entry, xs), p, nil)
}

// forgive has the provider forget a contact that is not blocked any more, and the client
// what only the contact's provider said of it.
func (w *work) forgive(c *contact) (err error) {
	all := c.entered()
	if len(all) == 0 {
		err = w.ask(&state.Strike{Kind: state.StrikeUnblock, Entry: c.Entry})
	}
	for _, xs := range all {
		err = errors.Join(err, w.ask(&state.Strike{Kind: state.StrikeUnblock, Entry: entryOf(c.Entry, xs)}))
	}
	c.Blocked, c.Entry = false, [16]byte{}
	c.Others = slices.DeleteFunc(c.Others, func(o state.OtherKey) bool { return o.Until == 0 })
	return err
}

// reblock blocks whoever is blocked under the X_S that it introduced itself with: its
// provider vouches for it, and the relay cannot know that it is the same account.
func (w *work) reblock(o *opening) error {
	cert := o.sender.Certificate()
	xs := cert.XS()
	if o.intro == nil || o.c.XS == [32]byte{} || o.c.Fingerprint != directory.FingerprintOf(cert.Identity()) || o.c.had(xs) || state.Strikes.Count(w.tx) >= state.MaxStrikes/2 {
		return nil
	}
	w.touched = true
	// Stored together with the delivery's disposal: after a crash it comes again.
	return errors.Join(w.addOther(o.c, state.OtherKey{XS: xs}), w.enter(o.c, xs))
}

// mismatched notes that something came under other keys than the pinned ones.
func (w *work) mismatched(c *contact) error {
	if c.Changed {
		return nil
	}
	c.Changed = true
	w.dirty(c)
	return w.unverify(c)
}

// sweepFormer forgets former X_S that nothing can come under any more.
func (w *work) sweepFormer(c *contact) {
	over := func(o state.OtherKey) bool { return w.today > o.Until }
	if !c.Blocked && slices.ContainsFunc(c.Others, over) {
		w.dirty(c)
		c.Others = slices.DeleteFunc(c.Others, over)
	}
	if c.Rekeyed != 0 && w.today > c.Rekeyed+rekeyedDays {
		w.dirty(c)
		c.Rekeyed = 0
	}
}

// otherKeys is what the other devices are told of a contact's X_S beside the pinned one.
func otherKeys(k *state.Contact) (out []devicesync.OtherKey) {
	for _, o := range k.Others {
		out = append(out, devicesync.OtherKey(o))
	}
	return out
}

// applyOthers takes those that another device knows of.
func (w *work) applyOthers(c *contact, i *devicesync.Contact) (err error) {
	for _, o := range slices.Backward(i.Others) {
		if c.had(o.XS) || len(c.Others) >= devicesync.MaxOtherKeys || o.Until == 0 && !c.Blocked || o.Until > w.today+formerDays {
			continue
		}
		err = errors.Join(err, w.addOther(c, state.OtherKey(o)))
		if c.Blocked {
			err = errors.Join(err, w.enter(c, o.XS))
		}
	}
	return err
}
