package privacypass

import (
	"bytes"
	"crypto"

	"github.com/cloudflare/circl/group"
	"github.com/cloudflare/circl/oprf"
	"github.com/cloudflare/circl/zk/dleq"
)

// Type is a token type of the IANA registry "Privacy Pass Token Types".
type Type uint16

const (
	// P384 is VOPRF(P-384, SHA-384), RFC 9578, 5.
	P384 Type = 0x0001
	// Ristretto255 is VOPRF(ristretto255, SHA-512) of the batched draft.
	Ristretto255 Type = 0x0005
)

// params are the sizes and the circl suite of a type.
type params struct {
	suite oprf.Suite
	g     group.Group
	hash  crypto.Hash
	id    string
	// Ne, Ns and Nk of RFC 9578, in bytes.
	element, scalar, authenticator int
}

// params returns false for an unknown type.
func (t Type) params() (params, bool) {
	switch t {
	case P384:
		return params{oprf.SuiteP384, group.P384, crypto.SHA384, "P384-SHA384", 49, 48, 48}, true
	case Ristretto255:
		return params{oprf.SuiteRistretto255, group.Ristretto255, crypto.SHA512, "ristretto255-SHA512", 32, 32, 64}, true
	}
	return params{}, false
}

func (p params) proofSize() int { return 2 * p.scalar }

// dleq returns the parameters of the proof of RFC 9497, 2.2.
func (p params) dleq() dleq.Params {
	return dleq.Params{G: p.g, H: p.hash, DST: []byte("OPRFV1-\x01-" + p.id)}
}

// decodeElement accepts the one encoding of an element that is not the
// identity. circl alone takes identities, and for P-384 uncompressed points.
func (p params) decodeElement(b []byte) (group.Element, error) {
	e := p.g.NewElement()
	if len(b) != p.element || e.UnmarshalBinary(b) != nil || e.IsIdentity() {
		return nil, ErrMalformed
	}
	again, err := e.MarshalBinaryCompress()
	if err != nil || !bytes.Equal(again, b) {
		return nil, ErrMalformed
	}
	return e, nil
}

// decodeElements decodes n elements, one behind the other.
func (p params) decodeElements(b []byte, n int) ([]group.Element, error) {
	if len(b) != n*p.element {
		return nil, ErrMalformed
	}
	es := make([]group.Element, n)
	for i := range es {
		var err error
		if es[i], err = p.decodeElement(b[i*p.element : (i+1)*p.element]); err != nil {
			return nil, err
		}
	}
	return es, nil
}

// decodeScalar accepts the one encoding of a scalar other than zero.
func (p params) decodeScalar(b []byte) (group.Scalar, error) {
	x := p.g.NewScalar()
	if len(b) != p.scalar || x.UnmarshalBinary(b) != nil || x.IsZero() {
		return nil, ErrMalformed
	}
	again, err := x.MarshalBinary()
	if err != nil || !bytes.Equal(again, b) {
		return nil, ErrMalformed
	}
	return x, nil
}

// decodeProof accepts the one encoding of a proof.
func (p params) decodeProof(b []byte) (*dleq.Proof, error) {
	proof := new(dleq.Proof)
	if len(b) != p.proofSize() || proof.UnmarshalBinary(p.g, b) != nil {
		return nil, ErrMalformed
	}
	again, err := proof.MarshalBinary()
	if err != nil || !bytes.Equal(again, b) {
		return nil, ErrMalformed
	}
	return proof, nil
}

func appendElements(b []byte, es []group.Element) []byte {
	for _, e := range es {
		enc, err := e.MarshalBinaryCompress()
		if err != nil {
			panic(err) // the element is on its curve
		}
		b = append(b, enc...)
	}
	return b
}
