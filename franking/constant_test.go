package franking

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
)

// secretSums are the names under which this package holds what was computed under
// a secret, or is compared with it.
var secretSums = []string{"want", "mac", "com", "Com", "Stamp", "stamp", "Binding", "Inner", "inner", "tag"}

// compared returns where a file compares such a value with an operation that takes
// longer the more of it is right.
func compared(t *testing.T, name string, src any) (out []string) {
	t.Helper()
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, name, src, 0)
	if err != nil {
		t.Fatal(err)
	}
	secret := func(e ast.Expr) bool {
		for {
			switch x := e.(type) {
			case *ast.SliceExpr:
				e = x.X
			case *ast.StarExpr:
				e = x.X
			case *ast.SelectorExpr:
				return slices.Contains(secretSums, x.Sel.Name)
			case *ast.Ident:
				return slices.Contains(secretSums, x.Name)
			default:
				return false
			}
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch x := n.(type) {
		case *ast.BinaryExpr:
			if id, ok := x.Y.(*ast.Ident); ok && id.Name == "nil" {
				return true
			}
			if (x.Op == token.EQL || x.Op == token.NEQ) && (secret(x.X) || secret(x.Y)) {
				out = append(out, set.Position(x.Pos()).String())
			}
		case *ast.CallExpr:
			sel, ok := x.Fun.(*ast.SelectorExpr)
			if !ok || sel.Sel.Name != "Equal" && sel.Sel.Name != "Compare" {
				return true
			}
			if pkg, ok := sel.X.(*ast.Ident); ok && pkg.Name == "hmac" {
				return true
			}
			if secret(sel.X) || slices.ContainsFunc(x.Args, secret) {
				out = append(out, set.Position(x.Pos()).String())
			}
		}
		return true
	})
	return out
}

// Number 27: what a MAC or a commitment is compared with takes the same time
// wherever they differ. Time itself is not measured.
func TestMACsAreComparedInConstantTime(t *testing.T) {
	files, err := fs.Glob(os.DirFS("."), "*.go")
	if err != nil || len(files) < 20 {
		t.Fatal(len(files), err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		for _, at := range compared(t, name, nil) {
			t.Errorf("%s: compares a secret sum in variable time", at)
		}
	}
	for _, bad := range []string{"e.Com == com", "want != *s", "bytes.Equal(want[:], s[:])", "bytes.Compare(v.Binding[:], b[:]) == 0"} {
		if len(compared(t, "planted.go", "package p\nvar x = "+bad)) == 0 {
			t.Errorf("%s is not noticed", bad)
		}
	}
	for _, good := range []string{"hmac.Equal(want[:], s[:])", "subtle.ConstantTimeCompare(want[:], s[:]) == 1", "com == nil"} {
		if got := compared(t, "planted.go", "package p\nvar x = "+good); len(got) > 0 {
			t.Errorf("%s: %v", good, got)
		}
	}
}
