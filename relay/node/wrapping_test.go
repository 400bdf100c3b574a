package node

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"waxwing/core/wire"
)

var secret = []byte("correct horse battery staple")

func (s *server) keys() keydir { return keydir{path: filepath.Join(s.conf.Dir, dirKeys)} }

// content returns the key files as they are, by name.
func content(t *testing.T, d keydir) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, name := range files(t, d, "") {
		b, err := d.read(name)
		must(t, err)
		out[name] = string(b)
	}
	return out
}

// Key files of a provider that had no secret are wrapped when it gets one, also
// in two goes; from then on nothing is stored plainly, and it is the same
// provider.
func TestKeyFilesAreWrapped(t *testing.T) {
	s := newServer(t, "beta.example").start()
	plainSequence, pin := s.node.peers.own.Load().Sequence(), s.node.Pin()
	s.halt()
	before := content(t, s.keys())

	// A crash after the first file.
	w, err := openWrapping(s.keys().path, secret)
	must(t, err)
	must(t, keydir{s.keys().path, w}.put(keyRoot, []byte(before[keyRoot])))

	s.conf.Secret = secret
	s.start()
	_, err = s.node.RotateKeys()
	must(t, err)
	s.halt()
	for name, b := range content(t, s.keys()) {
		if name != fileWrapping && !wrapped([]byte(b)) {
			t.Errorf("%s is not wrapped", name)
		}
		for old, plain := range before {
			if strings.Contains(b, plain) {
				t.Errorf("%s holds what was in %s", name, old)
			}
		}
	}
	s.start()
	if s.node.Pin() != pin || s.node.peers.own.Load().Sequence() != plainSequence+1 || len(s.node.keyring.certs) != 2 {
		t.Error("not the same provider")
	}
	s.halt()
	if domain, again, err := Identify(s.conf.Dir); err != nil || domain != s.domain || again != pin {
		t.Errorf("without the secret it is %v, %v", domain, err)
	}
	for want, given := range map[error][]byte{
		ErrKeysWrapped: nil, ErrWrongSecret: []byte("correct horse battery stable"), ErrSecret: []byte("short"),
	} {
		s.conf.Secret = given
		if _, err := Open(s.conf); !errors.Is(err, want) {
			t.Errorf("secret %q: %v", given, err)
		}
	}
}

func TestInitWrapped(t *testing.T) {
	s := newServer(t, "beta.example")
	s.conf.Dir, s.conf.Secret = t.TempDir(), secret
	if _, err := Init(s.conf.Dir, s.domain, []byte("short")); !errors.Is(err, ErrSecret) {
		t.Errorf("a short secret: %v", err)
	}
	var err error
	s.pin, err = Init(s.conf.Dir, s.domain, secret)
	must(t, err)
	if b, err := s.keys().read(keyRoot); err != nil || !wrapped(b) {
		t.Errorf("the root key is stored plainly: %v", err)
	}
	if _, err := s.keys().get(keyRoot); !errors.Is(err, ErrKeysWrapped) {
		t.Errorf("opened without the secret: %v", err)
	}
	s.start()
	if s.node.Pin() != s.pin {
		t.Error("another root key")
	}
}

// A directory from before there was a file with the pin.
func TestIdentifyWithoutPinFile(t *testing.T) {
	s := newServer(t, "beta.example")
	must(t, os.Remove(filepath.Join(s.conf.Dir, filePin)))
	if domain, pin, err := Identify(s.conf.Dir); err != nil || domain != s.domain || pin != s.pin {
		t.Errorf("%v, %v, %v", domain, pin, err)
	}
	s.start()
	if b, err := os.ReadFile(filepath.Join(s.conf.Dir, filePin)); err != nil || string(b) != s.pin.String()+"\n" {
		t.Errorf("%q, %v", b, err)
	}
}

// Whatever is changed in a wrapped file is noticed, and so is one in another's
// place.
func TestWrappedFileIsDamaged(t *testing.T) {
	path := t.TempDir()
	w, err := openWrapping(path, secret)
	must(t, err)
	d := keydir{path, w}
	key := bytes.Repeat([]byte{7}, 32)
	must(t, d.put("relay-1", key))
	raw, err := d.read("relay-1")
	must(t, err)
	if got, err := d.get("relay-1"); err != nil || !bytes.Equal(got, key) || bytes.Contains(raw, key) {
		t.Fatalf("%x, %v", got, err)
	}
	must(t, writeDurably(filepath.Join(path, "relay-2"), raw))
	if _, err := d.get("relay-2"); !errors.Is(err, ErrKeyFile) || !strings.Contains(err.Error(), "relay-2") {
		t.Errorf("under another name: %v", err)
	}
	for i := range raw {
		bad := bytes.Clone(raw)
		bad[i] ^= 1
		if _, err := w.open("relay-1", bad); !errors.Is(err, ErrKeyFile) {
			t.Errorf("byte %d changed: %v", i, err)
		}
		if _, err := w.open("relay-1", raw[:i]); !errors.Is(err, ErrKeyFile) {
			t.Errorf("cut at %d: %v", i, err)
		}
	}
	if s := fmt.Sprintf("%v %+v %#v", w, *w, w); strings.Contains(s, "aead") {
		t.Errorf("printed as %s", s)
	}
}

// A damaged header never makes another key silently.
func TestWrapHeader(t *testing.T) {
	path := t.TempDir()
	_, err := openWrapping(path, secret)
	must(t, err)
	file := filepath.Join(path, fileWrapping)
	raw, err := os.ReadFile(file)
	must(t, err)
	var h wrapHeader
	must(t, wire.Unmarshal(raw, &h))
	if !bytes.Equal(wire.MustMarshal(&h), raw) {
		t.Error("the header does not round-trip")
	}
	for _, i := range []int{0, 1, 16, 17, len(raw) - 1} { // version, salt, check
		bad := bytes.Clone(raw)
		bad[i] ^= 1
		must(t, os.WriteFile(file, bad, 0o600))
		if _, err := openWrapping(path, secret); !errors.Is(err, ErrWrongSecret) && !errors.Is(err, ErrKeyFile) {
			t.Errorf("byte %d: %v", i, err)
		}
	}
	must(t, os.WriteFile(file, raw[:20], 0o600))
	if _, err := openWrapping(path, secret); !errors.Is(err, ErrKeyFile) {
		t.Errorf("cut: %v", err)
	}
}

func TestReadSecret(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	for text, want := range map[string]string{
		"sixteen bytes...":               "sixteen bytes...",
		"sixteen bytes...\n":             "sixteen bytes...",
		"two lines\nof it......":         "two lines\nof it......",
		"too short\n\n\n\n\n\n\n":        "",
		"":                               "",
		strings.Repeat("x", MaxSecret+1): "",
	} {
		must(t, os.WriteFile(path, []byte(text), 0o600))
		got, err := ReadSecret(path)
		if string(got) != want || (err == nil) != (want != "") || err != nil && !errors.Is(err, ErrSecret) {
			t.Errorf("%.20q is %q, %v", text, got, err)
		}
	}
	if _, err := ReadSecret(path + "x"); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
