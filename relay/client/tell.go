package client

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"time"

	"waxwing/core/devicesync"
	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/ratelimit/ticket"
	"waxwing/relay/client/state"
)

// What the account's other devices are told (core/devicesync) is queued in the
// transaction that made it so: a crash leaves both or neither.

// tell queues an item for the other devices, if there are any. When the queue is
// full they are not told: they are away for good, or the provider is.
func (w *work) tell(i devicesync.Item) error {
	if w.self == nil || len(w.siblings()) == 0 || state.SyncQueue.Count(w.tx) >= state.MaxSyncQueue {
		return nil
	}
	b, err := devicesync.Marshal(i)
	if err != nil {
		return err
	}
	s, err := w.syncState()
	if err != nil {
		return err
	}
	w.touched = true
	s.Record++
	return errors.Join(
		state.SyncQueue.Put(w.tx, state.U64(s.Record), &state.SyncItem{Bytes: b}),
		state.SyncStates.Put(w.tx, state.Single, s),
	)
}

func (w *work) syncState() (*state.SyncState, error) {
	s, err := state.SyncStates.Get(w.tx, state.Single)
	if errors.Is(err, state.ErrNotFound) {
		return new(state.SyncState), nil
	}
	return s, err
}

// tellSent tells of a message that was written here.
func (w *work) tellSent(c *contact, m *state.Message) error {
	return w.tell(&devicesync.Sent{
		Contact: c.Address, Time: m.Time, Status: devicesync.Status(m.Status), Failure: m.Failure, D: m.D, Key: m.Key, Frame: m.Frame,
	})
}

// tellStatus tells what became of a message of the account.
func (w *work) tellStatus(m *state.Message) error {
	c := w.contacts[m.Contact]
	if c == nil {
		return nil
	}
	return w.tell(&devicesync.StatusOf{Contact: c.Address, D: m.D, Status: devicesync.Status(m.Status), Failure: m.Failure})
}

// tellGiven tells to whom tickets were given, all at once.
func (w *work) tellGiven(rows []ticket.Given) error {
	if len(rows) == 0 {
		return nil
	}
	return w.tell(givenItem(rows))
}

// tellRoots tells of the root and chain in use.
func (w *work) tellRoots() error {
	row, err := state.Roots.Get(w.tx, state.U32(uint32(w.self.Root)))
	if err != nil {
		return err
	}
	return w.tell(&devicesync.Roots{
		Number: w.self.Root, Root: [32]byte(w.self.root.Bytes()), Made: row.Made,
		HasChain: true, Week: uint32(w.self.ChainWeek), Chain: w.self.Chain,
	})
}

// tellContacts tells of those contacts among the changed ones that are another
// to the other devices: most changes are of this device's own business.
func (w *work) tellContacts() error {
	if w.self == nil || len(w.siblings()) == 0 {
		return nil
	}
	for c := range w.contactz {
		told, err := w.toldOf(c.id)
		if err != nil {
			return err
		}
		i, hash, err := w.contactItem(c)
		if err != nil {
			return err
		}
		if told.Hash == hash {
			continue
		}
		told.Hash = hash
		// Only a choice has a time: a device that knows of none, or of an old one,
		// must not take back a newer one because something else changed. Later than
		// the one before, also under a clock that went back.
		if choice := choiceOf(i); choice != told.Choice {
			told.Choice, told.Changed = choice, max(told.Changed+1, uint64(max(0, w.now.UnixMilli())))
		}
		i.Changed = told.Changed
		if err := errors.Join(w.tell(i), state.Tolds.Put(w.tx, state.U32(c.id), told)); err != nil {
			return err
		}
	}
	return nil
}

// choiceOf is a hash of what the user chose about a contact, zero for nothing.
func choiceOf(i *devicesync.Contact) [32]byte {
	if !i.Blocked && i.Verified == [32]byte{} {
		return [32]byte{}
	}
	return sha256.Sum256(append(i.Entry[:], i.Verified[:]...))
}

func (w *work) toldOf(id state.ContactID) (*state.Told, error) {
	t, err := state.Tolds.Get(w.tx, state.U32(id))
	if errors.Is(err, state.ErrNotFound) {
		return new(state.Told), nil
	}
	return t, err
}

// contactItem returns a contact as the other devices are told of it, and the hash
// of that.
func (w *work) contactItem(c *contact) (i *devicesync.Contact, hash [32]byte, err error) {
	i = &devicesync.Contact{
		Address: c.Address, Blocked: c.Blocked, Entry: c.Entry, Strike: c.Batch >> generationBits,
		Fingerprint: c.Fingerprint, Mailbox: c.Mailbox, Pending: c.Pending, Others: otherKeys(c.Contact),
	}
	if c.Status == state.ContactKnown && c.Version != 0 {
		i.Known, i.Identity, i.XS, i.AccountDH = true, c.Identity, c.XS, c.AccountDH
		m, err := state.Manifests.Get(w.tx, state.U32(c.id))
		if err != nil {
			return nil, hash, err
		}
		i.Manifest = m.Bytes
	} else {
		i.Mailbox = ids.MailboxID{}
	}
	if v, err := state.Verified.Get(w.tx, state.U32(c.id)); err == nil {
		i.Verified = v.D
	} else if !errors.Is(err, state.ErrNotFound) {
		return nil, hash, err
	}
	if p, err := state.Descriptors.Get(w.tx, []byte(c.Address.Domain().String())); err == nil && p.Pinned {
		i.Pinned, i.Pin = true, p.Pin
	} else if err != nil && !errors.Is(err, state.ErrNotFound) {
		return nil, hash, err
	}
	b, err := devicesync.Marshal(i)
	return i, sha256.Sum256(b), err
}

// givenItem is rows of one batch as an item.
func givenItem(rows []ticket.Given) *devicesync.Given {
	g := rows[0]
	i := &devicesync.Given{Giver: g.Giver, Root: g.Root, Batch: g.Batch, Code: g.Code, Account: g.Account, For: g.Device}
	for _, row := range rows {
		i.Tickets = append(i.Tickets, devicesync.GivenTicket{Serial: row.Serial, Expiry: row.Expiry, Used: row.Used})
	}
	i.Sort()
	return i
}

// toldRows is the reverse of givenItem.
func toldRows(i *devicesync.Given) []ticket.Given {
	rows := make([]ticket.Given, len(i.Tickets))
	for n, t := range i.Tickets {
		rows[n] = ticket.Given{
			Serial: t.Serial, Expiry: t.Expiry, Used: t.Used, Account: i.Account, Batch: i.Batch,
			Giver: i.Giver, Root: i.Root, Device: i.For, Code: i.Code,
		}
	}
	return rows
}

// syncEvery returns how often batches leave.
func (w *work) syncEvery() (time.Duration, error) {
	s, err := w.settings()
	if err != nil {
		return 0, err
	}
	if s.SyncEvery == 0 {
		return w.e.syncEvery, nil
	}
	return time.Duration(s.SyncEvery) * time.Millisecond, nil
}

// setSyncEvery sets it. The error is ErrInterval or the store's.
func (w *work) setSyncEvery(d time.Duration) error {
	if d < devicesync.MinEvery || d > devicesync.MaxEvery {
		return ErrInterval
	}
	s, err := w.settings()
	if err != nil {
		return err
	}
	s.SyncEvery = uint32(d.Milliseconds())
	return state.Settings.Put(w.tx, state.Single, s)
}

// SyncEvery returns how often the account's devices tell each other what is new.
func (c *Client) SyncEvery() (d time.Duration, err error) {
	err = c.view(func(w *work) error {
		d, err = w.syncEvery()
		return err
	})
	return d, err
}

// SetSyncEvery sets how often the account's devices tell each other what is new:
// from one second to one hour, from the next connection on. A batch of 4 KiB
// leaves that often whether there is news or not, so that the provider cannot
// tell from it who has just written something. The error is ErrInterval.
func (c *Client) SetSyncEvery(d time.Duration) error {
	return c.update(func(w *work) error { return w.setSyncEvery(d) })
}

// randomJitter draws what devicesync.Next needs.
func randomJitter() uint32 {
	var b [4]byte
	rand.Read(b[:])
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

// weekOf converts between equal types of two packages.
func weekOf(week uint32) directory.Week { return directory.Week(week) }
