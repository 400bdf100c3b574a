package client

import (
	"bytes"
	"cmp"
	"errors"

	"waxwing/core/devicesync"
	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/ratelimit"
	"waxwing/relay/client/state"
)

// applyContact takes a contact as another device has it. Of two changes the later
// one wins; a pinned identity key is never replaced, and X_S by a newer manifest alone.
func (w *work) applyContact(i *devicesync.Contact) error {
	if i.Address == w.self.Address {
		return nil
	}
	c := w.find(i.Address)
	if c != nil && c.Fingerprint != (directory.Fingerprint{}) && i.Fingerprint != c.Fingerprint {
		return nil
	}
	m := theirManifest(i)
	if i.Known && m == nil || m != nil && c != nil && !c.agrees(m) {
		return nil
	}
	if i.Pinned {
		if err := w.pin(i.Address.Domain(), i.Pin); errors.Is(err, ErrIdentityChanged) {
			return nil // two devices trust two providers of one name: the user has to look
		} else if err != nil {
			return err
		}
	}
	if c == nil {
		var err error
		c, err = w.newContact(&state.Contact{Address: i.Address, Status: state.ContactCode, Fingerprint: i.Fingerprint, Pending: i.Pending})
		if err != nil {
			return err
		}
		if !c.Pending { // the user let it in, on another device, which gives the first tickets
			w.stood(c, ratelimit.WeekOf(w.today))
		}
	}
	if c.Pending && !i.Pending {
		if err := w.accept(c); err != nil { // the user did, on another device
			return err
		}
	}
	w.dirty(c)
	w.attention[c.id] = true
	w.known = true
	if err := w.applyPins(c, i, m); err != nil {
		return err
	}
	if err := w.applyOthers(c, i); err != nil {
		return err
	}
	return w.applyChoices(c, i)
}

// theirManifest returns the manifest of a contact that is told of, nil if it is
// not one of these pins.
func theirManifest(i *devicesync.Contact) *directory.Manifest {
	m, err := directory.ParseManifest(i.Manifest)
	if err != nil || m.Address() != i.Address || m.Identity() != i.Identity || m.XS() != i.XS ||
		m.IdentityFingerprint() != directory.Fingerprint(i.Fingerprint) {
		return nil
	}
	return m
}

// agrees reports whether a manifest has the contact's pinned X_S, or is newer than the
// one that has it, or from before that.
func (c *contact) agrees(m *directory.Manifest) bool {
	return c.XS == [32]byte{} || c.had(m.XS()) || uint32(m.Version()) > c.Version
}

// applyPins takes the pinned keys of a contact that had none, and a newer manifest.
func (w *work) applyPins(c *contact, i *devicesync.Contact, m *directory.Manifest) error {
	if m == nil {
		return nil
	}
	if c.Fingerprint == (directory.Fingerprint{}) {
		c.Fingerprint = i.Fingerprint
	}
	if c.Status != state.ContactKnown {
		c.Status, c.Identity, c.AccountDH = state.ContactKnown, i.Identity, m.DH()
		if c.XS == [32]byte{} {
			if err := w.learnKey(c, i.XS); err != nil {
				return err
			}
		}
	}
	if i.Mailbox != (ids.MailboxID{}) && c.Mailbox == (ids.MailboxID{}) {
		c.Mailbox = i.Mailbox
	}
	newer, err := w.newer(c, m)
	if _, isDrop := dropped(err); isDrop || err == nil && !newer {
		return nil
	}
	if err != nil {
		return err
	}
	return w.learnManifest(c, m)
}

// applyChoices takes what the user chose on the other device, if that was later:
// blocked or not, verified or not. The strike generation only rises.
func (w *work) applyChoices(c *contact, i *devicesync.Contact) error {
	told, err := w.toldOf(c.id)
	if err != nil {
		return err
	}
	choice := choiceOf(i)
	order := cmp.Compare(i.Changed, told.Changed)
	if order > 0 || order == 0 && bytes.Compare(choice[:], told.Choice[:]) > 0 {
		if err := w.choose(c, i); err != nil {
			return err
		}
		told.Choice, told.Changed = choice, i.Changed
	}
	if i.Strike > c.Batch>>generationBits && i.Strike < 1<<(32-generationBits) {
		c.Batch = i.Strike << generationBits
	}
	_, hash, err := w.contactItem(c)
	if err != nil {
		return err
	}
	if c.Batch>>generationBits <= i.Strike {
		// As it now is: it is not told back, or two devices that differ would
		// answer each other for ever. A higher generation is, which the other
		// takes over.
		told.Hash = hash
	}
	return state.Tolds.Put(w.tx, state.U32(c.id), told)
}

func (w *work) choose(c *contact, i *devicesync.Contact) (err error) {
	switch {
	case i.Blocked && !c.Blocked:
		// The other device had those struck that it knew of; this one may know
		// of more.
		c.Blocked, c.Entry = true, i.Entry
		err = errors.Join(w.strikeContact(c), w.applyOthers(c, i), w.dropReceipts(c), w.dropRequests(c))
	case !i.Blocked && c.Blocked:
		// If both devices had blocked it there are two entries: this one's goes too.
		err = w.forgive(c)
	}
	if err != nil {
		return err
	}
	if i.Verified == [32]byte{} {
		return w.unverify(c)
	}
	if n, err := w.safetyNumber(c.Address); err == nil && n.digest().D == i.Verified {
		c.Rekeyed = 0 // compared since, there
	}
	return state.Verified.Put(w.tx, state.U32(c.id), &state.Digest{D: i.Verified})
}
