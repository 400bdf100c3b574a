package client

import (
	"errors"

	"waxwing/core/ids"
	"waxwing/relay/client/state"
)

// sweep does once a day what time alone calls for: expired tickets, codes,
// certificates, digests and held deliveries go, and messages without a receipt
// after ids.MaxDelay days are queued again.
func (w *work) sweep() error {
	if w.self == nil || w.n.Swept == w.today {
		return nil
	}
	w.count().Swept = w.today
	stock, given := w.pool.Drop(w.today)
	for _, s := range stock {
		if err := state.Stock.Delete(w.tx, state.U64(s)); err != nil {
			return err
		}
	}
	gone := make(map[uint64]bool, len(given))
	for _, s := range given {
		gone[s] = true
		if err := state.Given.Delete(w.tx, state.U64(s)); err != nil {
			return err
		}
	}
	kept := w.used[:0]
	for _, s := range w.used {
		if !gone[s] {
			kept = append(kept, s)
		}
	}
	w.used = kept
	for id, c := range w.contacts {
		w.attention[id] = true
		w.sweepFormer(c)
		if err := w.sweepWallet(c); err != nil {
			return err
		}
	}
	return errors.Join(w.sweepRows(), w.sweepRoots(), w.sweepMailboxKeys(), w.sweepAccountKeys(), w.sweepFranking(), w.sweepRepairs(), w.sweepEarly(), w.sweepCredentials(), w.sweepStanding(), w.resend(), w.release(true))
}

func (w *work) sweepWallet(c *contact) error {
	wallet, err := w.walletOf(c)
	if err != nil {
		return err
	}
	for _, t := range wallet.Drop(w.today) {
		if err := state.Wallets.Delete(w.tx, state.OfContact(c.id, t[:])); err != nil {
			return err
		}
	}
	if c.HasFirst {
		w.dirty(c)
		c.SealKey = nil // looked up anew: its owner renews it weekly
		if c.FirstExpiry < w.today {
			c.HasFirst, c.FirstKey = false, [32]byte{}
		}
	}
	return nil
}

// sweepRows removes rows whose time is over.
func (w *work) sweepRows() error {
	return errors.Join(
		expire(w, state.Codes, func(k *state.Code) bool { return w.today > k.Expiry+ids.MaxDelay+1 }),
		expire(w, state.Certificates, func(k *state.Known) bool { return w.today > k.Expiry+ids.MaxDelay+1 }),
		expire(w, state.Seen, func(r *state.Ref) bool { return w.today > ids.Day(r.Value)+seenDays }),
		expire(w, state.LastResort, func(k *state.OwnKey) bool { return k.Until != 0 && w.today > k.Until }),
		expire(w, state.Signed, func(k *state.OwnKey) bool { return k.Until != 0 && w.today > k.Until }),
		expire(w, state.SealKeys, func(k *state.OwnKey) bool { return k.Until != 0 && w.today > k.Until }),
	)
}

func expire[T any, P state.Record[T]](w *work, t *state.Table[T, P], over func(P) bool) error {
	var keys [][]byte
	for row, err := range t.Scan(w.tx, nil, nil) {
		if err != nil {
			return err
		}
		if over(row.Record) {
			keys = append(keys, row.Key)
		}
	}
	for _, k := range keys {
		if err := t.Delete(w.tx, k); err != nil {
			return err
		}
	}
	return nil
}

// resend queues messages again that no receipt came for within ids.MaxDelay
// days: the envelope is lost, or the receipt. F, kf and d stay. One that is
// still in the outbox is left there until the provider has it or refuses it.
func (w *work) resend() error {
	rows, err := state.Unconfirmed.Rows(w.tx, nil, nil, 0)
	if err != nil {
		return err
	}
	for _, row := range rows {
		if w.today <= ids.Day(state.ParseU32(row.Key))+ids.MaxDelay {
			break // ordered by day
		}
		pos := state.Position(state.ParseU64(state.Rest(row.Key)))
		m, err := state.Log.Get(w.tx, state.U64(pos))
		if err != nil {
			return err
		}
		if m.Tries >= maxTries {
			if err := w.settle(pos, m); err != nil {
				return err
			}
			m.Status = state.StatusFailed
			if err := w.tellStatus(m); err != nil {
				return err
			}
		} else {
			if err := w.requeue(pos, m); err != nil {
				return err
			}
			continue
		}
		if err := state.Log.Put(w.tx, state.U64(pos), m); err != nil {
			return err
		}
	}
	return w.dropStale()
}

// requeue queues a sealed message again.
func (w *work) requeue(pos state.Position, m *state.Message) error {
	m.Status = state.StatusWaiting
	w.waiting[m.Contact]++
	w.touched = true
	return errors.Join(
		state.Unconfirmed.Delete(w.tx, state.OfContact(state.ContactID(m.Day), state.U64(pos))),
		state.Waiting.Put(w.tx, state.OfContact(m.Contact, state.U64(pos)), new(state.Ref)),
		state.Log.Put(w.tx, state.U64(pos), m),
	)
}

// dropStale removes envelopes that are too old for any relay.
func (w *work) dropStale() error {
	return errors.Join(
		expire(w, state.Outbox, func(e *state.Envelope) bool { return w.today > e.Day+ids.MaxDelay }),
		w.dropPaid(),
	)
}
