package main

import (
	"fmt"
	"strings"

	"waxwing/core/attachment"
	"waxwing/franking"
)

// fileLine is an attachment as JSON: what its sender says of it.
type fileLine struct {
	Name string `json:"name"`
	Type string `json:"type"`
	Size uint64 `json:"size"`
	// Proven are the parts that a reporter revealed; only of verified evidence.
	Proven []partLine `json:"proven,omitempty"`
}

// partLine is a part of a file that is proven to be what the author sent.
type partLine struct {
	Offset  uint64 `json:"offset"`
	Content []byte `json:"content"` // base64
}

func filesOf(attachments []attachment.Descriptor) (out []fileLine) {
	for _, d := range attachments {
		out = append(out, fileLine{Name: d.Name, Type: d.Type, Size: d.Size})
	}
	return out
}

// provenFiles is filesOf with the chunks that evidence reveals.
func provenFiles(v *franking.Verified) []fileLine {
	out := filesOf(v.Position().Attachments)
	for _, l := range v.Leaves() {
		f := &out[l.Attachment]
		f.Proven = append(f.Proven, partLine{l.Offset(), l.Chunk})
	}
	return out
}

// String says what an attachment is. The name is quoted, so that it is not read as
// something that this program says.
func (f *fileLine) String() string {
	return fmt.Sprintf("%q, %s, %d bytes", plain(f.Name), f.Type, f.Size)
}

// withFiles is whom or what a line begins with, and the files that came along: in
// front of the text, where no text can pretend to be one.
func withFiles(who string, files []fileLine) string {
	var b strings.Builder
	b.WriteString(who)
	for i := range files {
		fmt.Fprintf(&b, " [%s]", &files[i])
	}
	return b.String()
}
