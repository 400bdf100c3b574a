package group

// Group is one of the two groups of this package; it is closed. Its methods
// are safe for concurrent use, and so are those of its elements and scalars
// (Scalar.Erase excepted), which never change.
//
// Mixing values of two groups, or using the zero Element or Scalar, is a fault
// of the program and panics; input of a peer cannot cause it.
type Group interface {
	// Name returns the group's name: "ristretto255" or "P256". It is part of
	// every transcript.
	Name() string
	// ElementSize is the size of every encoded element, in bytes: 32 or 33.
	ElementSize() int
	// ScalarSize is the size of every encoded scalar, in bytes: 32.
	ScalarSize() int

	// Generator returns the standard generator G (RFC 9496, 4; SEC 2, 2.4.2).
	Generator() Element
	// SecondGenerator returns H = HashToElement(encoding of G), whose logarithm
	// to the base G nobody knows.
	SecondGenerator() Element
	// Identity returns the neutral element.
	Identity() Element

	// DecodeElement accepts the one encoding of an element other than the
	// identity, else ErrDecode.
	DecodeElement(b []byte) (Element, error)
	// DecodeElementAllowIdentity accepts the identity as well: all bytes zero
	// (for P-256 that encoding is this package's own; SEC 1's is one byte long).
	DecodeElementAllowIdentity(b []byte) (Element, error)
	// DecodeScalar accepts the one encoding of a scalar between 1 and the
	// order minus 1, else ErrDecode.
	DecodeScalar(b []byte) (Scalar, error)
	// DecodeScalarAllowZero accepts zero as well.
	DecodeScalarAllowZero(b []byte) (Scalar, error)

	// HashToElement maps msg to an element of unknown logarithm (RFC 9380):
	// ristretto255_XMD:SHA-512_R255MAP_RO_ or P256_XMD:SHA-256_SSWU_RO_. dst
	// separates uses from each other; it is a constant of the program, 1 to
	// MaxDST bytes, and panics otherwise.
	HashToElement(msg []byte, dst string) Element
	// HashToScalar maps msg to a scalar as RFC 9497, 4.1 and 4.3 do. dst as for
	// HashToElement.
	HashToScalar(msg []byte, dst string) Scalar
	// RandomScalar draws a scalar other than zero from crypto/rand.
	RandomScalar() Scalar
	// ScalarFromUint64 returns v as a scalar.
	ScalarFromUint64(v uint64) Scalar

	// MulGenerator returns s*G, in constant time.
	MulGenerator(s Scalar) Element
	// MultiMul returns the sum of s[i]*e[i], in time that depends on the number
	// of terms only. Slices of different lengths panic.
	MultiMul(s []Scalar, e []Element) Element
	// VarTimeMultiMul returns the same, faster, in time that depends on the
	// values: for public ones only.
	VarTimeMultiMul(s []Scalar, e []Element) Element

	// closed gives the package's own code the implementation, and nobody else
	// an implementation to write.
	closed() *suite
}

// Ristretto255 returns the group ristretto255 (RFC 9496), which everything in
// production uses.
func Ristretto255() Group { return ristretto255Suite }

// P256 returns the group of NIST P-256, for conformance with ARC's published
// vectors. Its scalar arithmetic is not constant time.
func P256() Group { return p256Suite }

// arithmetic is what a group brings: the operations of its library behind two
// immutable types. Whether an input is acceptable is not its concern beyond
// having decoded it; suite decides.
type arithmetic interface {
	identity() point
	// decodePoint refuses what is not on the curve; the input has the right
	// length and is not all zero.
	decodePoint(b []byte) (point, bool)
	hashToPoint(msg, dst []byte) point
	mulGenerator(s scalar) point
	multiMul(s []scalar, p []point) point
	varTimeMultiMul(s []scalar, p []point) point

	// decodeScalar refuses what is not reduced; the input has the right length.
	decodeScalar(b []byte) (scalar, bool)
	hashToScalar(msg, dst []byte) scalar
	// reduce takes a big-endian integer of at most wideSize bytes.
	reduce(wide []byte) scalar
}

// point is an element as its library has it. Operands are of the same group.
type point interface {
	add(point) point
	negate() point
	mul(scalar) point
	equal(point) bool // constant time
	isIdentity() bool
	appendTo(b []byte) []byte // the identity as zeros
}

// scalar is a scalar as its library has it. Operands are of the same group.
type scalar interface {
	add(scalar) scalar
	sub(scalar) scalar
	mul(scalar) scalar
	invert() scalar // of a scalar other than zero
	equal(scalar) bool
	isZero() bool
	appendTo(b []byte) []byte
	erase()
}
