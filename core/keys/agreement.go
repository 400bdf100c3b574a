package keys

import (
	"crypto/ecdh"
	"crypto/rand"
)

// DHSize is the size of an X25519 public key, private key or shared secret.
const DHSize = 32

// DHPublic is an X25519 public key (RFC 7748). The zero value is no key.
type DHPublic [DHSize]byte

// ParseDHPublic refuses wrong lengths, values that are not reduced (so that a
// key has one encoding) and the known points of small order. Errors are ErrKey.
func ParseDHPublic(b []byte) (p DHPublic, err error) {
	if len(b) != DHSize || !canonicalX25519(b) {
		return p, ErrKey
	}
	p = DHPublic(b)
	// A point of small order agrees on zero with every key; the library
	// refuses that result (RFC 7748 6.1). A fixed scalar finds it early.
	if _, err := probeKey.DH(p); err != nil {
		return DHPublic{}, ErrKey
	}
	return p, nil
}

var probeKey = NewDHKey()

// canonicalX25519 reports whether b < 2^255 - 19, little-endian.
func canonicalX25519(b []byte) bool {
	if b[31] > 0x7f {
		return false
	}
	if b[31] < 0x7f {
		return true
	}
	for _, v := range b[1:31] {
		if v != 0xff {
			return true
		}
	}
	return b[0] < 0xed
}

// DHKey is an X25519 private key.
type DHKey struct {
	_    NotComparable
	priv *ecdh.PrivateKey
	pub  DHPublic
	Redacted
}

// NewDHKey draws a key.
func NewDHKey() *DHKey {
	priv, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		panic(err) // crypto/rand does not fail
	}
	return &DHKey{priv: priv, pub: DHPublic(priv.PublicKey().Bytes())}
}

// DHKeyFrom returns the key of 32 stored bytes, or ErrKey.
func DHKeyFrom(b []byte) (*DHKey, error) {
	priv, err := ecdh.X25519().NewPrivateKey(b)
	if err != nil {
		return nil, ErrKey
	}
	return &DHKey{priv: priv, pub: DHPublic(priv.PublicKey().Bytes())}, nil
}

// Bytes returns a copy of the private key, for storing.
func (k *DHKey) Bytes() []byte { return k.priv.Bytes() }

// Public returns the public key.
func (k *DHKey) Public() DHPublic { return k.pub }

// DH returns the 32-byte shared secret, or ErrKey for a key of small order.
func (k *DHKey) DH(p DHPublic) ([]byte, error) {
	pub, err := ecdh.X25519().NewPublicKey(p[:])
	if err != nil {
		return nil, ErrKey
	}
	s, err := k.priv.ECDH(pub)
	if err != nil {
		return nil, ErrKey
	}
	return s, nil
}
