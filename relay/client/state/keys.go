package state

import "encoding/binary"

// ContactID numbers the contacts of a profile, from 1. It is never reused.
type ContactID uint32

// Position numbers the messages of a profile, from 1, in the order in which
// they became durable here. It is never reused.
type Position uint64

// Single is the key of a table with one record.
var Single = []byte{0}

// U32 is a key of 4 bytes, big-endian, so that keys sort as numbers do.
func U32[T ~uint32](v T) []byte { return binary.BigEndian.AppendUint32(nil, uint32(v)) }

// U64 is a key of 8 bytes.
func U64[T ~uint64](v T) []byte { return binary.BigEndian.AppendUint64(nil, uint64(v)) }

// OfContact is a key in a table whose rows belong to contacts.
func OfContact(id ContactID, rest []byte) []byte {
	b := make([]byte, 0, 4+len(rest))
	return append(binary.BigEndian.AppendUint32(b, uint32(id)), rest...)
}

// Rest returns what stands behind the first 4 bytes of a key.
func Rest(key []byte) []byte { return key[min(4, len(key)):] }

// ParseU32 and ParseU64 read the first bytes of a key; zero if it is too short.
func ParseU32(key []byte) uint32 {
	if len(key) < 4 {
		return 0
	}
	return binary.BigEndian.Uint32(key)
}

// ParseU64 reads 8 bytes.
func ParseU64(key []byte) uint64 {
	if len(key) < 8 {
		return 0
	}
	return binary.BigEndian.Uint64(key)
}
