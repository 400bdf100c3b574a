package docs_test

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// module is the source of a module as the rules see it.
type module struct {
	path     string          // from go.mod
	folders  []string        // top-level, without dotfolders
	packages map[string]*pkg // by folder, "." for the root
	readme   string          // empty if there is none
	fset     *token.FileSet  // of every file
}

// pkg is one folder with Go files, for every platform and build tag.
type pkg struct {
	path  string // folder, relative to the module
	files []*source
}

// source is one Go file.
type source struct {
	path     string // relative to the module
	test     bool   // name ends in _test.go
	external bool   // test of package x_test
	lines    int
	ast      *ast.File
	imports  []imported
}

// imported is one import of a file.
type imported struct {
	name string // as the file calls it; "." or "_" as written
	path string
}

// sources returns the package's files that are or are not tests.
func (p *pkg) sources(test bool) []*source {
	var out []*source
	for _, f := range p.files {
		if f.test == test {
			out = append(out, f)
		}
	}
	return out
}

// loadModule reads every Go file below a module's root. Folders that the go
// command ignores (dotfolders, _folders, testdata) are left out, and so are
// other modules nested in this one.
func loadModule(root fs.FS) (*module, error) {
	m := &module{packages: make(map[string]*pkg), fset: token.NewFileSet()}
	gomod, err := fs.ReadFile(root, "go.mod")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(gomod)) {
		if name, ok := strings.CutPrefix(line, "module "); ok {
			m.path = strings.TrimSpace(name)
		}
	}
	if m.path == "" {
		return nil, errors.New("go.mod names no module")
	}
	if readme, err := fs.ReadFile(root, "README.md"); err == nil {
		m.readme = string(readme)
	}
	err = fs.WalkDir(root, ".", func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && file != ".":
			return m.enter(root, file)
		case d.IsDir() || !strings.HasSuffix(file, ".go"):
			return nil
		}
		return m.add(root, file)
	})
	return m, err
}

// enter decides whether a folder is walked.
func (m *module) enter(root fs.FS, dir string) error {
	base := path.Base(dir)
	if strings.HasPrefix(base, ".") {
		return fs.SkipDir
	}
	if !strings.Contains(dir, "/") {
		m.folders = append(m.folders, dir)
	}
	if strings.HasPrefix(base, "_") || base == "testdata" {
		return fs.SkipDir
	}
	if _, err := fs.Stat(root, path.Join(dir, "go.mod")); err == nil {
		return fs.SkipDir
	}
	return nil
}

// add parses one file into its package.
func (m *module) add(root fs.FS, file string) error {
	text, err := fs.ReadFile(root, file)
	if err != nil {
		return err
	}
	parsed, err := parser.ParseFile(m.fset, file, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return fmt.Errorf("parse: %w", err)
	}
	s := &source{
		path:     file,
		test:     strings.HasSuffix(file, "_test.go"),
		external: strings.HasSuffix(parsed.Name.Name, "_test"),
		lines:    bytes.Count(text, []byte("\n")),
		ast:      parsed,
	}
	for _, spec := range parsed.Imports {
		target, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		name := path.Base(target)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		s.imports = append(s.imports, imported{name: name, path: target})
	}
	dir := path.Dir(file)
	p := m.packages[dir]
	if p == nil {
		p = &pkg{path: dir}
		m.packages[dir] = p
	}
	p.files = append(p.files, s)
	return nil
}
