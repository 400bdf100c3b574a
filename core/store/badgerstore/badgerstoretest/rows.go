package badgerstoretest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// Field is one field of a row. Those of lists have [] in their names and come
// once for each element.
type Field struct {
	Name  string
	Bytes []byte
}

// Row is a row cut into fields.
type Row struct {
	Kind   string // head, chunk, id, mark, spent, set, pool, item, document, log, entry, scratch, engine NAME
	Fields []Field
}

// Get returns a field, nil if there is none.
func (r *Row) Get(name string) []byte {
	i := slices.IndexFunc(r.Fields, func(f Field) bool { return f.Name == name })
	if i < 0 {
		return nil
	}
	return r.Fields[i].Bytes
}

// ErrLayout says that a row is not as rows.go of badgerstore has it.
var ErrLayout = errors.New("badgerstoretest: row of no known layout")

// cutter takes fields off the front.
type cutter struct {
	row *Row
	b   []byte
	bad bool
}

func (c *cutter) take(name string, n int) []byte {
	if c.bad || n < 0 || len(c.b) < n {
		c.bad = true
		return nil
	}
	f := c.b[:n:n]
	c.b = c.b[n:]
	c.row.Fields = append(c.row.Fields, Field{name, f})
	return f
}

func (c *cutter) number(name string, n int) (v uint64) {
	for _, b := range c.take(name, n) {
		v = v<<8 | uint64(b)
	}
	return v
}

func (c *cutter) rest(name string) { c.take(name, len(c.b)) }

func (c *cutter) want(ok bool) { c.bad = c.bad || !ok }

func (c *cutter) more() bool { return !c.bad && len(c.b) > 0 }

// Parse cuts a row. A row that is gone has only its key's fields.
func Parse(raw Raw) (*Row, error) {
	if len(raw.Key) == 0 {
		return nil, ErrLayout
	}
	tag := raw.Key[0]
	l, ok := layouts[tag]
	if !ok {
		return nil, fmt.Errorf("%w: tag %q", ErrLayout, tag)
	}
	r := &Row{Kind: l.kind}
	k := &cutter{row: r, b: raw.Key[1:]}
	v := &cutter{row: r, b: raw.Value}
	if tag == 'c' {
		engine(r, k, v, raw.Gone)
	} else {
		l.key(k)
		if !raw.Gone {
			l.value(v)
		}
	}
	if k.bad || v.bad || len(k.b) > 0 || len(v.b) > 0 {
		return nil, fmt.Errorf("%w: %s", ErrLayout, r.Kind)
	}
	return r, nil
}

type layout struct {
	kind       string
	key, value func(*cutter)
}

var layouts = map[byte]layout{
	'c': {kind: "engine"},
	'h': {"head", func(k *cutter) { k.take("mailbox", 16) }, head},
	'm': {"chunk", func(k *cutter) { k.take("mailbox", 16); k.take("chunk", 8) }, chunk},
	'i': {"id", func(k *cutter) { k.take("fingerprint", 12) }, func(v *cutter) { v.take("cursor", 8) }},
	'e': {"mark", func(k *cutter) { k.take("hour", 4); k.take("mailbox", 16) }, func(v *cutter) { v.want(v.number("one", 1) == 1) }},
	'x': {"spent", func(k *cutter) { k.take("last day", 4); k.take("set", 4); k.take("fingerprint", 12) }, spent},
	's': {"set", func(k *cutter) { k.take("id", 32) }, func(v *cutter) { v.take("number", 4); v.take("end", 8) }},
	'p': {"pool", func(k *cutter) { k.rest("key") }, pool},
	'q': {"item", numbered, func(v *cutter) { v.rest("body") }},
	'd': {"document", func(k *cutter) { k.rest("key") }, func(v *cutter) { v.take("version", 8); v.rest("value") }},
	'l': {"log", func(k *cutter) { k.rest("key") }, func(v *cutter) { v.take("size", 8) }},
	'n': {"entry", numbered, func(v *cutter) { v.want(v.number("zero", 1) == 0); v.rest("entry") }},
	'y': {"scratch", scratchKey, func(v *cutter) { v.rest("noise") }},
}

// engine is the rows of the engine itself, by their names.
func engine(r *Row, k, v *cutter, gone bool) {
	name := string(k.b)
	k.b = nil
	r.Kind += " " + name
	if gone {
		return
	}
	switch name {
	case "f":
		v.take("format", 1)
		v.take("token salt", 16)
		v.take("claimant salt", 16)
	case "v":
		v.take("version", 8)
	case "d":
		v.take("day", 4)
	case "s":
		v.take("number", 4)
	default:
		k.bad = true
	}
}

func head(v *cutter) {
	v.take("oldest", 8)
	v.take("last", 8)
	v.take("messages", 4)
	v.take("bytes", 8)
	v.take("soonest", 8)
	v.take("mark", 4)
	for range v.number("readers", 1) {
		v.take("readers[].id", 4)
		v.take("readers[].acked", 8)
	}
}

func chunk(v *cutter) {
	v.want(len(v.b) > 0)
	for v.more() {
		v.want(v.number("records[].flags", 1) <= 3)
		n := v.number("records[].length", 4)
		v.take("records[].id", 32)
		v.take("records[].expires", 8)
		v.take("records[].body", int(n))
	}
}

// spent has 8 bytes of the claimant's fingerprint, or a zero for a serial that
// was struck.
func spent(v *cutter) {
	if len(v.b) == 1 {
		v.want(v.number("struck", 1) == 0)
		return
	}
	v.take("claimant", 8)
}

func pool(v *cutter) {
	v.take("taken", 8)
	v.take("size", 2)
	for range v.number("claims", 2) {
		v.take("claims[].claimant", 32)
		v.take("claims[].time", 8)
		v.take("claims[].item", 8)
	}
}

func numbered(k *cutter) {
	n := k.number("length", 1)
	k.take("key", int(n))
	k.take("number", 8)
}

// scratchKey is a kind, a slot and zeros up to the length of the key that it
// stands for.
func scratchKey(k *cutter) {
	k.take("kind", 1)
	k.take("slot", 2)
	var or byte
	for _, b := range k.b {
		or |= b
	}
	k.want(or == 0)
	k.b = nil
}

// Number reads an integer field.
func Number(b []byte) uint64 {
	var full [8]byte
	if len(b) > 8 {
		return 0
	}
	copy(full[8-len(b):], b)
	return binary.BigEndian.Uint64(full[:])
}
