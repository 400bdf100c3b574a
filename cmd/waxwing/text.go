package main

import (
	"strings"
	"unicode"
)

// plain makes somebody else's text fit for a terminal: what could move the
// cursor, change colours, hide text or reverse its direction is shown as a
// replacement character. Line breaks are shown as a sign, so that nobody
// can write a line that looks like another person's.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n':
			return '¶'
		case r == '\t':
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r), r == '\u2028', r == '\u2029':
			return unicode.ReplacementChar
		}
		return r
	}, s)
}
