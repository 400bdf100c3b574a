package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Data goes where the XDG base directory specification says; a relative
// XDG_DATA_HOME is ignored, as it asks.
func TestDataDirectory(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	for _, row := range []struct{ xdg, want string }{
		{"", filepath.Join(home, ".local", "share")},
		{"relative", filepath.Join(home, ".local", "share")},
		{filepath.Join(home, "data"), filepath.Join(home, "data")},
	} {
		t.Setenv("XDG_DATA_HOME", row.xdg)
		if got, err := dataDirectory("linux"); err != nil || got != row.want {
			t.Errorf("%q: %q, %v", row.xdg, got, err)
		}
	}
}

// The help and the program know the same exit codes.
func TestExitCodes(t *testing.T) {
	for code, name := range exitNames {
		if name == "ok" {
			name = "done"
		}
		if !strings.Contains(exitCodes, fmt.Sprintf("\n  %d  %s", code, name)) {
			t.Errorf("the help lacks %d %s", code, name)
		}
	}
	if want := len(exitNames); strings.Count(exitCodes, "\n  ") != want {
		t.Errorf("the help has other than %d codes", want)
	}
}

// Whoever holds a profile is named; a file that says nothing usable, or would
// play with the terminal, changes nothing but the message.
func TestHolder(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, holderFile)
	const unnamed = "another process has the profile open"
	if got := heldBy(dir).Error(); got != unnamed {
		t.Errorf("without a file: %q", got)
	}
	release := hold(dir, "inbox")
	if got := heldBy(dir); got.code != exitInUse || !strings.Contains(got.what, fmt.Sprintf("\"waxwing inbox\" (process %d)", os.Getpid())) {
		t.Errorf("held: %q", got.what)
	}
	release()
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Error("the file stays")
	}
	for _, bad := range [][]byte{nil, []byte("x inbox"), bytes.Repeat([]byte("1"), maxHolder+1)} {
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if got := heldBy(dir).Error(); got != unnamed {
			t.Errorf("%q: %q", bad, got)
		}
	}
	if err := os.WriteFile(path, []byte("7 \x1b[2Jinbox"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := heldBy(dir).Error(); strings.ContainsRune(got, '\x1b') {
		t.Errorf("an escape: %q", got)
	}
}

// The drawing is a square of half as many lines, with a quiet zone, and fits a
// terminal of 80 columns.
func TestQR(t *testing.T) {
	out, err := qr("waxwing-verify:" + strings.Repeat("A", 87))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	width := 0
	for i, l := range lines {
		l = strings.TrimSuffix(strings.TrimPrefix(l, "\x1b[30;107m"), "\x1b[0m")
		n := len([]rune(l))
		if width == 0 {
			width = n
		}
		if n != width || n > 80 {
			t.Errorf("line %d is %d wide, want %d", i, n, width)
		}
		if i < 2 && strings.TrimSpace(l) != "" {
			t.Error("no quiet zone")
		}
	}
	if len(lines) != (width+1)/2 {
		t.Errorf("%d lines for %d columns", len(lines), width)
	}
	if _, err := qr(strings.Repeat("A", 4000)); err == nil {
		t.Error("a text that is too long is drawn")
	}
}
