package client

import (
	"bytes"
	"crypto/rand"
	"errors"
	"slices"
	"time"

	"waxwing/core/directory"
	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/franking"
	"waxwing/relay/client/state"
	"waxwing/sealedsender"
)

// What a message is franked with: a token of the own provider for the contact and
// the day, the bundle that shows the contact whose token it is, and for the
// bundle the keys that the contact's provider holds for true.

// franker is what the messages to one contact are franked with on one day.
type franker struct {
	token  *franking.OwnToken
	target franking.Target
	offer  *state.Offer
}

// franker returns what to frank with, nil if something of it is not there: a
// token, W and Z of the contact that are not over, as its secrets may be then, or its provider's snapshot. supplyFranking and a
// lookup bring them, and the message waits.
func (w *work) franker(c *contact, epoch ids.Day) (*franker, error) {
	to, err := w.recipientOf(c)
	if to == nil || err != nil || w.today > c.recipientLast {
		return nil, err
	}
	purse, err := w.tokens()
	if err != nil {
		return nil, err
	}
	f := &franker{target: franking.Target{Provider: c.Address.Domain(), Reader: c.Address}}
	snapshot, err := w.theirs(c.Address.Domain())
	if snapshot == nil || err != nil {
		return nil, err
	}
	own, assigned, err := purse.For(&f.target, epoch)
	if errors.Is(err, franking.ErrNoToken) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	f.token = own
	if assigned {
		// Stored in the transaction of what is franked with it: after a crash
		// it is free again, and nothing was franked.
		w.touched = true
		if err := w.storeToken(own); err != nil {
			return nil, err
		}
	}
	if snapshot.Vouches(own.Token(), w.now) != nil {
		return nil, nil // a key was revoked: its successor is not known there yet
	}
	if f.offer, err = w.offer(c, f, to, snapshot); f.offer == nil || err != nil {
		return nil, err
	}
	return f, nil
}

// offer returns the contact's bundle of the token, made if it has none.
func (w *work) offer(c *contact, f *franker, to *franking.Recipient, s *franking.Snapshot) (*state.Offer, error) {
	epoch := f.token.Token().Epoch
	o, err := state.Offers.Get(w.tx, offerKey(c, epoch))
	if err == nil && w.isSound(c, o, f, to, s) {
		return o, nil
	}
	if err != nil && !errors.Is(err, state.ErrNotFound) {
		return nil, err
	}
	k, err := w.self.Secrets.AccountKey()
	if err != nil {
		return nil, &state.CorruptError{Table: "profile"}
	}
	defer k.Erase()
	from := &franking.Sender{Address: w.self.Address, Identity: w.self.identity.Public(), XS: group.Ristretto255().MulGenerator(k)}
	bundle, err := franking.MakeBundle(f.token, &f.target, from, to, s, k)
	if errors.Is(err, franking.FaultEscrow) {
		return nil, nil // the snapshot lacks today's keys: a newer one is fetched
	}
	if err != nil {
		return nil, err
	}
	o = &state.Offer{Epoch: epoch, Bundle: bundle, Ref: franking.RefOf(bundle)}
	w.touched = true
	return o, state.Offers.Put(w.tx, offerKey(c, epoch), o)
}

// recipientOf returns the contact with its W and Z, nil if they are not known.
func (w *work) recipientOf(c *contact) (*franking.Recipient, error) {
	if c.recipient != nil {
		return c.recipient, nil
	}
	if len(c.MailboxKey) == 0 {
		return nil, nil
	}
	k, err := directory.ParseMailboxKey(c.MailboxKey, c.Identity)
	if err != nil {
		return nil, &state.CorruptError{Table: "contacts"}
	}
	r := &franking.Recipient{Provider: c.Address.Domain(), Address: c.Address, Mailbox: c.Mailbox, Generation: k.Generation()}
	if r.W, r.Z, err = elements(k); err != nil {
		return nil, &state.CorruptError{Table: "contacts"}
	}
	c.recipient, c.recipientLast = r, k.Expiry()
	return r, nil
}

func elements(k *directory.MailboxKey) (w, z group.Element, err error) {
	g := group.Ristretto255()
	pw, pz := k.W(), k.Z()
	if w, err = g.DecodeElement(pw[:]); err == nil {
		z, err = g.DecodeElement(pz[:])
	}
	return w, z, err
}

// takeMailboxKey takes a contact's signed mailbox key, from a lookup or a message
// of its own. An older generation than the known one changes nothing; so does a
// key that does not verify.
func (w *work) takeMailboxKey(c *contact, raw []byte, identity keys.VerifyKey) {
	if len(raw) == 0 || bytes.Equal(raw, c.MailboxKey) {
		return
	}
	k, err := directory.ParseMailboxKey(raw, identity)
	if err != nil || k.Address() != c.Address || k.Mailbox() != c.Mailbox {
		return
	}
	if to, err := w.recipientOf(c); err == nil && to != nil && k.Generation() < to.Generation {
		return
	}
	if known, err := directory.ParseMailboxKey(c.MailboxKey, identity); err == nil &&
		(k.Week() < known.Week() || k.Week() == known.Week() && k.Generation() <= known.Generation()) {
		return // another device's, or one that was overtaken
	}
	w.dirty(c)
	w.attention[c.id] = true
	c.MailboxKey, c.recipient = raw, nil
}

// tokens returns the tokens of this device.
func (w *work) tokens() (*franking.Purse, error) {
	if w.purse != nil {
		return w.purse, nil
	}
	var list []*franking.OwnToken
	for row, err := range state.Tokens.Scan(w.tx, nil, nil) {
		if err != nil {
			return nil, err
		}
		o, err := franking.ParseOwnToken(row.Record.Record)
		if err != nil {
			return nil, &state.CorruptError{Table: "tokens"}
		}
		list = append(list, o)
	}
	w.purse = franking.NewPurse(list...)
	return w.purse, nil
}

func (w *work) storeToken(o *franking.OwnToken) error {
	h := o.Token().Hash()
	return state.Tokens.Put(w.tx, h[:], &state.Token{Epoch: o.Token().Epoch, Record: o.Marshal()})
}

// issued takes tokens that the provider issued.
func (w *work) issued(list []*franking.OwnToken) error {
	purse, err := w.tokens()
	if err != nil {
		return err
	}
	w.touched = true
	purse.Add(list...)
	for _, o := range list {
		if err := w.storeToken(o); err != nil && !errors.Is(err, state.ErrFull) {
			return err
		}
	}
	for id := range w.contacts {
		w.attention[id] = true
	}
	return nil
}

// sweepFranking erases the tokens of days that are over, and forgets what nobody
// can report any more.
func (w *work) sweepFranking() error {
	purse, err := w.tokens()
	if err != nil {
		return err
	}
	for _, h := range purse.Expire(w.today) {
		if err := state.Tokens.Delete(w.tx, h[:]); err != nil {
			return err
		}
	}
	w.bundles = make(map[[32]byte]*franking.Bundle)
	reportable := func(day ids.Day) bool {
		return int64(w.today) <= int64(day)+ids.MaxDelay+franking.ReportDays+1
	}
	return errors.Join(
		expire(w, state.Offers, func(o *state.Offer) bool { return o.Epoch+ids.MaxDelay < w.today || o.Epoch > w.today+1 }),
		w.sweepPadding(),
		expire(w, state.Bundles, func(b *state.Bundle) bool { return !reportable(b.Epoch) }),
		expire(w, state.Proofs, func(p *state.Proof) bool { return !reportable(p.Hour.Day()) }),
		expire(w, state.Snapshots, func(p *state.Published) bool {
			return !reportable(ids.DayOf(time.UnixMilli(int64(p.Fetched))) + franking.ReportDays)
		}),
	)
}

// theirs returns a contact's provider's newest snapshot of the own provider's
// keys, nil if it is not known.
func (w *work) theirs(domain ids.Domain) (*franking.Snapshot, error) {
	if s := w.snapshots[domain]; s != nil {
		return s, nil
	}
	p, err := state.Theirs.Get(w.tx, []byte(domain.String()))
	if errors.Is(err, state.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	root, err := w.rootOf(domain)
	if err != nil {
		if errors.Is(err, errDescriptor) {
			return nil, nil
		}
		return nil, err
	}
	s, err := franking.ParseSnapshot(p.Bytes, domain, root)
	if err != nil {
		return nil, nil // of a root key that is not pinned any more
	}
	w.snapshots[domain] = s
	return s, nil
}

// rootOf returns a provider's root key, or errDescriptor.
func (w *work) rootOf(domain ids.Domain) (k keys.VerifyKey, err error) {
	d, _, err := w.descriptor(domain)
	if err != nil {
		return k, err
	}
	return d.Root(), nil
}

// takeTheirs takes a contact's provider's snapshot of the own provider's keys.
// The error is ErrServer for one that does not verify.
func (w *work) takeTheirs(domain ids.Domain, raw []byte) error {
	root, err := w.rootOf(domain)
	if err != nil {
		return err
	}
	s, err := franking.ParseSnapshot(raw, domain, root)
	if err != nil || s.Issuer() != w.self.Address.Domain() {
		return ErrServer
	}
	w.touched = true
	w.snapshots[domain] = s
	for id, c := range w.contacts {
		if c.Address.Domain() == domain {
			w.attention[id] = true
		}
	}
	return state.Theirs.Put(w.tx, []byte(domain.String()), &state.Published{Fetched: uint64(w.now.UnixMilli()), Bytes: raw})
}

// freshTheirs reports whether the snapshot of a contact's provider is there, young,
// and has today's keys.
func (w *work) freshTheirs(domain ids.Domain) (bool, error) {
	s, err := w.theirs(domain)
	if s == nil || err != nil || !s.Serves(w.today) {
		return false, err
	}
	purse, err := w.tokens()
	if err != nil {
		return false, err
	}
	if o := purse.Any(w.today); o != nil {
		if err := s.Vouches(o.Token(), w.now); err != nil {
			w.revoked = w.revoked || errors.Is(err, franking.FaultRevoked)
			return false, nil
		}
	}
	p, err := state.Theirs.Get(w.tx, []byte(domain.String()))
	if err != nil {
		return false, err
	}
	age := w.now.Sub(time.UnixMilli(int64(p.Fetched)))
	return age >= 0 && age < snapshotAge, nil
}

// wantTheirs lists the providers whose snapshots are needed: of contacts that
// something is to be said to, where the newest is missing or snapshotAge old.
func (w *work) wantTheirs() (out []ids.Domain, err error) {
	seen := map[ids.Domain]bool{}
	for _, id := range w.order() {
		c := w.contacts[id]
		if c == nil || c.Blocked || w.waiting[id] == 0 || seen[c.Address.Domain()] {
			continue
		}
		seen[c.Address.Domain()] = true
		fresh, err := w.freshTheirs(c.Address.Domain())
		if err != nil {
			return nil, err
		}
		if !fresh {
			out = append(out, c.Address.Domain())
		}
	}
	return out, nil
}

// frank commits to the message and, if it has a frame, signs it with today's token
// of the contact.
func (w *work) frank(d *draft, plain *sealedsender.Content, h *sealedsender.Head) error {
	c := d.c
	digest := d.key.Digest(d.frame)
	if d.frank == nil {
		rand.Read(h.Salt[:])
		d.com = d.key.Commit(&digest, &franking.Place{Provider: c.Address.Domain(), Mailbox: c.Mailbox, Day: w.today})
		return nil
	}
	f := d.frank
	var sigma2 franking.Signature
	var err error
	if d.com, sigma2, err = f.token.Frank(d.key, &digest, &f.target, c.Mailbox, plain.Hour); err != nil {
		return err
	}
	a, err := f.token.Audience(&f.target)
	if err != nil {
		return err
	}
	plain.Sigma2, h.Salt = sigma2, a.Salt
	if d.byReference() {
		h.Reference = &f.offer.Ref
	} else {
		h.Bundle = f.offer.Bundle
	}
	return nil
}

// byReference reports whether all devices that the message is for have confirmed
// the bundle, so that its reference is enough.
func (d *draft) byReference() bool { return d.frank != nil && d.confirmedBy(d.frank.offer) }

// confirmedBundle notes that a contact's device has a bundle, if h is its reference.
// A newer manifest begins the count anew.
func (w *work) confirmedBundle(c *contact, device ids.DeviceID, h [32]byte) error {
	o, err := w.offered(c, h)
	if o == nil || err != nil {
		return err
	}
	if o.Manifest != c.Version {
		o.Manifest, o.Confirmed = c.Version, nil
	}
	if slices.Contains(o.Confirmed, device) || len(o.Confirmed) == sealedsender.MaxEntries {
		return nil
	}
	o.Confirmed = append(o.Confirmed, device)
	return state.Offers.Put(w.tx, offerKey(c, o.Epoch), o)
}

// ownMailboxKey returns the own signed mailbox key, empty before there is one.
func (w *work) ownMailboxKey() ([]byte, error) {
	k, _, err := w.sealKey()
	if err != nil || k == nil {
		return nil, err
	}
	return k.Bytes(), nil
}
