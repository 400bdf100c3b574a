package keys

import (
	"crypto/hpke"
)

const (
	// SealPublicSize is the size of an X-Wing public key: ML-KEM-768 1184 and
	// X25519 32 bytes.
	SealPublicSize = 1216
	// SealEncSize is the size of the encapsulated key that a seal begins with.
	SealEncSize = 1120
	// SealTagSize is what AES-256-GCM adds to the sealed plaintext.
	SealTagSize = 16
	// SealOverhead is what a seal adds in all.
	SealOverhead = SealEncSize + SealTagSize
	// SealSeedSize is the size of the stored private key.
	SealSeedSize = 32
)

// SealPublic is an X-Wing public key to seal to. The zero value is no key.
type SealPublic struct{ pub hpke.PublicKey }

// ParseSealPublic refuses wrong lengths and encapsulation keys that FIPS 203
// section 7.2 refuses. Errors are ErrKey.
func ParseSealPublic(b []byte) (SealPublic, error) {
	if len(b) != SealPublicSize {
		return SealPublic{}, ErrKey
	}
	if _, err := ParseDHPublic(b[SealPublicSize-DHSize:]); err != nil {
		return SealPublic{}, ErrKey
	}
	pub, err := hpke.MLKEM768X25519().NewPublicKey(b)
	if err != nil {
		return SealPublic{}, ErrKey
	}
	return SealPublic{pub}, nil
}

// IsZero reports whether p is no key.
func (p SealPublic) IsZero() bool { return p.pub == nil }

// Bytes returns the encoding, SealPublicSize bytes, or nil for the zero value.
func (p SealPublic) Bytes() []byte {
	if p.pub == nil {
		return nil
	}
	return p.pub.Bytes()
}

// Seal encrypts plaintext to p (HPKE base mode, one message). The context
// exports further secrets (RFC 9180 5.3).
func (p SealPublic) Seal(info, aad, plaintext []byte) (sealed []byte, c Exporter, err error) {
	return p.SealWith(info, aad, func([]byte) ([]byte, error) { return plaintext, nil })
}

// SealWith is Seal for a plaintext that depends on the encapsulated key, such as
// a proof that is bound to this one seal. plaintext gets its SealEncSize bytes;
// its error is returned as it is.
func (p SealPublic) SealWith(info, aad []byte, plaintext func(enc []byte) ([]byte, error)) (sealed []byte, c Exporter, err error) {
	if p.pub == nil {
		return nil, nil, ErrKey
	}
	enc, s, err := hpke.NewSender(p.pub, hpke.HKDFSHA256(), hpke.AES256GCM(), info)
	if err != nil {
		return nil, nil, err
	}
	pt, err := plaintext(enc)
	if err != nil {
		return nil, nil, err
	}
	ct, err := s.Seal(aad, pt)
	if err != nil {
		return nil, nil, err
	}
	return append(enc, ct...), s, nil
}

// Exporter derives further secrets from a seal (RFC 9180 5.3).
type Exporter interface {
	Export(exporterContext string, length int) ([]byte, error)
}

// SealKey is an X-Wing private key.
type SealKey struct {
	_    NotComparable
	priv hpke.PrivateKey
	Redacted
}

// NewSealKey draws a key.
func NewSealKey() *SealKey {
	priv, err := hpke.MLKEM768X25519().GenerateKey()
	if err != nil {
		panic(err) // crypto/rand does not fail
	}
	return &SealKey{priv: priv}
}

// SealKeyFromSeed returns the key of a stored 32-byte seed, or ErrKey.
func SealKeyFromSeed(seed []byte) (*SealKey, error) {
	priv, err := hpke.MLKEM768X25519().NewPrivateKey(seed)
	if err != nil {
		return nil, ErrKey
	}
	return &SealKey{priv: priv}, nil
}

// Seed returns the 32-byte seed, for storing.
func (k *SealKey) Seed() []byte {
	b, err := k.priv.Bytes()
	if err != nil {
		panic(err) // keys here are made from seeds
	}
	return b
}

// Public returns the public key.
func (k *SealKey) Public() SealPublic { return SealPublic{k.priv.PublicKey()} }

// Open opens what Seal sealed. Errors are ErrSealed, whatever was wrong.
func (k *SealKey) Open(info, aad, sealed []byte) ([]byte, Exporter, error) {
	if len(sealed) < SealOverhead {
		return nil, nil, ErrSealed
	}
	r, err := hpke.NewRecipient(sealed[:SealEncSize], k.priv, hpke.HKDFSHA256(), hpke.AES256GCM(), info)
	if err != nil {
		return nil, nil, ErrSealed
	}
	pt, err := r.Open(aad, sealed[SealEncSize:])
	if err != nil {
		return nil, nil, ErrSealed
	}
	return pt, r, nil
}
