package attachment

import (
	"bytes"

	"waxwing/core/merkle"
)

// Leaf is one chunk of a file with what proves it: what a report reveals.
type Leaf struct {
	Index uint32
	Salt  [SaltSize]byte
	Chunk []byte // without padding
	Path  []Hash // from below, at most MaxPath
}

// Clone returns a copy that shares no memory with l.
func (l *Leaf) Clone() Leaf {
	return Leaf{Index: l.Index, Salt: l.Salt, Chunk: bytes.Clone(l.Chunk), Path: append([]Hash(nil), l.Path...)}
}

// Offset returns where in the file the chunk begins.
func (l *Leaf) Offset() uint64 { return uint64(l.Index) * ChunkSize }

// Check returns nil if the chunk is the file's at its index, else ErrLeaf. It needs
// no secret.
func (l *Leaf) Check(d *Descriptor) error {
	n := Chunks(d.Size)
	if d.Size > MaxSize || uint64(l.Index) >= uint64(n) || len(l.Chunk) != lengthOf(d.Size, int(l.Index)) {
		return ErrLeaf
	}
	if got, ok := merkle.Climb(leafHash(l.Index, &l.Salt, l.Chunk), uint64(l.Index), uint64(n), l.Path); !ok || got != d.Root {
		return ErrLeaf
	}
	return nil
}
