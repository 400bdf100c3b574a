package attachment

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

// wants fails unless err is want.
func wants(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

// sample is a sealed file with all that there is of it.
type sample struct {
	plain, sealed []byte
	d             *Descriptor
	s             *Secret
}

func sealed(t testing.TB, plain []byte) *sample {
	t.Helper()
	var out bytes.Buffer
	d, s, err := Seal(&out, bytes.NewReader(plain), "cat.jpg", "image/jpeg")
	if err != nil {
		t.Fatal(err)
	}
	return &sample{plain, out.Bytes(), d, s}
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// open opens another ciphertext under the sample's descriptor and secret.
func (a *sample) open(b []byte) (*File, error) { return Open(a.d, a.s, bytes.NewReader(b)) }

func (a *sample) mustOpen(t testing.TB) *File {
	t.Helper()
	f, err := a.open(a.sealed)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// chunks returns the chunks of the ciphertext.
func (a *sample) chunks() [][]byte { return slices.Collect(slices.Chunk(a.sealed, SealedChunk)) }

// sizes are where the number of chunks changes, and of the tree's levels (31 of the
// adversarial list).
func sizes() (out []int) {
	out = []int{0, 1, minPadded - 1, minPadded, minPadded + 1}
	for _, n := range []int{1, 2, 4, 8, 16} {
		for _, more := range []int{-1, 0, 1} {
			out = append(out, n*ChunkSize+more, max(0, n+more)*ChunkSize)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Every length comes back, chunk by chunk and whole, and each chunk is proven.
func TestSizes(t *testing.T) {
	for _, n := range sizes() {
		a := sealed(t, random(n))
		if a.d.Size != uint64(n) || uint64(len(a.sealed)) != SealedSize(uint64(n)) {
			t.Fatalf("%d bytes: descriptor of %d, %d sealed", n, a.d.Size, len(a.sealed))
		}
		f := a.mustOpen(t)
		var out bytes.Buffer
		if m, err := f.WriteTo(&out); err != nil || m != int64(n) || !bytes.Equal(out.Bytes(), a.plain) {
			t.Fatalf("%d bytes: %d come back, %v", n, m, err)
		}
		if f.Chunks() != Chunks(uint64(n)) || f.Descriptor() != *a.d {
			t.Fatalf("%d bytes: %d chunks", n, f.Chunks())
		}
		for i := range f.Chunks() {
			l, err := f.Reveal(i)
			if err != nil || l.Check(a.d) != nil || !bytes.Equal(l.Chunk, a.plain[l.Offset():][:len(l.Chunk)]) || len(l.Path) > MaxPath {
				t.Fatalf("%d bytes, chunk %d: %v", n, i, err)
			}
		}
		for _, i := range []int{-1, f.Chunks()} {
			_, err := f.Reveal(i)
			wants(t, "no such chunk", err, ErrLeaf)
			_, err = f.Chunk(i)
			wants(t, "no such chunk", err, ErrLeaf)
		}
		// One byte less or more is none of the file's.
		for _, other := range []int{n - 1, n + 1} {
			if other < 0 {
				continue
			}
			d := *a.d
			d.Size = uint64(other)
			_, err := Open(&d, a.s, bytes.NewReader(a.sealed))
			wants(t, fmt.Sprintf("%d bytes as %d", n, other), err, ErrSealed)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		plain := make([]byte, rapid.IntRange(0, 5*ChunkSize).Draw(t, "size"))
		for i := range plain {
			plain[i] = byte(i * 7)
		}
		// However the reader hands it out.
		var r io.Reader = bytes.NewReader(plain)
		switch rapid.IntRange(0, 2).Draw(t, "reader") {
		case 1:
			r = iotest.HalfReader(r)
		case 2:
			r = iotest.DataErrReader(r)
		}
		var out bytes.Buffer
		d, s, err := Seal(&out, r, "", "application/octet-stream")
		if err != nil {
			t.Fatal(err)
		}
		f, err := Open(d, s, bytes.NewReader(out.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		var again bytes.Buffer
		if _, err := f.WriteTo(&again); err != nil || !bytes.Equal(again.Bytes(), plain) {
			t.Fatal("another file", err)
		}
		i := rapid.IntRange(0, f.Chunks()-1).Draw(t, "chunk")
		if l, err := f.Reveal(i); err != nil || l.Check(d) != nil {
			t.Fatal("not proven", err)
		}
	})
}

// A ciphertext has few lengths: at most 12 per cent more, and no two files of one
// length have two.
func TestPadding(t *testing.T) {
	lengths := map[uint64]bool{}
	for n := uint64(minPadded); n <= 1<<20; n++ {
		p := Padded(n)
		if p < n || (p-n)*100 > 12*n || Padded(p) != p {
			t.Fatalf("%d is padded to %d", n, p)
		}
		lengths[p] = true
	}
	if len(lengths) > 200 {
		t.Errorf("%d lengths up to a megabyte", len(lengths))
	}
	for n := range uint64(minPadded) {
		if Padded(n) != minPadded {
			t.Fatalf("%d is padded to %d", n, Padded(n))
		}
	}
	if Padded(MaxSize) != MaxSize || Chunks(MaxSize) != MaxChunks || bits.Len(MaxChunks-1) != MaxPath {
		t.Error("the limits do not fit together")
	}
	a := sealed(t, random(1<<18-1))
	if chunks := a.chunks(); len(chunks) != Chunks(a.d.Size) {
		t.Errorf("%d chunks", len(chunks))
	}
	// Chunks of padding alone.
	a = sealed(t, random(33*ChunkSize+1))
	if got := len(a.chunks()); got != 34 || a.mustOpen(t).Chunks() != 34 {
		t.Errorf("%d chunks", got)
	}
	a = sealed(t, random(1<<20+1))
	if sealedChunks, real := len(a.chunks()), a.mustOpen(t).Chunks(); sealedChunks <= real {
		t.Errorf("%d chunks are sealed of %d", sealedChunks, real)
	}
}

// What is sealed under one secret and padded with something else than zeros does
// not open, though its hash is in the descriptor.
func TestPaddingIsZero(t *testing.T) {
	for _, n := range []int{0, 10, ChunkSize + 5, 1<<20 + 1} {
		a := sealed(t, random(n))
		c := newChunker(a.s)
		whole := make([]byte, Padded(uint64(n)))
		copy(whole, a.plain)
		whole[len(whole)-1] = 1
		var out []byte
		pieces := slices.Collect(slices.Chunk(whole, ChunkSize))
		for i, p := range pieces {
			no := nonce(uint32(i), i == len(pieces)-1)
			out = c.aead.Seal(out, no[:], p, nil)
		}
		c.sealed.Write(out)
		d := *a.d
		d.Sealed = Hash(c.sealed.Sum(nil))
		_, err := Open(&d, a.s, bytes.NewReader(out))
		wants(t, fmt.Sprint(n), err, ErrSealed)
	}
}

// A descriptor of values that none has is neither made nor opened.
func TestDescriptor(t *testing.T) {
	a := sealed(t, []byte("hello"))
	for name, change := range map[string]func(*Descriptor){
		"size":              func(d *Descriptor) { d.Size = MaxSize + 1 },
		"long name":         func(d *Descriptor) { d.Name = strings.Repeat("a", MaxName+1) },
		"folder":            func(d *Descriptor) { d.Name = "../cat.jpg" },
		"other folder":      func(d *Descriptor) { d.Name = `c:\cat.jpg` },
		"this folder":       func(d *Descriptor) { d.Name = "." },
		"folder above":      func(d *Descriptor) { d.Name = ".." },
		"terminal":          func(d *Descriptor) { d.Name = "cat\x1b[2J.jpg" },
		"zero byte":         func(d *Descriptor) { d.Name = "cat.jpg\x00.exe" },
		"C1":                func(d *Descriptor) { d.Name = "cat\u009b.jpg" },
		"not UTF-8":         func(d *Descriptor) { d.Name = "cat\xff" },
		"no type":           func(d *Descriptor) { d.Type = "" },
		"half a type":       func(d *Descriptor) { d.Type = "image" },
		"no subtype":        func(d *Descriptor) { d.Type = "image/" },
		"no major type":     func(d *Descriptor) { d.Type = "/jpeg" },
		"upper case":        func(d *Descriptor) { d.Type = "image/JPEG" },
		"parameter":         func(d *Descriptor) { d.Type = "text/plain; charset=utf-8" },
		"space":             func(d *Descriptor) { d.Type = "text/ plain" },
		"three parts":       func(d *Descriptor) { d.Type = "text/plain/x" },
		"begins with a dot": func(d *Descriptor) { d.Type = "text/.plain" },
		"long type":         func(d *Descriptor) { d.Type = "text/" + strings.Repeat("a", MaxType) },
	} {
		d := *a.d
		change(&d)
		wants(t, name, d.Check(), ErrDescriptor)
		_, err := Open(&d, a.s, bytes.NewReader(a.sealed))
		wants(t, name, err, ErrDescriptor)
		if d.Size == a.d.Size {
			_, _, err := Seal(io.Discard, strings.NewReader("hello"), d.Name, d.Type)
			wants(t, name, err, ErrDescriptor)
		}
	}
	for _, mediaType := range []string{"application/vnd.openxmlformats-officedocument.wordprocessingml.document", "image/svg+xml", "text/x-c", "audio/3gpp2"} {
		d := *a.d
		d.Type = mediaType
		if err := d.Check(); err != nil {
			t.Errorf("%s: %v", mediaType, err)
		}
	}
}

// Readers and writers that fail are not files that end.
func TestErrorsPassThrough(t *testing.T) {
	broken := errors.New("broken")
	_, _, err := Seal(io.Discard, io.MultiReader(bytes.NewReader(random(40_000)), iotest.ErrReader(broken)), "", "image/png")
	wants(t, "reader", err, broken)
	for _, n := range []int{0, 1, 3} {
		_, _, err = Seal(&failing{n, broken}, bytes.NewReader(random(4*ChunkSize)), "", "image/png")
		wants(t, fmt.Sprintf("writer, after %d", n), err, broken)
	}
	a := sealed(t, random(2*ChunkSize))
	f := a.mustOpen(t)
	_, err = f.WriteTo(&failing{1, broken})
	wants(t, "file's writer", err, broken)
	for _, size := range []int64{0, SealedChunk, int64(len(a.sealed))} {
		_, err = Open(a.d, a.s, &failingAt{a.sealed, size, broken})
		wants(t, fmt.Sprintf("ciphertext, from %d", size), err, broken)
	}
}

// failing takes n writes.
type failing struct {
	n   int
	err error
}

func (f *failing) Write(b []byte) (int, error) {
	if f.n--; f.n < 0 {
		return 0, f.err
	}
	return len(b), nil
}

// failingAt fails for what is not before an offset.
type failingAt struct {
	b    []byte
	from int64
	err  error
}

func (f *failingAt) ReadAt(b []byte, at int64) (int, error) {
	if at+int64(len(b)) > f.from {
		return 0, f.err
	}
	return bytes.NewReader(f.b).ReadAt(b, at)
}

// A file that is longer than the limit is refused, one that is as long is not, and
// no descriptor makes Open allocate for what does not come.
func TestTooLarge(t *testing.T) {
	const limit = 3*ChunkSize + 5
	for n, want := range map[int]error{limit: nil, limit + 1: ErrTooLarge, limit + ChunkSize: ErrTooLarge} {
		_, err := seal(io.Discard, bytes.NewReader(make([]byte, n)), "", "image/png", newSecret(), limit)
		wants(t, fmt.Sprint(n), err, want)
	}
	a := sealed(t, []byte("hello"))
	d := *a.d
	d.Size = MaxSize
	if n := testing.AllocsPerRun(1, func() {
		_, err := Open(&d, a.s, bytes.NewReader(a.sealed))
		wants(t, "most of it missing", err, ErrSealed)
	}); n > 100 {
		t.Errorf("%v allocations", n)
	}
}

func TestSecrets(t *testing.T) {
	a := sealed(t, []byte("hello"))
	for _, n := range []int{0, 31, 33} {
		_, err := SecretFrom(make([]byte, n))
		wants(t, fmt.Sprint(n), err, ErrSecret)
	}
	s, err := SecretFrom(a.s.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(a.d, s, bytes.NewReader(a.sealed)); err != nil {
		t.Error(err)
	}
	for _, out := range []string{fmt.Sprint(s), fmt.Sprintf("%+v", s), fmt.Sprintf("%x", s), fmt.Sprintf("%#v", s), s.String()} {
		if out != "(secret redacted)" {
			t.Errorf("prints %s", out)
		}
	}
	s.Erase()
	_, err = Open(a.d, s, bytes.NewReader(a.sealed))
	wants(t, "erased", err, ErrSecret)
	if b := sealed(t, a.plain); b.d.Sealed == a.d.Sealed || b.d.Root == a.d.Root || b.d.Commitment == a.d.Commitment {
		t.Error("one file sealed twice is recognised")
	}
}
