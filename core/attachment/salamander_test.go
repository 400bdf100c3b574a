package attachment

import (
	"bytes"
	"crypto/aes"
	"crypto/sha256"
	"encoding/binary"
	"testing"

	"waxwing/core/merkle"
)

// gf is an element of GCM's field, its first bit the highest of hi (NIST SP 800-38D,
// 6.3).
type gf struct{ hi, lo uint64 }

func gfOf(b []byte) gf { return gf{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])} }

func (a gf) bytes() []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, a.hi), a.lo)
}

func (a gf) add(b gf) gf { return gf{a.hi ^ b.hi, a.lo ^ b.lo} }

func (a gf) mul(b gf) (z gf) {
	for i := range 128 {
		word, at := a.hi, 63-i
		if i > 63 {
			word, at = a.lo, 127-i
		}
		if word>>at&1 == 1 {
			z = z.add(b)
		}
		carry := b.lo & 1
		b = gf{b.hi >> 1, b.lo>>1 | b.hi<<63}
		if carry == 1 {
			b.hi ^= 0xe1 << 56
		}
	}
	return z
}

func (a gf) power(n int) gf {
	z := gf{hi: 1 << 63}
	for range n {
		z = z.mul(a)
	}
	return z
}

// inverse is a to the power of 2^128 - 2.
func (a gf) inverse() gf {
	z := gf{hi: 1 << 63}
	for range 127 {
		a = a.mul(a)
		z = z.mul(a)
	}
	return z
}

// gcmOf returns GHASH's key and what masks its result, for a secret's first and last
// chunk.
func gcmOf(t *testing.T, s *Secret) (h, mask gf) {
	t.Helper()
	key := derive(&s.b, labelKey)
	block, err := aes.NewCipher(key[:])
	if err != nil {
		t.Fatal(err)
	}
	var out [16]byte
	block.Encrypt(out[:], out[:])
	h = gfOf(out[:])
	no := nonce(0, true)
	block.Encrypt(out[:], append(no[:], 0, 0, 0, 1))
	return h, gfOf(out[:])
}

func tagOf(h, mask gf, c []byte) gf {
	var y gf
	for b := c; len(b) > 0; b = b[16:] {
		y = y.add(gfOf(b)).mul(h)
	}
	return y.add(gf{lo: uint64(len(c)) * 8}).mul(h).add(mask)
}

// One ciphertext that opens under two keys to two files (28 of the adversarial list;
// Dodis et al., section 3): a descriptor opens it under one secret, to what its root
// says, and the other file is neither shown nor proven.
func TestSalamander(t *testing.T) {
	s1, s2 := newSecret(), newSecret()
	h1, m1 := gcmOf(t, s1)
	h2, m2 := gcmOf(t, s2)
	const size = minPadded // so that there is no padding that has to be zero
	c := random(size)
	clear(c[:16])
	// The first block is the one that makes both tags the same.
	n := size/16 + 1
	differ := tagOf(h1, m1, c).add(tagOf(h2, m2, c))
	copy(c, differ.mul(h1.power(n).add(h2.power(n)).inverse()).bytes())
	sealed := append(c, tagOf(h1, m1, c).bytes()...)

	no := nonce(0, true)
	var plain [2][]byte
	for i, s := range []*Secret{s1, s2} {
		var err error
		if plain[i], err = newChunker(s).aead.Open(nil, no[:], sealed, nil); err != nil {
			t.Fatal("not a salamander:", err)
		}
	}
	if bytes.Equal(plain[0], plain[1]) {
		t.Fatal("one file only")
	}
	k := [2]*chunker{newChunker(s1), newChunker(s2)}
	k[0].leaf(plain[0])
	k[1].leaf(plain[1])
	d := &Descriptor{
		Type: "image/jpeg", Size: size, Root: merkle.Root(k[0].leaves), Sealed: sha256.Sum256(sealed), Commitment: derive(&s1.b, labelCommitment),
	}
	f, err := Open(d, s1, bytes.NewReader(sealed))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := f.Chunk(0); err != nil || !bytes.Equal(got, plain[0]) {
		t.Error("another file", err)
	}
	_, err = Open(d, s2, bytes.NewReader(sealed))
	wants(t, "the other secret", err, ErrSecret)
	other := *d
	other.Commitment = derive(&s2.b, labelCommitment)
	_, err = Open(&other, s2, bytes.NewReader(sealed))
	wants(t, "the other secret, committed to", err, ErrSealed)
	for _, fsalt := range []*[HashSize]byte{&k[0].fsalt, &k[1].fsalt} {
		l := &Leaf{Salt: saltOf(fsalt, 0), Chunk: plain[1]}
		wants(t, "the other file, reported", l.Check(d), ErrLeaf)
	}
}
