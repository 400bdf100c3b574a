package group

import (
	"crypto/sha3"
	"encoding/binary"
)

// nonces draws the random scalars of one proof.
//
// Two proofs with one nonce and different challenges reveal the witness, and so
// does a nonce that can be guessed. Nonces are therefore hedged: they come from
// a hash of a fresh seed and of session, statement and witness. If the seed is
// good, they are uniform whatever else happens. If it repeats (a restored
// virtual machine, a seed derived from a key), nonces repeat only where
// everything that determines the challenge repeats too, and the proof is the
// same bytes. If it is known, the nonces still depend on the witness, as those
// of RFC 6979 and RFC 8032 do. And with a fresh seed, a fault that is injected
// while the same proof is made twice meets two different computations.
type nonces struct {
	s *suite
	h *sha3.SHAKE
}

func newNonces(s *suite, seed *[SeedSize]byte, session Session, label []byte, branch uint32, witness []Scalar) *nonces {
	h := sha3.NewSHAKE256()
	h.Write(block(nonceID+s.name, shake256Rate))
	h.Write(seed[:])
	h.Write(appendPrefixed(nil, session.b))
	h.Write(appendPrefixed(nil, label))
	h.Write(binary.BigEndian.AppendUint32(nil, branch))
	buf := make([]byte, 0, s.scalarSize)
	for _, w := range witness {
		h.Write(w.Append(buf))
	}
	clear(buf[:cap(buf)])
	return &nonces{s, h}
}

// next returns the next scalar.
func (n *nonces) next() Scalar {
	var wide [wideSize]byte
	n.h.Read(wide[:])
	defer clear(wide[:])
	return n.s.reduce(wide[:])
}

// erase overwrites the state.
func (n *nonces) erase() { n.h.Reset() }
