package mailbox

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"waxwing/blocklist"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/store"
	"waxwing/core/wire"
)

// Policy is what a mailbox's owner lets an introduction do.
type Policy uint8

// The policies.
const (
	// ToRequests lets it in, to where requests wait. It is what a mailbox has
	// whose owner said nothing.
	ToRequests Policy = 1
	// Deliver lets it in as messages of contacts are; to the relay it is the same
	// as ToRequests.
	Deliver Policy = 2
	// CodeOnly lets it in if it shows one of the mailbox's contact codes.
	CodeOnly Policy = 3
	// Refuse lets none in.
	Refuse Policy = 4
)

// Valid reports whether p is one of the policies.
func (p Policy) Valid() bool { return p >= ToRequests && p <= Refuse }

const (
	// MaxCodes is how many contact codes a mailbox may have at once: one for each
	// place that somebody hands one out at.
	MaxCodes = 16
	// maxDoorKeys is how many generations of W are known: as many as blocklists
	// have pseudonyms of.
	maxDoorKeys = blocklist.MaxGenerations
)

// Door is what decides about introductions to a mailbox. The zero value is that
// of a mailbox which has no key, and so takes none.
type Door struct {
	Policy Policy
	codes  [][keys.SecretSize]byte
	keys   []doorKey // by generation, ascending
}

type doorKey struct {
	generation uint32
	w          [32]byte
	last       ids.Day // on which something may be sealed to a key of the generation
}

// Key returns the key W of a generation, encoded, if an introduction that was
// made for it may still arrive on a day.
func (d *Door) Key(generation uint32, today ids.Day) (w [32]byte, ok bool) {
	for _, k := range d.keys {
		if k.generation == generation && today <= k.last+ids.MaxDelay+1 {
			return k.w, true
		}
	}
	return w, false
}

// Codes returns the mailbox's contact codes. They are secrets.
func (d *Door) Codes() []*keys.Secret {
	out := make([]*keys.Secret, len(d.codes))
	for i := range d.codes {
		out[i], _ = keys.SecretFrom(d.codes[i][:]) // fails for other lengths only
	}
	return out
}

// Door returns a mailbox's door; one that has none has the zero value. Errors
// are ErrState and the store's.
func (m *Mailboxes) Door(ctx context.Context, mailbox ids.MailboxID) (Door, error) {
	doc, err := m.st.Get(ctx, doorKeyOf(mailbox))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return Door{}, err
	}
	return parseDoor(doc.Value)
}

// SetKey makes the key W of a generation one that introductions may be made for,
// until its last day and the delay after it. It comes before the key is given to
// anybody. A generation keeps its first key. Errors are ErrBusy, ErrState and the
// store's.
func (m *Mailboxes) SetKey(ctx context.Context, mailbox ids.MailboxID, generation uint32, w [32]byte, last ids.Day) error {
	return m.updateDoor(ctx, mailbox, func(d *Door) {
		i, ok := slices.BinarySearchFunc(d.keys, generation, func(k doorKey, g uint32) int { return cmp.Compare(k.generation, g) })
		switch {
		case ok:
			d.keys[i].last = max(d.keys[i].last, last)
			return
		case i == 0 && len(d.keys) == maxDoorKeys:
			return // of a generation that is over
		}
		d.keys = slices.Insert(d.keys, i, doorKey{generation, w, last})
		if len(d.keys) > maxDoorKeys {
			d.keys = slices.Delete(d.keys, 0, 1)
		}
	})
}

// SetPolicy changes what introductions to the mailbox may do, and its contact
// codes, of which there are at most MaxCodes. Errors are wire.ErrMalformed,
// ErrBusy, ErrState and the store's.
func (m *Mailboxes) SetPolicy(ctx context.Context, mailbox ids.MailboxID, p Policy, codes [][keys.SecretSize]byte) error {
	if !p.Valid() || len(codes) > MaxCodes {
		return &wire.FieldError{Field: "policy", Reason: "out of range"}
	}
	return m.updateDoor(ctx, mailbox, func(d *Door) { d.Policy, d.codes = p, codes })
}

// Renew adds the pseudonyms of a new generation of W to the entries of the
// mailbox's blocklist. Errors are ErrBusy, ErrState and the store's.
func (m *Mailboxes) Renew(ctx context.Context, mailbox ids.MailboxID, all []blocklist.Renewal) error {
	return m.updateBlocks(ctx, mailbox, func(l *blocklist.List) error {
		l.Renew(all)
		return nil
	})
}

func (m *Mailboxes) updateDoor(ctx context.Context, mailbox ids.MailboxID, change func(*Door)) error {
	return m.update(ctx, doorKeyOf(mailbox), func(stored []byte) ([]byte, error) {
		d, err := parseDoor(stored)
		if err != nil {
			return nil, err
		}
		if d.Policy == 0 {
			d.Policy = ToRequests
		}
		change(&d)
		return wire.MustMarshal(&d), nil
	})
}

func parseDoor(stored []byte) (d Door, err error) {
	if stored != nil && wire.Unmarshal(stored, &d) != nil {
		return Door{}, ErrState
	}
	return d, nil
}
