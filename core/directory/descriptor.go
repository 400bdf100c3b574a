package directory

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"slices"
	"strconv"
	"strings"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

// Descriptor is a provider's description of itself. One exists only with a
// valid signature by the root key that it names and that was pinned.
type Descriptor struct {
	f   DescriptorFields
	raw []byte
}

// DescriptorTrust is what a descriptor is checked against.
type DescriptorTrust struct {
	Domain ids.Domain
	Pin    keys.Pin
	Today  ids.Day
	Known  *Descriptor // the newest one seen, or nil
}

// SignDescriptor signs f with the provider's root key. Root and Signature of f
// are set here. It fails only for fields that break a limit.
func SignDescriptor(f DescriptorFields, root *keys.SigningKey) (*Descriptor, error) {
	f.Root = root.Public()
	b, err := wire.Marshal(&f)
	if err != nil {
		return nil, err
	}
	msg, sig := splitSigned(b)
	copy(sig, root.Sign(keys.ContextDescriptor, msg))
	return parseDescriptor(b)
}

// VerifyDescriptor parses a descriptor and checks everything about it. Errors
// are wire.ErrMalformed, keys.ErrSignature, ErrPin, ErrMismatch (another
// domain), ErrExpired, ErrRolledBack (a lower sequence than the known one) and
// ErrForked (the known sequence with other content, or not built on it).
func VerifyDescriptor(b []byte, t DescriptorTrust) (*Descriptor, error) {
	d, err := parseDescriptor(b)
	if err != nil {
		return nil, err
	}
	pin := keys.PinOf(d.f.Root)
	switch {
	case subtle.ConstantTimeCompare(pin[:], t.Pin[:]) != 1:
		return nil, ErrPin
	case d.f.Domain != t.Domain:
		return nil, ErrMismatch
	case t.Today > d.f.Expiry:
		return nil, ErrExpired
	case t.Known != nil:
		if err := d.after(t.Known); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// after returns nil if d may replace known or is the same.
func (d *Descriptor) after(known *Descriptor) error {
	switch {
	case d.f.Sequence < known.f.Sequence:
		return ErrRolledBack
	case d.f.Sequence == known.f.Sequence && !bytes.Equal(d.raw, known.raw),
		d.f.Sequence == known.f.Sequence+1 && d.f.Previous != known.Hash():
		return ErrForked
	}
	return nil // Over a gap the chain cannot be followed: the root key vouches.
}

// parseDescriptor verifies the signature by the root key that b itself names.
func parseDescriptor(b []byte) (*Descriptor, error) {
	if len(b) > wire.MaxDescriptor {
		return nil, &wire.FieldError{Field: "descriptor", Reason: "too long"}
	}
	d := &Descriptor{raw: bytes.Clone(b)}
	if err := wire.Unmarshal(d.raw, &d.f); err != nil {
		return nil, err
	}
	msg, sig := splitSigned(d.raw)
	if err := d.f.Root.Verify(keys.ContextDescriptor, msg, sig); err != nil {
		return nil, err
	}
	return d, nil
}

// Domain returns the provider's domain.
func (d *Descriptor) Domain() ids.Domain { return d.f.Domain }

// Sequence returns the descriptor's number, from 1.
func (d *Descriptor) Sequence() uint64 { return d.f.Sequence }

// Endpoints returns where the provider can be reached, in order of preference.
func (d *Descriptor) Endpoints() []string { return slices.Clone(d.f.Endpoints) }

// Root returns the provider's root key.
func (d *Descriptor) Root() keys.VerifyKey { return d.f.Root }

// CertificateKeys returns the keys that may sign sender certificates on a day.
func (d *Descriptor) CertificateKeys(day ids.Day) []keys.VerifyKey {
	var in []keys.VerifyKey
	for _, k := range d.f.Certificates {
		if k.First <= day && day <= k.Last {
			in = append(in, k.Key)
		}
	}
	return in
}

// RelayKey returns the key to seal queries to; ok is false if there is none.
func (d *Descriptor) RelayKey() (k RelayKey, ok bool) {
	if len(d.f.Relay) == 0 {
		return RelayKey{}, false
	}
	return d.f.Relay[0], true
}

// Speaks reports whether the provider speaks a protocol version.
func (d *Descriptor) Speaks(version uint16) bool { return slices.Contains(d.f.Versions, version) }

// Expiry returns the last day on which the descriptor is valid.
func (d *Descriptor) Expiry() ids.Day { return d.f.Expiry }

// Bytes returns the encoding.
func (d *Descriptor) Bytes() []byte { return bytes.Clone(d.raw) }

// Hash returns SHA-256 of the encoding: what the next descriptor names.
func (d *Descriptor) Hash() [32]byte { return sha256.Sum256(d.raw) }

// Next returns the fields of the descriptor after d, to be changed and signed.
func (d *Descriptor) Next() DescriptorFields {
	f := d.f
	f.Sequence++
	f.Previous = d.Hash()
	f.Endpoints = slices.Clone(f.Endpoints)
	f.Certificates = slices.Clone(f.Certificates)
	f.Relay = slices.Clone(f.Relay)
	f.Versions = slices.Clone(f.Versions)
	return f
}

// ValidEndpoint reports whether s is host:port, the host a canonical name, an
// IPv4 address or an IPv6 address in brackets, the port decimal without
// leading zeros. Whether the host exists is found out by connecting.
func ValidEndpoint(s string) bool {
	i := strings.LastIndexByte(s, ':')
	if i < 1 {
		return false
	}
	host, port := s[:i], s[i+1:]
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 || strconv.FormatUint(n, 10) != port {
		return false
	}
	allowed := "abcdefghijklmnopqrstuvwxyz0123456789-."
	if host[0] == '[' {
		if len(host) < 4 || host[len(host)-1] != ']' {
			return false
		}
		host, allowed = host[1:len(host)-1], "0123456789abcdef:."
	}
	return strings.Trim(host, allowed) == ""
}
