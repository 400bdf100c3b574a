package client

import (
	"errors"
	"slices"

	"waxwing/core/ids"
	"waxwing/core/wire"
	"waxwing/relay/client/state"
)

// delivery is what the provider pushed.
type delivery struct {
	sequence uint64
	bytes    []byte
}

// holdRow says why a delivery is held, and for whose keys it waits.
type holdRow struct {
	reason state.HeldReason
	domain ids.Domain // HeldProvider only
	of     *contact   // HeldBundle only: the sender, and the reference
	ref    [32]byte
}

// receive takes deliveries in order, all in one transaction: afterwards they
// can be acked. A poisoned one is counted and does not stop the others. It
// returns the providers whose descriptors are needed.
func (w *work) receive(batch []delivery) error {
	for _, d := range batch {
		if d.sequence <= w.n.Cursor {
			continue // pushed again: the ack was lost
		}
		if err := w.receiveOne(d.bytes); err != nil {
			return err
		}
		w.count().Cursor = d.sequence
	}
	if w.known && state.Held.Count(w.tx) > 0 {
		w.known = false
		return w.release(false)
	}
	return nil
}

// receiveOne judges a delivery: it is taken, held or dropped. Errors are the
// store's alone.
func (w *work) receiveOne(b []byte) error {
	var d wire.Delivery
	if wire.Unmarshal(b, &d) != nil {
		w.drop(dropMalformed)
		return nil
	}
	return w.judge(&d, func(row holdRow) error { return w.hold(&d, b, row) })
}

// judge opens a delivery; hold is called if it cannot be judged yet.
func (w *work) judge(d *wire.Delivery, hold func(holdRow) error) error {
	err := w.open(d)
	var held *holdError
	switch reason, isDrop := dropped(err); {
	case err == nil:
		return nil
	case isDrop:
		w.drop(reason)
		if d.Origin == wire.BySync {
			return nil // it has no serial
		}
		return w.spent(d.Serial, reason)
	case errors.As(err, &held):
		if held.row.reason == state.HeldProvider {
			w.fetch[held.row.domain] = true
		}
		return hold(held.row)
	}
	return err
}

func (w *work) drop(r dropReason) { w.count().Dropped[r]++ }

// spent notes that a serial is spent at the relay, whatever was under it.
func (w *work) spent(serial uint64, r dropReason) error {
	if r == dropUsed {
		return nil
	}
	return w.useSerial(serial)
}

// hold keeps a delivery that cannot be judged yet until received + D.
func (w *work) hold(d *wire.Delivery, b []byte, row holdRow) error {
	if state.Held.Count(w.tx) >= state.MaxHeld {
		w.drop(dropHeldFull)
		return nil
	}
	if row.reason == state.HeldBundle {
		if ok, err := w.want(row.of, row.ref, receivedDay(d)+ids.MaxDelay); !ok || err != nil {
			w.drop(dropHeldFull)
			return err
		}
	}
	n := w.count()
	n.Held++
	return state.Held.Put(w.tx, state.U64(n.Held), &state.HeldDelivery{
		Reason: row.reason, Hidden: row.domain.IsZero(), Domain: row.domain, Delivery: b,
		Until: receivedDay(d) + ids.MaxDelay,
	})
}

// holdOn notes what a held delivery waits for now.
func (w *work) holdOn(key []byte, h *state.HeldDelivery, now holdRow) error {
	if h.Reason == now.reason && h.Domain == now.domain {
		return nil
	}
	if now.reason == state.HeldBundle {
		// It has its place already, so it stays, asked for or not.
		if _, err := w.want(now.of, now.ref, h.Until); err != nil {
			return err
		}
	}
	w.touched = true
	h.Reason, h.Domain, h.Hidden = now.reason, now.domain, now.domain.IsZero()
	return state.Held.Put(w.tx, key, h)
}

// heldDomains lists the providers whose keys held deliveries wait for.
func (w *work) heldDomains() (domains []ids.Domain, err error) {
	if state.Held.Count(w.tx) == 0 {
		return nil, nil
	}
	for row, err := range state.Held.Scan(w.tx, nil, nil) {
		if err != nil {
			return nil, err
		}
		if row.Record.Reason == state.HeldProvider && !slices.Contains(domains, row.Record.Domain) {
			domains = append(domains, row.Record.Domain)
		}
	}
	return domains, nil
}

func (c *Client) heldDomains() (domains []ids.Domain, err error) {
	err = c.view(func(w *work) error {
		domains, err = w.heldDomains()
		return err
	})
	return domains, err
}

func receivedDay(d *wire.Delivery) ids.Day { return ids.Day(d.Received / (86400 * 1000)) }

// release judges held deliveries again, in their order: those that waited for a
// provider's keys or a certificate which may be there now. With expire, those
// that are over are dropped.
func (w *work) release(expire bool) error {
	// One that is taken may bring what one before it waits for. Each turn takes
	// one at least.
	for w.known = true; w.known; expire = false {
		w.known = false
		if err := w.releaseOnce(expire); err != nil {
			return err
		}
	}
	return nil
}

func (w *work) releaseOnce(expire bool) error {
	rows, err := state.Held.Rows(w.tx, nil, nil, 0)
	if err != nil {
		return err
	}
	for _, row := range rows {
		var d wire.Delivery
		if wire.Unmarshal(row.Record.Delivery, &d) != nil {
			return &state.CorruptError{Table: "held"}
		}
		if expire && w.today > row.Record.Until {
			w.drop(dropExpired)
			// A sync batch has serial zero, which no ticket has.
			if err := errors.Join(state.Held.Delete(w.tx, row.Key), w.useSerial(d.Serial)); err != nil {
				return err
			}
			continue
		}
		again := false
		if err := w.judge(&d, func(now holdRow) error {
			again = true
			return w.holdOn(row.Key, row.Record, now)
		}); err != nil {
			return err
		}
		if again {
			continue
		}
		w.touched = true
		if err := state.Held.Delete(w.tx, row.Key); err != nil {
			return err
		}
	}
	return nil
}
