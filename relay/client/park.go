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
// sender's claims, each device's apart: a wrong one delays its own messages by
// parkTime.

// arrange appends a message to the log if it is its turn, or parks it.
func (w *work) arrange(c *contact, p *peer, f *content.Frame, m *state.Message) error {
	w.dirtyPeer(c, p)
	if p.Theirs != f.Conversation { // the first message, or the device began anew
		if err := w.unpark(c, p); err != nil {
			return err
		}
		p.Theirs, p.Next = f.Conversation, 1
	}
	if f.Seq > p.Next {
		return w.park(c, p, f.Seq, m)
	}
	if err := w.place(c, p, f.Seq, m); err != nil || p.ParkedSince == 0 {
		return err
	}
	return w.unparkRun(c, p)
}

// place appends a message to the log. One that others were shown before, because
// it did not come while they waited, is marked.
func (w *work) place(c *contact, p *peer, seq uint64, m *state.Message) error {
	m.Late = seq < p.Next
	p.Next = max(p.Next, seq+1)
	_, err := w.log(c, m)
	return err
}

// parkedOf begins the keys of what a device's messages are parked under.
func parkedOf(c *contact, p *peer) []byte { return state.OfContact(c.id, state.U32(p.device)) }

func parkedKey(c *contact, p *peer, seq uint64, d [32]byte) []byte {
	return append(append(parkedOf(c, p), state.U64(seq)...), d[:]...)
}

// parkedSeq reads the number in such a key.
func parkedSeq(key []byte) uint64 { return state.ParseU64(state.Rest(state.Rest(key))) }

// park keeps a message that overtook another.
func (w *work) park(c *contact, p *peer, seq uint64, m *state.Message) error {
	err := state.Parked.Put(w.tx, parkedKey(c, p, seq, m.D), m)
	if errors.Is(err, state.ErrFull) {
		// Others have all the room: nothing of this device waits any longer.
		if err := w.unpark(c, p); err != nil {
			return err
		}
		return w.place(c, p, seq, m)
	}
	if p.ParkedSince == 0 {
		p.ParkedSince = uint64(max(1, w.now.UnixMilli()))
	}
	p.parked++
	if err != nil || p.parked <= maxParked {
		return err
	}
	return w.unpark(c, p)
}

// unparkRun shows the parked messages whose turn it is.
func (w *work) unparkRun(c *contact, p *peer) error {
	for {
		rows, err := state.Parked.Rows(w.tx, parkedOf(c, p), nil, 1)
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			p.ParkedSince, p.parked = 0, 0
			return nil
		}
		seq := parkedSeq(rows[0].Key)
		if seq > p.Next {
			return nil
		}
		if err := w.unparkRow(c, p, rows[0]); err != nil {
			return err
		}
	}
}

func (w *work) unparkRow(c *contact, p *peer, row state.Row[*state.Message]) error {
	p.parked = max(0, p.parked-1)
	if err := state.Parked.Delete(w.tx, row.Key); err != nil {
		return err
	}
	return w.place(c, p, parkedSeq(row.Key), row.Record)
}

// unpark shows all parked messages of a device, in their order: what is before
// them is lost or very late.
func (w *work) unpark(c *contact, p *peer) error {
	if p.ParkedSince == 0 {
		return nil
	}
	w.dirtyPeer(c, p)
	rows, err := state.Parked.Rows(w.tx, parkedOf(c, p), nil, 0)
	if err != nil {
		return err
	}
	for _, row := range rows {
		if err := w.unparkRow(c, p, row); err != nil {
			return err
		}
	}
	p.ParkedSince, p.parked = 0, 0
	return nil
}

// unparkLate shows what was parked for too long, and returns how long the rest
// has to wait at most; zero if nothing is parked.
func (w *work) unparkLate() (wait time.Duration, err error) {
	for _, c := range w.contacts {
		for _, p := range c.peers {
			if p.ParkedSince == 0 {
				continue
			}
			rest := parkTime - w.now.Sub(time.UnixMilli(int64(p.ParkedSince)))
			if rest <= 0 {
				if err := w.unpark(c, p); err != nil {
					return 0, err
				}
				continue
			}
			if wait == 0 || rest < wait {
				wait = rest
			}
		}
	}
	return wait, nil
}
