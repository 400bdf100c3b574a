package badgerstore

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math"

	"waxwing/core/ids"
	"waxwing/core/store"
)

// Rows. The first byte of a key says what the row is; integers are big-endian,
// so that keys sort as numbers do.
//
//	tag | rest of the key                       | value
//	----+---------------------------------------+---------------------------------------------
//	'c' | name                                  | of the engine: format, salts, counters
//	'h' | mailbox 16                            | head, see heads.go
//	'm' | mailbox 16, chunk 8                   | chunk of messages, see chunk.go
//	'i' | fingerprint(mailbox, id) 12           | cursor 8 of a kept message without a serial
//	'e' | hour 4, mailbox 16                    | 1: sweep the mailbox in that hour
//	'x' | last day 4, set 4, fingerprint 12     | fingerprint of the claimant 8, or 0 1: struck
//	's' | set id 32                             | set number 4, end in Unix nanoseconds 8
//	'p' | pool key                              | pool, see pools.go
//	'q' | length of pool key 1, pool key, id 8  | an item's body
//	'd' | document key                          | version 8, value
//	'l' | log key                               | size 8
//	'n' | length of log key 1, log key, index 8 | 0 1, entry
//	'y' | kind 1, slot 2, zeros                 | scratch, see scratch.go
//
// Those of 'h', 'm', 'i', 'e', 'x' and 'y' go through the journal (journal.go).
//
// A spent row ('x') takes part in the budget of 40 bytes per spent ticket, so
// it holds fingerprints under secret salts of this engine: 12 bytes of token,
// 8 of claimant. Serials are set 0, with the mailbox and number as the token.
// Two honest tokens of one day collide with probability 2^-97 per pair. Without
// the salt nobody can search for a token or claimant that collides, so a try
// costs a submission and succeeds with probability 2^-64. Whoever has read the
// salt from the disk could find two claimants with one fingerprint in 2^32
// steps, and then spend one token of a set twice; for a serial nothing is
// gained even then, because a second append under the same claimant is a
// Duplicate and appends nothing.
const (
	tagEngine  = 'c'
	tagHead    = 'h'
	tagChunk   = 'm'
	tagID      = 'i'
	tagMark    = 'e'
	tagSpent   = 'x'
	tagSet     = 's'
	tagPool    = 'p'
	tagItem    = 'q'
	tagDoc     = 'd'
	tagLog     = 'l'
	tagEntry   = 'n'
	tagScratch = 'y'
)

const (
	tokenSize    = 12
	claimantSize = 8
	saltSize     = 16
	serialSet    = 0 // number of the set of all serials
)

// format is the version of this layout; another one is refused.
const format = 2

var (
	keyFormat  = []byte{tagEngine, 'f'} // format 1, token salt 16, claimant salt 16
	keyVersion = []byte{tagEngine, 'v'} // last version given to a document 8
	keyFloor   = []byte{tagEngine, 'd'} // day 4: spent rows of days before it are gone
	keySets    = []byte{tagEngine, 's'} // last number given to a set 4
)

// errCorrupt: a row on the disk is not what this engine writes.
var errCorrupt = errors.New("badgerstore: a row is malformed")

// salts make the fingerprints of one engine; fixed when it is created.
type salts struct{ token, claimant [saltSize]byte }

// tokenOf returns the fingerprint of a token, or of the parts of one, which
// have a fixed length for each kind of row.
func (s *salts) tokenOf(kind byte, a, b []byte) (f [tokenSize]byte) {
	var buf [saltSize + 1 + 48]byte
	n := copy(buf[:], s.token[:])
	buf[n] = kind
	n++
	n += copy(buf[n:], a)
	n += copy(buf[n:], b)
	h := sha256.Sum256(buf[:n])
	return [tokenSize]byte(h[:])
}

func (s *salts) claimantOf(c *[32]byte) (f [claimantSize]byte) {
	var buf [saltSize + 32]byte
	n := copy(buf[:], s.claimant[:])
	copy(buf[n:], c[:])
	h := sha256.Sum256(buf[:])
	return [claimantSize]byte(h[:])
}

const (
	headKeySize  = 1 + 16
	chunkKeySize = 1 + 16 + 8
	markKeySize  = 1 + 4 + 16
	spentKeySize = 1 + 4 + 4 + tokenSize
)

func spentKey(lastDay ids.Day, set uint32, token [tokenSize]byte) []byte {
	k := make([]byte, 0, spentKeySize)
	k = append(k, tagSpent)
	k = binary.BigEndian.AppendUint32(k, uint32(lastDay))
	k = binary.BigEndian.AppendUint32(k, set)
	return append(k, token[:]...)
}

// lastDay is the last day on which the fate of a serial is known. Far days are
// cut off at the largest, which is in the year 11 million.
func lastDay(s store.Serial) ids.Day {
	return ids.Day(min(uint64(s.Day)+store.SerialMemory, math.MaxUint32))
}

func (s *salts) serialKey(mailbox *ids.MailboxID, serial store.Serial) []byte {
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], serial.N)
	return spentKey(lastDay(serial), serialSet, s.tokenOf(tagSpent, mailbox[:], n[:]))
}

func (s *salts) idKey(mailbox *ids.MailboxID, id *ids.EnvelopeID) []byte {
	f := s.tokenOf(tagID, mailbox[:], id[:])
	return append(append(make([]byte, 0, 1+tokenSize), tagID), f[:]...)
}

func headKey(mailbox *ids.MailboxID) []byte {
	return append(append(make([]byte, 0, headKeySize), tagHead), mailbox[:]...)
}

func chunkKey(mailbox *ids.MailboxID, n uint64) []byte {
	k := append(append(make([]byte, 0, chunkKeySize), tagChunk), mailbox[:]...)
	return binary.BigEndian.AppendUint64(k, n)
}

// chunkKeyString is chunkKey for a map, and for the journal.
func chunkKeyString(mailbox *ids.MailboxID, n uint64) string {
	var k [chunkKeySize]byte
	k[0] = tagChunk
	copy(k[1:], mailbox[:])
	binary.BigEndian.PutUint64(k[headKeySize:], n)
	return string(k[:])
}

func chunkOfKey(k string) (ids.MailboxID, uint64) {
	var b [chunkKeySize]byte
	copy(b[:], k)
	return ids.MailboxID(b[1:headKeySize]), binary.BigEndian.Uint64(b[headKeySize:])
}

func markKey(hour ids.Hour, mailbox *ids.MailboxID) []byte {
	k := binary.BigEndian.AppendUint32(append(make([]byte, 0, markKeySize), tagMark), uint32(hour))
	return append(k, mailbox[:]...)
}

func setKey(id *store.SetID) []byte {
	return append([]byte{tagSet}, id[:]...)
}

func plainKey(tag byte, key store.Key) []byte {
	return append([]byte{tag}, key...)
}

func numberedKey(tag byte, key store.Key, n uint64) []byte {
	k := append([]byte{tag, byte(len(key))}, key...)
	return binary.BigEndian.AppendUint64(k, n)
}

func u64(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func u32(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }
