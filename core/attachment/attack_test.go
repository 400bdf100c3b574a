package attachment

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"testing"

	"waxwing/core/auditlog"
	"waxwing/core/merkle"
)

// accept is what the hash of the ciphertext would stop: with it replaced, order and
// end are what the nonces say.
func (a *sample) accept(b []byte) error {
	d := *a.d
	d.Sealed = sha256.Sum256(b)
	_, err1 := Open(&d, a.s, bytes.NewReader(b))
	_, err2 := a.open(b)
	if err1 == nil || err2 == nil {
		return nil
	}
	return errors.Join(err1, err2)
}

// Chunks moved, dropped, doubled, cut off at the end or in their middle, and of
// another file (29 of the adversarial list).
func TestChunksMoved(t *testing.T) {
	for _, n := range []int{0, 100, ChunkSize, 2 * ChunkSize, 4*ChunkSize + 7, 5 * ChunkSize} {
		a := sealed(t, random(n))
		c := a.chunks()
		other := sealed(t, random(n)).chunks()
		last := len(c) - 1
		cases := map[string][][]byte{
			"nothing": nil, "last dropped": c[:last], "last doubled": append(slices.Clone(c), c[last]),
			"first doubled": append([][]byte{c[0]}, c...), "cut in the last": append(slices.Clone(c[:last]), c[last][:len(c[last])-1]),
			"a byte more": append(slices.Clone(c), []byte{0}), "tag only": append(slices.Clone(c[:last]), c[last][len(c[last])-tagSize:]),
		}
		for i := range c {
			cases[fmt.Sprint("another file's chunk ", i)] = slices.Replace(slices.Clone(c), i, i+1, other[i])
			if i < last {
				cases[fmt.Sprint("dropped ", i)] = slices.Delete(slices.Clone(c), i, i+1)
				moved := slices.Clone(c)
				moved[i], moved[i+1] = moved[i+1], moved[i]
				cases[fmt.Sprint("exchanged ", i)] = moved
				cases[fmt.Sprint("doubled in place of ", i+1)] = slices.Replace(slices.Clone(c), i+1, i+2, c[i])
			}
		}
		for name, chunks := range cases {
			b := slices.Concat(chunks...)
			if bytes.Equal(b, a.sealed) {
				t.Fatal("nothing was changed")
			}
			wants(t, fmt.Sprintf("%d bytes, %s", n, name), a.accept(b), ErrSealed)
		}
	}
	// A shorter file whose descriptor says so: a chunk before the last is not the last.
	a := sealed(t, random(3*ChunkSize))
	f := a.mustOpen(t)
	d := *a.d
	b := a.sealed[:2*SealedChunk]
	d.Size, d.Root, d.Sealed = 2*ChunkSize, merkle.Root(f.c.leaves[:2]), sha256.Sum256(b)
	_, err := Open(&d, a.s, bytes.NewReader(b))
	wants(t, "truncated at a chunk's end, by the author", err, ErrSealed)
}

// No bit of the ciphertext can be changed, nor one of the descriptor that has a
// meaning, nor of the secret.
func TestEveryBit(t *testing.T) {
	a := sealed(t, random(ChunkSize+50))
	for i := 0; i < len(a.sealed); i += 1 + 97*(i%2) { // pairs of neighbours all over it
		bad := bytes.Clone(a.sealed)
		bad[i] ^= 1 << (i % 8)
		wants(t, fmt.Sprint("byte ", i), a.accept(bad), ErrSealed)
	}
	for name, h := range map[string]func(*Descriptor) *Hash{
		"root": func(d *Descriptor) *Hash { return &d.Root }, "sealed": func(d *Descriptor) *Hash { return &d.Sealed },
		"commitment": func(d *Descriptor) *Hash { return &d.Commitment },
	} {
		for bit := range 8 * HashSize {
			d := *a.d
			h(&d)[bit/8] ^= 1 << (bit % 8)
			if _, err := Open(&d, a.s, bytes.NewReader(a.sealed)); !errors.Is(err, ErrSealed) && !errors.Is(err, ErrSecret) {
				t.Errorf("%s, bit %d: %v", name, bit, err)
			}
		}
	}
	for bit := range 8 * SecretSize {
		s, _ := SecretFrom(a.s.Bytes())
		s.b[bit/8] ^= 1 << (bit % 8)
		_, err := Open(a.d, s, bytes.NewReader(a.sealed))
		wants(t, fmt.Sprint("secret's bit ", bit), err, ErrSecret)
	}
}

// A descriptor commits to its secret and to the ciphertext, and not to one of them
// with the other of another file.
func TestOneSecret(t *testing.T) {
	a := sealed(t, random(100))
	b := sealed(t, random(100))
	d := *b.d
	d.Commitment = a.d.Commitment
	_, err := Open(&d, b.s, bytes.NewReader(b.sealed))
	wants(t, "commitment to another key", err, ErrSecret)
	_, err = Open(&d, a.s, bytes.NewReader(b.sealed))
	wants(t, "another key's ciphertext", err, ErrSealed)
}

// What was opened and then changed where it is stored is not given out.
func TestChangedAfterwards(t *testing.T) {
	a := sealed(t, random(3*ChunkSize))
	stored := bytes.Clone(a.sealed)
	f, err := Open(a.d, a.s, bytes.NewReader(stored))
	if err != nil {
		t.Fatal(err)
	}
	stored[SealedChunk] ^= 1
	_, err = f.Chunk(1)
	wants(t, "changed", err, ErrSealed)
	_, err = f.Reveal(1)
	wants(t, "changed", err, ErrSealed)
	var out bytes.Buffer
	n, err := f.WriteTo(&out)
	wants(t, "changed", err, ErrSealed)
	if n != ChunkSize || !bytes.Equal(out.Bytes(), a.plain[:ChunkSize]) {
		t.Errorf("%d bytes are given out", n)
	}
	// Sealed anew under the same secret, by who knows it.
	no := nonce(1, false)
	f.c.aead.Seal(stored[SealedChunk:SealedChunk], no[:], random(ChunkSize), nil)
	_, err = f.Chunk(1)
	wants(t, "another chunk", err, ErrSealed)
}

// A node shown as a leaf, a leaf as a node, another index, another tree's shape,
// paths of other lengths (30 of the adversarial list).
func TestLeavesAndNodes(t *testing.T) {
	for _, n := range []int{1, 2, 3, 4, 5, 7, 8, 9, 11} {
		a := sealed(t, random(n*ChunkSize-3))
		f := a.mustOpen(t)
		for i := range n {
			l, err := f.Reveal(i)
			if err != nil {
				t.Fatal(err)
			}
			refused := func(name string, change func(*Leaf, *Descriptor)) {
				t.Helper()
				bad, d := l.Clone(), *a.d
				change(&bad, &d)
				wants(t, fmt.Sprintf("leaf %d of %d, %s", i, n, name), bad.Check(&d), ErrLeaf)
			}
			for j := range n + 2 {
				if j != i {
					refused("as another", func(l *Leaf, _ *Descriptor) { l.Index = uint32(j) })
				}
			}
			refused("as the last there can be", func(l *Leaf, _ *Descriptor) { l.Index = 1<<32 - 1 })
			refused("salt", func(l *Leaf, _ *Descriptor) { l.Salt[31] ^= 1 })
			refused("chunk", func(l *Leaf, _ *Descriptor) { l.Chunk[0] ^= 1 })
			refused("shorter chunk", func(l *Leaf, _ *Descriptor) { l.Chunk = l.Chunk[:len(l.Chunk)-1] })
			refused("longer chunk", func(l *Leaf, _ *Descriptor) { l.Chunk = append(l.Chunk, 0) })
			refused("no chunk", func(l *Leaf, _ *Descriptor) { l.Chunk = nil })
			refused("longer path", func(l *Leaf, _ *Descriptor) { l.Path = append(l.Path, a.d.Root) })
			refused("root", func(_ *Leaf, d *Descriptor) { d.Root[0] ^= 1 })
			refused("size of no file", func(_ *Leaf, d *Descriptor) { d.Size = 1 << 63 })
			for j := range l.Path {
				refused("path", func(l *Leaf, _ *Descriptor) { l.Path[j][0] ^= 1 })
				refused("shorter path", func(l *Leaf, _ *Descriptor) { l.Path = slices.Delete(l.Path, j, j+1) })
			}
			if len(l.Path) > 1 {
				refused("path upside down", func(l *Leaf, _ *Descriptor) { slices.Reverse(l.Path) })
			}
			// In a tree of another size the leaf has another place.
			for _, size := range []uint64{a.d.Size + ChunkSize, a.d.Size - ChunkSize, 2 * a.d.Size} {
				other := *a.d
				other.Size = size
				if bad := l.Clone(); i < n-1 && Chunks(size) != n && size <= MaxSize && len(l.Path) != depth(i, Chunks(size)) {
					wants(t, "another tree", bad.Check(&other), ErrLeaf)
				}
			}
		}
	}
	// A leaf whose content is a node's two halves hashes to no node, and a node is no
	// leaf of a tree with half the leaves.
	a := sealed(t, random(4*ChunkSize))
	h := a.mustOpen(t).c.leaves
	var both [2 * HashSize]byte
	copy(both[:], h[0][:])
	copy(both[HashSize:], h[1][:])
	for index := range uint32(4) {
		if leafHash(index, new([SaltSize]byte), both[:]) == merkle.Node(h[0], h[1]) {
			t.Error("a leaf is a node")
		}
	}
	d := *a.d
	d.Size = 2 * ChunkSize
	for _, chunk := range [][]byte{both[:], append(both[:], make([]byte, ChunkSize-len(both))...)} {
		l := &Leaf{Chunk: chunk, Path: []Hash{merkle.Node(h[2], h[3])}}
		wants(t, "node as leaf", l.Check(&d), ErrLeaf)
	}
}

// What an author commits to beside the file is none of it: chunks of another length
// than the size says, and behind the end.
func TestLeavesBesideTheFile(t *testing.T) {
	salt := [SaltSize]byte{1}
	for name, c := range map[string]struct {
		size  uint64
		index uint32
		chunk []byte
	}{
		"longer than the file": {5, 0, make([]byte, 10)},
		"shorter":              {5, 0, make([]byte, 4)},
		"longer than a chunk":  {ChunkSize, 0, make([]byte, ChunkSize+1)},
		"behind the end":       {5, 7, nil},
		"right behind the end": {5, 1, nil},
		"of an empty file":     {0, 1, nil},
	} {
		d := &Descriptor{Type: "text/plain", Size: c.size, Root: leafHash(c.index, &salt, c.chunk)}
		wants(t, name, (&Leaf{Index: c.index, Salt: salt, Chunk: c.chunk}).Check(d), ErrLeaf)
	}
}

// depth is how long the path of leaf i of n is.
func depth(i, n int) int {
	if i >= n || n == 1 {
		return 0
	}
	if k := merkle.Split(n); i >= k {
		return 1 + depth(i-k, n-k)
	}
	return 1 + depth(i, merkle.Split(n))
}

// The trees are those of RFC 6962: another implementation of them agrees.
func TestTreeIsTheStandards(t *testing.T) {
	for n := 1; n <= 70; n++ {
		var leaves []Hash
		var theirs []auditlog.Hash
		for range n {
			h := Hash(random(HashSize))
			leaves, theirs = append(leaves, h), append(theirs, auditlog.Hash(h))
		}
		want := auditlog.Root(theirs)
		if merkle.Root(leaves) != Hash(want) {
			t.Fatalf("%d leaves: another root", n)
		}
		for i := range n {
			p := merkle.Path(leaves, i)
			proof, err := auditlog.Inclusion(theirs, uint64(i))
			if err != nil || !slices.EqualFunc(p, proof, func(a Hash, b auditlog.Hash) bool { return a == Hash(b) }) {
				t.Fatalf("leaf %d of %d: another path, %v", i, n, err)
			}
			got, ok := merkle.Climb(leaves[i], uint64(i), uint64(n), p)
			if !ok || got != Hash(want) || auditlog.VerifyInclusion(theirs[i], uint64(i), uint64(n), proof, want) != nil {
				t.Fatalf("leaf %d of %d does not climb to the root", i, n)
			}
		}
	}
}

// A revealed chunk tells nothing of the others, be they as easy to guess as they
// like (32 of the adversarial list): salts are independent, and no salt, secret or
// other leaf goes along but as a hash.
func TestOneLeafTellsNothing(t *testing.T) {
	guess := bytes.Repeat([]byte("no"), ChunkSize/2)
	a := sealed(t, bytes.Repeat(guess, 4)) // every chunk is the same
	f := a.mustOpen(t)
	salts := map[[SaltSize]byte]bool{}
	for i := range 4 {
		l, err := f.Reveal(i)
		if err != nil {
			t.Fatal(err)
		}
		if salts[l.Salt] {
			t.Error("two chunks have one salt")
		}
		salts[l.Salt] = true
		known := slices.Concat(l.Path, []Hash{a.d.Root, a.d.Sealed, a.d.Commitment, Hash(l.Salt)})
		// Whoever knows the content and what was shown does not find the beside leaf:
		// under the salt shown, no salt, or any key that it has.
		for j := range uint32(4) {
			if j == uint32(i) {
				continue
			}
			for _, k := range known {
				under := saltOf((*[HashSize]byte)(&k), j)
				for _, salt := range [][SaltSize]byte{{}, l.Salt, [SaltSize]byte(k), under} {
					if slices.Contains(f.c.leaves, leafHash(j, &salt, guess)) {
						t.Errorf("leaf %d is known from leaf %d", j, i)
					}
				}
			}
		}
		shown := append(bytes.Clone(l.Salt[:]), l.Chunk...)
		for _, h := range l.Path {
			shown = append(shown, h[:]...)
		}
		for j, secret := range [][]byte{a.s.Bytes(), f.c.fsalt[:], saltBytes(f, (i+1)%4)} {
			if bytes.Contains(shown, secret) {
				t.Errorf("leaf %d shows secret %d", i, j)
			}
		}
	}
}

func saltBytes(f *File, i int) []byte {
	s := saltOf(&f.c.fsalt, uint32(i))
	return s[:]
}

// The format, computed here from its description: recipients of years to come have
// to open it.
func TestFormat(t *testing.T) {
	secret := bytes.Repeat([]byte{7}, 32)
	mac := func(key []byte, parts ...[]byte) []byte {
		h := hmac.New(sha256.New, key)
		for _, p := range parts {
			h.Write(p)
		}
		return h.Sum(nil)
	}
	hash := func(parts ...[]byte) []byte {
		h := sha256.Sum256(slices.Concat(parts...))
		return h[:]
	}
	label := func(s string) []byte { return append([]byte{byte(len(s))}, s...) }
	be := func(n int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n)) }

	plain := make([]byte, 2*16384+10)
	for i := range plain {
		plain[i] = byte(i % 251)
	}
	block, _ := aes.NewCipher(mac(secret, label("waxwing attachment key v1")))
	gcm, _ := cipher.NewGCM(block)
	fsalt := mac(secret, label("waxwing attachment salts v1"))
	padded := append(bytes.Clone(plain), make([]byte, 34816-len(plain))...) // Padmé of 32778
	var want []byte
	var leaves [][]byte
	for i := range 3 {
		last := byte(0)
		if i == 2 {
			last = 1
		}
		no := slices.Concat(make([]byte, 7), be(i), []byte{last})
		want = gcm.Seal(want, no, padded[i*16384:min(len(padded), (i+1)*16384)], nil)
		chunk := plain[i*16384 : min(len(plain), (i+1)*16384)]
		leaves = append(leaves, hash([]byte{0}, be(i), be(len(chunk)), mac(fsalt, be(i)), chunk))
	}
	node := func(l, r []byte) []byte { return hash([]byte{1}, l, r) }

	s, _ := SecretFrom(secret)
	var out bytes.Buffer
	d, err := seal(&out, bytes.NewReader(plain), "a", "text/plain", s, MaxSize)
	if err != nil {
		t.Fatal(err)
	}
	for name, is := range map[string]struct{ got, want []byte }{
		"ciphertext": {out.Bytes(), want}, "hash": {d.Sealed[:], hash(want)},
		"root":       {d.Root[:], node(node(leaves[0], leaves[1]), leaves[2])},
		"commitment": {d.Commitment[:], mac(secret, label("waxwing attachment commitment v1"))},
	} {
		if !bytes.Equal(is.got, is.want) {
			t.Errorf("%s is not as described", name)
		}
	}
	const root = "98ed18ade06a1c23362c04f239ee9a0fa08d80ff6a744ab3158a10e530198591"
	if got := hex.EncodeToString(d.Root[:]); got != root {
		t.Errorf("root %s", got)
	}
}
