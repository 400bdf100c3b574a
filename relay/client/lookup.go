package client

import (
	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/ratchet"
	"waxwing/relay/client/state"
)

// lookups lists the accounts to look up: contacts whose keys are needed before
// what waits for them can be sealed (new ones, and known ones with a new code,
// whose weekly seal key is needed), contacts to whom there is something to say and
// a device of which has no session yet, and the own account for its other devices.
func (w *work) lookups() (out []ids.Address) {
	for _, id := range w.order() {
		c := w.contacts[id]
		if c == nil || c.Pending || c.Blocked && c.XS != [32]byte{} {
			continue
		}
		if c.Blocked { // by its address, before any contact: its X_S is still to be found out
			out = append(out, c.Address)
			continue
		}
		if _, due := w.missing(c); due || w.waiting[id] > 0 && (w.needsSealKey(c) || len(c.MailboxKey) == 0 || w.needsDoor(c) || w.needsPair(c)) {
			out = append(out, c.Address)
		}
	}
	if w.own != nil {
		if _, due := w.missing(w.own); due {
			out = append(out, w.own.Address)
		}
	}
	return out
}

// needsDoor reports whether the contact's mailbox key is to be looked up before
// introducing oneself by it.
func (w *work) needsDoor(c *contact) bool {
	if waits, err := w.waits(c); err != nil || !waits {
		return false
	}
	k, err := directory.ParseMailboxKey(c.MailboxKey, c.Identity)
	return err == nil && c.doorDay != w.today && !w.opens(c, k)
}

// opens reports whether a contact still opens what is sealed to its mailbox key: it
// keeps those that it replaced for oldKeyDays. One that was away has replaced none,
// which a lookup of today tells.
func (w *work) opens(c *contact, k *directory.MailboxKey) bool {
	return k.In(w.today) == nil && (k.Week()+1 >= directory.WeekOf(w.today) || c.doorDay == w.today)
}

// needsPair reports whether the W and Z that are known of the contact are over.
func (w *work) needsPair(c *contact) bool {
	to, err := w.recipientOf(c)
	return err == nil && to != nil && w.today > c.recipientLast
}

func (w *work) needsSealKey(c *contact) bool {
	return c.HasFirst && c.FirstExpiry >= w.today && len(c.SealKey) == 0
}

// lookedUp takes the answer of an account's provider: everything is checked
// against the pinned fingerprint and mailbox before anything is used. Errors are
// ErrNoAccount, ErrIdentityChanged and ErrServer.
func (w *work) lookedUp(address ids.Address, a *directory.LookupAnswer) error {
	c := w.find(address)
	if w.own != nil && address == w.own.Address {
		c = w.own
	}
	if c == nil || c.Blocked && c.XS != [32]byte{} {
		return nil
	}
	if a.Status != directory.LookupFound {
		return ErrNoAccount
	}
	m, err := directory.ParseManifest(a.Manifest)
	if err != nil || m.Address() != address {
		return ErrServer
	}
	if c.Fingerprint == (directory.Fingerprint{}) {
		// First use: whoever the address is at its provider, which is asked through
		// the own one and cannot tell who asks.
		w.dirty(c)
		c.Fingerprint = m.IdentityFingerprint()
	}
	if m.IdentityFingerprint() != c.Fingerprint {
		return ErrIdentityChanged
	}
	if c.Blocked {
		return w.blockFound(c, m)
	}
	if c.Mailbox == (ids.MailboxID{}) {
		k, err := directory.ParseMailboxKey(a.MailboxKey, m.Identity())
		if err != nil || k.Address() != address {
			return ErrServer
		}
		w.dirty(c)
		c.Mailbox = k.Mailbox()
	}
	w.takeMailboxKey(c, a.MailboxKey, m.Identity())
	c.doorDay = w.today
	if w.needsSealKey(c) {
		if err := w.takeSealKey(c, m, a.MailboxKey); err != nil {
			return err
		}
	}
	if err := w.lookedUpManifest(c, m); err != nil {
		return err
	}
	if c != w.own && len(c.MailboxKey) == 0 {
		return ErrServer // nothing can be franked for it
	}
	return w.initiate(c, m, a.Bundles)
}

// takeSealKey takes the seal key to which a first message is sealed.
func (w *work) takeSealKey(c *contact, m *directory.Manifest, key []byte) error {
	k, err := directory.ParseMailboxKey(key, m.Identity())
	if err != nil || k.Address() != c.Address || k.Mailbox() != c.Mailbox || k.In(w.today) != nil {
		return ErrServer
	}
	w.dirty(c)
	w.attention[c.id] = true
	c.SealKey, c.SealWeek = k.Key().Bytes(), k.Week()
	return nil
}

// lookedUpManifest takes over a manifest if it is a newer one. An older one is the
// provider's delay, or worse: what is known counts.
func (w *work) lookedUpManifest(c *contact, m *directory.Manifest) error {
	if c == w.own {
		if m.Version() > w.self.manifest.Version() {
			return w.ownManifest(m.Bytes())
		}
		return nil
	}
	newer, err := w.newer(c, m)
	if _, refused := dropped(err); refused {
		return ErrServer
	}
	if err != nil || !newer {
		return err
	}
	w.dirty(c)
	c.Status, c.Identity = state.ContactKnown, m.Identity()
	c.confirm(m.Hash())
	return w.learnManifest(c, m)
}

// initiate begins a session with each device that has none. A device without a
// bundle that is good is looked up again later, and does not keep the others. The
// error is ErrServer if there is no session with any device after that.
func (w *work) initiate(c *contact, m *directory.Manifest, bundles []ratchet.Bundle) error {
	byDevice := make(map[ids.DeviceID]ratchet.Bundle, len(bundles))
	for _, b := range bundles {
		byDevice[b.Device] = b
	}
	for id, p := range c.peers {
		dev, known := m.Device(id)
		if own, err := w.sendingSession(c, p); err != nil {
			return err
		} else if own != nil {
			continue
		}
		w.dirtyPeer(c, p)
		p.Asked = uint64(w.now.UnixMilli())
		b, ok := byDevice[id]
		if !ok || !known || dev.DH != p.DH {
			continue
		}
		verified, err := ratchet.VerifyBundle(b, dev.Sign)
		if err != nil {
			continue
		}
		s, err := ratchet.InitiateSession(ratchet.Config{}, w.identity(), ratchet.Peer{
			Address: c.Address, Device: id, IK: dev.DH,
			ManifestVersion: uint32(m.Version()), Capabilities: dev.Suites,
		}, verified)
		if err != nil {
			continue
		}
		added, err := w.addSession(c, id, s)
		if err != nil {
			return err
		}
		p.Sending = added.number
		w.dirty(c)
		if c != w.own {
			w.attention[c.id] = true
		}
	}
	if c != w.own && !c.reachable() {
		return ErrServer
	}
	return nil
}
