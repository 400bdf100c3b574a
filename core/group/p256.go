package group

import (
	"crypto/subtle"
	"math/big"

	"github.com/cloudflare/circl/group"
)

// p256 is the arithmetic of P-256: point operations are those of the standard
// library, scalar operations those of math/big and not constant time.
//
// circl's values normalise themselves in place while they are being encoded,
// so every encoding is made from a copy; otherwise two goroutines that encode
// one element (the generator, which circl shares with crypto/elliptic) race.
type p256 struct{}

type p256Point struct{ e group.Element }

type p256Scalar struct{ v group.Scalar }

// p256PointSize is the size of a compressed point (SEC 1, 2.3.3).
const p256PointSize = 33

// p256Generator is shared, so that multiplications by it are recognised.
var p256Generator = &p256Point{group.P256.Generator().Copy()}

func (p256) identity() point { return &p256Point{group.P256.Identity()} }

func (p256) decodePoint(b []byte) (point, bool) {
	e := group.P256.NewElement()
	return &p256Point{e}, e.UnmarshalBinary(b) == nil
}

// hashToPoint is P256_XMD:SHA-256_SSWU_RO_ (RFC 9380, 8.2).
func (p256) hashToPoint(msg, dst []byte) point {
	return &p256Point{group.P256.HashToElement(msg, dst)}
}

func (p256) mulGenerator(s scalar) point {
	return &p256Point{group.P256.NewElement().MulGen(p256Value(s))}
}

func (p256) multiMul(s []scalar, ps []point) point {
	sum := group.P256.Identity()
	for i := range s {
		sum.Add(sum, p256Element(ps[i].mul(s[i])))
	}
	return &p256Point{sum}
}

// varTimeMultiMul has nothing faster to offer: speed is not what P-256 is for.
func (p p256) varTimeMultiMul(s []scalar, ps []point) point { return p.multiMul(s, ps) }

func (p256) decodeScalar(b []byte) (scalar, bool) {
	v := group.P256.NewScalar()
	return &p256Scalar{v}, v.UnmarshalBinary(b) == nil
}

// hashToScalar is HashToScalar of RFC 9497, 4.3: 48 bytes, big-endian.
func (p256) hashToScalar(msg, dst []byte) scalar {
	return &p256Scalar{group.P256.HashToScalar(msg, dst)}
}

func (p256) reduce(wide []byte) scalar {
	return &p256Scalar{group.P256.NewScalar().SetBigInt(new(big.Int).SetBytes(wide))}
}

func p256Value(s scalar) group.Scalar   { return s.(*p256Scalar).v }
func p256Element(p point) group.Element { return p.(*p256Point).e }

func (p *p256Point) add(o point) point {
	return &p256Point{group.P256.NewElement().Add(p.e, p256Element(o))}
}

func (p *p256Point) negate() point { return &p256Point{group.P256.NewElement().Neg(p.e)} }

func (p *p256Point) mul(s scalar) point {
	if p == p256Generator {
		return p256{}.mulGenerator(s)
	}
	return &p256Point{group.P256.NewElement().Mul(p.e, p256Value(s))}
}

func (p *p256Point) equal(o point) bool {
	return subtle.ConstantTimeCompare(p.appendTo(nil), o.appendTo(nil)) == 1
}

func (p *p256Point) isIdentity() bool { return p.e.IsIdentity() }

func (p *p256Point) appendTo(b []byte) []byte {
	if p.e.IsIdentity() {
		return append(b, make([]byte, p256PointSize)...)
	}
	enc, err := p.e.Copy().MarshalBinaryCompress()
	if err != nil {
		panic(err) // the point is on the curve
	}
	return append(b, enc...)
}

func (x *p256Scalar) add(y scalar) scalar {
	return &p256Scalar{group.P256.NewScalar().Add(x.v, p256Value(y))}
}

func (x *p256Scalar) sub(y scalar) scalar {
	return &p256Scalar{group.P256.NewScalar().Sub(x.v, p256Value(y))}
}

func (x *p256Scalar) mul(y scalar) scalar {
	return &p256Scalar{group.P256.NewScalar().Mul(x.v, p256Value(y))}
}

func (x *p256Scalar) invert() scalar { return &p256Scalar{group.P256.NewScalar().Inv(x.v)} }

func (x *p256Scalar) equal(y scalar) bool { return x.v.IsEqual(p256Value(y)) }

func (x *p256Scalar) isZero() bool { return x.v.IsZero() }

func (x *p256Scalar) appendTo(b []byte) []byte {
	enc, err := x.v.MarshalBinary()
	if err != nil {
		panic(err) // it does not fail
	}
	return append(b, enc...)
}

func (x *p256Scalar) erase() { x.v.SetUint64(0) }
