package group

// Element is an element of a Group. It never changes; copies are free. The
// zero value is no element.
type Element struct {
	_   notComparable
	s   *suite
	p   point
	enc []byte // the encoding that it was decoded from; nil if it was computed
	redacted
}

// of returns the element's suite, or panics for the zero value.
func (e Element) of() *suite {
	if e.s == nil {
		panic("group: zero Element")
	}
	return e.s
}

// Group returns the element's group.
func (e Element) Group() Group { return e.of() }

// IsSet reports whether e is an element and not the zero value.
func (e Element) IsSet() bool { return e.s != nil }

// Bytes returns the encoding, ElementSize bytes: RFC 9496, 4.3.2, or SEC 1
// compressed; the identity is all zeros.
func (e Element) Bytes() []byte { return e.Append(nil) }

// Append appends the encoding to b.
func (e Element) Append(b []byte) []byte {
	s := e.of()
	if e.enc != nil {
		return append(b, e.enc...)
	}
	return s.pointOf(e).appendTo(b)
}

// Equal compares in constant time.
func (e Element) Equal(o Element) bool { s := e.of(); return e.p.equal(s.pointOf(o)) }

// IsIdentity reports whether e is the neutral element.
func (e Element) IsIdentity() bool { e.of(); return e.p.isIdentity() }

// Add returns e + o.
func (e Element) Add(o Element) Element {
	s := e.of()
	return Element{s: s, p: e.p.add(s.pointOf(o))}
}

// Sub returns e - o.
func (e Element) Sub(o Element) Element {
	s := e.of()
	return Element{s: s, p: e.p.add(s.pointOf(o).negate())}
}

// Negate returns -e.
func (e Element) Negate() Element { s := e.of(); return Element{s: s, p: e.p.negate()} }

// Mul returns x*e, in constant time.
func (e Element) Mul(x Scalar) Element {
	s := e.of()
	return Element{s: s, p: e.p.mul(s.scalarOf(x))}
}
