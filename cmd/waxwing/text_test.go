package main

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestPlain(t *testing.T) {
	for in, want := range map[string]string{
		"grüß dich, 世界 👋":     "grüß dich, 世界 👋",
		"a\x1b[2Jb":           "a�[2Jb",
		"one\ntwo\r\n\tthree": "one¶two�¶ three",
		"abc\u202ecba":        "abc�cba",
		"\u0085\u2028\x7f":    "���",
	} {
		if got := plain(in); got != want {
			t.Errorf("plain(%q) = %q, want %q", in, got, want)
		}
	}
}

// FuzzPlain: whatever others write, no character of it steers a terminal, and what
// is fit already stays.
func FuzzPlain(f *testing.F) {
	f.Add("grüß dich, 世界 👋")
	f.Add("a\x1b[2Jb\u202e\r\n\x9b\xff")
	f.Fuzz(func(t *testing.T, s string) {
		out := plain(s)
		if !utf8.ValidString(out) || strings.ContainsFunc(out, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }) {
			t.Errorf("%q is shown as %q", s, out)
		}
		if plain(out) != out {
			t.Errorf("%q is not fit after all", out)
		}
	})
}
