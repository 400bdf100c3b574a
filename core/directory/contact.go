package directory

import (
	"waxwing/core/ids"
	"waxwing/core/ratchet"
	"waxwing/core/wire"
)

// Contact is what a lookup found out about an account, every signature
// checked. That the identity key is the right one is for the caller to check
// (Manifest.IdentityFingerprint).
type Contact struct {
	Manifest   *Manifest
	MailboxKey *MailboxKey
	Bundles    []*ratchet.VerifiedBundle // at least one
}

// VerifyAnswer checks the answer to a lookup of an address. Errors are
// ErrUnknown (there is no such account, or it cannot be reached yet),
// wire.ErrMalformed, keys.ErrSignature, ErrPossession, ratchet.ErrBundle,
// ErrMismatch (about another account or device), ErrEarly, ErrExpired (the
// mailbox key).
func VerifyAnswer(b []byte, address ids.Address, today ids.Day) (*Contact, error) {
	if len(b) > MaxAnswer {
		return nil, &wire.FieldError{Field: "answer", Reason: "too long"}
	}
	var a LookupAnswer
	if err := wire.Unmarshal(b, &a); err != nil {
		return nil, err
	}
	if a.Status != LookupFound {
		return nil, ErrUnknown
	}
	m, err := ParseManifest(a.Manifest)
	if err != nil {
		return nil, err
	}
	k, err := ParseMailboxKey(a.MailboxKey, m.Identity())
	if err != nil {
		return nil, err
	}
	if m.Address() != address || k.Address() != address {
		return nil, ErrMismatch
	}
	if err := k.In(today); err != nil {
		return nil, err
	}
	c := &Contact{Manifest: m, MailboxKey: k}
	for _, bundle := range a.Bundles {
		dev, ok := m.Device(bundle.Device)
		if !ok || bundle.Identity != dev.DH {
			return nil, ErrMismatch
		}
		v, err := ratchet.VerifyBundle(bundle, dev.Sign)
		if err != nil {
			return nil, err
		}
		c.Bundles = append(c.Bundles, v)
	}
	return c, nil
}
