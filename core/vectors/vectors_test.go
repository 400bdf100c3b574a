package vectors

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// layout builds a module with a package folder in it, and perhaps a collection
// beside it; it returns the package's folder and the collection's.
func layout(t *testing.T, collection bool) (wd, dir string) {
	t.Helper()
	top := t.TempDir()
	wd = filepath.Join(top, "module", "core", "pkg")
	dir = filepath.Join(top, "shared", "vectors")
	mkdir(t, wd)
	write(t, filepath.Join(top, "module", "go.mod"), []byte("module example\n"))
	if collection {
		mkdir(t, filepath.Join(dir, "topic"))
		write(t, filepath.Join(dir, "topic", "plain.json"), []byte(`{"a":1}`))
		write(t, filepath.Join(dir, "topic", "packed.json.gz"), pack(t, []byte(`{"b":2}`)))
		write(t, filepath.Join(dir, "topic", "broken.json.gz"), []byte("not gzip"))
		write(t, filepath.Join(dir, "topic", "cut.json.gz"), pack(t, []byte(`{"c":3}`))[:12])
		write(t, filepath.Join(dir, "topic", "empty.json"), nil)
		write(t, filepath.Join(top, "shared", "outside.json"), []byte(`{}`))
	}
	return wd, dir
}

func mkdir(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func pack(t *testing.T, data []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	zw := gzip.NewWriter(&buf)
	if _, err := zw.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func noEnv(string) string { return "" }

func TestOpenFinds(t *testing.T) {
	wd, dir := layout(t, true)
	elsewhere, _ := layout(t, false)
	env := func(name string) string {
		if name == EnvDir {
			return dir
		}
		return ""
	}
	for _, tc := range []struct {
		name string
		src  source
		file string
		want string
	}{
		{"beside the module", source{noEnv, wd}, "topic/plain.json", `{"a":1}`},
		{"packed, by its plain name", source{noEnv, wd}, "topic/packed.json", `{"b":2}`},
		{"packed, by its full name", source{noEnv, wd}, "topic/packed.json.gz", `{"b":2}`},
		{"plain, by a packed name", source{noEnv, wd}, "topic/plain.json.gz", `{"a":1}`},
		{"named by the environment", source{env, elsewhere}, "topic/plain.json", `{"a":1}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := tc.src.open(tc.file)
			if err != nil || string(got) != tc.want {
				t.Fatalf("open = %q, %v; want %q", got, err, tc.want)
			}
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	with, _ := layout(t, true)
	without, _ := layout(t, false)
	wrongEnv := func(string) string { return filepath.Join(without, "nowhere") }
	for _, tc := range []struct {
		name   string
		src    source
		file   string
		absent bool
	}{
		{"no collection", source{noEnv, without}, "topic/plain.json", true},
		{"environment names nothing", source{wrongEnv, with}, "topic/plain.json", false},
		{"file missing from a collection", source{noEnv, with}, "topic/none.json", false},
		{"no gzip", source{noEnv, with}, "topic/broken.json.gz", false},
		{"gzip cut short", source{noEnv, with}, "topic/cut.json", false},
		{"empty file", source{noEnv, with}, "topic/empty.json", false},
		{"outside the collection", source{noEnv, with}, "../outside.json", false},
		{"absolute", source{noEnv, with}, "/topic/plain.json", false},
		{"the collection itself", source{noEnv, with}, ".", false},
		{"no module", source{noEnv, filepath.VolumeName(with) + string(filepath.Separator)}, "topic/plain.json", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := tc.src.open(tc.file)
			if err == nil || got != nil {
				t.Fatalf("open = %q, %v; want an error", got, err)
			}
			if errors.Is(err, errAbsent) != tc.absent {
				t.Fatalf("open: %v; is absent: %v, want %v", err, !tc.absent, tc.absent)
			}
		})
	}
}

// recorder stands in for a test and keeps how it ended.
type recorder struct {
	testing.TB
	outcome string
}

func (r *recorder) Helper()                        {}
func (r *recorder) Skipf(string, ...any)           { r.outcome = "skipped" }
func (r *recorder) Fatalf(format string, _ ...any) { r.outcome = "failed" }

func TestReport(t *testing.T) {
	absent := fmt.Errorf("%w: nowhere", errAbsent)
	for _, tc := range []struct {
		name string
		ci   bool
		err  error
		want string
	}{
		{"found", false, nil, ""},
		{"found in CI", true, nil, ""},
		{"absent", false, absent, "skipped"},
		{"absent in CI", true, absent, "failed"},
		{"wrong name", false, errors.New("no such file"), "failed"},
		{"wrong name in CI", true, errors.New("no such file"), "failed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := &recorder{}
			report(r, tc.ci, tc.err)
			if r.outcome != tc.want {
				t.Fatalf("the test was %q, want %q", r.outcome, tc.want)
			}
		})
	}
}

func TestHex(t *testing.T) {
	var got struct{ A, B, C Hex }
	if err := json.Unmarshal([]byte(`{"a":"00fF","b":"","c":null}`), &got); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.A, []byte{0, 0xff}) || len(got.B) != 0 || len(got.C) != 0 {
		t.Fatalf("decoded %x, %x, %x", got.A, got.B, got.C)
	}
	for _, bad := range []string{`{"a":"0"}`, `{"a":"zz"}`, `{"a":1}`} {
		if err := json.Unmarshal([]byte(bad), &got); err == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
}

func TestFields(t *testing.T) {
	got := Fields([]byte("d = 0102\r\n\nA[0, 0] = {1, 2}\nno line\nr = 03\nr = 04\n"))
	want := map[string][]byte{"d": {1, 2}, "r": {3}}
	if len(got) != len(want) || !bytes.Equal(got["d"], want["d"]) || !bytes.Equal(got["r"], want["r"]) {
		t.Fatalf("Fields = %x, want %x", got, want)
	}
}
