package wire

import (
	"encoding/binary"
	"errors"
	"fmt"

	"waxwing/core/ids"
)

// ErrMalformed is wrapped by every parse failure: truncated, trailing or
// non-canonical bytes, or a length above its limit. Use errors.As with
// *FieldError to learn which field.
var ErrMalformed = errors.New("wire: malformed")

// FieldError names the field of a structure that could not be parsed or
// built. It never holds the field's value.
type FieldError struct {
	Field  string
	Reason string
}

func (e *FieldError) Error() string { return "wire: malformed: " + e.Field + ": " + e.Reason }

// Unwrap makes errors.Is(err, ErrMalformed) true.
func (e *FieldError) Unwrap() error { return ErrMalformed }

// A Schema lists its fields, in wire order, to a Codec. The one method serves
// building, parsing and documentation, so that they cannot drift apart.
//
// All integers are big-endian and of fixed width. There are no optional bytes
// and no alternative encodings: whatever parses is encoded to the same bytes.
type Schema interface {
	Fields(c *Codec)
}

type mode uint8

const (
	building mode = iota
	parsing
	describing
)

// Codec walks the fields of one structure, building or parsing it. The first
// failure sticks; fields after it are left alone.
type Codec struct {
	mode mode
	buf  []byte // building: what was built; parsing: what is left
	rows []Row  // describing
	err  error
}

// Row is one line of a structure's documented layout.
type Row struct{ Name, Size, Note string }

// Append builds s behind dst. It fails only for values that break a limit.
func Append(dst []byte, s Schema) ([]byte, error) {
	c := Codec{mode: building, buf: dst}
	s.Fields(&c)
	if c.err != nil {
		return nil, c.err
	}
	return c.buf, nil
}

// Marshal builds s.
func Marshal(s Schema) ([]byte, error) { return Append(nil, s) }

// MustMarshal builds a structure whose fields cannot break a limit, such as
// one that was parsed or one of fixed size. It panics otherwise.
func MustMarshal(s Schema) []byte {
	b, err := Marshal(s)
	if err != nil {
		panic(err)
	}
	return b
}

// Unmarshal parses exactly b into s. Slices of s do not alias b. On error s is
// in an undefined state and must not be used.
func Unmarshal(b []byte, s Schema) error {
	c := Codec{mode: parsing, buf: b}
	s.Fields(&c)
	if c.err == nil && len(c.buf) != 0 {
		c.Fail("end", "trailing bytes")
	}
	return c.err
}

// Layout returns the layout of s for the documentation.
func Layout(s Schema) []Row {
	c := Codec{mode: describing}
	s.Fields(&c)
	return c.rows
}

// Parsing reports whether the codec parses; a Fields method uses it to check
// what a field's value must be, beyond its limits.
func (c *Codec) Parsing() bool { return c.mode == parsing }

// Describing reports whether the layout is being listed: a Fields method with a
// part that is not always there lists it then.
func (c *Codec) Describing() bool { return c.mode == describing }

// Fail records a failure in a field, unless there was one before.
func (c *Codec) Fail(field, reason string) {
	if c.err == nil && c.mode != describing {
		c.err = &FieldError{field, reason}
	}
}

// Check fails the field if ok is false, when building and when parsing.
func (c *Codec) Check(ok bool, field, reason string) {
	if !ok {
		c.Fail(field, reason)
	}
}

// take removes n bytes from the front of what is left to parse.
func (c *Codec) take(field string, n int) []byte {
	if c.err != nil {
		return nil
	}
	if len(c.buf) < n {
		c.Fail(field, "truncated")
		return nil
	}
	b := c.buf[:n:n]
	c.buf = c.buf[n:]
	return b
}

func (c *Codec) row(name, size, note string) { c.rows = append(c.rows, Row{name, size, note}) }

func integer[T ~uint8 | ~uint16 | ~uint32 | ~uint64](c *Codec, field string, p *T, size int) {
	switch c.mode {
	case describing:
		c.row(field, fmt.Sprint(size), "")
	case building:
		for i := size - 1; i >= 0; i-- {
			c.buf = append(c.buf, byte(uint64(*p)>>(8*i)))
		}
	case parsing:
		var v uint64
		for _, b := range c.take(field, size) {
			v = v<<8 | uint64(b)
		}
		*p = T(v)
	}
}

// U8, U16, U32 and U64 are unsigned integers of that many bits. They take any
// type of that width, so that days, serials and codes need no conversion.
func U8[T ~uint8](c *Codec, field string, p *T)   { integer(c, field, p, 1) }
func U16[T ~uint16](c *Codec, field string, p *T) { integer(c, field, p, 2) }
func U32[T ~uint32](c *Codec, field string, p *T) { integer(c, field, p, 4) }
func U64[T ~uint64](c *Codec, field string, p *T) { integer(c, field, p, 8) }

// Bool is one byte, 0 or 1.
func (c *Codec) Bool(field string, p *bool) {
	var v uint8
	if *p {
		v = 1
	}
	U8(c, field, &v)
	c.Check(v <= 1, field, "not 0 or 1")
	*p = v == 1
}

// Const is one byte that has exactly one allowed value, such as a version.
func (c *Codec) Const(field string, want uint8) {
	v := want
	if c.mode == describing {
		c.row(field, "1", fmt.Sprintf("always %d", want))
		return
	}
	U8(c, field, &v)
	c.Check(v == want, field, "unknown value")
}

// Fixed is len(p) bytes.
func (c *Codec) Fixed(field string, p []byte) {
	switch c.mode {
	case describing:
		c.row(field, fmt.Sprint(len(p)), "")
	case building:
		c.buf = append(c.buf, p...)
	case parsing:
		copy(p, c.take(field, len(p)))
	}
}

// Exact is a slice of exactly n bytes, without a length prefix.
func (c *Codec) Exact(field string, p *[]byte, n int) {
	switch c.mode {
	case describing:
		c.row(field, fmt.Sprint(n), "")
	case building:
		c.Check(len(*p) == n, field, "wrong length")
		c.buf = append(c.buf, *p...)
	case parsing:
		*p = append([]byte(nil), c.take(field, n)...)
	}
}

// Bytes is a length of 4 bytes and that many bytes, at most limit.
func (c *Codec) Bytes(field string, p *[]byte, limit int) {
	if c.mode == describing {
		c.row(field, fmt.Sprintf("4 + up to %d", limit), "length first")
		return
	}
	n := c.length(field, len(*p), limit)
	if c.mode == building {
		c.buf = append(c.buf, *p...)
	} else {
		*p = append([]byte(nil), c.take(field, n)...)
	}
}

// String is Bytes holding text. The caller checks what the text must be.
func (c *Codec) String(field string, p *string, limit int) {
	b := []byte(*p)
	c.Bytes(field, &b, limit)
	*p = string(b)
}

// Rest is all bytes that are left, at most limit; it must be the last field.
func (c *Codec) Rest(field string, p *[]byte, limit int) {
	switch c.mode {
	case describing:
		c.row(field, fmt.Sprintf("up to %d", limit), "all that is left")
	case building:
		c.Check(len(*p) <= limit, field, "too long")
		c.buf = append(c.buf, *p...)
	case parsing:
		c.Check(len(c.buf) <= limit, field, "too long")
		*p = append([]byte(nil), c.take(field, len(c.buf))...)
	}
}

// Padding fills the structure with zero bytes up to total bytes counted from
// its start, which begins at offset start of the building buffer. When parsing
// it takes all that is left, which must be zero.
func (c *Codec) Padding(field string) {
	switch c.mode {
	case describing:
		c.row(field, "rest", "all zero")
	case building: // the caller pads: it alone knows the total
	case parsing:
		var or byte
		for _, b := range c.take(field, len(c.buf)) {
			or |= b
		}
		c.Check(or == 0, field, "not zero")
	}
}

// MarshalPadded builds s and fills it with zero bytes to exactly total bytes.
// The structure's last field must be Padding.
func MarshalPadded(s Schema, total int) ([]byte, error) {
	b, err := Append(make([]byte, 0, total), s)
	if err != nil {
		return nil, err
	}
	if len(b) > total {
		return nil, &FieldError{"padding", "does not fit"}
	}
	return b[:total], nil
}

func (c *Codec) length(field string, have, limit int) int {
	n := uint32(have)
	if c.mode == building && have > limit {
		c.Fail(field, "too long")
	}
	U32(c, field, &n)
	if uint64(n) > uint64(limit) {
		c.Fail(field, "too long")
		return 0
	}
	return int(n)
}

// List is a count of 2 bytes and that many elements, at most limit.
func List[T any](c *Codec, field string, p *[]T, limit int, element func(*Codec, *T)) {
	if c.mode == describing {
		sub := Codec{mode: describing}
		element(&sub, new(T))
		c.row(field, fmt.Sprintf("2 + up to %d elements", limit), "count first; each element:")
		for _, r := range sub.rows {
			c.row(field+"[]."+r.Name, r.Size, r.Note)
		}
		return
	}
	n := uint16(min(len(*p), 1<<16-1))
	if c.mode == building && len(*p) > limit {
		c.Fail(field, "too many")
	}
	U16(c, field, &n)
	c.Check(int(n) <= limit, field, "too many")
	if c.err != nil {
		return
	}
	if c.mode == parsing {
		*p = nil
	}
	for i := range int(n) {
		if c.err != nil {
			return
		}
		if c.mode == parsing {
			var e T
			element(c, &e)
			*p = append(*p, e)
		} else {
			element(c, &(*p)[i])
		}
	}
}

// Nested writes the fields of s in place, their names prefixed.
func (c *Codec) Nested(field string, s Schema) {
	if c.mode == describing {
		for _, r := range Layout(s) {
			c.row(field+"."+r.Name, r.Size, r.Note)
		}
		return
	}
	s.Fields(c)
}

// Address is a canonical address (ids.ParseAddress).
func (c *Codec) Address(field string, p *ids.Address) {
	s := p.String()
	c.short(field, &s, ids.MaxAddress)
	if c.mode == describing || c.err != nil {
		return
	}
	a, err := ids.ParseAddress(s)
	if err != nil || a.String() != s {
		c.Fail(field, "not a canonical address")
		return
	}
	*p = a
}

// Domain is a canonical provider domain (ids.ParseDomain).
func (c *Codec) Domain(field string, p *ids.Domain) {
	s := p.String()
	c.short(field, &s, ids.MaxDomain)
	if c.mode == describing || c.err != nil {
		return
	}
	d, err := ids.ParseDomain(s)
	if err != nil || d.String() != s {
		c.Fail(field, "not a canonical domain")
		return
	}
	*p = d
}

// short is text behind a length of one byte.
func (c *Codec) short(field string, p *string, limit int) {
	if c.mode == describing {
		c.row(field, fmt.Sprintf("1 + up to %d", limit), "length first, canonical text")
		return
	}
	n := uint8(min(len(*p), 255))
	if c.mode == building && len(*p) > limit {
		c.Fail(field, "too long")
	}
	U8(c, field, &n)
	c.Check(int(n) <= limit, field, "too long")
	if c.mode == building {
		c.buf = append(c.buf, *p...)
	} else {
		*p = string(c.take(field, int(n)))
	}
}

// AppendPrefixed appends b behind its length in 4 bytes: how a field of
// variable length enters a hash or a MAC.
func AppendPrefixed(dst, b []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(b)))
	return append(dst, b...)
}
