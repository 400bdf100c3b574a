package docs_test

import (
	"go/ast"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// fuzzRow is a row of the table of fuzz targets: package, what, targets, how many
// executions.
var fuzzRow = regexp.MustCompile("(?m)^\\| `([a-z/0-9]+)` \\| ([^|]+) \\| (`Fuzz[^|]+) \\| ([0-9,]+|none) \\|$")

// fuzzTargets lists the targets of the tree as "package.Target", with the lines
// that declare them.
func fuzzTargets(t *testing.T, tr *tree) map[string]string {
	t.Helper()
	out := map[string]string{}
	for dir, p := range tr.packages {
		for _, f := range p.sources(true) {
			text := strings.Split(document(t, "../"+f.path), "\n")
			for _, decl := range f.ast.Decls {
				fn, ok := decl.(*ast.FuncDecl)
				if !ok || fn.Recv != nil || !strings.HasPrefix(fn.Name.Name, "Fuzz") {
					continue
				}
				out[dir+"."+fn.Name.Name] = text[tr.fset.Position(fn.Pos()).Line-1]
				if strings.Contains(strings.Join(text, "\n"), "\n//go:build") || strings.HasPrefix(text[0], "//go:build") {
					t.Errorf("%s: a target behind a build constraint is not run everywhere", f.path)
				}
			}
		}
	}
	return out
}

// Every fuzz target stands in the table of CONTRIBUTING.md, once, and nothing else
// does.
func TestFuzzTargetsAreDocumented(t *testing.T) {
	targets := fuzzTargets(t, loadTree(t))
	if len(targets) == 0 {
		t.Fatal("no targets found")
	}
	var listed []string
	for _, m := range fuzzRow.FindAllStringSubmatch(document(t, "../CONTRIBUTING.md"), -1) {
		for _, q := range quoted.FindAllStringSubmatch(m[3], -1) {
			listed = append(listed, m[1]+"."+q[1])
		}
	}
	for name := range targets {
		if !slices.Contains(listed, name) {
			t.Errorf("CONTRIBUTING.md has no row with %s", name)
		}
	}
	for i, name := range listed {
		if _, ok := targets[name]; !ok {
			t.Errorf("CONTRIBUTING.md: there is no %s", name)
		}
		if slices.Contains(listed[:i], name) {
			t.Errorf("CONTRIBUTING.md has %s twice", name)
		}
	}
}

// The checks find the packages with targets by their lines, and take every target
// of a package.
func TestChecksRunEveryFuzzTarget(t *testing.T) {
	run := document(t, "../.ci/run")
	found := regexp.MustCompile(`\nfuzzed=\$\(gosources '(func Fuzz[^']+)' '\*_test\.go'\)\n#[^\n]*\nstep '[^']+' instrument \$fuzzed\nfor dir in \$fuzzed; do\n\tstep "[^"]+" fuzz "\$dir"\n`).FindStringSubmatch(run)
	if found == nil || !strings.Contains(run, `-test.list '^Fuzz'`) || !strings.Contains(run, "for target in $targets; do\n\t\tfuzzone \"$dir\" \"$bin\" \"$target\" || bad=1\n") {
		t.Fatal(".ci/run has another loop over fuzz targets: this test has to know it")
	}
	line := regexp.MustCompile("^([^/]|/[^/])*(" + found[1] + ")") // as gosources looks
	for name, declared := range fuzzTargets(t, loadTree(t)) {
		if !line.MatchString(declared) {
			t.Errorf(".ci/run does not find %s: %s", name, declared)
		}
	}
}
