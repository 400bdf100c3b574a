package demo

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"
)

func TestSearch(t *testing.T) {
	secret := []byte("a secret of 24 bytes....")
	patterns := []pattern{patternOf("secret", secret), patternOf("other", []byte("not there at all"))}
	for name, content := range map[string][]byte{
		"raw":          secret,
		"hex":          []byte(hex.EncodeToString(secret)),
		"base64":       []byte(base64.StdEncoding.EncodeToString(secret)),
		"base64 at 1":  []byte(base64.URLEncoding.EncodeToString(append([]byte("x"), secret...))),
		"base64 at 2":  []byte(base64.StdEncoding.EncodeToString(append([]byte("xy"), secret...))),
		"between two":  append(make([]byte, scanBuffer-5), secret...),
		"at the end":   append(make([]byte, 3*scanBuffer), secret...),
		"second block": append(make([]byte, scanBuffer+100), secret...),
	} {
		dir := t.TempDir()
		if err := os.MkdirAll(filepath.Join(dir, "below"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "below", "file"), content, 0o600); err != nil {
			t.Fatal(err)
		}
		hits, size, err := search(patterns, dir)
		if err != nil || size != int64(len(content)) || hits[0] == 0 || hits[1] != 0 {
			t.Errorf("%s: hits %v in %d bytes, %v", name, hits, size, err)
		}
	}
	changed := bytes.Clone(secret)
	changed[7] ^= 1
	hits := make([]int, 2)
	if _, err := searchReader(bytes.NewReader(changed), patterns, hits); err != nil || hits[0] != 0 {
		t.Errorf("found %d times what is not there, %v", hits[0], err)
	}
}
