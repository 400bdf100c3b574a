package client

import (
	"cmp"
	"errors"
	"io"
	"slices"

	"waxwing/core/archive"
	"waxwing/core/devicesync"
	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/ratelimit/ticket"
	"waxwing/relay/client/state"
)

// What goes into an archive: what the account's devices share. Sessions, own
// prekeys, tickets received or in stock, the outbox and the device's own keys
// are local to a device and have no place in the format.

// writeArchive writes the account with the manifest m into an archive.
func (w *work) writeArchive(out io.Writer, m *directory.Manifest, history bool) error {
	a, err := w.archiveAccount(m)
	if err != nil {
		return err
	}
	defer a.Erase()
	ar, err := archive.NewWriter(out, a)
	if err != nil {
		return err
	}
	for _, part := range []func(add func(devicesync.Item) error) error{
		w.archiveMailboxKeys, w.archiveAccountSecrets, w.archiveChoices, w.archiveProviders, w.archiveContacts, w.archiveGiven, w.archiveCodes,
	} {
		if err := part(ar.Add); err != nil {
			return err
		}
	}
	if history {
		if err := w.archiveLog(ar.Add); err != nil {
			return err
		}
	}
	return ar.Close()
}

func (w *work) archiveAccount(m *directory.Manifest) (*archive.Account, error) {
	s := w.self
	a := &archive.Account{
		Address: s.Address, Server: s.Server, Pin: s.Pin, Mailbox: s.Mailbox, Identity: s.Identity, DH: s.AccountDH,
		K: s.Secrets.K, W: s.Secrets.W, Z: s.Secrets.Z, Generation: s.Secrets.Generation,
		Manifest: m.Bytes(), ChainWeek: uint32(s.ChainWeek), Chain: s.Chain,
	}
	hop, err := w.hop()
	if err != nil {
		return nil, err
	}
	if hop != nil {
		a.Hop = hop.Domain
	}
	for row, err := range state.Roots.Scan(w.tx, nil, nil) {
		if err != nil || len(row.Record.Key) != len(archive.Root{}.Key) {
			return nil, errors.Join(err, &state.CorruptError{Table: "roots"})
		}
		a.Roots = append(a.Roots, archive.Root{
			Number: uint16(state.ParseU32(row.Key)), Made: row.Record.Made, Until: row.Record.Until, Key: [32]byte(row.Record.Key),
		})
	}
	for row, err := range state.SealKeys.Scan(w.tx, nil, nil) {
		if err != nil || len(row.Record.Key) != len(archive.MailboxKey{}.Seed) {
			return nil, errors.Join(err, &state.CorruptError{Table: "sealkeys"})
		}
		a.Keys = append(a.Keys, archive.MailboxKey{
			Week: state.ParseU32(row.Key), Made: row.Record.Made, Until: row.Record.Until, Seed: [32]byte(row.Record.Key),
		})
	}
	return a, nil
}

func (w *work) archiveMailboxKeys(add func(devicesync.Item) error) error {
	items, err := w.formerKeys()
	for _, i := range items {
		err = errors.Join(err, add(i))
		clear(i.W[:])
		clear(i.Z[:])
	}
	return err
}

func (w *work) archiveAccountSecrets(add func(devicesync.Item) error) error {
	items, err := w.accountSecrets()
	for _, i := range items {
		err = errors.Join(err, add(i))
		clear(i.K[:])
	}
	return err
}

func (w *work) archiveChoices(add func(devicesync.Item) error) error {
	i, err := w.choices()
	if err != nil {
		return err
	}
	defer eraseCodes(i)
	return add(i)
}

func (w *work) archiveProviders(add func(devicesync.Item) error) error {
	for row, err := range state.Descriptors.Scan(w.tx, nil, nil) {
		if err != nil {
			return err
		}
		d, err := ids.ParseDomain(string(row.Key))
		if err != nil {
			return &state.CorruptError{Table: "providers"}
		}
		if err := add(&devicesync.Provider{Domain: d, Pin: row.Record.Pin}); err != nil {
			return err
		}
	}
	return nil
}

// prepareArchive brings up to date what an archive is made of: the mailbox keys up
// to this week's, so that it opens what is sealed now; and since when the user's
// choices hold, which both sides then agree about. Otherwise one of them would
// later claim an old choice as a new one.
func (w *work) prepareArchive() error {
	if w.self == nil || !w.self.Registered {
		return ErrNotRegistered
	}
	if w.self.lacksAccountKey() {
		return ErrNoAccountKey
	}
	for _, c := range w.contacts {
		i, _, err := w.contactItem(c)
		if err != nil {
			return err
		}
		told, err := w.toldOf(c.id)
		if err != nil {
			return err
		}
		if choice := choiceOf(i); choice != told.Choice {
			told.Choice, told.Changed = choice, max(told.Changed+1, uint64(max(0, w.now.UnixMilli())))
			if err := state.Tolds.Put(w.tx, state.U32(c.id), told); err != nil {
				return err
			}
		}
	}
	return w.followChain(directory.WeekOf(w.today))
}

func (w *work) archiveContacts(add func(devicesync.Item) error) error {
	for row, err := range state.Contacts.Scan(w.tx, nil, nil) {
		if err != nil {
			return err
		}
		k := row.Record
		told, err := w.toldOf(state.ContactID(state.ParseU32(row.Key)))
		if err != nil {
			return err
		}
		i := &devicesync.Contact{
			Address: k.Address, Changed: told.Changed, Known: k.Status == state.ContactKnown,
			Blocked: k.Blocked, Entry: k.Entry, Strike: k.Batch >> generationBits, Fingerprint: k.Fingerprint, Others: otherKeys(k),
		}
		if i.Known {
			i.Identity, i.XS, i.AccountDH, i.Mailbox = k.Identity, k.XS, k.AccountDH, k.Mailbox
			m, err := state.Manifests.Get(w.tx, row.Key)
			if err != nil && !errors.Is(err, state.ErrNotFound) {
				return err
			}
			if err == nil {
				i.Manifest = m.Bytes
			}
		}
		v, err := state.Verified.Get(w.tx, row.Key)
		if err != nil && !errors.Is(err, state.ErrNotFound) {
			return err
		}
		if err == nil {
			i.Verified = v.D
		}
		if err := add(i); err != nil {
			return err
		}
	}
	return nil
}

// givenGroup is what tickets of one devicesync.Given have in common.
type givenGroup struct {
	giver   ids.DeviceID
	root    uint16
	batch   uint32
	code    bool
	account ids.Address
	device  ids.DeviceID
}

func (w *work) archiveGiven(add func(devicesync.Item) error) error {
	groups := make(map[givenGroup][]devicesync.GivenTicket)
	for row, err := range state.Given.Scan(w.tx, nil, nil) {
		if err != nil {
			return err
		}
		g := row.Record
		k := givenGroup{g.Giver, g.Root, g.Batch, g.Code, g.Account, g.Device}
		groups[k] = append(groups[k], devicesync.GivenTicket{Serial: g.Serial, Expiry: g.Expiry, Used: g.Used})
	}
	order := make([]givenGroup, 0, len(groups))
	for k := range groups {
		order = append(order, k)
	}
	// Rows come by rising serials, and no two groups have one in common.
	slices.SortFunc(order, func(a, b givenGroup) int { return cmp.Compare(groups[a][0].Serial, groups[b][0].Serial) })
	for _, k := range order {
		for part := range slices.Chunk(groups[k], devicesync.MaxGiven) {
			if err := add(&devicesync.Given{
				Giver: k.giver, Root: k.root, Batch: k.batch, Code: k.code, Account: k.account, For: k.device, Tickets: part,
			}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *work) archiveCodes(add func(devicesync.Item) error) error {
	for row, err := range state.Codes.Scan(w.tx, nil, nil) {
		if err != nil {
			return err
		}
		k := row.Record
		given, err := state.Given.Get(w.tx, state.U64(k.Serial))
		if errors.Is(err, state.ErrNotFound) {
			continue // nothing can come under it any more
		}
		if err != nil {
			return err
		}
		i := &devicesync.Code{Giver: given.Giver, Number: given.Batch, Serial: k.Serial, Expiry: k.Expiry}
		if c := w.contacts[k.Owner]; c != nil {
			i.Owner = c.Address
		}
		if err := add(i); err != nil {
			return err
		}
	}
	return nil
}

// archiveLog adds the messages in the order in which they became durable here.
func (w *work) archiveLog(add func(devicesync.Item) error) error {
	for row, err := range state.Log.Scan(w.tx, nil, nil) {
		if err != nil {
			return err
		}
		m := row.Record
		c := w.contacts[m.Contact]
		if c == nil {
			continue
		}
		var i devicesync.Item = &devicesync.Sent{
			Contact: c.Address, Time: m.Time, Status: devicesync.Status(m.Status), Failure: m.Failure,
			D: m.D, Key: m.Key, Frame: m.Frame,
		}
		if m.Status == state.StatusReceived {
			i = &devicesync.Received{
				Contact: c.Address, Time: m.Time, D: m.D, Key: m.Key, Com: m.Com, Day: m.Day,
				Stamp: m.Stamp, Stamped: m.Stamped, Frame: m.Frame,
			}
		}
		if err := add(i); err != nil {
			return err
		}
	}
	return nil
}

// givenRows are the rows of the table of what was given out.
func givenRows(g *devicesync.Given) []ticket.Given {
	out := make([]ticket.Given, len(g.Tickets))
	for i, t := range g.Tickets {
		out[i] = ticket.Given{
			Serial: t.Serial, Expiry: t.Expiry, Account: g.Account, Batch: g.Batch, Giver: g.Giver, Root: g.Root,
			Device: g.For, Code: g.Code, Used: t.Used,
		}
	}
	return out
}
