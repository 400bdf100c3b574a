package docs_test

import (
	"fmt"
	"go/ast"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"waxwing/core/wire"
	"waxwing/relay"
)

// tree is the module with the names that each package declares.
type tree struct {
	*module
	names map[string]map[string]bool // by folder: "Func", "Type", "Type.Method", "Const", "TestFunc"
}

func loadTree(t *testing.T) *tree {
	t.Helper()
	m, err := loadModule(os.DirFS(".."))
	if err != nil {
		t.Fatal(err)
	}
	tr := &tree{module: m, names: map[string]map[string]bool{}}
	for dir, p := range m.packages {
		names := map[string]bool{}
		for _, f := range p.files {
			for _, decl := range f.ast.Decls {
				declared(decl, names)
			}
		}
		tr.names[dir] = names
	}
	return tr
}

func declared(decl ast.Decl, names map[string]bool) {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		names[funcName(d)] = true
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				names[s.Name.Name] = true
			case *ast.ValueSpec:
				for _, n := range s.Names {
					names[n.Name] = true
				}
			}
		}
	}
}

// texts returns the string constants of a package's files outside tests that
// have a prefix.
func (tr *tree) texts(dir, prefix string) []string {
	var out []string
	for _, f := range tr.packages[dir].sources(false) {
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if s, err := strconv.Unquote(lit.Value); err == nil && strings.HasPrefix(s, prefix) {
					out = append(out, s)
				}
			}
			return true
		})
	}
	return out
}

// listed returns the strings of a variable that is a list of them.
func (tr *tree) listed(dir, name string) (out []string) {
	for _, f := range tr.packages[dir].sources(false) {
		ast.Inspect(f.ast, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || spec.Names[0].Name != name {
				return true
			}
			ast.Inspect(spec, func(n ast.Node) bool {
				if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					s, _ := strconv.Unquote(lit.Value)
					out = append(out, s)
				}
				return true
			})
			return false
		})
	}
	return out
}

// imported returns the packages that others import outside tests.
func (tr *tree) imported() map[string]bool {
	used := map[string]bool{}
	for _, p := range tr.packages {
		for _, f := range p.sources(false) {
			for _, imp := range f.imports {
				if inside, ours := strings.CutPrefix(imp.path, tr.path+"/"); ours {
					used[inside] = true
				}
			}
		}
	}
	return used
}

func document(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// quoted finds what a document sets in backquotes, identifier what of it names
// something in a package by the package's folder.
var (
	quoted     = regexp.MustCompile("`([^`\n]+)`")
	identifier = regexp.MustCompile(`^([a-z][a-z0-9/]*)\.([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)?)$`)
)

// Whatever the documents name in backquotes exists: packages, files and what is
// declared in them.
func TestNamesExist(t *testing.T) {
	tr := loadTree(t)
	for _, doc := range []string{
		"../README.md", "../SECURITY.md", "../CONTRIBUTING.md", "../CHANGELOG.md",
		"architecture.md", "protocol.md", "performance.md", "operations.md", "metadata.md", "franking.md", "admission.md",
	} {
		found := 0
		for _, m := range quoted.FindAllStringSubmatch(document(t, doc), -1) {
			switch n, wrong := tr.check(m[1]); {
			case wrong != "":
				t.Errorf("%s: `%s`: %s", doc, m[1], wrong)
			default:
				found += n
			}
		}
		if doc == "architecture.md" && found < 40 {
			t.Errorf("%s names only %d things of the code", doc, found)
		}
	}
}

// check says whether a name is one of the code's, and what is wrong with it.
func (tr *tree) check(name string) (found int, wrong string) {
	name, _, _ = strings.Cut(name, "()")
	if m := identifier.FindStringSubmatch(name); m != nil && tr.packages[m[1]] != nil {
		if tr.names[m[1]][m[2]] {
			return 1, ""
		}
		if _, err := os.Stat("../" + name); err == nil {
			return 1, "" // a file such as docs/x.md
		}
		return 0, "not declared there"
	}
	top, _, isPath := strings.Cut(name, "/")
	if !isPath || !slices.Contains(architecture.topFolders, top) || strings.ContainsAny(name, " *{<") {
		return 0, ""
	}
	if _, err := os.Stat("../" + name); err == nil {
		return 1, ""
	}
	if slices.ContainsFunc(architecture.floors, func(f floor) bool { return f.path == name }) {
		return 1, "" // a package that is to come
	}
	return 0, "no such file or package"
}

var testName = regexp.MustCompile("`([a-z/]+)\\.(Test\\w+)(?:/(\\w+))?`")

// row returns the line of a table whose first cell is `name`.
func row(doc, name string) string {
	for line := range strings.Lines(doc) {
		if strings.HasPrefix(line, "| `"+name+"` |") {
			return line
		}
	}
	return ""
}

// checkTests wants the row of a case to name tests that exist.
func (tr *tree) checkTests(t *testing.T, name, line string) {
	t.Helper()
	tests := testName.FindAllStringSubmatch(line, -1)
	if len(tests) == 0 {
		t.Errorf("protocol.md: %s has no row that names a test", name)
	}
	for _, m := range tests {
		if !tr.names[m[1]][m[2]] {
			t.Errorf("protocol.md: %s: there is no test %s in %s", name, m[2], m[1])
		}
	}
}

// Every end of an envelope at a relay stands in protocol.md with the answer
// that its sender gets and a test that shows it.
func TestCasesAreDocumented(t *testing.T) {
	tr, doc := loadTree(t), document(t, "protocol.md")
	for r := range relay.ReasonEnd {
		line := row(doc, r.String())
		tr.checkTests(t, r.String(), line)
		if want := "relay.TestEveryReason/" + r.String() + "`"; !strings.Contains(line, want) {
			t.Errorf("protocol.md: %s: does not name its case of TestEveryReason", r)
		}
		answer := "ack"
		if !r.Acked() {
			answer = (&relay.Refusal{Reason: r}).Code().String()
		}
		if !strings.Contains(line, "| "+answer) {
			t.Errorf("protocol.md: %s: the sender's answer is %q", r, answer)
		}
	}
	// Tests that other rows name.
	for line := range strings.Lines(doc) {
		if testName.MatchString(line) {
			tr.checkTests(t, "a line", line)
		}
	}
	drops := tr.listed("relay/client", "dropNames")
	if len(drops) == 0 {
		t.Error("no reasons found for which a client drops deliveries")
	}
	for _, name := range drops {
		if row(doc, name) == "" {
			t.Errorf("protocol.md lacks a row for what clients drop as %q", name)
		}
	}
}

// Every code and every metric stands in protocol.md.
func TestCodesAndMetricsAreDocumented(t *testing.T) {
	tr, doc := loadTree(t), document(t, "protocol.md")
	for c := wire.Code(1); c.Valid(); c++ {
		if want := fmt.Sprintf("| %d | %s |", c, c); !strings.Contains(doc, want) {
			t.Errorf("protocol.md lacks the row %q", want)
		}
	}
	metrics := tr.texts("relay/node", "waxwing_")
	if len(metrics) == 0 {
		t.Error("no metrics found")
	}
	for _, name := range metrics {
		if row(doc, name) == "" {
			t.Errorf("protocol.md lacks a row for the metric %s", name)
		}
	}
}

// Every label that enters a hash, a signature or a key stands in protocol.md.
func TestLabelsAreDocumented(t *testing.T) {
	tr, doc := loadTree(t), document(t, "protocol.md")
	used := tr.imported()
	for dir := range tr.packages {
		if strings.HasPrefix(dir, "cmd/") || dir == "relay/daemon" || !used[dir] {
			continue // commands' help texts; what no program uses yet
		}
		for _, label := range tr.texts(dir, "waxwing ") {
			if !strings.Contains(doc, `"`+label+`"`) {
				t.Errorf("protocol.md lacks the label %q of %s", label, dir)
			}
		}
	}
}

// Every module from outside that the program or its tests import has its reason
// in architecture.md.
func TestDependenciesAreDocumented(t *testing.T) {
	tr, doc := loadTree(t), document(t, "architecture.md")
	var modules []string
	for line := range strings.Lines(document(t, "../go.mod")) {
		fields := strings.Fields(strings.TrimPrefix(line, "require"))
		if len(fields) >= 2 && strings.HasPrefix(fields[1], "v") {
			modules = append(modules, fields[0])
		}
	}
	used, found := tr.imported(), map[string]bool{}
	for dir, p := range tr.packages {
		if !used[dir] && !strings.HasPrefix(dir, "cmd/") {
			continue
		}
		for _, f := range p.files {
			for _, imp := range f.imports {
				for _, m := range modules {
					if imp.path == m || strings.HasPrefix(imp.path, m+"/") {
						found[m] = true
					}
				}
			}
		}
	}
	if len(found) == 0 {
		t.Error("no dependency found")
	}
	for m := range found {
		if row(doc, m) == "" {
			t.Errorf("architecture.md lacks a row for %s", m)
		}
	}
}
