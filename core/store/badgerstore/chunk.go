package badgerstore

import (
	"encoding/binary"

	"waxwing/core/ids"
	"waxwing/core/store"
)

// A chunk holds the messages that one commit appended to one mailbox, up to
// chunkMessages of them: a row costs far more than a message, and a relay's
// busy mailboxes get many messages per commit. Cursors are given so that the
// chunk follows from the cursor, and no search is needed:
//
//	cursor = chunk * chunkMessages + index in the chunk + 1
//
// A chunk is a sequence of records and is never changed, except that the bodies
// of what has expired, or is removed before what comes before it, are taken out:
//
//	flags 1 | length of body 4 | id 32 | expires 8, Unix seconds | body
const (
	chunkMessages = 64
	// chunkBytes is the size at which a chunk is closed, so that a Fetch of
	// few messages does not read many.
	chunkBytes   = 128 << 10
	recordHeader = 1 + 4 + 32 + 8

	flagPlain   = 1 // no serial: the message has an 'i' row
	flagRemoved = 2 // taken out; the body is empty
)

type record struct {
	flags   byte
	id      *ids.EnvelopeID // points into the chunk
	expires int64
	body    []byte // part of the chunk
}

func chunkOf(c store.Cursor) uint64 { return (uint64(c) - 1) / chunkMessages }

// firstCursor is the first cursor of a chunk.
func firstCursor(n uint64) store.Cursor { return store.Cursor(n*chunkMessages + 1) }

func appendRecord(b []byte, flags byte, id *ids.EnvelopeID, expires int64, body []byte) []byte {
	b = append(b, flags)
	b = binary.BigEndian.AppendUint32(b, uint32(len(body)))
	b = append(b, id[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(expires))
	return append(b, body...)
}

// nextRecord splits the first record from a chunk.
func nextRecord(b []byte) (r record, rest []byte, err error) {
	if len(b) < recordHeader {
		return record{}, nil, errCorrupt
	}
	n := binary.BigEndian.Uint32(b[1:])
	if n > store.MaxBody || int(n) > len(b)-recordHeader {
		return record{}, nil, errCorrupt
	}
	r = record{
		flags:   b[0],
		id:      (*ids.EnvelopeID)(b[5:37]),
		expires: int64(binary.BigEndian.Uint64(b[37:])),
		body:    b[recordHeader : recordHeader+n],
	}
	if r.flags > flagPlain|flagRemoved || r.expires < 0 || (r.flags&flagRemoved == 0) != (n > 0) {
		return record{}, nil, errCorrupt
	}
	return r, b[recordHeader+n:], nil
}
