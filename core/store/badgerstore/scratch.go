package badgerstore

import (
	"encoding/binary"

	"waxwing/core/store"
)

// Scratch rows are what is written in place of a message that is disposed of,
// so that the commit is as large as with a delivery: rows of the same number
// and sizes, filled with noise, that overwrite one another.
const (
	scratchSlots = 2 * groupRows // a group never writes a slot twice
	scratchBytes = 16 << 20      // after so much the slots are used from the first on again
	scratchSpent = 1             // stands for a spent row or an id's row
	scratchChunk = 2
	scratchHead  = 3
)

func (g *group) putScratch(kind byte, keySize, valueSize int) {
	c := g.c
	k := make([]byte, keySize)
	k[0], k[1] = tagScratch, kind
	binary.BigEndian.PutUint16(k[2:], c.scratchSlot)
	c.scratchSlot++
	c.scratchSum += keySize + valueSize
	g.put(k, append(make([]byte, 0, valueSize), c.e.pad[:valueSize]...))
}

// beginScratch bounds the space that scratch rows take.
func (c *committer) beginScratch() {
	if c.scratchSum > scratchBytes || c.scratchSlot >= scratchSlots-groupRows {
		c.scratchSlot, c.scratchSum = 0, 0
	}
}

// dispose writes the row that stands for the spent row, and remembers the body
// for flushScratch.
func (g *group) dispose(b *box, r *store.AppendReq, key []byte) {
	// A delivery computes the claimant's fingerprint.
	_ = g.c.e.salts.claimantOf((*[32]byte)(&r.ID))
	g.putScratch(scratchSpent, len(key), claimantSize)
	size := recordHeader + len(r.Body)
	b.scratch = append(b.scratch, size)
	g.bytes += size
}

// flushScratch writes what was disposed of for a mailbox as chunks of noise,
// and a head now and then, as for a delivery.
func (g *group) flushScratch(b *box) {
	if len(b.scratch) == 0 {
		return
	}
	size, n := 0, 0
	for i, record := range b.scratch {
		size += record
		n++
		if n == chunkMessages || size > chunkBytes || i == len(b.scratch)-1 {
			g.bytes -= size // counted when they were disposed of
			g.putScratch(scratchChunk, chunkKeySize, size)
			size, n = 0, 0
		}
	}
	b.scratch = b.scratch[:0]
	// A head's row is written for every headEvery-th chunk.
	if g.c.scratchChunks++; g.c.scratchChunks%headEvery == 0 {
		g.putScratch(scratchHead, headKeySize, headSize+len(b.head.readers)*readerSize)
	}
}
