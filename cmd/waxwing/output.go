package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

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

// table prints rows as lines of JSON, or in columns for people.
func table[T any](a *app, rows []T, head []string, cells func(*T) []any) error {
	if a.json {
		for i := range rows {
			if err := a.print(&rows[i], ""); err != nil {
				return err
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, strings.Join(head, "\t"))
	for i := range rows {
		var line []string
		for _, cell := range cells(&rows[i]) {
			line = append(line, fmt.Sprint(cell))
		}
		fmt.Fprintln(w, strings.Join(line, "\t"))
	}
	return w.Flush()
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
