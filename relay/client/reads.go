package client

import (
	"errors"

	"waxwing/core/content"
	"waxwing/relay/client/state"
)

// Read receipts go out and are taken only while the own setting allows them, so
// a message counts as read only if both sides allow it. Whoever has them off
// tells nothing and learns nothing.

// ReadReceipts reports whether read receipts are sent and taken. The default is
// that they are not.
func (c *Client) ReadReceipts() (on bool, err error) {
	err = c.view(func(w *work) error {
		on, err = w.readReceipts()
		return err
	})
	return on, err
}

// SetReadReceipts allows read receipts or not, for all devices of the account. What was to be sent when they are
// turned off is not sent any more.
func (c *Client) SetReadReceipts(on bool) error {
	return c.update(func(w *work) error { return w.setReadReceipts(on) })
}

// MarkRead says that the app has shown messages. Their senders are told with the
// next message or receipts to them, if read receipts are on. Numbers of messages
// that are not there, or are the account's own, are left out.
func (c *Client) MarkRead(ids ...MessageID) error {
	err := c.update(func(w *work) error {
		for _, id := range ids {
			if err := w.markRead(id); err != nil {
				return err
			}
		}
		return nil
	})
	c.nudge()
	return err
}

func (w *work) readReceipts() (bool, error) {
	s, err := w.settings()
	return err == nil && s.ReadReceipts, err
}

// settings returns what the user chose, to be changed and stored.
func (w *work) settings() (*state.Setting, error) {
	s, err := state.Settings.Get(w.tx, state.Single)
	if errors.Is(err, state.ErrNotFound) {
		return new(state.Setting), nil
	}
	return s, err
}

func (w *work) setReadReceipts(on bool) error {
	s, err := w.settings()
	if err != nil {
		return err
	}
	s.ReadReceipts = on
	err = errors.Join(state.Settings.Put(w.tx, state.Single, s), w.chose(readsChosen))
	if err != nil || on {
		return err
	}
	return w.dropReads()
}

func (w *work) dropReads() error {
	all := func(*state.Digest) bool { return true }
	return errors.Join(expire(w, state.Reads, all), expire(w, state.Unread, func(*state.Ref) bool { return true }))
}

func (w *work) markRead(id MessageID) error {
	on, err := w.readReceipts()
	if err != nil || !on {
		return err
	}
	m, err := state.Log.Get(w.tx, state.U64(id))
	if errors.Is(err, state.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	c := w.contacts[m.Contact]
	if c == nil || c.Blocked || m.Status != state.StatusReceived {
		return nil
	}
	err = state.Reads.Put(w.tx, state.OfContact(c.id, m.D[:]), &state.Digest{D: m.D})
	if errors.Is(err, state.ErrFull) {
		return nil
	}
	w.dirty(c)
	w.attention[c.id] = true
	if c.OwedSince == 0 {
		c.OwedSince = w.owedFrom()
	}
	return err
}

// takeReads moves read receipts into a control part, as many as its other
// receipts leave room for, and reports whether more are left.
func (w *work) takeReads(d *draft) (more bool, err error) {
	room := content.MaxReceipts - len(d.control.Delivered)
	rows, err := state.Reads.Rows(w.tx, state.U32(d.c.id), nil, room+1)
	if err != nil {
		return false, err
	}
	if more = len(rows) > room; more {
		rows = rows[:room]
	}
	for _, row := range rows {
		d.control.Read = append(d.control.Read, row.Record.D)
		if err := state.Reads.Delete(w.tx, row.Key); err != nil {
			return false, err
		}
	}
	return more, nil
}

// awaitRead notes that a message may still be read.
func (w *work) awaitRead(c *contact, d content.Digest, pos state.Position) error {
	on, err := w.readReceipts()
	if err != nil || !on {
		return err
	}
	err = state.Unread.Put(w.tx, state.OfContact(c.id, d[:]), &state.Ref{Value: uint64(pos)})
	if errors.Is(err, state.ErrFull) {
		return nil // it stays delivered
	}
	return err
}

// read notes that a contact has seen our message d, which includes that it has
// it.
func (w *work) read(c *contact, d content.Digest) error {
	if err := w.delivered(c, d); err != nil {
		return err
	}
	key := state.OfContact(c.id, d[:])
	ref, err := state.Unread.Get(w.tx, key)
	if errors.Is(err, state.ErrNotFound) {
		return w.notOwnRead(c, d) // or known already, or we do not want to know
	}
	if err != nil {
		return err
	}
	if err := state.Unread.Delete(w.tx, key); err != nil {
		return err
	}
	m, err := state.Log.Get(w.tx, state.U64(ref.Value))
	if errors.Is(err, state.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	m.Status = state.StatusRead
	return errors.Join(state.Log.Put(w.tx, state.U64(ref.Value), m), w.tellStatus(m))
}

// notOwnRead is notOwn for a read receipt, if the user wants any.
func (w *work) notOwnRead(c *contact, d content.Digest) error {
	if on, err := w.readReceipts(); err != nil || !on {
		return err
	}
	return w.notOwn(c, d, state.StatusRead)
}
