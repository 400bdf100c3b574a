package content

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"waxwing/core/attachment"
	"waxwing/core/wire"
)

func described(i int) attachment.Descriptor {
	return attachment.Descriptor{
		Name: fmt.Sprintf("cat %d.jpg", i), Type: "image/jpeg", Size: uint64(i) * 1000,
		Root: attachment.Hash(dg(3 * i)), Sealed: attachment.Hash(dg(3*i + 1)), Commitment: attachment.Hash(dg(3*i + 2)),
	}
}

// files is a frame with n attachments.
func files(n int, caption string) *Frame {
	f := text(caption)
	f.Kind = KindAttachment
	for i := range n {
		f.Attachments = append(f.Attachments, described(i))
	}
	return f
}

func TestAttachmentRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := files(0, rapid.StringN(0, -1, MaxCaption).Draw(t, "caption"))
		for i := range rapid.IntRange(1, MaxAttachments).Draw(t, "attachments") {
			d := described(i)
			d.Name = rapid.StringMatching(`[ -.0-\[\]-~é🐈]{0,30}`).Filter(func(s string) bool { return s != "." && s != ".." }).Draw(t, "name")
			d.Type = rapid.StringMatching(`[a-z0-9][a-z0-9.+-]{0,40}/[a-z0-9][a-z0-9.+-]{0,50}`).Draw(t, "type")
			d.Size = rapid.Uint64Range(0, attachment.MaxSize).Draw(t, "size")
			f.Attachments = append(f.Attachments, d)
		}
		f.Refs = digests(0, rapid.IntRange(0, MaxRefs).Draw(t, "refs"))
		b, err := f.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseFrame(b)
		if err != nil || got.Kind != KindAttachment || got.Text != f.Text || !slices.Equal(got.Attachments, f.Attachments) || !slices.Equal(got.Refs, f.Refs) {
			t.Fatalf("frame changed: %v", err)
		}
	})
}

// The layout, byte for byte. That of a text is what it was before there were
// attachments (TestFrameLayout).
func TestAttachmentLayout(t *testing.T) {
	f := files(0, "hi")
	f.Attachments = []attachment.Descriptor{{Name: "é", Type: "a/b", Size: 5, Root: attachment.Hash{6}, Sealed: attachment.Hash{7}, Commitment: attachment.Hash{8}}}
	b, err := f.Marshal()
	zeros := strings.Repeat("00", 31)
	want := "01" + hex.EncodeToString([]byte("\x00\x00\x00\x02é\x00\x00\x00\x03a/b")) + "0000000000000005" +
		"06" + zeros + "07" + zeros + "08" + zeros + hex.EncodeToString([]byte("hi"))
	if err != nil || b[1] != 6 || hex.EncodeToString(b[frameFixed-1:]) != want {
		t.Errorf("%x, %v", b, err)
	}
}

func TestAttachmentFrameRefuses(t *testing.T) {
	for name, change := range map[string]func(f *Frame){
		"text with attachments": func(f *Frame) { f.Kind = KindText },
		"no attachment":         func(f *Frame) { f.Attachments = nil },
		"too many":              func(f *Frame) { f.Attachments = files(MaxAttachments+1, "").Attachments },
		"far too many":          func(f *Frame) { f.Attachments = files(257, "").Attachments },
		"one secret twice":      func(f *Frame) { f.Attachments[1].Commitment = f.Attachments[0].Commitment },
		"name":                  func(f *Frame) { f.Attachments[1].Name = "../x" },
		"long name":             func(f *Frame) { f.Attachments[1].Name = strings.Repeat("a", attachment.MaxName+1) },
		"type":                  func(f *Frame) { f.Attachments[1].Type = "Image/JPEG" },
		"long type":             func(f *Frame) { f.Attachments[1].Type = "a/" + strings.Repeat("b", attachment.MaxType) },
		"size":                  func(f *Frame) { f.Attachments[1].Size = attachment.MaxSize + 1 },
		"long caption":          func(f *Frame) { f.Text = strings.Repeat("a", MaxCaption+1) },
		"not UTF-8":             func(f *Frame) { f.Text = "\xff" },
	} {
		f := files(2, "look")
		change(f)
		if _, err := f.Marshal(); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, caption := range []string{"", strings.Repeat("a", MaxCaption)} {
		if _, err := files(MaxAttachments, caption).Marshal(); err != nil {
			t.Errorf("a caption of %d bytes: %v", len(caption), err)
		}
	}
	// The same where bytes say so.
	b, _ := files(2, "look").Marshal()
	for name, change := range map[string]func(b []byte) []byte{
		"text with attachments": func(b []byte) []byte { b[1] = byte(KindText); return b },
		"no attachment":         func(b []byte) []byte { b[frameFixed-1] = 0; return b },
		"one more":              func(b []byte) []byte { b[frameFixed-1] = 3; return b },
		"more than there are":   func(b []byte) []byte { b[frameFixed-1] = 255; return b },
		"too large":             func(b []byte) []byte { b[frameFixed+4+len("cat 0.jpg")+4+len("image/jpeg")] = 1; return b },
	} {
		if _, err := ParseFrame(change(bytes.Clone(b))); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAttachmentFieldsCount(t *testing.T) {
	b, _ := files(2, "").Marshal()
	for name, change := range map[string]func(d *attachment.Descriptor){
		"name":       func(d *attachment.Descriptor) { d.Name += "!" },
		"type":       func(d *attachment.Descriptor) { d.Type += "x" },
		"size":       func(d *attachment.Descriptor) { d.Size++ },
		"root":       func(d *attachment.Descriptor) { d.Root[31]++ },
		"sealed":     func(d *attachment.Descriptor) { d.Sealed[31]++ },
		"commitment": func(d *attachment.Descriptor) { d.Commitment[0]++ },
	} {
		f := files(2, "")
		change(&f.Attachments[1])
		if again, err := f.Marshal(); err != nil || bytes.Equal(again, b) {
			t.Errorf("%s does not count: %v", name, err)
		}
	}
	f := files(2, "")
	slices.Reverse(f.Attachments)
	if again, err := f.Marshal(); err != nil || bytes.Equal(again, b) {
		t.Errorf("the order does not count: %v", err)
	}
	b, _ = files(2, "look").Marshal()
	checkCanonical(t, "frame", b, reparseFrame, len(b)-len("look")-1)
}

func TestAttachmentFrameFits(t *testing.T) {
	f := files(MaxAttachments, strings.Repeat("a", MaxCaption))
	f.Refs = digests(0, MaxRefs)
	for i := range f.Attachments {
		d := &f.Attachments[i]
		d.Name, d.Type = strings.Repeat("a", attachment.MaxName), "a/"+strings.Repeat("b", attachment.MaxType-2)
	}
	if b, err := f.Marshal(); err != nil || len(b) != MaxAttachmentFrame || MaxAttachmentFrame > MaxFrame {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}
