package franking

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"waxwing/core/attachment"
	"waxwing/core/content"
	"waxwing/core/wire"
)

func fileFrame(seq uint64, files ...*attachment.File) []byte {
	b := frame(seq, Digest{}, "")
	b[0] = 0xF2
	for _, f := range files {
		d := f.Descriptor()
		b = append(binary.BigEndian.AppendUint64(b, d.Size), d.Root[:]...)
	}
	return b
}

// fileOf is a file of random bytes, sealed and opened.
func fileOf(t testing.TB, size int) *attachment.File {
	t.Helper()
	plain := make([]byte, size)
	rand.Read(plain)
	var out bytes.Buffer
	d, s, err := attachment.Seal(&out, bytes.NewReader(plain), "cat.jpg", "image/jpeg")
	if err != nil {
		t.Fatal(err)
	}
	f, err := attachment.Open(d, s, bytes.NewReader(out.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// reveal is what bob shows of an attachment.
func reveal(t testing.TB, number uint8, f *attachment.File, i int) Leaf {
	t.Helper()
	l, err := f.Reveal(i)
	if err != nil {
		t.Fatal(err)
	}
	return Leaf{number, *l}
}

// sendFiles is alice's message with files to bob, which he verified and shows.
func (w *world) sendFiles(t testing.TB, files ...*attachment.File) *sent {
	t.Helper()
	s := w.send(t, w.tokens(t, w.alice, today, 1)[0], w.alice, w.bob, fileFrame(1, files...))
	if _, err := w.show(s, w.alice, w.bob); err != nil {
		t.Fatal(err)
	}
	return s
}

// refused: neither the desk nor anybody else takes the leaves for the message's.
func (w *world) refused(t *testing.T, what string, e Evidence, leaves ...Leaf) {
	t.Helper()
	e.Leaves = leaves
	wants(t, what+", verified", w.verify(&e), FaultLeaf)
	wants(t, what+", reported", w.examine(&e), FaultLeaf)
}

// Missing leaves refuse nothing, whichever they are; what is there is proven.
func attackOneChunk(t *testing.T, w *world) {
	f, g := fileOf(t, 3*attachment.ChunkSize+5), fileOf(t, 100)
	s := w.sendFiles(t, f, g)
	a, b, c, d := reveal(t, 0, f, 0), reveal(t, 0, f, 2), reveal(t, 0, f, 3), reveal(t, 1, g, 0)
	for i, leaves := range [][]Leaf{nil, {a}, {b}, {c}, {d}, {a, b, c}, {b, d}, {a, c, d}} {
		e := *s.e
		e.Leaves = leaves
		if err := errors.Join(w.verify(&e), w.examine(&e)); err != nil {
			t.Errorf("choice %d: %v", i, err)
		}
		v, err := Verify(&e, w.snapshot, bob, readFrame)
		if err != nil || len(v.Leaves()) != len(leaves) {
			t.Fatal(err)
		}
		for j, l := range v.Leaves() {
			if l.Attachment != leaves[j].Attachment || !bytes.Equal(l.Chunk, leaves[j].Chunk) {
				t.Error("another chunk")
			}
		}
		// What was verified is not changed through what was given.
		if len(leaves) > 0 {
			e.Leaves[0].Chunk[0] ^= 1
			if bytes.Equal(v.Leaves()[0].Chunk, e.Leaves[0].Chunk) {
				t.Error("verified leaves can be changed")
			}
			e.Leaves[0].Chunk[0] ^= 1
		}
	}
	// A report of one chunk has neither another chunk nor what hides it.
	e := *s.e
	e.Leaves = []Leaf{a}
	raw, err := e.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i < f.Chunks(); i++ {
		l := reveal(t, 0, f, i)
		if bytes.Contains(raw, l.Salt[:]) || bytes.Contains(raw, l.Chunk[:5]) {
			t.Errorf("chunk %d or its salt is in the report", i)
		}
	}
}

// Chunks in another's place, twice, out of order, of another file or attachment.
func attackChunks(t *testing.T, w *world) {
	f, g, other := fileOf(t, 3*attachment.ChunkSize), fileOf(t, 3*attachment.ChunkSize), fileOf(t, 3*attachment.ChunkSize)
	s := w.sendFiles(t, f, g)
	a, b := reveal(t, 0, f, 0), reveal(t, 0, f, 1)
	at := func(l Leaf, number uint8, index uint32) Leaf {
		l.Attachment, l.Index = number, index
		return l
	}
	w.refused(t, "exchanged", *s.e, at(b, 0, 0), at(a, 0, 1))
	w.refused(t, "one in another's place", *s.e, at(a, 0, 1))
	w.refused(t, "one of two wrong", *s.e, a, at(a, 0, 2))
	w.refused(t, "of the other attachment", *s.e, at(a, 1, 0))
	w.refused(t, "of no attachment", *s.e, at(a, 2, 0))
	w.refused(t, "of no attachment, by far", *s.e, at(a, 255, 0))
	w.refused(t, "behind the last", *s.e, at(a, 0, 3))
	w.refused(t, "of a file that was not sent", *s.e, reveal(t, 0, other, 0))
	w.refused(t, "of a text", *w.hello(t).e, a)
	for name, leaves := range map[string][]Leaf{
		"twice": {a, a}, "out of order": {b, a}, "attachments out of order": {reveal(t, 1, g, 0), a},
		"too many": {a, b, reveal(t, 0, f, 2), reveal(t, 1, g, 0)},
	} {
		e := *s.e
		e.Leaves = leaves
		_, err := e.Marshal()
		wants(t, name, err, wire.ErrMalformed)
	}
}

// Every field of a leaf, nodes as leaves, paths of other lengths.
func attackLeaves(t *testing.T, w *world) {
	for _, chunks := range []int{1, 3, 5} { // odd trees
		f := fileOf(t, chunks*attachment.ChunkSize-9)
		s := w.sendFiles(t, f)
		for i := range chunks {
			changed := func(name string, change func(*Leaf)) {
				t.Helper()
				l := reveal(t, 0, f, i)
				change(&l)
				w.refused(t, fmt.Sprintf("chunk %d of %d, %s", i, chunks, name), *s.e, l)
			}
			changed("salt", func(l *Leaf) { l.Salt[0] ^= 1 })
			changed("chunk", func(l *Leaf) { l.Chunk[len(l.Chunk)-1] ^= 1 })
			changed("shortened", func(l *Leaf) { l.Chunk = l.Chunk[1:] })
			changed("longer path", func(l *Leaf) { l.Path = append(l.Path, attachment.Hash{}) })
			if chunks > 1 {
				changed("index", func(l *Leaf) { l.Index = uint32((i + 1) % chunks) })
				changed("path", func(l *Leaf) { l.Path[0][0] ^= 1 })
				changed("shorter path", func(l *Leaf) { l.Path = l.Path[1:] })
				changed("no path", func(l *Leaf) { l.Path = nil })
				// What is beside it, as if it were a chunk of 64 bytes.
				changed("node", func(l *Leaf) { l.Chunk, l.Path = slices.Concat(l.Path[0][:], l.Path[0][:]), l.Path[1:] })
			}
		}
	}
	// No bit of a leaf in a report means nothing.
	f := fileOf(t, attachment.ChunkSize+20)
	e := *w.sendFiles(t, f).e
	none, _ := e.Marshal()
	e.Leaves = []Leaf{reveal(t, 0, f, 1)}
	raw, _ := e.Marshal()
	for bit := 8 * (len(none) - 1); bit < 8*len(raw); bit++ {
		bad := bytes.Clone(raw)
		bad[bit/8] ^= 1 << (bit % 8)
		if got, err := ParseEvidence(bad); err == nil && w.examine(got) == nil {
			t.Fatalf("bit %d of byte %d is not covered", bit%8, bit/8)
		}
	}
}

// Files of no byte, of whole chunks and of one byte beside: each chunk is reported.
func attackFileLengths(t *testing.T, w *world) {
	for _, size := range []int{0, 1, attachment.ChunkSize - 1, attachment.ChunkSize, attachment.ChunkSize + 1, 4*attachment.ChunkSize - 1, 4*attachment.ChunkSize + 1} {
		f := fileOf(t, size)
		s := w.sendFiles(t, f)
		for i := range f.Chunks() {
			e := *s.e
			e.Leaves = []Leaf{reveal(t, 0, f, i)}
			if err := w.examine(&e); err != nil {
				t.Errorf("%d bytes, chunk %d: %v", size, i, err)
			}
			e.Leaves[0].Chunk = append(e.Leaves[0].Chunk, 0)
			wants(t, "a byte more", w.verify(&e), FaultLeaf)
		}
	}
}

// A report has room for the longest message with attachments and as many whole
// chunks of the largest file as it may reveal, with note and escrow.
func TestLeavesFitAReport(t *testing.T) {
	w := newWorld(t)
	s := w.hello(t)
	e := *s.e
	e.Frame = make([]byte, content.MaxAttachmentFrame)
	for i := range MaxLeaves {
		e.Leaves = append(e.Leaves, Leaf{uint8(i), attachment.Leaf{
			Index: attachment.MaxChunks - 1, Chunk: make([]byte, attachment.ChunkSize), Path: make([]attachment.Hash, attachment.MaxPath),
		}})
	}
	r := &Report{ID: NewReportID(), Reason: ReasonSpam, Consents: allConsents, Note: strings.Repeat("x", MaxNote), Messages: []Evidence{e}}
	bundle := mustBundle(t, w, s)
	m := w.substantiate(t, s.e)
	share, err := MakeShare(m.Verified, bundle.Escrow(), w.bob.recipient(), w.bob.z)
	if err != nil {
		t.Fatal(err)
	}
	r.Escrows = []EscrowOpening{{Escrow: *bundle.Escrow(), Share: *share}}
	raw, err := wire.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	longest := len(raw) + MaxToken - len(wire.MustMarshal(&e.Token))
	if largest := reportClasses[len(reportClasses)-1]; longest > largest {
		t.Errorf("%d bytes of %d", longest, largest)
	}
	sealed, err := r.Seal(w.b.desk, bob)
	if err != nil {
		t.Fatal(err)
	}
	got, err := OpenReport(sealed, w.b.seal, w.b.desk, bob)
	if err != nil || len(got.Messages[0].Leaves) != MaxLeaves {
		t.Fatal(err)
	}
	e.Leaves[0].Chunk = append(e.Leaves[0].Chunk, 0)
	_, err = e.Marshal()
	wants(t, "a longer chunk", err, wire.ErrMalformed)
}
