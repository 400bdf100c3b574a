package attachment

import (
	"errors"
	"io"

	"waxwing/core/merkle"
)

// File is an attachment whose whole ciphertext was read and found to be its
// descriptor's. Only Open makes one, and nothing else gives out plaintext. It is
// safe for concurrent use if its ciphertext is.
type File struct {
	d      Descriptor
	c      *chunker
	sealed io.ReaderAt
	pieces int // chunks of the ciphertext, padding included
}

// Open reads a ciphertext to its end and checks it: the secret against the
// descriptor, each chunk, the padding, the length, root and hash. sealed stays with
// the File, which reads it again. Errors are ErrDescriptor, ErrSecret, ErrSealed and
// those of sealed.
func Open(d *Descriptor, s *Secret, sealed io.ReaderAt) (*File, error) {
	if err := d.Check(); err != nil {
		return nil, err
	}
	if !s.of(d) {
		return nil, ErrSecret
	}
	f := &File{d: *d, c: newChunker(s), sealed: sealed, pieces: Chunks(Padded(d.Size))}
	// The length first: a long file costs nothing if it is not there.
	size := int64(SealedSize(d.Size))
	if n, err := sealed.ReadAt(make([]byte, 1), size); n != 0 || err == nil {
		return nil, ErrSealed
	} else if !errors.Is(err, io.EOF) {
		return nil, err
	}
	buf := make([]byte, SealedChunk)
	if err := f.read(buf[:1], size-1); err != nil {
		return nil, err
	}
	for i := range f.pieces {
		b, err := f.fetch(buf, i)
		if err != nil {
			return nil, err
		}
		f.c.sealed.Write(b)
		chunk, err := f.decrypt(b, i)
		if err != nil {
			return nil, err
		}
		n := lengthOf(d.Size, i)
		if !zero(chunk[n:]) {
			return nil, ErrSealed
		}
		if i < Chunks(d.Size) {
			f.c.leaf(chunk[:n])
		}
		clear(chunk)
	}
	if merkle.Root(f.c.leaves) != d.Root || Hash(f.c.sealed.Sum(nil)) != d.Sealed {
		return nil, ErrSealed
	}
	return f, nil
}

// read fills b from the ciphertext; one that is shorter is ErrSealed.
func (f *File) read(b []byte, at int64) error {
	n, err := f.sealed.ReadAt(b, at)
	switch {
	case n == len(b):
		return nil
	case err == nil || errors.Is(err, io.EOF):
		return ErrSealed
	}
	return err
}

// fetch reads the ciphertext of chunk i.
func (f *File) fetch(buf []byte, i int) ([]byte, error) {
	b := buf[:lengthOf(Padded(f.d.Size), i)+tagSize]
	return b, f.read(b, int64(i)*SealedChunk)
}

// decrypt opens chunk i in its place.
func (f *File) decrypt(b []byte, i int) ([]byte, error) {
	no := nonce(uint32(i), i == f.pieces-1)
	chunk, err := f.c.aead.Open(b[:0], no[:], b, nil)
	if err != nil {
		return nil, ErrSealed
	}
	return chunk, nil
}

func zero(b []byte) bool {
	var or byte
	for _, v := range b {
		or |= v
	}
	return or == 0
}

// Descriptor returns what the file was opened with.
func (f *File) Descriptor() Descriptor { return f.d }

// Chunks returns how many chunks the file has.
func (f *File) Chunks() int { return len(f.c.leaves) }

// Chunk returns chunk i of the file, decrypted again. Errors are ErrLeaf for one that
// there is not, ErrSealed if the ciphertext is not what it was, and its own.
func (f *File) Chunk(i int) ([]byte, error) {
	l, err := f.leaf(i)
	if err != nil {
		return nil, err
	}
	return l.Chunk, nil
}

// leaf returns chunk i and its salt, checked against what was opened.
func (f *File) leaf(i int) (*Leaf, error) {
	if i < 0 || i >= len(f.c.leaves) {
		return nil, ErrLeaf
	}
	b, err := f.fetch(make([]byte, SealedChunk), i)
	if err != nil {
		return nil, err
	}
	chunk, err := f.decrypt(b, i)
	if err != nil {
		return nil, err
	}
	l := &Leaf{Index: uint32(i), Salt: saltOf(&f.c.fsalt, uint32(i)), Chunk: chunk[:lengthOf(f.d.Size, i)]}
	if leafHash(l.Index, &l.Salt, l.Chunk) != f.c.leaves[i] {
		return nil, ErrSealed
	}
	return l, nil
}

// WriteTo writes the file. Errors are ErrSealed, if the ciphertext is not what it
// was, its own and w's.
func (f *File) WriteTo(w io.Writer) (written int64, err error) {
	for i := range f.c.leaves {
		b, err := f.Chunk(i)
		if err != nil {
			return written, err
		}
		n, err := w.Write(b)
		written += int64(n)
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

// Reveal returns chunk i with what proves it, for a report: its salt and path. Salts
// are independent of each other, so it tells nothing about other chunks. Errors are
// those of Chunk.
func (f *File) Reveal(i int) (*Leaf, error) {
	l, err := f.leaf(i)
	if err != nil {
		return nil, err
	}
	l.Path = merkle.Path(f.c.leaves, i)
	return l, nil
}
