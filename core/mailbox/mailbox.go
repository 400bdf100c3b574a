package mailbox

import (
	"context"
	"errors"
	"math"
	"time"

	"waxwing/blocklist"
	"waxwing/core/ids"
	"waxwing/core/store"
	"waxwing/core/wire"
)

// What callers branch on, with errors.Is.
var (
	// ErrBusy: other changes to the mailbox kept coming between. Try again.
	ErrBusy = errors.New("mailbox: changed too often meanwhile")
	// ErrState: what is stored is not what this package wrote.
	ErrState = errors.New("mailbox: stored record is corrupt")
	// ErrReserve: the number of serials is zero or above MaxReserve, or none
	// are left.
	ErrReserve = errors.New("mailbox: cannot reserve so many serials")
	// ErrDevice: zero is no device; it is the reader of outboxes.
	ErrDevice = errors.New("mailbox: not a device")
)

// Store is the part of the store that Mailboxes uses.
type Store interface {
	store.Mailboxes
	store.Documents
}

// Mailboxes is the state of the mailboxes of one provider. It is safe for
// concurrent use.
type Mailboxes struct{ st Store }

// New returns the mailboxes kept in a store.
func New(st Store) *Mailboxes { return &Mailboxes{st} }

// Open opens a device's reader of a mailbox, so that messages wait for it, and
// returns the position up to which it has acked. Errors are ErrDevice and the
// store's.
func (m *Mailboxes) Open(ctx context.Context, mailbox ids.MailboxID, device ids.DeviceID) (store.Cursor, error) {
	if device == 0 {
		return 0, ErrDevice
	}
	return m.st.OpenReader(ctx, mailbox, store.ReaderID(device))
}

// Close closes the reader of a device that was removed: messages no longer wait
// for it. Errors are ErrDevice and the store's.
func (m *Mailboxes) Close(ctx context.Context, mailbox ids.MailboxID, device ids.DeviceID) error {
	if device == 0 {
		return ErrDevice
	}
	return m.st.CloseReader(ctx, mailbox, store.ReaderID(device))
}

// ReserveSerials returns the first of n consecutive serials that nobody else
// gets, from 1 on. They are reserved durably before it returns: after a crash
// they are lost, never given again. Errors are ErrReserve, ErrBusy, ErrState
// and the store's.
func (m *Mailboxes) ReserveSerials(ctx context.Context, mailbox ids.MailboxID, n uint64) (first uint64, err error) {
	if n == 0 || n > MaxReserve {
		return 0, ErrReserve
	}
	err = m.update(ctx, serialsKey(mailbox), func(stored []byte) ([]byte, error) {
		s, err := parseSerials(stored)
		if err != nil {
			return nil, err
		}
		if s.next > math.MaxUint64-n {
			return nil, ErrReserve
		}
		first = s.next
		s.next += n
		return wire.MustMarshal(&s), nil
	})
	if err != nil {
		return 0, err
	}
	return first, nil
}

func parseSerials(stored []byte) (serials, error) {
	s := serials{next: 1}
	if stored != nil && wire.Unmarshal(stored, &s) != nil {
		return s, ErrState
	}
	return s, nil
}

// Known reports whether the mailbox exists here: whether it ever had tickets
// minted, which comes before anything can be sent to it. A ticket of one that
// does not is from before a backup was restored, or from before its account was
// removed.
func (m *Mailboxes) Known(ctx context.Context, mailbox ids.MailboxID) (bool, error) {
	_, err := m.st.Get(ctx, serialsKey(mailbox))
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Block strikes the serials of a request and adds its entry to the mailbox's
// blocklist, and returns how many serials were unspent until now. When it
// returns, envelopes under those are disposed of. Sent again, a request changes
// nothing and strikes 0. Errors are wire.ErrMalformed (a serial that was never
// reserved, or of a day that tickets do not reach yet), blocklist.ErrFull (the
// serials are struck all the same), ErrBusy, ErrState and the store's; after
// any of the latter the same request may be sent again.
func (m *Mailboxes) Block(ctx context.Context, mailbox ids.MailboxID, r *blocklist.Request, now time.Time) (struck int, err error) {
	strike, err := m.strikable(ctx, mailbox, r.Serials, ids.DayOf(now))
	if err != nil {
		return 0, err
	}
	if len(strike) > 0 {
		if struck, err = m.st.Strike(ctx, mailbox, strike); err != nil {
			return 0, err
		}
	}
	// The tickets are dead from here on. A crash now leaves the entry out,
	// which the repeated request adds.
	return struck, m.updateBlocks(ctx, mailbox, func(l *blocklist.List) error {
		_, err := l.Add(r.Entry, r.Pseudonym)
		return err
	})
}

// strikable checks serials against what can have been minted. Each one struck
// is a row that stays for weeks, so that one that no ticket has would let an
// account fill the disk.
func (m *Mailboxes) strikable(ctx context.Context, mailbox ids.MailboxID, named []blocklist.Serial, today ids.Day) ([]store.Serial, error) {
	if len(named) == 0 {
		return nil, nil
	}
	doc, err := m.st.Get(ctx, serialsKey(mailbox))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	minted, err := parseSerials(doc.Value)
	if err != nil {
		return nil, err
	}
	// One day more, for a clock that stepped back after the minting.
	last := int64(today) + ids.MaxTicketDays + 1
	out := make([]store.Serial, len(named))
	for i, s := range named {
		if s.N == 0 || s.N >= minted.next || int64(s.Day) > last {
			return nil, &wire.FieldError{Field: "serials", Reason: "never minted"}
		}
		out[i] = store.Serial(s)
	}
	return out, nil
}

// Unblock removes an entry from the mailbox's blocklist, if it is there. Struck
// serials stay struck. Errors are ErrBusy, ErrState and the store's.
func (m *Mailboxes) Unblock(ctx context.Context, mailbox ids.MailboxID, entry blocklist.EntryID) error {
	return m.updateBlocks(ctx, mailbox, func(l *blocklist.List) error {
		l.Remove(entry)
		return nil
	})
}

// Blocks returns a mailbox's blocklist.
func (m *Mailboxes) Blocks(ctx context.Context, mailbox ids.MailboxID) (*blocklist.List, error) {
	doc, err := m.st.Get(ctx, blocksKey(mailbox))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	return parseBlocks(doc.Value)
}

func parseBlocks(stored []byte) (*blocklist.List, error) {
	if stored == nil {
		return new(blocklist.List), nil
	}
	l, err := blocklist.ParseList(stored)
	if err != nil {
		return nil, ErrState
	}
	return l, nil
}

func (m *Mailboxes) updateBlocks(ctx context.Context, mailbox ids.MailboxID, change func(*blocklist.List) error) error {
	return m.update(ctx, blocksKey(mailbox), func(stored []byte) ([]byte, error) {
		l, err := parseBlocks(stored)
		if err != nil {
			return nil, err
		}
		if err := change(l); err != nil {
			return nil, err
		}
		if stored == nil && l.Len() == 0 {
			return nil, nil
		}
		return l.Marshal(), nil
	})
}

// update replaces a document by what change makes of it; stored is nil if there
// is none. Nothing is written if it stays the same.
func (m *Mailboxes) update(ctx context.Context, key store.Key, change func(stored []byte) ([]byte, error)) error {
	for range casTries {
		doc, err := m.st.Get(ctx, key)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		value, err := change(doc.Value)
		if err != nil {
			return err
		}
		if string(value) == string(doc.Value) {
			return nil
		}
		_, err = m.st.CAS(ctx, key, doc.Version, value)
		if !errors.Is(err, store.ErrConflict) {
			return err // nil: durable
		}
	}
	return ErrBusy
}
