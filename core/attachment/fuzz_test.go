package attachment

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"testing"
)

// FuzzOpen: nothing opens under a secret but what was sealed under it, whatever the
// descriptor says of its length, root and hash.
func FuzzOpen(f *testing.F) {
	a := sealed(f, []byte("hello"))
	long := sealed(f, bytes.Repeat([]byte("hello"), ChunkSize/4))
	for _, s := range []*sample{a, long} {
		f.Add(s.sealed, s.d.Size, s.d.Root[:], s == a)
	}
	f.Fuzz(func(t *testing.T, b []byte, size uint64, root []byte, first bool) {
		s := long
		if first {
			s = a
		}
		d := *s.d
		d.Size, d.Sealed = size, sha256.Sum256(b)
		copy(d.Root[:], root)
		if _, err := Open(&d, s.s, bytes.NewReader(b)); err == nil && (!bytes.Equal(b, s.sealed) || size != s.d.Size || d.Root != s.d.Root) {
			t.Error("another file opens")
		}
	})
}

// FuzzCheck: a leaf is proven only if it is the file's at that place.
func FuzzCheck(f *testing.F) {
	plain := make([]byte, 4*ChunkSize+10)
	for i := range plain {
		plain[i] = byte(i >> 8)
	}
	a := sealed(f, plain)
	file := a.mustOpen(f)
	for i := range file.Chunks() {
		l, err := file.Reveal(i)
		if err != nil {
			f.Fatal(err)
		}
		var p []byte
		for _, h := range l.Path {
			p = append(p, h[:]...)
		}
		f.Add(l.Index, l.Salt[:], l.Chunk, p)
	}
	f.Fuzz(func(t *testing.T, index uint32, salt, chunk, p []byte) {
		l := &Leaf{Index: index, Chunk: chunk}
		copy(l.Salt[:], salt)
		for ; len(p) >= HashSize; p = p[HashSize:] {
			l.Path = append(l.Path, Hash(p))
		}
		if l.Check(a.d) != nil {
			return
		}
		want, err := file.Reveal(int(index))
		if err != nil || l.Salt != want.Salt || !bytes.Equal(chunk, want.Chunk) || binary.Size(l.Path) != binary.Size(want.Path) {
			t.Error("another chunk is proven")
		}
	})
}
