package ticket

import (
	"errors"
	"slices"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

// ErrFull says that a wallet, a stock or the list of tickets given out is at
// its limit.
var ErrFull = errors.New("ticket: limit reached")

// Held is one ticket received from a contact: a row of the client's store.
type Held struct {
	Minted
	Secret keys.Secret // S of its batch
	Expiry ids.Day
	keys.Redacted
}

// Wallet holds the tickets of one contact that were not used yet. It is not
// safe for concurrent use; its zero value is empty.
type Wallet struct {
	rows []Held // by expiry, those of one day in the order they came
	keys.Redacted
}

// NewWallet returns the wallet of the rows in a client's store, in any order.
// The error is ErrFull.
func NewWallet(rows []Held) (*Wallet, error) {
	w := new(Wallet)
	_, err := w.put(rows)
	return w, err
}

// Add takes over the tickets of a grant and returns the rows that are new. A
// ticket that the wallet holds already is left out; of a grant that does not
// fit, what fits is kept and the error is ErrFull. The grant shares no memory
// with the wallet afterwards. The caller stores the rows before it
// acknowledges the message that brought them.
func (w *Wallet) Add(g *Grant) ([]Held, error) {
	rows := make([]Held, len(g.Tickets))
	for i := range rows {
		rows[i] = Held{Minted: g.Tickets[i], Secret: g.Secret, Expiry: g.Expiry}
	}
	return w.put(rows)
}

func (w *Wallet) put(rows []Held) (added []Held, err error) {
	have := make(map[Ticket]bool, len(w.rows)+len(rows))
	for i := range w.rows {
		have[w.rows[i].Ticket] = true
	}
	for i := range rows {
		if have[rows[i].Ticket] {
			continue
		}
		if len(w.rows) == MaxWallet {
			err = ErrFull
			break
		}
		have[rows[i].Ticket] = true
		w.rows = append(w.rows, rows[i])
		added = append(added, rows[i])
	}
	slices.SortStableFunc(w.rows, func(a, b Held) int { return int(int64(a.Expiry) - int64(b.Expiry)) })
	return added, err
}

// Take removes a ticket that an envelope of today may use and returns it, or
// false if there is none. The first to expire comes first; those of one grant
// come in its order, which is random already. The caller stores the removal
// together with the sealed envelope before the envelope leaves: a ticket is
// used for one envelope only, and that is never sealed anew.
func (w *Wallet) Take(today ids.Day) (Held, bool) {
	i, _ := slices.BinarySearchFunc(w.rows, today, func(h Held, d ids.Day) int { return int(int64(h.Expiry) - int64(d)) })
	if i == len(w.rows) {
		return Held{}, false
	}
	h := w.rows[i]
	w.rows[i].Key.Erase()
	w.rows = slices.Delete(w.rows, i, i+1)
	return h, true
}

// Len returns how many tickets an envelope of today may choose from.
func (w *Wallet) Len(today ids.Day) int {
	n := 0
	for i := range w.rows {
		if w.rows[i].Expiry >= today {
			n++
		}
	}
	return n
}

// Drop removes the tickets that have expired and returns them, for the caller
// to remove their rows.
func (w *Wallet) Drop(today ids.Day) []Ticket {
	var out []Ticket
	w.rows = slices.DeleteFunc(w.rows, func(h Held) bool {
		if h.Expiry >= today {
			return false
		}
		out = append(out, h.Ticket)
		return true
	})
	return out
}

// Append builds the row for storing behind dst.
func (h *Held) Append(dst []byte) []byte { return mustAppend(dst, h) }

// ParseHeld parses a stored row. Errors wrap wire.ErrMalformed.
func ParseHeld(b []byte) (h Held, err error) { err = wire.Unmarshal(b, &h); return h, err }

// mustAppend builds a structure whose fields cannot break a limit.
func mustAppend(dst []byte, s wire.Schema) []byte {
	b, err := wire.Append(dst, s)
	if err != nil {
		panic(err)
	}
	return b
}
