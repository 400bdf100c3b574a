package directory

import (
	"bytes"
	"crypto/sha256"
	"slices"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/ratchet"
	"waxwing/core/wire"
)

// Manifest says which identity key, keys and devices an account has. One exists
// only with a valid signature by the identity key that it names; whether that
// is the right key for the address is the caller's to check
// (IdentityFingerprint).
type Manifest struct {
	f   ManifestFields
	raw []byte
}

// Fingerprint identifies an identity key: SHA-256 of its 32 bytes.
type Fingerprint [32]byte

// FingerprintOf returns the fingerprint of an identity key.
func FingerprintOf(identity keys.VerifyKey) Fingerprint { return sha256.Sum256(identity[:]) }

// SignManifest signs f with the account's identity key. Identity and Signature
// of f are set here; AccountKey is what ProveAccountKey made. It fails only for
// fields that break a limit, and with ErrPossession.
func SignManifest(f ManifestFields, identity *keys.SigningKey) (*Manifest, error) {
	f.Identity = identity.Public()
	b, err := wire.Marshal(&f)
	if err != nil {
		return nil, err
	}
	msg, sig := splitSigned(b)
	copy(sig, identity.Sign(keys.ContextManifest, msg))
	return ParseManifest(b)
}

// ParseManifest parses and verifies a manifest with the proof in it. Errors are
// wire.ErrMalformed, keys.ErrSignature and ErrPossession.
func ParseManifest(b []byte) (*Manifest, error) {
	if len(b) > wire.MaxManifest {
		return nil, &wire.FieldError{Field: "manifest", Reason: "too long"}
	}
	m := &Manifest{raw: bytes.Clone(b)}
	if err := wire.Unmarshal(m.raw, &m.f); err != nil {
		return nil, err
	}
	msg, sig := splitSigned(m.raw)
	if err := m.f.Identity.Verify(keys.ContextManifest, msg, sig); err != nil {
		return nil, err
	}
	if err := m.f.AccountKey.verify(accountKeySession(m.f.Address, m.f.Identity)); err != nil {
		return nil, err
	}
	return m, nil
}

// Address returns the account's address.
func (m *Manifest) Address() ids.Address { return m.f.Address }

// Version returns the manifest's version, from 1.
func (m *Manifest) Version() uint64 { return m.f.Version }

// Identity returns the account's identity key.
func (m *Manifest) Identity() keys.VerifyKey { return m.f.Identity }

// IdentityFingerprint returns what a pinned fingerprint is compared with.
func (m *Manifest) IdentityFingerprint() Fingerprint { return FingerprintOf(m.f.Identity) }

// DH returns the key that the account's devices share.
func (m *Manifest) DH() keys.DHPublic { return m.f.DH }

// XS returns X_S, encoded: an element other than the identity whose logarithm
// the account's owner knew.
func (m *Manifest) XS() [ElementSize]byte { return m.f.AccountKey.Key }

// Devices returns the account's devices, in the order of their ids.
func (m *Manifest) Devices() []Device { return slices.Clone(m.f.Devices) }

// Device returns one device.
func (m *Manifest) Device(id ids.DeviceID) (Device, bool) {
	for _, d := range m.f.Devices {
		if d.ID == id {
			return d, true
		}
	}
	return Device{}, false
}

// LastDevice returns the last device id that the account ever used.
func (m *Manifest) LastDevice() ids.DeviceID { return m.f.LastDevice }

// Has reports whether all devices of the account have a capability.
func (m *Manifest) Has(capability string) bool {
	return slices.ContainsFunc(m.f.Capabilities, func(c []byte) bool { return string(c) == capability })
}

// Bytes returns the encoding.
func (m *Manifest) Bytes() []byte { return bytes.Clone(m.raw) }

// Hash returns SHA-256 of the encoding: what the next version names.
func (m *Manifest) Hash() [32]byte { return sha256.Sum256(m.raw) }

// Equal reports whether both are the same manifest.
func (m *Manifest) Equal(o *Manifest) bool { return bytes.Equal(m.raw, o.raw) }

// Next returns the fields of the version after m, to be changed and signed.
// RemoveDevice and AddDevice change its devices.
func (m *Manifest) Next() ManifestFields {
	f := m.f
	f.Version++
	f.Previous = m.Hash()
	f.Capabilities = slices.Clone(f.Capabilities)
	f.Devices = slices.Clone(f.Devices)
	return f
}

// AddDevice adds a device under the next free id, with the suites of this
// program, and returns the id.
func (m *ManifestFields) AddDevice(sign keys.VerifyKey, dh keys.DHPublic) ids.DeviceID {
	m.LastDevice++
	m.Devices = append(m.Devices, Device{m.LastDevice, sign, dh, ratchet.Capabilities{ratchet.SuiteNative}})
	return m.LastDevice
}

// RemoveDevice removes a device, if it is there. Its id stays used.
func (m *ManifestFields) RemoveDevice(id ids.DeviceID) {
	m.Devices = slices.DeleteFunc(m.Devices, func(d Device) bool { return d.ID == id })
}

// Follows returns nil if m is the version after prev: same account, same
// identity key, version one more, hash of prev, no device id used for other
// keys, and the same X_S. Otherwise ErrMismatch (another account or identity
// key), ErrRolledBack (not newer), ErrForked, ErrAccountKeyChanged.
//
// A lost k is replaced by a manifest of its own (Replaces), at most once in
// ReplaceDays: who could change X_S otherwise would have a new pseudonym for every
// block.
func (m *Manifest) Follows(prev *Manifest) error {
	switch {
	case m.f.Address != prev.f.Address, m.f.Identity != prev.f.Identity:
		return ErrMismatch
	case m.f.Version <= prev.f.Version:
		return ErrRolledBack
	case m.f.Version != prev.f.Version+1, m.f.Previous != prev.Hash():
		return ErrForked
	}
	last := prev.f.LastDevice
	for _, d := range m.f.Devices {
		old, ok := prev.Device(d.ID)
		if ok && (d.Sign != old.Sign || d.DH != old.DH) || !ok && d.ID <= prev.f.LastDevice {
			return ErrForked
		}
		last = max(last, d.ID)
	}
	if m.f.LastDevice != last {
		return ErrForked
	}
	if m.f.AccountKey.Key != prev.f.AccountKey.Key {
		return ErrAccountKeyChanged
	}
	return nil
}
