package docs_test

import (
	"fmt"
	"go/ast"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

// rules is an architecture; arch_test.go says what each field is for.
type rules struct {
	topFolders    []string
	floors        []floor
	upward        []upwardTest
	pureUpTo      int
	impureImports []string
	impureCalls   []string
	banned        []string
	dependencies  []dependency
	maxFileLines  int
	maxFuncLines  int
	long          map[string]string
	readme        []string
}

// floor is the place of one package.
type floor struct {
	at       int
	path     string
	why      string
	impure   string   // why a package of a pure floor may touch the world
	calls    []string // if any: the only impure calls that this excuses
	testOnly bool     // only tests may import it
}

// upwardTest lets the external tests of one package import a higher one.
type upwardTest struct{ from, to, why string }

// dependency says which packages may import an outside module. Without
// packages it may be imported anywhere.
type dependency struct {
	path     string
	in       []string
	testOnly bool
	why      string
}

// place is where a package stands. Floors are doubled so that helpers fit
// between them.
type place struct {
	row      floor
	rank     int
	owner    string // of an internal package: the package of the table
	testOnly bool
}

// place finds a package's floor. Besides the table's own packages it knows two
// kinds: an internal package stands just below its owner (which may import it,
// as may its other internal packages), and a folder named after its parent with
// "test" added stands just above it and is imported by tests only.
func (r *rules) place(dir string) (place, bool) {
	if row, ok := r.row(dir); ok {
		return place{row: row, rank: 2 * row.at, testOnly: row.testOnly}, true
	}
	if owner, _, ok := strings.Cut(dir+"/", "/internal/"); ok {
		row, ok := r.row(owner)
		return place{row: row, rank: 2*row.at - 1, owner: owner, testOnly: row.testOnly}, ok
	}
	if parent := path.Dir(dir); path.Base(dir) == path.Base(parent)+"test" {
		row, ok := r.row(parent)
		return place{row: row, rank: 2*row.at + 1, testOnly: true}, ok
	}
	return place{}, false
}

func (r *rules) row(dir string) (floor, bool) {
	i := slices.IndexFunc(r.floors, func(f floor) bool { return f.path == dir })
	if i < 0 {
		return floor{}, false
	}
	return r.floors[i], true
}

// check returns what the module does against the rules, each with its place.
func (r *rules) check(m *module) []string {
	var v violations
	r.checkTable(&v)
	r.checkTree(m, &v)
	for _, dir := range slices.Sorted(maps.Keys(m.packages)) {
		p := m.packages[dir]
		r.checkForm(m, p, &v)
		if dir == "." || len(p.sources(false)) == 0 {
			continue // already refused; tests of the module itself
		}
		at, ok := r.place(dir)
		if !ok {
			v.add(dir, "is not in the table of floors")
			continue
		}
		checkDoc(p, &v)
		for _, f := range p.files {
			r.checkImports(m, p, at, f, &v)
		}
		excused := at.testOnly || at.row.impure != "" && len(at.row.calls) == 0
		if at.row.at <= r.pureUpTo && !excused {
			for _, f := range p.sources(false) {
				r.checkPure(m, f, at.row.calls, &v)
			}
		}
	}
	r.checkExceptions(m, &v)
	return v
}

type violations []string

func (v *violations) add(where, format string, args ...any) {
	*v = append(*v, where+": "+fmt.Sprintf(format, args...))
}

// checkTable: a row has a reason and stands once.
func (r *rules) checkTable(v *violations) {
	seen := make(map[string]bool)
	for _, row := range r.floors {
		if row.why == "" {
			v.add(row.path, "stands in the table of floors without a reason")
		}
		if len(row.calls) > 0 && row.impure == "" {
			v.add(row.path, "may make impure calls without a reason")
		}
		if seen[row.path] {
			v.add(row.path, "stands twice in the table of floors")
		}
		seen[row.path] = true
	}
	for _, u := range r.upward {
		if u.why == "" {
			v.add(u.from, "its tests may import %s without a reason", u.to)
		}
	}
	for _, d := range r.dependencies {
		if d.why == "" {
			v.add(d.path, "is a dependency without a reason")
		}
	}
	for name, why := range r.long {
		if why == "" {
			v.add(name, "may be long without a reason")
		}
	}
}

// checkTree: the top-level folders are the agreed ones, the root holds no Go,
// and the README's commands are there.
func (r *rules) checkTree(m *module, v *violations) {
	for _, dir := range m.folders {
		if !slices.Contains(r.topFolders, dir) {
			v.add(dir, "is not one of the agreed top-level folders")
		}
	}
	for _, dir := range r.topFolders {
		if !slices.Contains(m.folders, dir) {
			v.add(dir, "is an agreed top-level folder and missing")
		}
	}
	if root := m.packages["."]; root != nil {
		v.add(root.files[0].path, "Go files stand in packages, not in the module's root")
	}
	if m.readme == "" {
		return
	}
	lines := strings.Split(m.readme, "\n")
	for _, command := range r.readme {
		// Whole, in a block or in backquotes, with at most a comment after it.
		whole := regexp.MustCompile("(^|[\\s`])" + regexp.QuoteMeta(command) + "(`|\\s*($|#))")
		if !slices.ContainsFunc(lines, whole.MatchString) {
			v.add("README.md", "lacks the line %q", command)
		}
	}
}

// checkDoc: doc.go introduces the package.
func checkDoc(p *pkg, v *violations) {
	i := slices.IndexFunc(p.files, func(f *source) bool { return path.Base(f.path) == "doc.go" })
	if i < 0 {
		v.add(p.path, "has no doc.go")
		return
	}
	doc := p.files[i]
	want := "Package " + doc.ast.Name.Name + " "
	if doc.ast.Name.Name == "main" {
		want = "Command " + path.Base(p.path) + " "
	}
	if !strings.HasPrefix(strings.ReplaceAll(doc.ast.Doc.Text(), "\n", " "), want) {
		v.add(doc.path, "the package comment does not begin with %q", want)
	}
}

var mark = regexp.MustCompile(`\b(TODO|FIXME|XXX|HACK)\b`)

// checkForm: sizes of files and functions outside tests, and no marks of
// unfinished work anywhere.
func (r *rules) checkForm(m *module, p *pkg, v *violations) {
	for _, f := range p.files {
		for _, group := range f.ast.Comments {
			if found := mark.FindString(group.Text()); found != "" {
				v.add(f.path, "says %s: finish it or leave it out", found)
			}
		}
		for name, lines := range r.tooLong(m, f) {
			if _, excused := r.long[name]; !excused {
				v.add(name, "is too long with %d lines: split it", lines)
			}
		}
	}
}

// tooLong returns a file and its functions as far as they are beyond the
// limits, with their lines, by the names that the table of exceptions uses.
func (r *rules) tooLong(m *module, f *source) map[string]int {
	long := make(map[string]int)
	if f.test {
		return long
	}
	if f.lines > r.maxFileLines {
		long[f.path] = f.lines
	}
	for _, decl := range f.ast.Decls {
		if fn, ok := decl.(*ast.FuncDecl); ok {
			lines := m.fset.Position(fn.End()).Line - m.fset.Position(fn.Pos()).Line + 1
			if lines > r.maxFuncLines {
				long[f.path+":"+funcName(fn)] = lines
			}
		}
	}
	return long
}

// funcName is "Name" or "Type.Name".
func funcName(fn *ast.FuncDecl) string {
	if fn.Recv == nil || len(fn.Recv.List) == 0 {
		return fn.Name.Name
	}
	name := ""
	ast.Inspect(fn.Recv.List[0].Type, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && name == "" {
			name = id.Name
		}
		return name == ""
	})
	return name + "." + fn.Name.Name
}

// checkImports: floors, the outside modules, and what nobody may import.
func (r *rules) checkImports(m *module, p *pkg, at place, f *source, v *violations) {
	for _, imp := range f.imports {
		inside, ours := strings.CutPrefix(imp.path, m.path+"/")
		switch {
		case imp.name == ".":
			v.add(f.path, "imports %s with a dot, which hides where names come from", imp.path)
		case !f.test && slices.Contains(r.banned, imp.path):
			v.add(f.path, "imports %s, which no package may", imp.path)
		case ours:
			r.checkFloor(p, at, f, inside, v)
		case strings.Contains(strings.Split(imp.path, "/")[0], "."):
			r.checkDependency(p, at, f, imp.path, v)
		}
	}
}

// checkFloor: an import of a package of this module.
func (r *rules) checkFloor(p *pkg, at place, f *source, target string, v *violations) {
	to, ok := r.place(target)
	if !ok {
		v.add(f.path, "imports %s, which is not in the table of floors", target)
		return
	}
	if f.test {
		listed := slices.ContainsFunc(r.upward, func(u upwardTest) bool { return u.from == p.path && u.to == target })
		helper := target == p.path+"/"+path.Base(p.path)+"test"
		if to.rank > at.rank && !helper && !(listed && f.external) {
			v.add(f.path, "a test on floor %d imports %s on floor %d", at.row.at, target, to.row.at)
		}
		return
	}
	switch {
	case to.testOnly && !at.testOnly:
		v.add(f.path, "imports %s, which is for tests only", target)
	case at.owner != "" && at.owner == to.owner:
		// Go itself refuses a cycle among them.
	case to.rank >= at.rank:
		v.add(f.path, "floor %d imports %s on floor %d", at.row.at, target, to.row.at)
	}
}

// checkDependency: an import from outside the module and the standard library.
func (r *rules) checkDependency(p *pkg, at place, f *source, target string, v *violations) {
	i := slices.IndexFunc(r.dependencies, func(d dependency) bool { return within(target, d.path) })
	if i < 0 {
		v.add(f.path, "imports %s, which is not in the table of dependencies", target)
		return
	}
	d := r.dependencies[i]
	if d.testOnly && !f.test && !at.testOnly {
		v.add(f.path, "imports %s, which is for tests only", target)
	}
	if len(d.in) > 0 && !slices.ContainsFunc(d.in, func(dir string) bool { return within(p.path, dir) }) {
		v.add(f.path, "imports %s, which belongs to %s", target, strings.Join(d.in, ", "))
	}
}

// within reports whether a slash-separated path is a folder or lies below it.
func within(p, dir string) bool {
	return p == dir || strings.HasPrefix(p, dir+"/")
}

// checkPure: no goroutine, clock, socket, file or log.
func (r *rules) checkPure(m *module, f *source, excused []string, v *violations) {
	called := make(map[string]string) // import paths by the file's name for them
	for _, imp := range f.imports {
		for _, bad := range r.impureImports {
			below := strings.HasSuffix(bad, "/") && within(imp.path, strings.TrimSuffix(bad, "/"))
			if imp.path == bad || below {
				v.add(f.path, "a pure floor imports %s", imp.path)
			}
		}
		called[imp.name] = imp.path
	}
	ast.Inspect(f.ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			v.add(m.fset.Position(n.Pos()).String(), "a pure floor starts a goroutine")
		case *ast.SelectorExpr:
			// sync.WaitGroup.Go and its like are go statements by another name.
			if n.Sel.Name == "Go" {
				v.add(m.fset.Position(n.Pos()).String(), "a pure floor starts a goroutine with Go")
			}
			id, ok := n.X.(*ast.Ident)
			if !ok {
				break
			}
			name := called[id.Name] + "." + n.Sel.Name
			if slices.Contains(r.impureCalls, name) && !slices.Contains(excused, name) {
				v.add(m.fset.Position(n.Pos()).String(), "a pure floor uses %s", name)
			}
		}
		return true
	})
}

// checkExceptions: an exception that nothing needs any more is taken back.
func (r *rules) checkExceptions(m *module, v *violations) {
	for _, u := range r.upward {
		p := m.packages[u.from]
		if p == nil || len(p.sources(false)) == 0 || m.packages[u.to] == nil {
			continue // not written yet
		}
		if !slices.ContainsFunc(p.files, func(f *source) bool {
			return f.test && slices.ContainsFunc(f.imports, func(i imported) bool { return i.path == m.path+"/"+u.to })
		}) {
			v.add(u.from, "no test imports %s any more: take the exception back", u.to)
		}
	}
	needed := make(map[string]int)
	for _, p := range m.packages {
		for _, f := range p.files {
			maps.Copy(needed, r.tooLong(m, f))
		}
	}
	for name := range r.long {
		if needed[name] == 0 {
			v.add(name, "may be long and is not: take the exception back")
		}
	}
}
