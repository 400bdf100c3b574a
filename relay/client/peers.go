package client

import (
	"errors"
	"maps"
	"slices"

	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/wire"
	"waxwing/relay/client/state"
	"waxwing/sealedsender"
)

// ownID is the number of the own account among the contacts. It has no row there:
// only peers, which are the account's other devices, and sessions with them. So
// it is never listed, and nobody writes to it.
const ownID state.ContactID = 0

// peer is a device of a contact.
type peer struct {
	state.Peer
	device ids.DeviceID

	parked         int // messages behind a gap, as far as counted since the start
	outstanding    int // tickets that it still has, as of the day
	outstandingDay ids.Day
}

// recipient is a device that a message is sealed to.
type recipient struct {
	p      *peer
	s      *session
	prekey []byte // PrekeyMessage until the device answered
}

func newContactOf(rec *state.Contact, id state.ContactID) *contact {
	return &contact{Contact: rec, id: id, peers: make(map[ids.DeviceID]*peer)}
}

// ownContact makes the hidden contact that stands for the own account.
func (m *memory) ownContact() {
	if m.self == nil {
		return
	}
	f := m.self.manifest
	m.own = newContactOf(&state.Contact{
		Address: f.Address(), Status: state.ContactKnown, Fingerprint: f.IdentityFingerprint(), Identity: f.Identity(),
		XS: f.XS(), AccountDH: f.DH(), Mailbox: m.self.Mailbox, Version: uint32(f.Version()), LastDevice: f.LastDevice(),
	}, ownID)
	for _, d := range m.siblings() {
		m.own.peers[d.ID] = &peer{device: d.ID, Peer: state.Peer{DH: d.DH}}
	}
}

// siblings lists the other devices of the own account.
func (m *memory) siblings() (out []directory.Device) {
	for _, d := range m.self.manifest.Devices() {
		if d.ID != m.self.Device {
			out = append(out, d)
		}
	}
	return out
}

func (m *memory) loadPeers(tx *state.Tx) error {
	for row, err := range state.Peers.Scan(tx, nil, nil) {
		if err != nil {
			return err
		}
		c := m.contacts[state.ContactID(state.ParseU32(row.Key))]
		if state.ContactID(state.ParseU32(row.Key)) == ownID {
			c = m.own
		}
		id := ids.DeviceID(state.ParseU32(state.Rest(row.Key)))
		if c == nil {
			return &state.CorruptError{Table: "peers"}
		}
		c.peers[id] = &peer{device: id, Peer: *row.Record}
	}
	return nil
}

// dirtyPeer notes that a contact's device changed.
func (w *work) dirtyPeer(c *contact, p *peer) {
	w.touched = true
	w.peerz[p] = c
}

// reachable reports whether there is a session with some device of the contact.
func (c *contact) reachable() bool {
	for _, p := range c.peers {
		if p.Sending != 0 {
			return true
		}
	}
	return false
}

// has reports whether the newest known manifest has a certificate's device.
func (c *contact) has(cert *sealedsender.VerifiedCertificate) bool {
	p := c.peers[cert.Device()]
	return p != nil && p.DH == cert.DH()
}

// missing reports whether a device of the contact has no session, and whether it
// is time to look for one.
func (w *work) missing(c *contact) (some, due bool) {
	for _, p := range c.peers {
		if p.Sending != 0 {
			continue
		}
		some = true
		// A clock that went back waits for nothing.
		if since := w.now.UnixMilli() - int64(p.Asked); since < 0 || since >= lookupRetry.Milliseconds() {
			due = true
		}
	}
	return some, due
}

// recipients returns the devices of a contact that there is a session with, at
// most as many new ones as one head begins sessions with.
func (w *work) recipients(c *contact) (out []recipient, err error) {
	beginning := 0
	for _, id := range slices.Sorted(maps.Keys(c.peers)) {
		p := c.peers[id]
		s, err := w.sendingSession(c, p)
		if err != nil {
			return nil, err
		}
		if s == nil {
			continue
		}
		r := recipient{p: p, s: s}
		if pre, ok := s.s.PrekeyHeader(); ok {
			if beginning == sealedsender.MaxPrekeyEntries {
				continue
			}
			beginning++
			r.prekey = wire.MustMarshal(&pre)
		}
		out = append(out, r)
	}
	return out, nil
}

// sealEntries seals a body key to each recipient, and has the sessions stored.
func (w *work) sealEntries(c *contact, to []recipient, key, ad []byte) ([]sealedsender.Entry, error) {
	entries := make([]sealedsender.Entry, 0, len(to))
	for _, r := range to {
		message, err := r.s.s.Encrypt(key, ad)
		if err != nil {
			return nil, err
		}
		w.touched = true
		w.sessionz[r.s] = c
		entries = append(entries, sealedsender.Entry{
			Device: r.p.device, Session: [sealedsender.SessionPart]byte(message), Prekey: r.prekey,
		})
	}
	return entries, nil
}

// beginning is how many sessions the message begins.
func (d *draft) beginning() (n int) {
	for _, r := range d.to {
		if r.prekey != nil {
			n++
		}
	}
	return n
}

// confirmed reports whether all devices that the message is for have confirmed the
// own certificate, so that its hash is enough.
func (d *draft) confirmed() bool {
	if d.intro != nil {
		return false // nothing else tells its recipient whose certificates to look among
	}
	for _, r := range d.to {
		if r.p.Confirmed != d.cert.Hash() {
			return false
		}
	}
	return true
}

// newer reports whether a manifest of a contact, which its identity key signed, is
// newer than the known one. Errors are drop(dropDevice), for one that does not
// follow or is another of the same version, and the store's.
func (w *work) newer(c *contact, m *directory.Manifest) (bool, error) {
	version := uint32(m.Version())
	if version < c.Version || c.Version == 0 {
		return c.Version == 0, nil
	}
	if version > c.Version && c.isFormer(m.XS()) {
		return false, drop(dropDevice)
	}
	if version <= c.Version+1 {
		b, err := state.Manifests.Get(w.tx, state.U32(c.id))
		if err != nil {
			return false, err
		}
		known, err := directory.ParseManifest(b.Bytes)
		if err != nil {
			return false, &state.CorruptError{Table: "manifests"}
		}
		if version == c.Version && !m.Equal(known) || version > c.Version && follows(m, known) != nil {
			return false, drop(dropDevice)
		}
		return version > c.Version, nil
	}
	// Versions between were not seen. No id comes back, and none gets other keys.
	for _, d := range m.Devices() {
		if p := c.peers[d.ID]; p == nil && d.ID <= c.LastDevice || p != nil && p.DH != d.DH {
			return false, drop(dropDevice)
		}
	}
	return true, nil
}

// learnManifest takes over a manifest that newer was asked about. Sessions with
// devices that it no longer has are erased.
func (w *work) learnManifest(c *contact, m *directory.Manifest) error {
	if uint32(m.Version()) <= c.Version {
		return nil
	}
	w.dirty(c)
	c.Version, c.LastDevice, c.AccountDH = uint32(m.Version()), m.LastDevice(), m.DH()
	if c != w.own {
		w.attention[c.id] = true
		if err := state.Manifests.Put(w.tx, state.U32(c.id), &state.Blob{Bytes: m.Bytes()}); err != nil {
			return err
		}
	}
	for id, p := range c.peers {
		if _, ok := m.Device(id); !ok {
			if err := w.dropPeer(c, p); err != nil {
				return err
			}
		}
	}
	for _, d := range m.Devices() {
		if c.peers[d.ID] == nil && (c != w.own || d.ID != w.self.Device) {
			c.peers[d.ID] = &peer{device: d.ID, Peer: state.Peer{DH: d.DH}}
			w.dirtyPeer(c, c.peers[d.ID])
		}
	}
	if c == w.own {
		return nil
	}
	// Last: for want of room it may fail, which what another device tells survives (apply).
	return w.learnKey(c, m.XS())
}

// dropPeer forgets a device that was removed from its account. What it wrote
// before stays.
func (w *work) dropPeer(c *contact, p *peer) error {
	w.touched = true
	err := errors.Join(
		w.unpark(c, p),
		w.dropSessions(c, func(s *session) bool { return s.row.Device == p.device }),
		state.Peers.Delete(w.tx, state.OfContact(c.id, state.U32(p.device))),
		w.dropAssembly(c, p),
	)
	delete(w.peerz, p)
	delete(c.peers, p.device)
	return err
}
