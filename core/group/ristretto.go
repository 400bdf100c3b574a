package group

import (
	"crypto"
	_ "crypto/sha512" // registers SHA-512 for the expander

	"github.com/cloudflare/circl/expander"
	"github.com/gtank/ristretto255"
)

// ristretto is the arithmetic of ristretto255 (RFC 9496): every operation but
// varTimeMultiMul is constant time. The cofactor of the curve below is gone by
// construction, so no input has a component of small order.
type ristretto struct{}

type ristrettoPoint struct{ e ristretto255.Element }

type ristrettoScalar struct{ v ristretto255.Scalar }

// ristrettoGenerator is shared, so that multiplications by it are recognised.
var ristrettoGenerator = func() *ristrettoPoint {
	p := new(ristrettoPoint)
	p.e.Set(ristretto255.NewGeneratorElement())
	return p
}()

func (ristretto) identity() point {
	p := new(ristrettoPoint)
	p.e.Set(ristretto255.NewIdentityElement())
	return p
}

func (ristretto) decodePoint(b []byte) (point, bool) {
	p := new(ristrettoPoint)
	_, err := p.e.SetCanonicalBytes(b)
	return p, err == nil
}

// hashToPoint is ristretto255_XMD:SHA-512_R255MAP_RO_ (RFC 9380, appendix B).
func (ristretto) hashToPoint(msg, dst []byte) point {
	return ristrettoFromUniform(expandSHA512(msg, dst))
}

// ristrettoFromUniform is element derivation (RFC 9496, 4.3.4) from 64 bytes.
func ristrettoFromUniform(b []byte) point {
	p := new(ristrettoPoint)
	mustRistretto(p.e.SetUniformBytes(b))
	return p
}

func (ristretto) mulGenerator(s scalar) point {
	p := new(ristrettoPoint)
	p.e.ScalarBaseMult(ristrettoValue(s))
	return p
}

func (ristretto) multiMul(s []scalar, ps []point) point {
	p := new(ristrettoPoint)
	p.e.MultiScalarMult(ristrettoOperands(s, ps))
	return p
}

func (ristretto) varTimeMultiMul(s []scalar, ps []point) point {
	p := new(ristrettoPoint)
	if len(ps) == 2 && ps[0] == point(ristrettoGenerator) {
		// The library has a larger table of the generator's multiples.
		p.e.VarTimeDoubleScalarBaseMult(ristrettoValue(s[1]), ristrettoElement(ps[1]), ristrettoValue(s[0]))
		return p
	}
	p.e.VarTimeMultiScalarMult(ristrettoOperands(s, ps))
	return p
}

func (ristretto) decodeScalar(b []byte) (scalar, bool) {
	x := new(ristrettoScalar)
	_, err := x.v.SetCanonicalBytes(b)
	return x, err == nil
}

// hashToScalar is HashToScalar of RFC 9497, 4.1: 64 bytes, little-endian.
func (ristretto) hashToScalar(msg, dst []byte) scalar {
	x := new(ristrettoScalar)
	mustRistretto(x.v.SetUniformBytes(expandSHA512(msg, dst)))
	return x
}

func (ristretto) reduce(wide []byte) scalar {
	var little [wideSize]byte
	for i, b := range wide {
		little[len(wide)-1-i] = b
	}
	x := new(ristrettoScalar)
	mustRistretto(x.v.SetUniformBytes(little[:]))
	clear(little[:])
	return x
}

// expandSHA512 is expand_message_xmd (RFC 9380, 5.3.1) to 64 bytes.
func expandSHA512(msg, dst []byte) []byte {
	return expander.NewExpanderMD(crypto.SHA512, dst).Expand(msg, wideSize)
}

// mustRistretto is for calls whose only error is a wrong number of bytes.
func mustRistretto[T any](_ T, err error) {
	if err != nil {
		panic(err)
	}
}

func ristrettoValue(s scalar) *ristretto255.Scalar { return &s.(*ristrettoScalar).v }
func ristrettoElement(p point) *ristretto255.Element {
	return &p.(*ristrettoPoint).e
}

func ristrettoOperands(s []scalar, p []point) ([]*ristretto255.Scalar, []*ristretto255.Element) {
	vs, es := make([]*ristretto255.Scalar, len(s)), make([]*ristretto255.Element, len(p))
	for i := range s {
		vs[i], es[i] = ristrettoValue(s[i]), ristrettoElement(p[i])
	}
	return vs, es
}

func (p *ristrettoPoint) add(o point) point {
	r := new(ristrettoPoint)
	r.e.Add(&p.e, ristrettoElement(o))
	return r
}

func (p *ristrettoPoint) negate() point {
	r := new(ristrettoPoint)
	r.e.Negate(&p.e)
	return r
}

func (p *ristrettoPoint) mul(s scalar) point {
	if p == ristrettoGenerator {
		return ristretto{}.mulGenerator(s)
	}
	r := new(ristrettoPoint)
	r.e.ScalarMult(ristrettoValue(s), &p.e)
	return r
}

func (p *ristrettoPoint) equal(o point) bool { return p.e.Equal(ristrettoElement(o)) == 1 }

func (p *ristrettoPoint) isIdentity() bool {
	return p.e.Equal(ristretto255.NewIdentityElement()) == 1
}

func (p *ristrettoPoint) appendTo(b []byte) []byte { return append(b, p.e.Bytes()...) }

func (x *ristrettoScalar) add(y scalar) scalar {
	r := new(ristrettoScalar)
	r.v.Add(&x.v, ristrettoValue(y))
	return r
}

func (x *ristrettoScalar) sub(y scalar) scalar {
	r := new(ristrettoScalar)
	r.v.Subtract(&x.v, ristrettoValue(y))
	return r
}

func (x *ristrettoScalar) mul(y scalar) scalar {
	r := new(ristrettoScalar)
	r.v.Multiply(&x.v, ristrettoValue(y))
	return r
}

func (x *ristrettoScalar) invert() scalar {
	r := new(ristrettoScalar)
	r.v.Invert(&x.v)
	return r
}

func (x *ristrettoScalar) equal(y scalar) bool { return x.v.Equal(ristrettoValue(y)) == 1 }

func (x *ristrettoScalar) isZero() bool {
	var zero ristretto255.Scalar
	return x.v.Equal(&zero) == 1
}

func (x *ristrettoScalar) appendTo(b []byte) []byte { return append(b, x.v.Bytes()...) }

func (x *ristrettoScalar) erase() { x.v.Zero() }
