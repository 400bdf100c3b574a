package client

import (
	"errors"
	"slices"

	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/ratchet"
	"waxwing/ratelimit/ticket"
	"waxwing/relay/client/state"
)

// take makes a delivery that passed every check part of the state: session,
// prekey, serial, what the control part brings, the log.
func (w *work) take(o *opening) error {
	w.touched = true
	clear(o.before)
	if o.c == nil {
		if err := w.acquaint(o); err != nil {
			return errors.Join(err, o.restore())
		}
	}
	w.dirty(o.c)
	w.attention[o.c.id] = true
	if err := w.takeManifest(o); err != nil {
		return err
	}
	if err := w.takeSession(o); err != nil {
		return err
	}
	if err := w.useSerial(o.d.Serial); err != nil {
		return err
	}
	if o.code != nil && o.code.Owner == 0 {
		o.code.Owner = o.c.id
		if err := state.Codes.Put(w.tx, state.U64(o.d.Serial), o.code); err != nil {
			return err
		}
		w.vouch(o.c) // the user gave it the code
	}
	if err := w.takeControl(o); err != nil {
		return err
	}
	if err := w.keepProof(o); err != nil {
		return err
	}
	if o.frame == nil {
		return nil // control only: never shown, and no receipt for it
	}
	return w.show(o)
}

// acquaint makes a contact of whoever used a contact code, or introduced itself.
func (w *work) acquaint(o *opening) error {
	cert := o.sender.Certificate()
	pending, err := w.pends(o)
	if err != nil {
		return err
	}
	c, err := w.newContact(&state.Contact{
		Address: cert.Address(), Status: state.ContactKnown, Pending: pending,
		Fingerprint: directory.FingerprintOf(cert.Identity()), XS: cert.XS(),
	})
	if errors.Is(err, ErrFull) {
		return drop(dropContacts)
	}
	o.c = c
	if err == nil && !pending {
		w.vouch(c)
	}
	return err
}

// takeSession stores the session as it is after the message, and settles the
// prekey that began it.
func (w *work) takeSession(o *opening) error {
	c := o.c
	p := c.peers[o.sender.Certificate().Device()]
	w.peerz[p] = c
	if o.began == nil {
		w.latest(c, o.session)
		p.Sending = o.session.number
		return nil
	}
	if err := w.usePrekey(o.used); err != nil {
		return err
	}
	own, err := w.sendingSession(c, p)
	if err != nil {
		return err
	}
	s, err := w.addSession(c, p.device, o.began)
	if err != nil {
		return err
	}
	if own == nil || ratchet.Crossed(own.s, s.s) == s.s {
		p.Sending = s.number
	}
	return nil
}

// takeControl applies the control part.
func (w *work) takeControl(o *opening) error {
	c, ctl := o.c, o.control
	cert := o.sender.Certificate()
	c.Identity = cert.Identity() // as pinned, or the first to be seen
	c.Fingerprint = directory.FingerprintOf(c.Identity)
	if ctl.Mailbox != (ids.MailboxID{}) {
		c.Mailbox = ctl.Mailbox
	}
	if o.full {
		if err := w.keepCertificate(c, o); err != nil {
			return err
		}
	}
	for _, h := range ctl.Confirmed {
		w.takeConfirmed(c, cert.Device(), h)
		if err := w.confirmedBundle(c, cert.Device(), h); err != nil {
			return err
		}
	}
	w.takeMailboxKey(c, ctl.SealKey, cert.Identity())
	if err := w.takeStanding(o); err != nil {
		return err
	}
	if err := w.takePadding(o); err != nil {
		return err
	}
	// Before the receipts, after which a message can be sealed no more.
	for _, d := range ctl.Missed {
		if err := w.missed(c, d); err != nil {
			return err
		}
	}
	for _, d := range ctl.Delivered {
		if err := w.delivered(c, d); err != nil {
			return err
		}
	}
	for _, d := range ctl.Read {
		if err := w.read(c, d); err != nil {
			return err
		}
	}
	if o.grant != nil {
		return w.takeTickets(c, o.grant)
	}
	return nil
}

// keepCertificate stores a certificate that came in full, to be confirmed: from
// then on its hash is enough.
func (w *work) keepCertificate(c *contact, o *opening) error {
	cert := o.sender.Certificate()
	hash := cert.Hash()
	key := state.OfContact(c.id, hash[:])
	if !state.Certificates.Has(w.tx, key) {
		if state.Certificates.Count(w.tx) >= state.MaxCertificates {
			return nil // not confirmed, so it keeps coming in full
		}
		w.known = true
		if err := state.Certificates.Put(w.tx, key, &state.Known{Expiry: cert.Expiry(), Cert: cert.Bytes()}); err != nil {
			return err
		}
	}
	c.confirm(hash)
	return nil
}

// confirm notes that a certificate or a manifest is to be confirmed.
func (c *contact) confirm(hash [32]byte) {
	if !slices.Contains(c.Confirm, hash) && len(c.Confirm) < state.MaxConfirms {
		c.Confirm = append(c.Confirm, hash)
	}
}

// takeManifest takes over a manifest that came along, if it is a newer one, and
// has it confirmed.
func (w *work) takeManifest(o *opening) error {
	if o.theirs == nil {
		return nil
	}
	if err := w.learnManifest(o.c, o.theirs); err != nil {
		return err
	}
	o.c.Status = state.ContactKnown
	if uint32(o.theirs.Version()) == o.c.Version {
		o.c.confirm(o.theirs.Hash())
	}
	return nil
}

// takeConfirmed notes that a contact's device has our certificate or manifest.
func (w *work) takeConfirmed(c *contact, device ids.DeviceID, h [32]byte) {
	if own := w.ownCert(); own != nil && own.Hash() == h {
		p := c.peers[device]
		p.Confirmed = h
		w.peerz[p] = c
	}
	if w.self.manifest.Hash() == h {
		c.Announced = uint32(w.self.manifest.Version())
	}
}

// takeTickets puts a grant into the contact's wallet. One for another device is
// left to it: only its generation counts.
func (w *work) takeTickets(c *contact, g *ticket.Grant) error {
	wallet, err := w.walletOf(c)
	if err != nil {
		return err
	}
	switch generation := g.Batch >> generationBits; {
	case generation < c.Generation:
		return nil // overtaken by one that came after it was struck
	case generation > c.Generation:
		c.Generation = generation
		if err := w.emptyWallet(c); err != nil {
			return err
		}
		wallet = c.wallet
	}
	if g.For != w.self.Device {
		return nil
	}
	room := state.MaxWallets - state.Wallets.Count(w.tx)
	if room < len(g.Tickets) {
		return nil // the contact is told nothing; it will give more
	}
	added, err := wallet.Add(g)
	if err != nil && !errors.Is(err, ticket.ErrFull) {
		return err
	}
	for i := range added {
		if err := state.Wallets.Put(w.tx, state.OfContact(c.id, added[i].Ticket[:]), &added[i]); err != nil {
			return err
		}
	}
	return nil
}

// emptyWallet drops all tickets of a contact.
func (w *work) emptyWallet(c *contact) error {
	rows, err := state.Wallets.Rows(w.tx, state.U32(c.id), nil, 0)
	for _, row := range rows {
		err = errors.Join(err, state.Wallets.Delete(w.tx, row.Key))
	}
	c.wallet = new(ticket.Wallet)
	return err
}

// show appends a message to the log, unless its d was there before: then it
// was sent again because the receipt was lost, and gets another one.
func (w *work) show(o *opening) error {
	c := o.c
	d := o.franked.Digest()
	if err := w.owe(c, d); err != nil {
		return err
	}
	w.noteMissed(o)
	key := state.OfContact(c.id, d[:])
	if state.Seen.Has(w.tx, key) {
		return nil
	}
	if state.Seen.Count(w.tx) >= state.MaxSeen {
		if err := w.forgetSeen(c); err != nil {
			return err
		}
	}
	if err := state.Seen.Put(w.tx, key, &state.Ref{Value: uint64(w.today)}); err != nil {
		return err
	}
	place := w.arrange
	if c.Pending {
		place = w.request
	}
	return place(c, c.peers[o.sender.Certificate().Device()], o.frame, &state.Message{
		Contact: c.id, Status: state.StatusReceived, Time: uint64(w.now.UnixMilli()),
		D: d, Key: *o.franked.Key().Bytes(), Com: o.d.Com, Day: o.d.Day,
		Stamp: o.d.Stamp, Stamped: o.d.Received, Frame: o.franked.Frame(),
	})
}

// forgetSeen makes room among the digests: whoever fills them loses its own, if
// it has any.
func (w *work) forgetSeen(c *contact) error {
	rows, err := state.Seen.Rows(w.tx, state.U32(c.id), nil, 1)
	if err == nil && len(rows) == 0 {
		rows, err = state.Seen.Rows(w.tx, nil, nil, 1)
	}
	if err != nil || len(rows) == 0 {
		return err
	}
	return state.Seen.Delete(w.tx, rows[0].Key)
}
