package node

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"waxwing/core/ids"
	"waxwing/core/keys"
)

// FuzzKeyNames: a key file is taken under the one name that it is stored under, by
// which it is erased.
func FuzzKeyNames(f *testing.F) {
	f.Add(datedName(prefixCert, 20_000, 3))
	f.Add(datedName(prefixRelay, 1<<32-1, 255))
	f.Add(submissionName(4_000))
	for _, name := range oddKeyNames {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		for _, prefix := range []string{prefixCert, prefixVerify, prefixRelay} {
			day, id, err := parseDatedName(prefix, name)
			if err == nil && datedName(prefix, day, id) != name || err != nil && !errors.Is(err, errKeyName) {
				t.Errorf("%q: day %d, id %d, %v", name, day, id, err)
			}
		}
		e, err := parseSubmissionName(name)
		if err == nil && submissionName(e) != name || err != nil && !errors.Is(err, errKeyName) {
			t.Errorf("%q: epoch %d, %v", name, e, err)
		}
	})
}

var oddKeyNames = []string{
	prefixCert, prefixCert + "5-1", prefixCert + "0000000005-1", prefixCert + "+000000005-001", prefixCert + "0000000005-001-001",
	prefixCert + "0000000005-999", prefixCert + "9999999999-001", prefixSubmission + "7", prefixSubmission + "9999999999",
}

// A file under a name that the keyring does not give ends the start: it would
// never be erased.
func TestOddKeyNames(t *testing.T) {
	for _, name := range oddKeyNames {
		dir := keydir{path: t.TempDir()}
		must(t, os.WriteFile(filepath.Join(dir.path, name), keys.NewSigningKey().Seed(), 0o600))
		_, err := loadDated(dir, prefixCert, keys.SigningKeyFromSeed)
		_, err2 := openSubmissions(dir, ids.MustParseDomain("alpha.example"), 0)
		if !errors.Is(err, errKeyName) && !errors.Is(err2, errKeyName) {
			t.Errorf("%s: %v, %v", name, err, err2)
		}
	}
}

// FuzzWrapped: what a wrapped key file opens to is what was wrapped under its name.
func FuzzWrapped(f *testing.F) {
	h := wrapHeader{salt: [16]byte{1}}
	w := newWrapping(secret, &h)
	sealed := w.seal("root", []byte("seed"))
	f.Add("root", sealed)
	f.Add("relay", sealed)
	f.Add("root", sealed[:wrapPrefix])
	f.Fuzz(func(t *testing.T, name string, b []byte) {
		plain, err := w.open(name, b)
		switch {
		case err != nil && !errors.Is(err, ErrKeyFile):
			t.Errorf("untyped error %v", err)
		case err == nil && (!bytes.Equal(plain, []byte("seed")) || name != "root"):
			t.Errorf("%s opens to %x", name, plain)
		}
	})
}
