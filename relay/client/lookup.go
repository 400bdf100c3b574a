package client

import (
	"errors"

	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/ratchet"
	"waxwing/core/wire"
	"waxwing/relay/client/state"
)

// lookups lists the contacts whose keys have to be looked up before what waits
// for them can be sealed: new ones, and known ones with a new code, whose weekly
// seal key is needed.
func (w *work) lookups() (out []ids.Address) {
	for id, n := range w.waiting {
		c := w.contacts[id]
		if n == 0 || c == nil || c.Blocked {
			continue
		}
		if c.HasFirst && c.FirstExpiry >= w.today && len(c.SealKey) == 0 {
			out = append(out, c.Address)
		}
	}
	return out
}

// lookedUp takes the answer of the contact's provider: everything is checked
// against the pinned fingerprint, X_S and mailbox before anything is used. Errors are
// ErrNoAccount, ErrIdentityChanged and ErrServer.
func (w *work) lookedUp(address ids.Address, a *directory.LookupAnswer) error {
	c := w.find(address)
	if c == nil || c.Blocked || !c.HasFirst {
		return nil
	}
	if a.Status != directory.LookupFound {
		return ErrNoAccount
	}
	m, err := directory.ParseManifest(a.Manifest)
	if err != nil || m.Address() != address {
		return ErrServer
	}
	if m.IdentityFingerprint() != c.Fingerprint || !c.accepts(m.XS()) {
		return ErrIdentityChanged
	}
	k, err := directory.ParseMailboxKey(a.MailboxKey, m.Identity())
	if err != nil || k.Address() != address || k.Mailbox() != c.Mailbox || k.In(w.today) != nil {
		return ErrServer
	}
	w.dirty(c)
	w.attention[c.id] = true
	c.SealKey, c.SealWeek, c.XS = k.Key().Bytes(), k.Week(), m.XS()
	own, err := w.sendingSession(c)
	if err != nil {
		return err
	}
	if own != nil {
		return nil // there is a session; only the seal key was missing
	}
	return w.initiate(c, m, a.Bundles)
}

// initiate begins a session with the contact's device.
func (w *work) initiate(c *contact, m *directory.Manifest, bundles []ratchet.Bundle) error {
	for _, b := range bundles {
		dev, ok := m.Device(b.Device)
		if !ok {
			continue
		}
		verified, err := ratchet.VerifyBundle(b, dev.Sign)
		if err != nil {
			return ErrServer
		}
		s, err := ratchet.InitiateSession(ratchet.Config{}, w.identity(), ratchet.Peer{
			Address: c.Address, Device: dev.ID, IK: dev.DH,
			ManifestVersion: uint32(m.Version()), Capabilities: dev.Suites,
		}, verified)
		if err != nil {
			return ErrServer
		}
		added, err := w.addSession(c, s)
		if err != nil {
			return err
		}
		c.Status, c.Sending, c.Device = state.ContactKnown, added.number, dev.ID
		c.Identity, c.AccountDH = m.Identity(), m.DH()
		return state.Manifests.Put(w.tx, state.U32(c.id), &state.Blob{Bytes: m.Bytes()})
	}
	return ErrServer
}

// parseLookup parses what was inside the sealed answer.
func parseLookup(b []byte) (*directory.LookupAnswer, error) {
	a := new(directory.LookupAnswer)
	if err := wire.Unmarshal(b, a); err != nil {
		return nil, errors.Join(ErrServer, err)
	}
	return a, nil
}
