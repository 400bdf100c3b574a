package client

import (
	"errors"
	"slices"

	"waxwing/core/content"
	"waxwing/core/ids"
	"waxwing/relay/client/state"
)

// Whoever does not know of a new device seals messages that it cannot open. A
// device that opens one tells the sender, with the manifest; the sender looks the
// new device up and seals the same message again, F, kf and d unchanged, so that
// who has shown it does not show it twice. It does so once for each version of
// the manifest.

// missedBeside is how many messages a message with text asks for again: so many
// fit beside the longest text.
const missedBeside = 8

// noteMissed notes that a message was not sealed to all devices of the own account.
func (w *work) noteMissed(o *opening) {
	c := o.c
	d := [32]byte(o.franked.Digest())
	for _, dev := range w.self.manifest.Devices() {
		if _, err := o.sender.Entry(dev.ID); err == nil {
			continue
		}
		if len(c.Missed) < state.MaxMissed && !slices.Contains(c.Missed, d) {
			c.Missed = append(c.Missed, d)
		}
		return
	}
}

// takeMissed moves what was missed into a control part.
func (w *work) takeMissed(d *draft) {
	n := min(len(d.c.Missed), content.MaxMissed)
	if d.m != nil {
		n = min(n, missedBeside)
	}
	for _, h := range d.c.Missed[:n] {
		d.control.Missed = append(d.control.Missed, h)
	}
	d.c.Missed = slices.Clone(d.c.Missed[n:])
	if len(d.c.Missed) > 0 {
		d.c.OwedSince = 1 // more is long due
	}
}

// missed notes that our message d did not come to all devices of a contact, if it
// was sealed for an older manifest than the one known now.
func (w *work) missed(c *contact, d content.Digest) error {
	ref, err := state.Digests.Get(w.tx, state.OfContact(c.id, d[:]))
	if errors.Is(err, state.ErrNotFound) {
		return nil // another device's, or known to have arrived everywhere
	}
	if err != nil {
		return err
	}
	m, err := state.Log.Get(w.tx, state.U64(ref.Value))
	if errors.Is(err, state.ErrNotFound) {
		return nil
	}
	if err != nil || m.Status == state.StatusWaiting || m.Sealed >= c.Version || m.Tries >= maxTries {
		return err
	}
	w.touched = true
	err = state.Repairs.Put(w.tx, state.OfContact(c.id, state.U64(ref.Value)), &state.Ref{Value: uint64(w.today)})
	if errors.Is(err, state.ErrFull) {
		return nil
	}
	return err
}

// repair seals messages again for a contact's new devices, once there is a session
// with each of them.
func (w *work) repair(c *contact, limit int) (sealed int, err error) {
	if state.Repairs.Count(w.tx) == 0 || limit <= 0 {
		return 0, nil
	}
	rows, err := state.Repairs.Rows(w.tx, state.U32(c.id), nil, limit)
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	if some, _ := w.missing(c); some {
		return 0, nil
	}
	for _, row := range rows {
		pos := state.Position(state.ParseU64(state.Rest(row.Key)))
		m, err := state.Log.Get(w.tx, state.U64(pos))
		switch {
		case errors.Is(err, state.ErrNotFound), err == nil && (m.Status == state.StatusWaiting || m.Status == state.StatusFailed):
			// Gone, or sealed anew in its turn.
		case err != nil:
			return sealed, err
		default:
			ok, err := w.seal(c, m, pos)
			if err != nil || !ok {
				return sealed, err
			}
			sealed++
		}
		if err := state.Repairs.Delete(w.tx, row.Key); err != nil {
			return sealed, err
		}
	}
	return sealed, nil
}

// repaired notes that a message went into another envelope. One that has arrived
// somewhere keeps its status, and is not sent again for want of a receipt.
func (w *work) repaired(c *contact, m *state.Message, pos state.Position) error {
	old := m.Day
	m.Day, m.Tries, m.Sealed = w.today, m.Tries+1, c.Version
	if m.Status == state.StatusDelivered || m.Status == state.StatusRead {
		clear(m.Key[:])
		return state.Log.Put(w.tx, state.U64(pos), m)
	}
	m.Status = state.StatusSealed
	return errors.Join(
		state.Log.Put(w.tx, state.U64(pos), m),
		state.Unconfirmed.Delete(w.tx, state.OfContact(state.ContactID(old), state.U64(pos))),
		state.Unconfirmed.Put(w.tx, state.OfContact(state.ContactID(m.Day), state.U64(pos)), new(state.Ref)),
	)
}

// repairs lists the contacts with messages that are to be sealed again.
func (w *work) repairs() (out []state.ContactID) {
	if state.Repairs.Count(w.tx) == 0 {
		return nil
	}
	for row, err := range state.Repairs.Scan(w.tx, nil, nil) {
		if err != nil {
			return out // found again where it matters
		}
		if id := state.ContactID(state.ParseU32(row.Key)); !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out
}

// sweepRepairs gives up on devices that could not be reached for ids.MaxDelay days.
func (w *work) sweepRepairs() error {
	rows, err := state.Repairs.Rows(w.tx, nil, nil, 0)
	for _, row := range rows {
		if w.today <= ids.Day(row.Record.Value)+ids.MaxDelay {
			continue
		}
		pos := state.Rest(row.Key)
		if m, _ := state.Log.Get(w.tx, pos); m != nil && (m.Status == state.StatusDelivered || m.Status == state.StatusRead) {
			clear(m.Key[:]) // kept for this alone
			err = errors.Join(err, state.Log.Put(w.tx, pos, m))
		}
		err = errors.Join(err, state.Repairs.Delete(w.tx, row.Key))
	}
	return err
}
