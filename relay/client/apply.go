package client

import (
	"errors"

	"waxwing/core/content"
	"waxwing/core/devicesync"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/franking"
	"waxwing/relay/client/state"
)

// apply makes what another device of the account has told part of the state.
// Applied twice, or two in another order, it is the same. What does not fit the
// own state is left out. Errors are the store's alone.
func (w *work) apply(i devicesync.Item) error {
	w.touched = true
	var err error
	switch i := i.(type) {
	case *devicesync.Sent:
		err = w.applySent(i)
	case *devicesync.StatusOf:
		err = w.applyStatus(i)
	case *devicesync.Contact:
		err = w.applyContact(i)
	case *devicesync.Given:
		w.known = true
		err = w.learnGiven(toldRows(i))
	case *devicesync.Code:
		err = w.applyCode(i)
	case *devicesync.Roots:
		err = w.applyRoots(i)
	case *devicesync.MailboxKeys:
		err = w.applyMailboxKeys(i)
	case *devicesync.Choices:
		err = w.applyAccountChoices(i)
	case *devicesync.AccountSecret:
		err = w.applyAccountSecret(i)
	case *devicesync.Provider:
		if err = w.pin(i.Domain, i.Pin); errors.Is(err, ErrIdentityChanged) {
			err = nil
		}
	}
	if errors.Is(err, ErrFull) || errors.Is(err, state.ErrFull) {
		w.count().SyncLost++
		return nil
	}
	return err
}

// applySent puts a message that another device wrote into the history, once.
func (w *work) applySent(i *devicesync.Sent) error {
	c := w.find(i.Contact)
	if c == nil {
		w.count().SyncLost++
		return nil
	}
	key := state.OfContact(c.id, i.D[:])
	if state.Copies.Has(w.tx, key) {
		return w.copyStatus(key, state.Status(i.Status), i.Failure)
	}
	if state.Digests.Has(w.tx, key) {
		return nil // the own message, from a device that has it by an archive
	}
	kf, err := franking.KeyFrom(i.Key[:])
	if err != nil || kf.Digest(i.Frame) != franking.Digest(i.D) {
		w.count().SyncLost++
		return nil
	}
	if _, err := content.ParseFrame(i.Frame); err != nil {
		w.count().SyncLost++
		return nil
	}
	m := &state.Message{
		Contact: c.id, Status: state.Status(i.Status), Failure: i.Failure, Time: i.Time, D: i.D, Key: i.Key, Frame: i.Frame,
	}
	if e, err := state.Earlies.Get(w.tx, key); err == nil && e.Status > m.Status {
		m.Status, m.Failure = e.Status, e.Failure
	} else if err != nil && !errors.Is(err, state.ErrNotFound) {
		return err
	}
	pos, err := w.log(c, m)
	if err != nil {
		return err
	}
	return errors.Join(
		state.Copies.Put(w.tx, key, &state.Ref{Value: uint64(pos)}),
		state.Earlies.Delete(w.tx, key),
	)
}

// applyStatus notes what another device knows of a message of the account.
func (w *work) applyStatus(i *devicesync.StatusOf) error {
	c := w.find(i.Contact)
	if c == nil {
		w.count().SyncLost++
		return nil
	}
	key := state.OfContact(c.id, i.D[:])
	switch status := state.Status(i.Status); {
	case state.Copies.Has(w.tx, key):
		return w.copyStatus(key, status, i.Failure)
	case !state.Digests.Has(w.tx, key):
		return w.early(key, status, i.Failure)
	case status == state.StatusDelivered:
		return w.delivered(c, i.D) // the receipt went to the other device only
	case status == state.StatusRead:
		return w.read(c, i.D)
	}
	return nil
}

// copyStatus raises the status of a message that another device wrote.
func (w *work) copyStatus(key []byte, status state.Status, failure uint16) error {
	ref, err := state.Copies.Get(w.tx, key)
	if err != nil {
		return err
	}
	m, err := state.Log.Get(w.tx, state.U64(ref.Value))
	if errors.Is(err, state.ErrNotFound) {
		return state.Copies.Delete(w.tx, key)
	}
	if err != nil || status <= m.Status {
		return err
	}
	w.touched = true
	m.Status, m.Failure = status, failure
	return state.Log.Put(w.tx, state.U64(ref.Value), m)
}

// early remembers what became of a message that another device is still to tell
// of.
func (w *work) early(key []byte, status state.Status, failure uint16) error {
	if len(w.siblings()) == 0 {
		return nil
	}
	e, err := state.Earlies.Get(w.tx, key)
	if err != nil && !errors.Is(err, state.ErrNotFound) || err == nil && e.Status >= status {
		return err
	}
	w.touched = true
	err = state.Earlies.Put(w.tx, key, &state.Early{Status: status, Failure: failure, Day: w.today})
	if errors.Is(err, state.ErrFull) {
		return nil
	}
	return err
}

// notOwn takes a contact's receipt for a message that this device did not write
// or has settled: it is another device's, perhaps.
func (w *work) notOwn(c *contact, d content.Digest, status state.Status) error {
	key := state.OfContact(c.id, d[:])
	if state.Copies.Has(w.tx, key) {
		return w.copyStatus(key, status, 0)
	}
	return w.early(key, status, 0)
}

// applyCode takes a contact code that another device gave out.
func (w *work) applyCode(i *devicesync.Code) error {
	w.known = true
	key := state.U64(i.Serial)
	if state.Codes.Has(w.tx, key) {
		return nil // its owner is learned from the message under it
	}
	return state.Codes.Put(w.tx, key, &state.Code{Serial: i.Serial, Expiry: i.Expiry})
}

// applyRoots takes the root and chain that another device drew.
func (w *work) applyRoots(i *devicesync.Roots) error {
	if i.Number <= w.self.Root {
		return nil
	}
	w.known = true
	root, err := keys.SecretFrom(i.Root[:])
	if err != nil {
		return nil
	}
	own := w.ownProfile()
	own.Root, own.root = i.Number, root
	own.roots[i.Number] = root
	if i.HasChain {
		own.Chain, own.ChainWeek = i.Chain, weekOf(i.Week)
	}
	return renewFor(w, state.Roots, state.U32(uint32(i.Number)), root.Bytes(), rootDays)
}

// sweepEarly forgets what nobody told of.
func (w *work) sweepEarly() error {
	return expire(w, state.Earlies, func(e *state.Early) bool { return w.today > e.Day+ids.MaxTicketDays })
}
