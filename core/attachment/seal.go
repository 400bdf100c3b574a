package attachment

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"errors"
	"hash"
	"io"

	"waxwing/core/merkle"
)

// chunker is what sealing and opening have in common: a file's keys, and the leaves
// of what went by.
type chunker struct {
	aead   cipher.AEAD
	fsalt  [HashSize]byte
	leaves []Hash
	sealed hash.Hash
}

func newChunker(s *Secret) *chunker {
	key := derive(&s.b, labelKey)
	defer clear(key[:])
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic("attachment: " + err.Error()) // the key has its one size
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic("attachment: " + err.Error())
	}
	return &chunker{aead: aead, fsalt: derive(&s.b, labelSalts), sealed: sha256.New()}
}

// leaf notes the next chunk, without its padding.
func (c *chunker) leaf(chunk []byte) {
	i := uint32(len(c.leaves))
	salt := saltOf(&c.fsalt, i)
	c.leaves = append(c.leaves, leafHash(i, &salt, chunk))
}

// Seal reads a file to its end and writes its ciphertext. The secret is drawn here
// and is of this file alone: nonces count chunks, and under one key another file
// would have the same ones. What was written before an error is of no use. Errors
// are ErrDescriptor, ErrTooLarge and those of r and w.
func Seal(w io.Writer, r io.Reader, name, mediaType string) (*Descriptor, *Secret, error) {
	s := newSecret()
	d, err := seal(w, r, name, mediaType, s, MaxSize)
	if err != nil {
		s.Erase()
		return nil, nil, err
	}
	return d, s, nil
}

func seal(w io.Writer, r io.Reader, name, mediaType string, s *Secret, limit uint64) (*Descriptor, error) {
	d := &Descriptor{Name: name, Type: mediaType, Commitment: derive(&s.b, labelCommitment)}
	if err := d.Check(); err != nil {
		return nil, err
	}
	z := &sealer{chunker: newChunker(s), w: w, held: new([ChunkSize]byte)}
	next, has := new([ChunkSize]byte), false
	for ended := false; !ended; {
		clear(next[:])
		n, err := io.ReadFull(r, next[:])
		if ended = errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF); err != nil && !ended {
			return nil, err
		}
		if d.Size += uint64(n); d.Size > limit {
			return nil, ErrTooLarge
		}
		if n == 0 {
			break
		}
		if has {
			if err := z.flush(ChunkSize, false); err != nil {
				return nil, err
			}
		}
		z.leaf(next[:n])
		z.held, next, has = next, z.held, true
	}
	if !has {
		z.leaf(nil)
	}
	left := Padded(d.Size) - uint64(z.index)*ChunkSize
	for ; left > ChunkSize; left -= ChunkSize {
		if err := z.flush(ChunkSize, false); err != nil {
			return nil, err
		}
		clear(z.held[:])
	}
	if err := z.flush(int(left), true); err != nil {
		return nil, err
	}
	d.Root, d.Sealed = merkle.Root(z.leaves), Hash(z.sealed.Sum(nil))
	return d, nil
}

// sealer holds back one chunk, zeros behind it, until it is known whether it is the
// last.
type sealer struct {
	*chunker
	w     io.Writer
	held  *[ChunkSize]byte
	index uint32
	out   []byte
}

// flush seals n bytes of the held chunk.
func (z *sealer) flush(n int, last bool) error {
	no := nonce(z.index, last)
	z.index++
	z.out = z.aead.Seal(z.out[:0], no[:], z.held[:n], nil)
	z.sealed.Write(z.out)
	_, err := z.w.Write(z.out)
	return err
}
