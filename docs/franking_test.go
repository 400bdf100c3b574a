package docs_test

import (
	"fmt"
	"go/ast"
	"go/token"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// attackNumbers is how long the adversarial list is.
const attackNumbers = 50

var (
	testOrFuzz = regexp.MustCompile("`([a-z/]+)\\.((?:Test|Fuzz)\\w*)`")
	listRow    = regexp.MustCompile(`^\| (\d+) \| ([^|]+) \| ([^|]+) \|$`)
	flawRow    = regexp.MustCompile(`^\| ([15])\.(\w+) \| ([^|]+) \| ([^|]+) \|$`)
)

// section returns the lines of a document below a heading, to the next.
func section(t *testing.T, doc, heading string) []string {
	t.Helper()
	_, rest, ok := strings.Cut(doc, "\n## "+heading+"\n")
	if !ok {
		t.Fatalf("no section %q", heading)
	}
	rest, _, _ = strings.Cut(rest, "\n## ")
	return strings.Split(rest, "\n")
}

// uncovered is how a row says that there is no test.
const uncovered = "Not covered: "

// where checks the last cell of a row: tests that exist, or why there are none.
func (tr *tree) where(cell string) error {
	if strings.HasPrefix(cell, uncovered) && len(cell) > len(uncovered)+10 {
		return nil
	}
	tests := testOrFuzz.FindAllStringSubmatch(cell, -1)
	if len(tests) == 0 {
		return fmt.Errorf("names no test, nor why there is none")
	}
	for _, m := range tests {
		if !tr.names[m[1]][m[2]] {
			return fmt.Errorf("there is no %s in %s", m[2], m[1])
		}
	}
	return nil
}

// numbered returns the numbers in the table of a package's TestAttack: the
// integers that its composite literals begin with.
func (tr *tree) numbered(dir string) map[int]bool {
	out := map[int]bool{}
	for _, f := range tr.packages[dir].files {
		for _, decl := range f.ast.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok || fn.Name.Name != "TestAttack" {
				continue
			}
			ast.Inspect(fn, func(n ast.Node) bool {
				if c, ok := n.(*ast.CompositeLit); ok && len(c.Elts) == 3 {
					if lit, ok := c.Elts[0].(*ast.BasicLit); ok && lit.Kind == token.INT {
						number, _ := strconv.Atoi(lit.Value)
						out[number] = true
					}
				}
				return true
			})
		}
	}
	return out
}

// Every number of the adversarial list has a row with its tests, and what a row
// says TestAttack runs, TestAttack runs.
func TestAdversarialListIsCovered(t *testing.T) {
	tr, doc := loadTree(t), document(t, "franking.md")
	tables := map[string]map[int]bool{}
	for _, dir := range []string{"franking", "relay/node"} {
		if tables[dir] = tr.numbered(dir); len(tables[dir]) < 5 {
			t.Fatalf("%s: %d numbers in TestAttack", dir, len(tables[dir]))
		}
	}
	seen := map[int]bool{}
	for _, line := range section(t, doc, "The adversarial list") {
		m := listRow.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		n, _ := strconv.Atoi(m[1])
		if seen[n] || n < 1 || n > attackNumbers {
			t.Errorf("number %d: twice, or none of the list", n)
		}
		seen[n] = true
		if err := tr.where(m[3]); err != nil {
			t.Errorf("number %d: %v", n, err)
		}
		for dir, has := range tables {
			if says := strings.Contains(m[3], "`"+dir+".TestAttack`"); says != has[n] {
				t.Errorf("number %d: the row says %v, %s.TestAttack runs it: %v", n, says, dir, has[n])
			}
		}
	}
	for n := 1; n <= attackNumbers; n++ {
		if !seen[n] {
			t.Errorf("number %d has no row", n)
		}
	}
}

// Every flaw that the model found has a row with its tests.
func TestFlawsAreCovered(t *testing.T) {
	tr, doc := loadTree(t), document(t, "franking.md")
	first, second := map[string]bool{}, 0
	for _, line := range section(t, doc, "What the model found") {
		m := flawRow.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		if m[1] == "1" {
			first[strings.TrimRight(m[2], "abcde")] = true
		} else {
			second++
		}
		if err := tr.where(m[4]); err != nil {
			t.Errorf("%s.%s: %v", m[1], m[2], err)
		}
	}
	for n := 1; n <= 16; n++ {
		if !first[strconv.Itoa(n)] {
			t.Errorf("flaw 1.%d has no row", n)
		}
	}
	if second < 8 {
		t.Errorf("%d flaws of the second check", second)
	}
}

// The checks of the table notice what they are for.
func TestPlantedRowsOfTheList(t *testing.T) {
	tr := loadTree(t)
	for cell, good := range map[string]bool{
		"`franking.TestAttack`":            true,
		"`franking.TestAttack`, by hand":   true,
		"`franking.TestNothing`":           false,
		"`nowhere.TestAttack`":             false,
		"by hand":                          false,
		"Not covered: ":                    false,
		"Not covered: there are no groups": true,
	} {
		if err := tr.where(cell); (err == nil) != good {
			t.Errorf("%q: %v", cell, err)
		}
	}
}
