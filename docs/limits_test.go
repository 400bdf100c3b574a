package docs_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"waxwing/ratelimit/limits"
)

var limitsBlock = regexp.MustCompile(`(?s)(<!-- limits -->\n).*?(<!-- end -->)`)

// The operator's table of limits is that of the code; -update writes it.
func TestLimitsTable(t *testing.T) {
	const name = "operations.md"
	text := document(t, name)
	var b strings.Builder
	b.WriteString("| limit | of each | default | at least | what | why | over it |\n|---|---|---|---|---|---|---|\n")
	for n := range limits.End {
		i := &limits.All[n]
		over := i.Instead
		if over == "" {
			over = "refused, with the time to try again"
		}
		fmt.Fprintf(&b, "| `%s` | %s | `%s` | %d | %s | %s | %s |\n", i.Key, i.Scope, limits.Format(i.Default), i.Least, i.What, i.Why, over)
	}
	if !limitsBlock.MatchString(text) {
		t.Fatalf("%s has no block of limits", name)
	}
	want := limitsBlock.ReplaceAllStringFunc(text, func(string) string { return "<!-- limits -->\n" + b.String() + "<!-- end -->" })
	if want == text {
		return
	}
	if !*update {
		t.Fatalf("the limits in %s are not those of the code; run \"go test ./docs -run LimitsTable -update\"", name)
	}
	if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}
