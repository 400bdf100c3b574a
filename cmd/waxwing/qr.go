package main

import (
	"strings"

	"github.com/skip2/go-qrcode"
)

// qr draws text as a QR code for a terminal: two modules in each character, dark
// on light with the quiet zone that scanners need, so that it can be read on
// dark and on light terminals alike. The error is that of a text that is too
// long.
func qr(text string) (string, error) {
	code, err := qrcode.New(text, qrcode.Medium)
	if err != nil {
		return "", err
	}
	const reset, onWhite = "\x1b[0m\n", "\x1b[30;107m"
	bits := code.Bitmap()
	var b strings.Builder
	for y := 0; y < len(bits); y += 2 {
		b.WriteString(onWhite)
		for x := range bits[y] {
			below := y+1 < len(bits) && bits[y+1][x]
			b.WriteString(halves[bits[y][x]][below])
		}
		b.WriteString(reset)
	}
	return b.String(), nil
}

// halves are the characters for a dark upper and a dark lower half.
var halves = map[bool]map[bool]string{
	true:  {true: "\u2588", false: "\u2580"},
	false: {true: "\u2584", false: " "},
}
