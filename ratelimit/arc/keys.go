package arc

import (
	"waxwing/core/group"
	"waxwing/core/keys"
)

// SecretKey issues and verifies. It prints redacted.
type SecretKey struct {
	_              keys.NotComparable
	s              *Suite
	x0, x1, x2, xb group.Scalar
	public         *PublicKey
	keys.Redacted
}

// PublicKey is what clients check an issuer's answers against: X0 = x0*G +
// xb*H, X1 = x1*H, X2 = x2*H.
type PublicKey struct {
	s          *Suite
	x0, x1, x2 group.Element
}

// NewSecretKey draws a key.
func (s *Suite) NewSecretKey() *SecretKey {
	r := s.g.RandomScalar
	return s.secretKey(r(), r(), r(), r())
}

func (s *Suite) secretKey(x0, x1, x2, xb group.Scalar) *SecretKey {
	// Decoded again, the elements carry their encodings, which stand in every
	// label under this key.
	pk, err := s.ParsePublicKey((&PublicKey{s, s.Commit(x0, xb), s.h.Mul(x1), s.h.Mul(x2)}).Bytes())
	if err != nil {
		// x0*G + xb*H is the identity for whoever knows the logarithm of H only.
		panic(err)
	}
	return &SecretKey{s: s, x0: x0, x1: x1, x2: x2, xb: xb, public: pk}
}

// SecretKeySize is the size of an encoded secret key, in bytes: 128.
func (s *Suite) SecretKeySize() int { return 4 * s.g.ScalarSize() }

// PublicKeySize is the size of an encoded public key, in bytes.
func (s *Suite) PublicKeySize() int { return 3 * s.g.ElementSize() }

// ParseSecretKey is the inverse of Bytes. The error is ErrMalformed.
func (s *Suite) ParseSecretKey(b []byte) (*SecretKey, error) {
	r := reader{s: s, b: b}
	x0, x1, x2, xb := r.scalar(), r.scalar(), r.scalar(), r.scalar()
	if r.end() != nil {
		return nil, ErrMalformed
	}
	return s.secretKey(x0, x1, x2, xb), nil
}

// Bytes returns the key itself, for storage.
func (k *SecretKey) Bytes() []byte {
	return k.xb.Append(k.x2.Append(k.x1.Append(k.x0.Bytes())))
}

// Public returns the public key.
func (k *SecretKey) Public() *PublicKey { return k.public }

// Suite returns the key's suite.
func (k *SecretKey) Suite() *Suite { return k.s }

// Erase overwrites the key. Nothing may use it at the same time.
func (k *SecretKey) Erase() {
	for _, x := range []group.Scalar{k.x0, k.x1, k.x2, k.xb} {
		x.Erase()
	}
}

// ParsePublicKey is the inverse of Bytes. The error is ErrMalformed.
func (s *Suite) ParsePublicKey(b []byte) (*PublicKey, error) {
	r := reader{s: s, b: b}
	pk := &PublicKey{s, r.element(), r.element(), r.element()}
	if r.end() != nil {
		return nil, ErrMalformed
	}
	return pk, nil
}

// Bytes returns X0 | X1 | X2.
func (pk *PublicKey) Bytes() []byte { return pk.x2.Append(pk.x1.Append(pk.x0.Bytes())) }

// Suite returns the key's suite.
func (pk *PublicKey) Suite() *Suite { return pk.s }
