package client

import (
	"errors"

	"waxwing/blocklist"
	"waxwing/core/group"
	"waxwing/core/wire"
	"waxwing/franking"
	"waxwing/ratelimit"
	"waxwing/relay/client/state"
)

// The secrets w and z of the mailbox have generations: the one in use, one before it
// as long as something may come under that, and while it is replaced the next.

// pair returns w and z of a generation, for the caller to erase; nil if they are not
// known, or not any more.
func (w *work) pair(generation uint32) (*state.MailboxKeys, error) {
	if generation == w.self.Secrets.Generation {
		k := w.self.Secrets.Mailbox()
		return &k, nil
	}
	k, err := state.MailboxPairs.Get(w.tx, state.U32(generation))
	if errors.Is(err, state.ErrNotFound) {
		return nil, nil
	}
	return k, err
}

// generations lists the generations whose secrets are here, the one in use first.
func (w *work) generations() ([]uint32, error) {
	out := []uint32{w.self.Secrets.Generation}
	rows, err := state.MailboxPairs.Rows(w.tx, nil, nil, 0)
	for _, row := range rows {
		row.Record.Erase()
		out = append(out, state.ParseU32(row.Key))
	}
	return out, err
}

// awaits reports whether a generation is one that another device may have drawn and
// this one is still to be told of, or that is being published.
func (w *work) awaits(generation uint32) bool {
	return generation > w.self.Secrets.Generation && (len(w.siblings()) > 0 || state.Rotations.Count(w.tx) > 0)
}

// pseudonym returns what an account with an X_S is at the own mailbox under a
// generation of W; zero if that is not known. An X_S that is none has a pseudonym
// that nobody shows.
func (w *work) pseudonym(xs [32]byte, generation uint32) (p blocklist.Pseudonym, err error) {
	x, err := group.Ristretto255().DecodeElement(xs[:])
	if err != nil {
		return p, nil
	}
	k, err := w.pair(generation)
	if k == nil || err != nil {
		return p, err
	}
	defer k.Erase()
	mw, mz, err := k.Scalars()
	if err != nil {
		return p, &state.CorruptError{Table: "mailboxkeys"}
	}
	defer mw.Erase()
	defer mz.Erase()
	return blocklist.Pseudonym{Generation: generation, NR: [32]byte(ratelimit.OfAccount(mw, x).Bytes())}, nil
}

// pseudonymOf is that of a contact under the generation in use; zero as long as its
// X_S is not known.
func (w *work) pseudonymOf(c *contact) (blocklist.Pseudonym, error) {
	if c.XS == ([32]byte{}) {
		return blocklist.Pseudonym{}, nil
	}
	return w.pseudonym(c.XS, w.self.Secrets.Generation)
}

// ownRecipient is the own account as those who write to it know it under a
// generation; nil if that is not known.
func (w *work) ownRecipient(generation uint32) (*franking.Recipient, error) {
	if to := w.ownTo[generation]; to != nil && to.Mailbox == w.self.Mailbox {
		return to, nil
	}
	k, err := w.pair(generation)
	if k == nil || err != nil {
		return nil, err
	}
	defer k.Erase()
	mw, mz, err := k.Scalars()
	if err != nil {
		return nil, &state.CorruptError{Table: "mailboxkeys"}
	}
	defer mw.Erase()
	defer mz.Erase()
	g := group.Ristretto255()
	to := &franking.Recipient{
		Provider: w.self.Address.Domain(), Address: w.self.Address, Mailbox: w.self.Mailbox,
		Generation: generation, W: g.MulGenerator(mw), Z: g.MulGenerator(mz),
	}
	w.ownTo[generation] = to
	return to, nil
}

// recipientFor returns the own account under the generation that a bundle was made
// for. held says that another device has to tell of it first; nil without it, that
// no such bundle is good.
func (w *work) recipientFor(raw []byte) (to *franking.Recipient, held bool, err error) {
	var b franking.BundleFields
	if wire.Unmarshal(raw, &b) != nil {
		return nil, false, nil
	}
	if w.awaits(b.Escrow.Generation) {
		return nil, true, nil
	}
	to, err = w.ownRecipient(b.Escrow.Generation)
	return to, false, err
}
