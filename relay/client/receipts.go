package client

import (
	"errors"
	"math/rand/v2"

	"waxwing/core/content"
	"waxwing/relay/client/state"
)

// owe notes that a contact is to get a receipt for d.
func (w *work) owe(c *contact, d [32]byte) error {
	if state.Receipts.Count(w.tx) >= state.MaxReceipts {
		return nil // a message without receipt is sent again, and gets one then
	}
	n := w.count()
	n.Receipt++
	w.dirty(c)
	if c.OwedSince == 0 {
		c.OwedSince = w.owedFrom()
	}
	w.attention[c.id] = true
	return state.Receipts.Put(w.tx, state.OfContact(c.id, state.U64(n.Receipt)), &state.Digest{D: d})
}

// owedFrom returns from when on receipts that are owed now wait their delay: a
// random moment to come, so that nobody who sees both mailboxes can tell by a fixed
// distance which delivery a receipt answers (receiptSpread).
func (w *work) owedFrom() uint64 {
	from := w.now
	if spread := receiptSpread * w.e.delay; spread > 0 {
		from = from.Add(rand.N(spread))
	}
	return uint64(max(1, from.UnixMilli()))
}

// takeReceipts moves receipts that are due into a control part.
func (w *work) takeReceipts(d *draft) error {
	if d.c.OwedSince == 0 {
		return nil
	}
	rows, err := state.Receipts.Rows(w.tx, state.U32(d.c.id), nil, content.MaxReceipts+1)
	if err != nil {
		return err
	}
	d.c.OwedSince = 0
	if len(rows) > content.MaxReceipts {
		d.c.OwedSince = 1 // more are long due
		rows = rows[:content.MaxReceipts]
	}
	for _, row := range rows {
		d.control.Delivered = append(d.control.Delivered, row.Record.D)
		if err := state.Receipts.Delete(w.tx, row.Key); err != nil {
			return err
		}
	}
	more, err := w.takeReads(d)
	if more {
		d.c.OwedSince = 1
	}
	return err
}

// delivered notes that a contact has our message d.
func (w *work) delivered(c *contact, d content.Digest) error {
	ref, err := state.Digests.Get(w.tx, state.OfContact(c.id, d[:]))
	if errors.Is(err, state.ErrNotFound) {
		return w.notOwn(c, d, state.StatusDelivered) // or a receipt that came twice
	}
	if err != nil {
		return err
	}
	pos := state.Position(ref.Value)
	m, err := state.Log.Get(w.tx, state.U64(pos))
	if err != nil {
		return err
	}
	if err := w.settle(pos, m); err != nil {
		return err
	}
	m.Status = state.StatusDelivered
	if !state.Repairs.Has(w.tx, state.OfContact(c.id, state.U64(pos))) {
		clear(m.Key[:])
	}
	return errors.Join(state.Log.Put(w.tx, state.U64(pos), m), w.tellStatus(m), w.awaitRead(c, d, pos))
}
