package introduction

import (
	"crypto/subtle"
	"slices"

	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

// KeyID returns the id of the relay key that an address is sealed to, or
// ErrMalformed.
func KeyID(address []byte) (uint8, error) {
	if len(address) != AddressSize {
		return 0, ErrMalformed
	}
	return address[0], nil
}

// Open opens an address with the relay key that it names. Errors are
// ErrMalformed and ErrSealed.
func Open(key *keys.SealKey, provider ids.Domain, e *Envelope, address []byte) (*Introduction, error) {
	id, err := KeyID(address)
	if err != nil {
		return nil, err
	}
	plain, _, err := key.Open(info(provider), e.aad(id), address[1:])
	if err != nil {
		return nil, ErrSealed
	}
	in := &Introduction{enc: slices.Clone(address[1 : 1+keys.SealEncSize])}
	if wire.Unmarshal(plain, in) != nil {
		return nil, ErrMalformed
	}
	return in, nil
}

// ParseStanding reads a request for a standing stamp out of a sealed question
// with the given encapsulated key. The error is ErrMalformed.
func ParseStanding(enc, b []byte) (*Standing, error) {
	s := &Standing{Introduction{enc: slices.Clone(enc)}}
	if wire.Unmarshal(b, s) != nil {
		return nil, ErrMalformed
	}
	return s, nil
}

// CodeProof returns what shows, in the introduction with this encapsulated key
// and to this mailbox only, that its maker knows a contact code.
func CodeProof(code *keys.Secret, provider ids.Domain, enc []byte, mailbox ids.MailboxID) [CodeSize]byte {
	b := wire.AppendPrefixed([]byte(labelCode), []byte(provider.String()))
	b = append(append(b, enc...), mailbox[:]...)
	mac := hmacSHA256(code.Bytes(), b)
	return [CodeSize]byte(mac[:CodeSize])
}

// HasCode reports, in constant time, whether the introduction shows a code.
func (in *Introduction) HasCode(code *keys.Secret, provider ids.Domain) bool {
	want := CodeProof(code, provider, in.enc, in.Mailbox)
	return subtle.ConstantTimeCompare(want[:], in.Code[:]) == 1
}

// DummyW returns a W for a mailbox that does not exist, or has no key of the
// generation: it is the same each time, and verifying against it takes as long
// as against any other. secret is the relay's own.
func DummyW(secret *keys.Secret, mailbox ids.MailboxID) group.Element {
	mac := hmacSHA256(secret.Bytes(), append([]byte(labelDummy), mailbox[:]...))
	return group.Ristretto255().HashToElement(mac, labelDummy)
}
