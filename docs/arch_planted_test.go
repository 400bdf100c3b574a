package docs_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// small is an architecture of a few packages, with every kind of row.
func small() rules {
	return rules{
		topFolders: []string{"cmd", "low", "high"},
		floors: []floor{
			{at: 0, path: "low", why: "w"},
			{at: 0, path: "low/twin", why: "w", impure: "a clock", calls: []string{"time.Now"}},
			{at: 1, path: "low/engine", why: "w", impure: "a disk"},
			{at: 1, path: "low/probe", why: "w", testOnly: true},
			{at: 2, path: "high", why: "w"},
			{at: 3, path: "cmd/tool", why: "w"},
		},
		upward:        []upwardTest{{from: "low", to: "low/probe", why: "w"}},
		pureUpTo:      1,
		impureImports: []string{"net/", "os/", "log/", "math/rand/", "syscall"},
		impureCalls:   []string{"time.Now", "time.Sleep", "context.WithTimeout"},
		banned:        []string{"unsafe", "C"},
		dependencies: []dependency{
			{path: "example.org/disk", in: []string{"low/engine"}, why: "w"},
			{path: "example.org/check", testOnly: true, why: "w"},
		},
		maxFileLines: 20,
		maxFuncLines: 10,
		long:         map[string]string{"high/table.go": "a table", "high/table.go:Table.Fill": "a table"},
		readme:       []string{"run it", "test it"},
	}
}

// clean is a module that keeps the rules and uses every freedom they leave.
func clean() map[string]string {
	return map[string]string{
		"go.mod":    "module m\n\ngo 1.26\n",
		"README.md": "M does.\n\n    run it  # for a look\n\nand `test it`.\n",

		"low/doc.go":            "// Package low is\n// low.\npackage low\n",
		"low/low.go":            "package low\n\nimport \"time\"\n\nfunc F(now time.Time) time.Time { return now.Add(time.Second) }\n",
		"low/low_test.go":       "package low\n\nimport (\n\t\"os\"\n\t\"time\"\n\t\"m/low/lowtest\"\n\t\"example.org/check/deep\"\n)\n\nvar _, _, _, _ = os.Args, time.Now, lowtest.X, deep.X\n",
		"low/ext_test.go":       "package low_test\n\nimport \"m/low/probe\"\n\nvar _ = probe.X\n",
		"low/lowtest/doc.go":    "// Package lowtest helps tests.\npackage lowtest\n\nimport \"m/low\"\n\nvar X = low.F\n",
		"low/twin/doc.go":       "// Package twin is beside low.\npackage twin\n\nimport \"time\"\n\nvar _ = time.Now\n",
		"low/twin/twin_test.go": "package twin\n\nimport \"m/low\"\n\nvar _ = low.F\n",
		"low/engine/doc.go":     "// Package engine is a disk.\npackage engine\n",
		"low/engine/disk.go":    "package engine\n\nimport (\n\t\"os\"\n\t\"time\"\n\t\"m/low\"\n\t\"example.org/disk/v4\"\n)\n\nfunc F() { go low.F(time.Now()); _, _ = os.Args, disk.X }\n",
		"low/probe/doc.go":      "// Package probe probes.\npackage probe\n",
		"low/probe/probe.go":    "package probe\n\nimport (\n\t\"os\"\n\t\"m/low\"\n\t\"example.org/check\"\n)\n\nvar X = []any{os.Args, low.F, check.X}\n",

		"high/doc.go":                "// Package high is high.\npackage high\n",
		"high/high.go":               "package high\n\nimport (\n\t\"time\"\n\t\"m/high/internal/part\"\n\t\"m/low\"\n)\n\nfunc F() { go low.F(time.Now()); part.F() }\n",
		"high/table.go":              "package high\n\ntype Table struct{}\n\nfunc (t *Table) Fill() {\n" + strings.Repeat("\t_ = 1\n", 20) + "}\n",
		"high/internal/part/doc.go":  "// Package part is part of high.\npackage part\n\nimport \"m/high/internal/other\"\n\nfunc F() { other.F() }\n",
		"high/internal/other/doc.go": "// Package other is part of high.\npackage other\n\nimport \"m/low/engine\"\n\nfunc F() { engine.F() }\n",

		"cmd/tool/doc.go":             "// Command tool runs.\npackage main\n\nimport \"m/high\"\n\nfunc main() { high.F() }\n",
		"cmd/tool/testdata/broken.go": "no Go",
		"cmd/_old/old.go":             "no Go",
		"cmd/other/go.mod":            "module other\n",
		"cmd/other/main.go":           "no Go",
		".tools/tools.go":             "no Go",
	}
}

func violationsOf(t *testing.T, r rules, files map[string]string) []string {
	t.Helper()
	tree := make(fstest.MapFS)
	for name, text := range files {
		tree[name] = &fstest.MapFile{Data: []byte(text)}
	}
	m, err := loadModule(tree)
	if err != nil {
		t.Fatal(err)
	}
	return r.check(m)
}

func TestCleanModulePasses(t *testing.T) {
	if got := violationsOf(t, small(), clean()); len(got) > 0 {
		t.Fatalf("a module that keeps the rules is refused:\n%s", strings.Join(got, "\n"))
	}
	// Rows of packages that do not exist are allowed.
	r := small()
	r.floors = append(r.floors, floor{at: 1, path: "low/later", why: "w"})
	r.upward = append(r.upward, upwardTest{from: "low/later", to: "high", why: "w"})
	files := clean()
	delete(files, "README.md")
	if got := violationsOf(t, r, files); len(got) > 0 {
		t.Fatalf("a module that is not finished is refused:\n%s", strings.Join(got, "\n"))
	}
}

// TestPlantedFiles plants one breach at a time into the clean module and wants
// exactly that one reported.
func TestPlantedFiles(t *testing.T) {
	const pure = "package low\n\nimport "
	for name, tc := range map[string]struct {
		file, text string
		want       string
	}{
		"unknown package":             {"low/extra/doc.go", "// Package extra is.\npackage extra\n", "low/extra: is not in the table of floors"},
		"internal of unknown":         {"cmd/internal/x/doc.go", "// Package x is.\npackage x\n", "cmd/internal/x: is not in the table of floors"},
		"helper of another name":      {"low/hightest/doc.go", "// Package hightest is.\npackage hightest\n", "low/hightest: is not in the table of floors"},
		"import of unknown":           {"high/a.go", "package high\n\nimport _ \"m/gone\"\n", "imports gone, which is not in the table of floors"},
		"upward":                      {"low/a.go", pure + "_ \"m/high\"\n", "low/a.go: floor 0 imports high on floor 2"},
		"sideways":                    {"low/a.go", pure + "_ \"m/low/twin\"\n", "low/a.go: floor 0 imports low/twin on floor 0"},
		"internal to its owner":       {"high/internal/part/a.go", "package part\n\nimport _ \"m/high\"\n", "floor 2 imports high on floor 2"},
		"helper upward":               {"low/lowtest/a.go", "package lowtest\n\nimport _ \"m/high\"\n", "floor 0 imports high on floor 2"},
		"under a build tag":           {"low/a_plan9.go", "//go:build plan9\n\n" + pure + "_ \"m/high\"\n", "floor 0 imports high on floor 2"},
		"test helper in use":          {"high/a.go", "package high\n\nimport _ \"m/low/probe\"\n", "imports low/probe, which is for tests only"},
		"named helper in use":         {"high/a.go", "package high\n\nimport _ \"m/low/lowtest\"\n", "imports low/lowtest, which is for tests only"},
		"test upward":                 {"low/twin/a_test.go", "package twin_test\n\nimport _ \"m/low/probe\"\n", "a test on floor 0 imports low/probe on floor 1"},
		"listed, but not external":    {"low/a_test.go", "package low\n\nimport _ \"m/low/probe\"\n", "a test on floor 0 imports low/probe on floor 1"},
		"goroutine":                   {"low/a.go", "package low\n\nfunc G() { go G() }\n", "low/a.go:3:12: a pure floor starts a goroutine"},
		"goroutine of a group":        {"low/a.go", pure + "\"sync\"\n\nfunc G(w *sync.WaitGroup) { w.Go(nil) }\n", "a pure floor starts a goroutine with Go"},
		"short file excused":          {"high/table.go", "package high\n\ntype Table struct{}\n\nfunc (t *Table) Fill() {\n" + strings.Repeat("\t_ = 1\n", 12) + "}\n", "high/table.go: may be long and is not"},
		"short function excused":      {"high/table.go", "package high\n" + strings.Repeat("\n", 20), "high/table.go:Table.Fill: may be long and is not"},
		"clock":                       {"low/a.go", pure + "\"time\"\n\nvar t = time.Now()\n", "a pure floor uses time.Now"},
		"clock by another name":       {"low/a.go", pure + "t \"time\"\n\nvar now = t.Now\n", "a pure floor uses time.Now"},
		"clock of a context":          {"low/a.go", pure + "\"context\"\n\nvar w = context.WithTimeout\n", "a pure floor uses context.WithTimeout"},
		"socket":                      {"low/a.go", pure + "_ \"net\"\n", "a pure floor imports net"},
		"web":                         {"low/a.go", pure + "_ \"net/http\"\n", "a pure floor imports net/http"},
		"file":                        {"low/a.go", pure + "_ \"os\"\n", "a pure floor imports os"},
		"log":                         {"low/a.go", pure + "_ \"log/slog\"\n", "a pure floor imports log/slog"},
		"weak randomness":             {"low/a.go", pure + "_ \"math/rand/v2\"\n", "a pure floor imports math/rand/v2"},
		"exact import":                {"low/a.go", pure + "_ \"syscall\"\n", "a pure floor imports syscall"},
		"dot import":                  {"high/a.go", "package high\n\nimport . \"strings\"\n", "imports strings with a dot"},
		"unsafe":                      {"high/a.go", "package high\n\nimport _ \"unsafe\"\n", "imports unsafe, which no package may"},
		"cgo":                         {"high/a.go", "package high\n\nimport \"C\"\n", "imports C, which no package may"},
		"unknown dependency":          {"high/a.go", "package high\n\nimport _ \"example.org/new\"\n", "imports example.org/new, which is not in the table of dependencies"},
		"like a dependency":           {"low/engine/a.go", "package engine\n\nimport _ \"example.org/diskette\"\n", "imports example.org/diskette, which is not in the table"},
		"dependency elsewhere":        {"high/a.go", "package high\n\nimport _ \"example.org/disk\"\n", "imports example.org/disk, which belongs to low/engine"},
		"dependency in a test":        {"high/a_test.go", "package high\n\nimport _ \"example.org/disk\"\n", "imports example.org/disk, which belongs to low/engine"},
		"dependency for tests":        {"high/a.go", "package high\n\nimport _ \"example.org/check\"\n", "imports example.org/check, which is for tests only"},
		"wrong package comment":       {"low/doc.go", "// Low is low.\npackage low\n", `low/doc.go: the package comment does not begin with "Package low "`},
		"no package comment":          {"low/doc.go", "package low\n", `low/doc.go: the package comment does not begin with "Package low "`},
		"comment apart":               {"low/doc.go", "// Package low is.\n\npackage low\n", `low/doc.go: the package comment does not begin with "Package low "`},
		"wrong command comment":       {"cmd/tool/doc.go", "// Package main runs.\npackage main\n", `cmd/tool/doc.go: the package comment does not begin with "Command tool "`},
		"long file":                   {"high/a.go", "package high\n" + strings.Repeat("\n", 20), "high/a.go: is too long with 21 lines"},
		"long function":               {"high/a.go", "package high\n\nfunc G() {\n" + strings.Repeat("\t_ = 1\n", 9) + "}\n", "high/a.go:G: is too long with 11 lines"},
		"long method":                 {"high/a.go", "package high\n\ntype T[K any] struct{}\n\nfunc (t *T[K]) M() {\n" + strings.Repeat("\t_ = 1\n", 9) + "}\n", "high/a.go:T.M: is too long with 11 lines"},
		"mark":                        {"high/a_test.go", "package high\n\n// TO" + "DO: later\n", "high/a_test.go: says TO" + "DO"},
		"Go in the root":              {"main.go", "package m\n", "main.go: Go files stand in packages"},
		"test in the root":            {"m_test.go", "package m\n", "m_test.go: Go files stand in packages"},
		"top-level folder":            {"util/notes.txt", "x", "util: is not one of the agreed top-level folders"},
		"README with another command": {"README.md", "    run it\n    retest it\n", `README.md: lacks the line "test it"`},
		"README without command":      {"README.md", "M does.\n\n    run it --fast\n    test it\n", `README.md: lacks the line "run it"`},
		"exception not needed":        {"low/ext_test.go", "package low_test\n", "low: no test imports low/probe any more"},
	} {
		t.Run(name, func(t *testing.T) {
			files := clean()
			files[tc.file] = tc.text
			wantOne(t, violationsOf(t, small(), files), tc.want)
		})
	}
}

func TestPlantedRemovals(t *testing.T) {
	for name, tc := range map[string]struct{ prefix, want string }{
		"no doc.go":      {"low/twin/doc.go", "low/twin: has no doc.go"},
		"folder missing": {"cmd/", "cmd: is an agreed top-level folder and missing"},
	} {
		t.Run(name, func(t *testing.T) {
			files := clean()
			maps.DeleteFunc(files, func(file, _ string) bool { return strings.HasPrefix(file, tc.prefix) })
			files["low/twin/twin.go"] = "package twin\n"
			wantOne(t, violationsOf(t, small(), files), tc.want)
		})
	}
}

func TestPlantedRows(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*rules)
		want   string
	}{
		"floor without a reason":      {func(r *rules) { r.floors[0].why = "" }, "low: stands in the table of floors without a reason"},
		"floor twice":                 {func(r *rules) { r.floors = append(r.floors, r.floors[0]) }, "low: stands twice"},
		"call without a reason":       {func(r *rules) { r.floors[1].impure = "" }, "low/twin: may make impure calls without a reason"},
		"exception without a reason":  {func(r *rules) { r.upward[0].why = "" }, "low: its tests may import low/probe without a reason"},
		"dependency without a reason": {func(r *rules) { r.dependencies[0].why = "" }, "example.org/disk: is a dependency without a reason"},
		"long without a reason":       {func(r *rules) { r.long["high/table.go"] = "" }, "high/table.go: may be long without a reason"},
		"engine is not excused":       {func(r *rules) { r.floors[2].impure = "" }, "a pure floor imports os"},
	} {
		t.Run(name, func(t *testing.T) {
			r := small()
			tc.change(&r)
			got := violationsOf(t, r, clean())
			if !slices.ContainsFunc(got, func(v string) bool { return strings.Contains(v, tc.want) }) {
				t.Fatalf("reported %q, want %q", got, tc.want)
			}
		})
	}
}

func wantOne(t *testing.T, got []string, want string) {
	t.Helper()
	if len(got) != 1 || !strings.Contains(got[0], want) {
		t.Fatalf("reported %q, want one with %q", got, want)
	}
}

func TestLoadRefuses(t *testing.T) {
	for name, files := range map[string]fstest.MapFS{
		"no go.mod":       {"low/doc.go": {Data: []byte("package low\n")}},
		"nameless go.mod": {"go.mod": {Data: []byte("go 1.26\n")}},
		"broken file":     {"go.mod": {Data: []byte("module m\n")}, "low/a.go": {Data: []byte("package\n")}},
	} {
		if _, err := loadModule(files); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
