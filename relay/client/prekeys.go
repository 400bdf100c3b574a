package client

import (
	"errors"

	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/ratchet"
	"waxwing/core/wire"
	"waxwing/relay/client/state"
)

// prekeyFinder finds the own private prekeys for ratchet.AcceptSession.
type prekeyFinder struct {
	w      *work
	failed error // of the store
}

func (p *prekeyFinder) find(row *state.OwnKey, err error) ([]byte, error) {
	switch {
	case errors.Is(err, state.ErrNotFound), err == nil && row.Until != 0 && p.w.today > row.Until:
		return nil, ratchet.ErrPrekeyUnknown
	case err != nil:
		p.failed = err
		return nil, err
	}
	return row.Key, nil
}

// SignedPrekey finds a signed prekey.
func (p *prekeyFinder) SignedPrekey(id ratchet.PrekeyID) (*ratchet.SignedPrekey, error) {
	b, err := p.find(state.Signed.Get(p.w.tx, state.U32(id)))
	if err != nil {
		return nil, err
	}
	return ratchet.UnmarshalSignedPrekey(b)
}

// OneTime finds a one-time or last-resort pair.
func (p *prekeyFinder) OneTime(id ratchet.PrekeyID, lastResort bool) (*ratchet.OneTimePair, error) {
	table := state.OneTime
	if lastResort {
		table = state.LastResort
	}
	b, err := p.find(table.Get(p.w.tx, state.U32(id)))
	if err != nil {
		return nil, err
	}
	return ratchet.UnmarshalOneTimePair(b)
}

// usePrekey deletes the one-time pair that began a session, or has a last-resort
// pair remember it: in the transaction that stores the session.
func (w *work) usePrekey(u ratchet.Used) error {
	w.touched = true
	if !u.LastResort {
		return state.OneTime.Delete(w.tx, state.U32(u.ID))
	}
	row, err := state.LastResort.Get(w.tx, state.U32(u.ID))
	if err != nil {
		return err
	}
	pair, err := ratchet.UnmarshalOneTimePair(row.Key)
	if err != nil {
		return &state.CorruptError{Table: "lastresort"}
	}
	if err := pair.Remember(u); err != nil {
		return err
	}
	row.Key = pair.Marshal()
	return state.LastResort.Put(w.tx, state.U32(u.ID), row)
}

// prekeys makes what the provider is to publish: signed and last-resort prekeys
// when the newest is a week old, one-time pairs when its stock is low. The
// private keys are stored with this transaction, before the public ones leave.
// Nil if there is nothing to publish. Keys that were made and whose publishing
// failed are published again.
func (w *work) prekeys(stock int) (*wire.Prekeys, error) {
	m := new(wire.Prekeys)
	if err := w.signedPrekeys(m); err != nil {
		return nil, err
	}
	if stock >= prekeyLow {
		if m.Signed == nil {
			return nil, nil
		}
		return m, nil
	}
	for range min(prekeyStock-stock, wire.MaxPrekeys) {
		n := w.count()
		n.OneTime++
		pair := ratchet.GenerateOneTime(ratchet.PrekeyID(n.OneTime), w.self.sign, false)
		if state.OneTime.Count(w.tx) >= state.MaxPrekeys {
			rows, err := state.OneTime.Rows(w.tx, nil, nil, 1)
			if err != nil {
				return nil, err
			}
			if err := state.OneTime.Delete(w.tx, rows[0].Key); err != nil {
				return nil, err
			}
		}
		row := &state.OwnKey{Made: w.today, Key: pair.Marshal()}
		if err := state.OneTime.Put(w.tx, state.U32(pair.ID()), row); err != nil {
			return nil, err
		}
		pub := pair.Public()
		m.OneTime = append(m.OneTime, wire.MustMarshal(&pub))
	}
	return m, nil
}

// signedPrekeys renews the signed and the last-resort prekey weekly. They are
// always sent along: publishing them again changes nothing.
func (w *work) signedPrekeys(m *wire.Prekeys) error {
	last, err := state.Signed.Last(w.tx, nil)
	if err != nil && !errors.Is(err, state.ErrNotFound) {
		return err
	}
	fresh := err != nil || w.today >= last.Record.Made+7
	if fresh {
		n := w.count()
		n.Signed++
		n.LastResort++
		signed := ratchet.GenerateSignedPrekey(ratchet.PrekeyID(n.Signed), w.self.sign)
		pair := ratchet.GenerateOneTime(ratchet.PrekeyID(n.LastResort), w.self.sign, true)
		if err := errors.Join(
			renew(w, state.Signed, state.U32(n.Signed), signed.Marshal()),
			renew(w, state.LastResort, state.U32(n.LastResort), pair.Marshal()),
		); err != nil {
			return err
		}
	}
	if !fresh && w.self.Published {
		return nil
	}
	row, err := state.Signed.Last(w.tx, nil)
	if err != nil {
		return err
	}
	signed, err := ratchet.UnmarshalSignedPrekey(row.Record.Key)
	if err != nil {
		return &state.CorruptError{Table: "signed"}
	}
	row, err = state.LastResort.Last(w.tx, nil)
	if err != nil {
		return err
	}
	pair, err := ratchet.UnmarshalOneTimePair(row.Record.Key)
	if err != nil {
		return &state.CorruptError{Table: "lastresort"}
	}
	signedPub, pairPub := signed.Public(), pair.Public()
	m.Signed, m.LastResort = wire.MustMarshal(&signedPub), wire.MustMarshal(&pairPub)
	w.ownProfile().Published = false // until the provider has them
	return nil
}

// ownKeys is a table of own keys that are renewed.
type ownKeys = state.Table[state.OwnKey, *state.OwnKey]

// renew stores a key as the current one; the one before ends after oldKeyDays.
func renew(w *work, table *ownKeys, key, private []byte) error {
	return renewFor(w, table, key, private, oldKeyDays)
}

// renewFor is renew with another number of days.
func renewFor(w *work, table *ownKeys, key, private []byte, days ids.Day) error {
	rows, err := table.Rows(w.tx, nil, nil, 0)
	if err != nil {
		return err
	}
	for _, row := range rows {
		if row.Record.Until != 0 {
			if w.today > row.Record.Until {
				err = errors.Join(err, table.Delete(w.tx, row.Key))
			}
			continue
		}
		row.Record.Until = w.today + days
		err = errors.Join(err, table.Put(w.tx, row.Key, row.Record))
	}
	w.touched = true
	return errors.Join(err, table.Put(w.tx, key, &state.OwnKey{Made: w.today, Key: private}))
}

// sealKey returns the mailbox key of this week, derived and stored if that was
// not done yet, and whether it has to be published. Every device of the account
// makes the same bytes. Nil if this device has no key of this week: it was added
// after the chain was drawn anew.
func (w *work) sealKey() (*directory.MailboxKey, bool, error) {
	k := w.self.Secrets.Mailbox()
	defer k.Erase()
	return w.sealKeyOf(w.self.Secrets.Generation, &k)
}

// sealKeyOf is sealKey with the W and Z of a generation.
func (w *work) sealKeyOf(generation uint32, pair *state.MailboxKeys) (*directory.MailboxKey, bool, error) {
	week := directory.WeekOf(w.today)
	fresh := w.self.ChainWeek <= week
	if err := w.followChain(week); err != nil {
		return nil, false, err
	}
	row, err := state.SealKeys.Get(w.tx, state.U32(week))
	if errors.Is(err, state.ErrNotFound) {
		return nil, !w.self.Published, nil
	}
	if err != nil {
		return nil, false, err
	}
	k, err := keys.SealKeyFromSeed(row.Key)
	if err != nil {
		return nil, false, &state.CorruptError{Table: "sealkeys"}
	}
	f := directory.MailboxKeyFields{
		Mailbox: w.self.Mailbox, Address: w.self.Address, Week: week, Key: k.Public(),
		// So that who was away for a month can still be reached.
		Expiry: ids.Day(week)*7 + directory.MailboxKeyDays, Generation: generation,
	}
	if f.W, f.Z, err = w.self.mailboxKeys(generation, pair); err != nil {
		return nil, false, err
	}
	signed, err := directory.SignMailboxKey(f, w.self.identity)
	return signed, fresh || !w.self.Published, err
}

// mailboxKeys returns W and Z with their proofs: the same bytes each time, as
// the provider takes one key for each week.
func (s *self) mailboxKeys(generation uint32, pair *state.MailboxKeys) (pw, pz directory.ProvenKey, err error) {
	w, z, err := pair.Scalars()
	if err != nil {
		return pw, pz, &state.CorruptError{Table: "mailboxkeys"}
	}
	defer w.Erase()
	defer z.Erase()
	return directory.ProveMailboxKeys(w, z, s.Address, s.Mailbox, generation)
}

// sealSeed reads a row of the own seal keys.
func sealSeed(row state.Row[*state.OwnKey]) (*keys.SealKey, directory.Week, error) {
	k, err := keys.SealKeyFromSeed(row.Record.Key)
	if err != nil {
		return nil, 0, &state.CorruptError{Table: "sealkeys"}
	}
	return k, directory.Week(state.ParseU32(row.Key)), nil
}
