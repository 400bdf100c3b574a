package group

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"slices"
	"sync"
)

// wideSize is how many uniform bytes are reduced to a scalar where nothing
// prescribes another number: 512 bits leave a bias of 2^-256.
const wideSize = 64

// suite implements Group over the arithmetic of one group. It is the one place
// where bytes from outside become elements and scalars.
type suite struct {
	name        string
	h2c         string // hash-to-curve suite, for the second generator's DST
	elementSize int
	scalarSize  int
	arith       arithmetic
	generator   Element
	second      func() Element
}

var (
	ristretto255Suite = newSuite("ristretto255", "ristretto255_XMD:SHA-512_R255MAP_RO_", 32, ristretto{}, ristrettoGenerator)
	p256Suite         = newSuite("P256", "P256_XMD:SHA-256_SSWU_RO_", 33, p256{}, p256Generator)
)

func newSuite(name, h2c string, elementSize int, a arithmetic, generator point) *suite {
	s := &suite{name: name, h2c: h2c, elementSize: elementSize, scalarSize: 32, arith: a}
	s.generator = Element{s: s, p: generator}
	s.generator.enc = s.generator.Bytes()
	s.second = sync.OnceValue(func() Element {
		h := s.HashToElement(s.generator.Bytes(), secondGeneratorLabel+h2c)
		h.enc = h.Bytes()
		return h
	})
	return s
}

func (s *suite) closed() *suite   { return s }
func (s *suite) Name() string     { return s.name }
func (s *suite) ElementSize() int { return s.elementSize }
func (s *suite) ScalarSize() int  { return s.scalarSize }

func (s *suite) Generator() Element       { return s.generator }
func (s *suite) SecondGenerator() Element { return s.second() }
func (s *suite) Identity() Element        { return Element{s: s, p: s.arith.identity()} }

func (s *suite) DecodeElement(b []byte) (Element, error) {
	e, err := s.DecodeElementAllowIdentity(b)
	if err != nil || e.IsIdentity() {
		return Element{}, ErrDecode
	}
	return e, nil
}

func (s *suite) DecodeElementAllowIdentity(b []byte) (Element, error) {
	if len(b) != s.elementSize {
		return Element{}, ErrDecode
	}
	if allZero(b) {
		return s.Identity(), nil
	}
	p, ok := s.arith.decodePoint(b)
	// Libraries differ in what they let pass (circl takes identities and other
	// forms of a point), so the encoding is made again and compared: an element
	// has one encoding, whatever the library does in its next version.
	if !ok || p.isIdentity() || !slices.Equal(p.appendTo(nil), b) {
		return Element{}, ErrDecode
	}
	return Element{s: s, p: p, enc: slices.Clone(b)}, nil
}

func (s *suite) DecodeScalar(b []byte) (Scalar, error) {
	x, err := s.DecodeScalarAllowZero(b)
	if err != nil || x.IsZero() {
		return Scalar{}, ErrDecode
	}
	return x, nil
}

func (s *suite) DecodeScalarAllowZero(b []byte) (Scalar, error) {
	if len(b) != s.scalarSize {
		return Scalar{}, ErrDecode
	}
	v, ok := s.arith.decodeScalar(b)
	// As for elements; in constant time, since a scalar is mostly secret.
	if !ok || subtle.ConstantTimeCompare(v.appendTo(make([]byte, 0, s.scalarSize)), b) != 1 {
		return Scalar{}, ErrDecode
	}
	return Scalar{s: s, v: v}, nil
}

// checkDST panics unless dst is what RFC 9380, 3.1 asks for.
func checkDST(dst string) {
	if len(dst) == 0 || len(dst) > MaxDST {
		panic("group: domain separation tag of 0 or more than MaxDST bytes")
	}
}

func (s *suite) HashToElement(msg []byte, dst string) Element {
	checkDST(dst)
	return Element{s: s, p: s.arith.hashToPoint(msg, []byte(dst))}
}

func (s *suite) HashToScalar(msg []byte, dst string) Scalar {
	checkDST(dst)
	return Scalar{s: s, v: s.arith.hashToScalar(msg, []byte(dst))}
}

func (s *suite) RandomScalar() Scalar {
	var wide [wideSize]byte
	defer clear(wide[:])
	for {
		rand.Read(wide[:]) // does not fail
		if x := s.reduce(wide[:]); !x.IsZero() {
			return x
		}
	}
}

// reduce returns the big-endian integer in wide, at most wideSize bytes, as a
// scalar.
func (s *suite) reduce(wide []byte) Scalar { return Scalar{s: s, v: s.arith.reduce(wide)} }

func (s *suite) ScalarFromUint64(v uint64) Scalar {
	return s.reduce(binary.BigEndian.AppendUint64(nil, v))
}

func (s *suite) MulGenerator(x Scalar) Element {
	return Element{s: s, p: s.arith.mulGenerator(s.scalarOf(x))}
}

func (s *suite) MultiMul(x []Scalar, e []Element) Element {
	vs, ps := s.operands(x, e)
	if len(vs) == 1 {
		return Element{s: s, p: ps[0].mul(vs[0])}
	}
	return Element{s: s, p: s.arith.multiMul(vs, ps)}
}

func (s *suite) VarTimeMultiMul(x []Scalar, e []Element) Element {
	vs, ps := s.operands(x, e)
	return Element{s: s, p: s.arith.varTimeMultiMul(vs, ps)}
}

func (s *suite) operands(x []Scalar, e []Element) ([]scalar, []point) {
	if len(x) != len(e) {
		panic("group: as many scalars as elements are needed")
	}
	vs, ps := make([]scalar, len(x)), make([]point, len(e))
	for i := range x {
		vs[i], ps[i] = s.scalarOf(x[i]), s.pointOf(e[i])
	}
	return vs, ps
}

// scalarOf and pointOf panic for values of another group and zero values.
func (s *suite) scalarOf(x Scalar) scalar {
	if x.s != s {
		panic("group: scalar of another group, or none")
	}
	return x.v
}

func (s *suite) pointOf(e Element) point {
	if e.s != s {
		panic("group: element of another group, or none")
	}
	return e.p
}

// allZero is for encodings of elements, which are public.
func allZero(b []byte) bool {
	for _, v := range b {
		if v != 0 {
			return false
		}
	}
	return true
}
