package devicesync

import (
	"waxwing/core/keys"
	"waxwing/core/wire"
)

// Part is a piece of a record.
type Part struct {
	Record uint64 // its number in the sender's stream
	Index  uint16 // of this piece, from 0
	Last   bool   // the record ends with it
	Bytes  []byte
	keys.Redacted
}

// Batch is what one delivery to the other devices carries.
type Batch struct {
	Parts []Part
	keys.Redacted
}

// Marshal builds the batch. Errors wrap wire.ErrMalformed.
func (b *Batch) Marshal() ([]byte, error) { return wire.Marshal(b) }

// ParseBatch parses a batch. Errors wrap wire.ErrMalformed.
func ParseBatch(raw []byte) (*Batch, error) {
	b := new(Batch)
	if err := wire.Unmarshal(raw, b); err != nil {
		return nil, err
	}
	return b, nil
}

// Record is an item in the queue, as Marshal built it.
type Record struct {
	Number uint64
	Bytes  []byte
	keys.Redacted
}

// Cursor says how much of the first record in the queue has been put into
// batches. The zero value: nothing.
type Cursor struct {
	Index  uint16 // pieces
	Offset uint32 // bytes
}

// Split fills a batch of at most room bytes with records from a cursor in the
// first of them on. It returns the cursor behind the batch and how many of the
// records are in batches whole; the cursor is in the first after these. The
// batch may be empty. The caller stores cursor, queue and sealed batch together.
func Split(queue []Record, from Cursor, room int) (*Batch, Cursor, int) {
	b := new(Batch)
	left, done := room-batchFixed, 0
	for done < len(queue) && len(b.Parts) < MaxParts {
		r := &queue[done]
		rest := r.Bytes[min(int(from.Offset), len(r.Bytes)):]
		n := min(len(rest), left-partFixed, MaxPart)
		if n <= 0 || n < len(rest) && n < MinPart {
			break
		}
		p := Part{Record: r.Number, Index: from.Index, Last: n == len(rest), Bytes: rest[:n:n]}
		b.Parts = append(b.Parts, p)
		left -= partFixed + n
		if p.Last {
			from, done = Cursor{}, done+1
		} else {
			from = Cursor{from.Index + 1, from.Offset + uint32(n)}
		}
	}
	return b, from, done
}

// MinRoom is the room that every batch has at least: a batch that can carry a
// piece of any record, so that the queue always moves.
const MinRoom = batchFixed + partFixed + MinPart

// Assembly is the record of one sending device of which some parts have come,
// and no other: parts of a record follow each other. Its zero value has none.
type Assembly struct {
	Record uint64 // with Next zero, one that was dropped
	Next   uint16
	Bytes  []byte
	keys.Redacted
}

// Fields lists the layout, for the caller's store.
func (a *Assembly) Fields(c *wire.Codec) {
	c.Const("version", formatVersion)
	wire.U64(c, "record", &a.Record)
	wire.U16(c, "next", &a.Next)
	c.Bytes("bytes", &a.Bytes, MaxRecord)
}

// Take takes a batch and returns the records that are whole now, in the order in
// which they ended, and how many were dropped because a part of them is missing
// or they are too long. The caller stores the assembly together with what the
// records made.
func (a *Assembly) Take(b *Batch) (whole [][]byte, dropped int) {
	for i := range b.Parts {
		p := &b.Parts[i]
		follows := a.Next > 0 && p.Record == a.Record && p.Index == a.Next
		if a.Next > 0 && !follows {
			a.drop()
			dropped++
		}
		switch {
		case !follows && p.Index != 0: // what is before it is missing
			if p.Record != a.Record {
				a.Record = p.Record
				dropped++
			}
			continue
		case len(a.Bytes)+len(p.Bytes) > MaxRecord:
			a.drop()
			dropped++
			continue
		}
		a.Record, a.Next = p.Record, p.Index+1
		a.Bytes = append(a.Bytes, p.Bytes...)
		if p.Last {
			whole = append(whole, a.Bytes)
			*a = Assembly{}
		}
	}
	return whole, dropped
}

// drop forgets the record, but for its number: its other parts are not counted
// again.
func (a *Assembly) drop() {
	clear(a.Bytes)
	*a = Assembly{Record: a.Record}
}

// Empty reports whether there is nothing to store.
func (a *Assembly) Empty() bool { return a.Record == 0 }
