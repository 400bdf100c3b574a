package content

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"waxwing/core/ids"
	"waxwing/core/wire"
)

func dg(i int) (d Digest) {
	binary.BigEndian.PutUint32(d[:], uint32(i)+1)
	return d
}

func digests(from, n int) []Digest {
	var out []Digest
	for i := range n {
		out = append(out, dg(from+i))
	}
	return out
}

func text(s string) *Frame {
	return &Frame{Kind: KindText, Conversation: Conversation{7}, Seq: 1, Sent: 1_700_000_000_000, Text: s}
}

func TestFrameRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := text(rapid.StringN(1, -1, 2000).Draw(t, "text"))
		f.Conversation = NewConversation()
		f.Seq, f.Sent = rapid.Uint64().Draw(t, "seq"), rapid.Uint64().Draw(t, "sent")
		f.Prev = dg(rapid.Int().Draw(t, "prev"))
		f.Refs = digests(rapid.IntRange(0, 9).Draw(t, "from"), rapid.IntRange(0, MaxRefs).Draw(t, "refs"))
		b, err := f.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseFrame(b)
		if err != nil || got.Conversation != f.Conversation || got.Seq != f.Seq || got.Sent != f.Sent ||
			got.Prev != f.Prev || !slices.Equal(got.Refs, f.Refs) || got.Text != f.Text || got.Kind != f.Kind {
			t.Fatalf("frame changed: %v", err)
		}
	})
}

// The layout, byte for byte: its hash names messages for ever.
func TestFrameLayout(t *testing.T) {
	f := text("hi")
	f.Seq, f.Sent, f.Prev, f.Refs = 2, 3, Digest{4}, []Digest{{5}}
	b, err := f.Marshal()
	want := "01" + "01" + "07" + strings.Repeat("00", 15) + "0000000000000002" + "0000000000000003" +
		"04" + strings.Repeat("00", 31) + "0001" + "05" + strings.Repeat("00", 31) + "00" + hex.EncodeToString([]byte("hi"))
	if err != nil || hex.EncodeToString(b) != want {
		t.Errorf("%x, %v", b, err)
	}
	small, _ := text("x").Marshal()
	if len(small) != frameFixed+1 || frameFixed > 70 {
		t.Errorf("%d bytes beside the text", len(small)-1)
	}
}

func TestFrameRefuses(t *testing.T) {
	for name, change := range map[string]func(f *Frame){
		"no kind":         func(f *Frame) { f.Kind = 0 },
		"reserved kind":   func(f *Frame) { f.Kind = 2 },
		"no conversation": func(f *Frame) { f.Conversation = Conversation{} },
		"zero ref":        func(f *Frame) { f.Refs = []Digest{{}} },
		"ref twice":       func(f *Frame) { f.Refs = []Digest{dg(1), dg(2), dg(1)} },
		"too many refs":   func(f *Frame) { f.Refs = digests(0, MaxRefs+1) },
		"no text":         func(f *Frame) { f.Text = "" },
		"not UTF-8":       func(f *Frame) { f.Text = "a\xff" },
		"surrogate":       func(f *Frame) { f.Text = "\xed\xa0\x80" },
		"overlong":        func(f *Frame) { f.Text = "\xc0\x80" },
		"too long":        func(f *Frame) { f.Text = strings.Repeat("a", MaxText+1) },
	} {
		f := text("hello")
		change(f)
		if _, err := f.Marshal(); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	b, _ := text("hello").Marshal()
	for name, at := range map[string]int{"version": 0, "kind": 1} {
		bad := bytes.Clone(b)
		bad[at]++
		if _, err := ParseFrame(bad); !errors.Is(err, ErrUnsupported) || !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, n := range []byte{1, 2, 255} {
		bad := bytes.Clone(b)
		bad[frameFixed-1] = n // of a text
		if _, err := ParseFrame(bad); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%d attachments: %v", n, err)
		}
	}
	for name, bad := range map[string][]byte{
		"zero conversation": slices.Concat(b[:2], make([]byte, 16), b[18:]),
		"bad text":          append(bytes.Clone(b), 0xc3),
		"no text":           b[:frameFixed],
	} {
		if _, err := ParseFrame(bad); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ParseFrame(nil); !errors.Is(err, wire.ErrMalformed) {
		t.Errorf("empty frame: %v", err)
	}
}

// Every field changes the bytes; every changed byte is refused or changes the
// value.
func TestFrameFieldsCount(t *testing.T) {
	base := func() *Frame {
		f := text("hello")
		f.Prev, f.Refs = dg(1), digests(2, 2)
		return f
	}
	b, _ := base().Marshal()
	for name, change := range map[string]func(f *Frame){
		"conversation": func(f *Frame) { f.Conversation[15]++ },
		"seq":          func(f *Frame) { f.Seq++ },
		"sent":         func(f *Frame) { f.Sent++ },
		"prev":         func(f *Frame) { f.Prev[31]++ },
		"refs":         func(f *Frame) { f.Refs[1][31]++ },
		"order":        func(f *Frame) { slices.Reverse(f.Refs) },
		"fewer refs":   func(f *Frame) { f.Refs = f.Refs[:1] },
		"text":         func(f *Frame) { f.Text += "!" },
	} {
		f := base()
		change(f)
		if again, err := f.Marshal(); err != nil || bytes.Equal(again, b) {
			t.Errorf("%s does not count: %v", name, err)
		}
	}
	checkCanonical(t, "frame", b, reparseFrame, frameFixed+2*DigestSize)
}

// checkCanonical flips bits and cuts bytes off; a prefix of at least whole
// bytes may be a value of its own.
func checkCanonical(t *testing.T, name string, b []byte, parse func([]byte) ([]byte, error), whole int) {
	t.Helper()
	if again, err := parse(b); err != nil || !bytes.Equal(again, b) {
		t.Errorf("%s: does not parse to itself: %v", name, err)
	}
	for n := 1; n < len(b); n++ {
		again, err := parse(b[:n])
		if err == nil && (n <= whole || !bytes.Equal(again, b[:n])) || err != nil && !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: %d bytes: %v", name, n, err)
		}
	}
	for i := range b {
		for bit := range 8 {
			bad := bytes.Clone(b)
			bad[i] ^= 1 << bit
			if again, err := parse(bad); err == nil && !bytes.Equal(again, bad) {
				t.Errorf("%s: byte %d is not canonical", name, i)
			}
		}
	}
}

func reparseFrame(b []byte) ([]byte, error) {
	f, err := ParseFrame(b)
	if err != nil {
		return nil, err
	}
	return f.Marshal()
}

func reparseControl(b []byte) ([]byte, error) {
	c, err := ParseControl(b)
	if err != nil {
		return nil, err
	}
	return c.Marshal()
}

func TestSizesFit(t *testing.T) {
	f := text(strings.Repeat("a", MaxText))
	f.Refs = digests(0, MaxRefs)
	b, err := f.Marshal()
	if err != nil || len(b) != MaxFrame {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	// kf, sigma2, hour, two lengths and the seal's tag.
	const around = 32 + 64 + 4 + 4 + 4 + 16
	room := wire.Class64K.BodySize() - around
	if MaxFrame+3000 > room || MaxControl > room {
		t.Errorf("%d bytes of room", room)
	}
	if room := wire.Class1K.BodySize() - around; frameFixed+100 > room {
		t.Errorf("no room for a short text in %d bytes", room)
	}
}

func TestPrintsRedacted(t *testing.T) {
	for _, v := range []any{text("hello"), *text("hello"), Control{Grant: []byte("secret")}, NewConversation()} {
		if out := fmt.Sprintf("%v %+v", v, v); !strings.Contains(out, "redacted") || len(out) > 80 {
			t.Errorf("%T prints %s", v, out)
		}
	}
}

func FuzzFrame(f *testing.F) {
	fr := text("hello")
	fr.Refs = digests(0, 2)
	b, _ := fr.Marshal()
	f.Add(b)
	b, _ = files(2, "hello").Marshal()
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		if again, err := reparseFrame(b); err == nil && !bytes.Equal(again, b) {
			t.Error("not canonical")
		}
	})
}

var full = Control{
	Mailbox: ids.MailboxID{1}, Grant: []byte("grant"), Delivered: digests(1, 3), Read: digests(2, 2),
	Confirmed: digests(9, 1), SealKey: []byte("seal key"), Certificate: []byte("certificate"), Manifest: []byte("manifest"), Missed: digests(12, 2),
	Piece: &Piece{ID: PieceID{5}, Length: 100, First: 2, Bytes: make([]byte, 32)}, Wanted: digests(20, 2), Standing: [StandingSize]byte{6},
}
