package badgerstore

import (
	"encoding/binary"
	"math/bits"
)

// A sieve tells most keys that were never added from those that were: one that
// was added always passes, another one in about 500 does. It is a sequence of
// blocked Bloom filters (Putze, Sanders, Singler, "Cache-, Hash- and
// Space-Efficient Bloom Filters", 2007), each larger than the one before, so
// that it need not know how many keys will come. Keys are salted fingerprints
// (rows.go), so nobody can search for those that pass, and their bits are the
// hash values.
type sieve struct {
	layers []layer
	bytes  int
}

const (
	// bitsPerKey and probes make one key in about 500 pass by chance in a full
	// layer; each such key costs one look-up.
	bitsPerKey = 16
	probes     = 6
	blockWords = 8 // 64 bytes: a key touches one line of the processor's cache
	// firstLayer is the number of keys of the first layer, 8 KiB; each later
	// one holds layerGrowth times as many, up to maxLayer keys, 8 MiB.
	firstLayer  = 1 << 12
	layerGrowth = 4
	maxLayer    = 1 << 22
)

type layer struct {
	words []uint64
	room  int // keys that may still be added
}

func newLayer(keys int) layer {
	return layer{words: make([]uint64, keys*bitsPerKey/64), room: keys}
}

func (l *layer) size() int { return 8 * len(l.words) }

// hashed is where a key's bits are.
type hashed struct {
	block uint64 // the block, as a fraction of 2^64
	bits  uint64 // probes times 9 bits
}

// hashOf takes the fingerprint at the end of a row's key. What stands before
// the fingerprint is mixed in where two rows can share it.
func hashOf(key []byte, mix uint32) hashed {
	f := key[len(key)-tokenSize:]
	first := binary.LittleEndian.Uint64(f) + uint64(mix)*0x9e3779b97f4a7c15 // 2^64 divided by the golden ratio
	return hashed{first, first<<32 | uint64(binary.LittleEndian.Uint32(f[8:]))}
}

func (l *layer) blockOf(h hashed) []uint64 {
	n, _ := bits.Mul64(h.block, uint64(len(l.words)/blockWords))
	return l.words[n*blockWords:][:blockWords:blockWords]
}

func (l *layer) add(h hashed) {
	block := l.blockOf(h)
	for b, n := h.bits, 0; n < probes; n, b = n+1, b>>9 {
		block[b>>6&7] |= 1 << (b & 63)
	}
	l.room--
}

func (l *layer) has(h hashed) bool {
	block := l.blockOf(h)
	for b, n := h.bits, 0; n < probes; n, b = n+1, b>>9 {
		if block[b>>6&7]&(1<<(b&63)) == 0 {
			return false
		}
	}
	return true
}

// add adds a key, if the sieve need not grow beyond maxBytes for it; false if
// it would have to.
func (s *sieve) add(h hashed, maxBytes int) bool {
	if n := len(s.layers); n == 0 || s.layers[n-1].room == 0 {
		keys := firstLayer
		for range min(n, 16) {
			keys = min(keys*layerGrowth, maxLayer)
		}
		if s.bytes+keys*bitsPerKey/8 > maxBytes {
			return false
		}
		s.layers = append(s.layers, newLayer(keys))
		s.bytes += s.layers[n].size()
	}
	s.layers[len(s.layers)-1].add(h)
	return true
}

func (s *sieve) has(h hashed) bool {
	for i := len(s.layers) - 1; i >= 0; i-- { // most keys are in the last one
		if s.layers[i].has(h) {
			return true
		}
	}
	return false
}
