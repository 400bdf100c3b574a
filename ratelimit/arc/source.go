package arc

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"

	"waxwing/core/group"
	"waxwing/core/keys"
)

// derivedDST separates derived scalars from every other hash.
const derivedDST = "waxwing arc derived scalar"

// Source gives the secret randomness of one message: fresh, or derived where
// the same message must be made again as the same bytes. It is for one message
// and not safe for concurrent use.
type Source struct {
	_    keys.NotComparable
	g    group.Group
	prk  []byte // nil: fresh
	info []byte
	n    uint32
	next func() group.Scalar // tests
	keys.Redacted
}

// Fresh returns a source of randomness from crypto/rand.
func (s *Suite) Fresh() *Source { return &Source{g: s.g} }

// Derived returns a source that depends on nothing but a secret and on info.
// info must hold everything that determines the message (every public key,
// parameter and context of its statement): two different messages from one
// source reveal the secrets in them.
func (s *Suite) Derived(secret []byte, info []byte) *Source {
	prk, err := hkdf.Extract(sha256.New, secret, []byte("waxwing arc randomness"))
	if err != nil {
		panic(err) // only in a mode of the standard library that is not used
	}
	h := sha256.Sum256(info)
	return &Source{g: s.g, prk: prk, info: h[:]}
}

func (src *Source) bytes() []byte {
	info := binary.BigEndian.AppendUint32(append([]byte(nil), src.info...), src.n)
	src.n++
	out, err := hkdf.Expand(sha256.New, src.prk, string(info), group.SeedSize)
	if err != nil {
		panic(err) // the length is a constant
	}
	return out
}

// Scalar returns the next scalar, never zero.
func (src *Source) Scalar() group.Scalar {
	switch {
	case src.next != nil:
		return src.next()
	case src.prk == nil:
		return src.g.RandomScalar()
	}
	for {
		b := src.bytes()
		x := src.g.HashToScalar(b, derivedDST)
		clear(b)
		if !x.IsZero() {
			return x
		}
	}
}

// seed returns the seed of the message's proof.
func (src *Source) seed() *[group.SeedSize]byte {
	var seed [group.SeedSize]byte
	if src.prk == nil {
		rand.Read(seed[:]) // does not fail
	} else {
		copy(seed[:], src.bytes())
	}
	return &seed
}

// Seed is seed for proofs that a caller makes about a message of its own.
func (src *Source) Seed() *[group.SeedSize]byte { return src.seed() }
