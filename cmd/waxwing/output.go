package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// print writes a result: v as a line of JSON, or text for people.
func (a *app) print(v any, format string, args ...any) error {
	if a.json {
		return json.NewEncoder(a.out).Encode(v)
	}
	_, err := fmt.Fprintf(a.out, format, args...)
	return err
}

// progress writes to standard error while something takes its time, only if a
// person watches.
func (a *app) progress() io.Writer {
	if f, ok := a.errOut.(*os.File); ok && !a.json && term.IsTerminal(int(f.Fd())) {
		return f
	}
	return io.Discard
}

// interactive reports whether a person types at standard input.
func (a *app) interactive() bool {
	f, ok := a.in.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
