package auditlog

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
)

// record is an entry as it is stored, integers big-endian:
//
//	version 1 = 1 | index 8 | SHA-256 of the record before 32 | entry, all that is left, at most MaxEntry
//
// The first record has zeros for the one before.
type record struct {
	index    uint64
	previous Hash
	entry    []byte
}

const (
	recordVersion = 1
	recordFixed   = 1 + 8 + HashSize
)

func (r *record) marshal() []byte {
	b := append(make([]byte, 0, recordFixed+len(r.entry)), recordVersion)
	b = binary.BigEndian.AppendUint64(b, r.index)
	return append(append(b, r.previous[:]...), r.entry...)
}

// parseRecord accepts what marshal makes and nothing else, or returns ErrRecord.
func parseRecord(b []byte) (r record, err error) {
	if len(b) < recordFixed || len(b) > recordFixed+MaxEntry || b[0] != recordVersion {
		return r, ErrRecord
	}
	r.index = binary.BigEndian.Uint64(b[1:])
	copy(r.previous[:], b[9:])
	r.entry = bytes.Clone(b[recordFixed:])
	return r, nil
}

func recordHash(raw []byte) Hash { return sha256.Sum256(raw) }

// Entry returns the entry of a stored record. The error is ErrRecord.
func Entry(raw []byte) ([]byte, error) {
	r, err := parseRecord(raw)
	return r.entry, err
}
