package client

import (
	"errors"
	"time"

	"waxwing/core/content"
	"waxwing/relay/client/state"
)

// Providers send envelopes on in shuffled batches, so that their order tells
// nothing. A message that overtook one before it is parked, durably and with a
// receipt, until that one is there or parkTime is over. The numbers are the
// sender's claims: a wrong one delays its own messages by parkTime.

// arrange appends a message to the log if it is its turn, or parks it.
func (w *work) arrange(c *contact, f *content.Frame, m *state.Message) error {
	w.dirty(c)
	if c.Theirs != f.Conversation { // the first message, or the contact began anew
		if err := w.unpark(c); err != nil {
			return err
		}
		c.Theirs, c.Next = f.Conversation, 1
	}
	if f.Seq > c.Next {
		return w.park(c, f.Seq, m)
	}
	if _, err := w.log(c, m); err != nil || f.Seq < c.Next {
		return err
	}
	c.Next++
	if c.ParkedSince == 0 {
		return nil
	}
	return w.unparkRun(c)
}

func parkedKey(c *contact, seq uint64, d [32]byte) []byte {
	return state.OfContact(c.id, append(state.U64(seq), d[:]...))
}

// park keeps a message that overtook another.
func (w *work) park(c *contact, seq uint64, m *state.Message) error {
	err := state.Parked.Put(w.tx, parkedKey(c, seq, m.D), m)
	if errors.Is(err, state.ErrFull) {
		_, err = w.log(c, m)
		return err
	}
	if c.ParkedSince == 0 {
		c.ParkedSince = uint64(max(1, w.now.UnixMilli()))
	}
	c.parked++
	if err != nil || c.parked <= maxParked {
		return err
	}
	return w.unpark(c)
}

// unparkRun shows the parked messages whose turn it is.
func (w *work) unparkRun(c *contact) error {
	for {
		rows, err := state.Parked.Rows(w.tx, state.U32(c.id), nil, 1)
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			c.ParkedSince, c.parked = 0, 0
			return nil
		}
		seq := state.ParseU64(state.Rest(rows[0].Key))
		if seq > c.Next {
			return nil
		}
		if err := w.unparkRow(c, rows[0]); err != nil {
			return err
		}
		c.Next = max(c.Next, seq+1)
	}
}

func (w *work) unparkRow(c *contact, row state.Row[*state.Message]) error {
	c.parked = max(0, c.parked-1)
	if err := state.Parked.Delete(w.tx, row.Key); err != nil {
		return err
	}
	_, err := w.log(c, row.Record)
	return err
}

// unpark shows all parked messages of a contact, in their order: what is before
// them is lost or very late.
func (w *work) unpark(c *contact) error {
	if c.ParkedSince == 0 {
		return nil
	}
	w.dirty(c)
	rows, err := state.Parked.Rows(w.tx, state.U32(c.id), nil, 0)
	if err != nil {
		return err
	}
	for _, row := range rows {
		if err := w.unparkRow(c, row); err != nil {
			return err
		}
		c.Next = max(c.Next, state.ParseU64(state.Rest(row.Key))+1)
	}
	c.ParkedSince, c.parked = 0, 0
	return nil
}

// unparkLate shows what was parked for too long, and returns how long the rest
// has to wait at most; zero if nothing is parked.
func (w *work) unparkLate() (wait time.Duration, err error) {
	for _, c := range w.contacts {
		if c.ParkedSince == 0 {
			continue
		}
		rest := parkTime - w.now.Sub(time.UnixMilli(int64(c.ParkedSince)))
		if rest <= 0 {
			if err := w.unpark(c); err != nil {
				return 0, err
			}
			continue
		}
		if wait == 0 || rest < wait {
			wait = rest
		}
	}
	return wait, nil
}
