package vectors

import (
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	// EnvDir names the folder of the vectors when it is not beside the module.
	EnvDir = "WAXWING_VECTORS"

	// besideModule is the folder's place relative to the module's root.
	besideModule = "../shared/vectors"

	// maxFile bounds what is read or unpacked from one file. The largest
	// published file of the collection unpacks to 6 MB.
	maxFile = 64 << 20

	// maxParents bounds the walk from the test's folder up to go.mod. Packages
	// lie at most six folders deep.
	maxParents = 16
)

// errAbsent means that no collection of vectors is on this machine: the only
// reason for which a test may be skipped.
var errAbsent = errors.New("vectors: no collection")

// Open returns the contents of a vector file, unpacked. The name is relative
// to the collection, with slashes: "wycheproof/x25519_test.json". A file stored
// as name.gz is found under either name.
//
// Without a collection the test is skipped, or fails where CI is set.
func Open(t testing.TB, name string) []byte {
	t.Helper()
	wd, err := os.Getwd()
	if err != nil {
		t.Fatalf("vectors: %v", err)
	}
	data, err := source{getenv: os.Getenv, wd: wd}.open(name)
	report(t, os.Getenv("CI") != "", err)
	return data
}

// JSON opens a vector file and decodes it into v, which must describe every
// field that the test reads; other fields are ignored.
func JSON(t testing.TB, name string, v any) {
	t.Helper()
	if err := json.Unmarshal(Open(t, name), v); err != nil {
		t.Fatalf("vectors: %s: %v", name, err)
	}
}

// report turns the outcome of a search into the test's.
func report(t testing.TB, ci bool, err error) {
	t.Helper()
	switch {
	case err == nil:
	case errors.Is(err, errAbsent) && !ci:
		t.Skipf("%v", err)
	default:
		t.Fatalf("%v", err)
	}
}

// source is where a file is looked for: the process's environment and folder,
// or a test's.
type source struct {
	getenv func(string) string
	wd     string
}

// dir returns the collection's folder, or an error that wraps errAbsent.
func (s source) dir() (string, error) {
	if dir := s.getenv(EnvDir); dir != "" {
		// Named by hand, so its absence is a mistake and never a reason to skip.
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			return "", fmt.Errorf("vectors: %s=%s is no folder", EnvDir, dir)
		}
		return dir, nil
	}
	root, err := moduleRoot(s.wd)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(root, filepath.FromSlash(besideModule))
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return "", fmt.Errorf("%w: neither %s is set nor is there %s beside the module", errAbsent, EnvDir, besideModule)
	}
	return dir, nil
}

func (s source) open(name string) ([]byte, error) {
	if !fs.ValidPath(name) || name == "." {
		return nil, fmt.Errorf("vectors: %q is not a path within the collection", name)
	}
	dir, err := s.dir()
	if err != nil {
		return nil, err
	}
	plain := strings.TrimSuffix(name, ".gz")
	for _, try := range []string{plain, plain + ".gz"} {
		data, err := readFile(filepath.Join(dir, filepath.FromSlash(try)))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		return data, err
	}
	return nil, fmt.Errorf("vectors: the collection has no %s", name)
}

// readFile reads one file, unpacked if its name ends in .gz, refusing what is
// empty or larger than maxFile.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(path, ".gz") {
		zr, err := gzip.NewReader(f)
		if err != nil {
			return nil, fmt.Errorf("vectors: %s: %w", filepath.Base(path), err)
		}
		r = zr
	}
	data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("vectors: %s: %w", filepath.Base(path), err)
	case len(data) == 0:
		return nil, fmt.Errorf("vectors: %s is empty", filepath.Base(path))
	case len(data) > maxFile:
		return nil, fmt.Errorf("vectors: %s is larger than %d bytes", filepath.Base(path), maxFile)
	}
	return data, nil
}

// moduleRoot walks up from dir to the folder that holds go.mod.
func moduleRoot(dir string) (string, error) {
	for range maxParents {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			break
		}
		dir = up
	}
	return "", errors.New("vectors: no go.mod above the test's folder")
}

// Hex is a byte string written in hexadecimal in a JSON vector, in either case.
type Hex []byte

// UnmarshalJSON decodes a JSON string of hexadecimal digits; the empty string
// is the empty byte string.
func (h *Hex) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	out, err := hex.DecodeString(s)
	if err != nil {
		return fmt.Errorf("vectors: %w", err)
	}
	*h = out
	return nil
}

// Fields reads the "name = hex" lines of a CCTV text file into a map. Lines
// whose value is not hexadecimal (intermediate values in braces) are left out;
// of a name that occurs twice the first value is kept.
func Fields(data []byte) map[string][]byte {
	fields := make(map[string][]byte)
	for line := range bytes.Lines(data) {
		name, value, ok := strings.Cut(strings.TrimSpace(string(line)), " = ")
		if !ok {
			continue
		}
		raw, err := hex.DecodeString(value)
		if _, seen := fields[name]; err == nil && !seen {
			fields[name] = raw
		}
	}
	return fields
}
