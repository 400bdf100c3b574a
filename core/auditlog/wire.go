package auditlog

import (
	"crypto/sha256"

	"waxwing/core/wire"
)

// record is an entry as it is stored: version 1 | index 8 | SHA-256 of the
// record before 32 | entry, all that is left. The first record has zeros for
// the one before.
type record struct {
	index    uint64
	previous Hash
	entry    []byte
}

const recordVersion = 1

// Fields lists the layout.
func (r *record) Fields(c *wire.Codec) {
	c.Const("version", recordVersion)
	wire.U64(c, "index", &r.index)
	c.Fixed("previous", r.previous[:])
	c.Rest("entry", &r.entry, MaxEntry)
}

func recordHash(raw []byte) Hash { return sha256.Sum256(raw) }

// Layout returns the layout of a record for the documentation.
func Layout() []wire.Row { return wire.Layout(new(record)) }

// Entry returns the entry of a stored record. Errors wrap wire.ErrMalformed.
func Entry(raw []byte) ([]byte, error) {
	var r record
	if err := wire.Unmarshal(raw, &r); err != nil {
		return nil, err
	}
	return r.entry, nil
}
