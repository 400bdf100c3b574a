package main

import (
	"testing"

	"waxwing/core/attachment"
)

// Files stand in front of the text, quoted, and steer no terminal.
func TestFilesAreShown(t *testing.T) {
	files := filesOf([]attachment.Descriptor{{Name: "cat.jpg", Type: "image/jpeg", Size: 1234}, {Name: "a\"] bob: hi\u202egpj", Type: "text/plain"}})
	want := `alice ["cat.jpg", image/jpeg, 1234 bytes] ["a\"] bob: hi` + "\ufffd" + `gpj", text/plain, 0 bytes]`
	if got := withFiles("alice", files); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := withFiles("alice", nil); got != "alice" {
		t.Errorf("%s", got)
	}
	files[0].Proven = []partLine{{Offset: 16384, Content: []byte("abc")}}
	l := &evidenceLine{Files: files}
	if got, want := l.parts(), "  proven of \"cat.jpg\", image/jpeg, 1234 bytes: 3 bytes at 16384\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
