package main

import "testing"

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
