package group

// Scalar is an integer modulo the order of a Group: a secret key, a blinding, a
// challenge. It never changes except by Erase; copies share the memory that
// Erase overwrites. It prints redacted. The zero value is no scalar (not 0).
type Scalar struct {
	_ notComparable
	s *suite
	v scalar
	redacted
}

// of returns the scalar's suite, or panics for the zero value.
func (x Scalar) of() *suite {
	if x.s == nil {
		panic("group: zero Scalar")
	}
	return x.s
}

// Group returns the scalar's group.
func (x Scalar) Group() Group { return x.of() }

// IsSet reports whether x is a scalar and not the zero value.
func (x Scalar) IsSet() bool { return x.s != nil }

// Bytes returns the encoding, ScalarSize bytes: little-endian for ristretto255
// (RFC 9496, 4.4), big-endian for P-256 (SEC 1, 2.3.7).
func (x Scalar) Bytes() []byte { return x.Append(nil) }

// Append appends the encoding to b.
func (x Scalar) Append(b []byte) []byte { x.of(); return x.v.appendTo(b) }

// Equal compares in constant time.
func (x Scalar) Equal(y Scalar) bool { s := x.of(); return x.v.equal(s.scalarOf(y)) }

// IsZero reports whether x is 0.
func (x Scalar) IsZero() bool { x.of(); return x.v.isZero() }

// Add returns x + y.
func (x Scalar) Add(y Scalar) Scalar { s := x.of(); return Scalar{s: s, v: x.v.add(s.scalarOf(y))} }

// Sub returns x - y.
func (x Scalar) Sub(y Scalar) Scalar { s := x.of(); return Scalar{s: s, v: x.v.sub(s.scalarOf(y))} }

// Mul returns x * y.
func (x Scalar) Mul(y Scalar) Scalar { s := x.of(); return Scalar{s: s, v: x.v.mul(s.scalarOf(y))} }

// Negate returns -x.
func (x Scalar) Negate() Scalar { return x.of().ScalarFromUint64(0).Sub(x) }

// Invert returns 1/x, or ErrZero.
func (x Scalar) Invert() (Scalar, error) {
	if x.IsZero() {
		return Scalar{}, ErrZero
	}
	return Scalar{s: x.s, v: x.v.invert()}, nil
}

// Erase overwrites the scalar with 0, in every copy of it. Nothing may use it
// at the same time.
func (x Scalar) Erase() {
	if x.s != nil {
		x.v.erase()
	}
}
