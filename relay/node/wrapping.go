package node

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/argon2"

	"waxwing/core/keys"
	"waxwing/core/wire"
)

// What callers branch on, with errors.Is.
var (
	// ErrKeysWrapped: the key files are wrapped, and no secret was given.
	ErrKeysWrapped = errors.New("node: key files are wrapped under a secret that was not given")
	// ErrWrongSecret: the secret is not the one that the key files are wrapped
	// under.
	ErrWrongSecret = errors.New("node: not the secret that the key files are wrapped under")
	// ErrSecret: the secret is too short or too long.
	ErrSecret = fmt.Errorf("node: secret for key files: want %d to %d bytes", MinSecret, MaxSecret)
	// ErrKeyFile: a key file was changed, or is another one's.
	ErrKeyFile = errors.New("node: key file is damaged")
)

const (
	// MinSecret and MaxSecret bound the secret that key files are wrapped under,
	// in bytes: at least a phrase of some words, or better 32 random bytes.
	MinSecret = 16
	MaxSecret = 4096

	// The cost of Argon2id, after RFC 9106 section 4, second recommended option:
	// paid once at start. Other values are another version of wrapHeader.
	argonTime    = 3
	argonMemory  = 64 << 10 // KiB
	argonThreads = 4
)

// wrapping seals key files under a secret of the operator. A nil one leaves
// them as they are.
type wrapping struct {
	aead cipher.AEAD
	keys.Redacted
}

// openWrapping returns what the key files of a directory are wrapped with, nil
// for nothing. With a secret and no wrapping yet, it begins one: what is not
// wrapped is then for adopt. Errors are ErrKeysWrapped, ErrWrongSecret,
// ErrSecret, ErrKeyFile and those of the file system.
func openWrapping(dir string, secret []byte) (*wrapping, error) {
	path := filepath.Join(dir, fileWrapping)
	b, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && len(secret) == 0:
		return nil, nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, err
	case err == nil && len(secret) == 0:
		return nil, ErrKeysWrapped
	case len(secret) < MinSecret || len(secret) > MaxSecret:
		return nil, ErrSecret
	}
	var h wrapHeader
	if err == nil {
		if wire.Unmarshal(b, &h) != nil {
			return nil, ErrKeyFile
		}
		w := newWrapping(secret, &h)
		if _, err := w.open(fileWrapping, h.check); err != nil {
			return nil, ErrWrongSecret
		}
		return w, nil
	}
	rand.Read(h.salt[:])
	w := newWrapping(secret, &h)
	h.check = w.seal(fileWrapping, nil)
	// Durable before any file is wrapped: without the salt none could be opened.
	return w, writeDurably(path, wire.MustMarshal(&h))
}

func newWrapping(secret []byte, h *wrapHeader) *wrapping {
	key := argon2.IDKey(secret, h.salt[:], argonTime, argonMemory, argonThreads, 32)
	defer clear(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // the key has the right size
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err) // AES has the right block size
	}
	return &wrapping{aead: aead}
}

// seal wraps the content of a file.
func (w *wrapping) seal(name string, b []byte) []byte {
	out := make([]byte, wrapPrefix, wrapPrefix+len(b)+w.aead.Overhead())
	copy(out, wrapMagic)
	nonce := out[len(wrapMagic):wrapPrefix]
	rand.Read(nonce)
	return w.aead.Seal(out, nonce, b, []byte(wrapMagic+name))
}

// open unwraps it. The error is ErrKeyFile.
func (w *wrapping) open(name string, b []byte) ([]byte, error) {
	if len(b) < wrapPrefix || !wrapped(b) {
		return nil, ErrKeyFile
	}
	out, err := w.aead.Open(nil, b[len(wrapMagic):wrapPrefix], b[wrapPrefix:], []byte(wrapMagic+name))
	if err != nil {
		return nil, ErrKeyFile
	}
	return out, nil
}

// wrapped reports whether the content of a file is wrapped. No content that is
// not begins in this way: seeds and public halves have other lengths, and
// records begin with their version.
func wrapped(b []byte) bool {
	return len(b) > wrapPrefix && bytes.HasPrefix(b, []byte(wrapMagic))
}

// adopt wraps the key files that are not wrapped yet: those from before there
// was a secret. A crash in between leaves some for the next start. The plain
// content is overwritten as far as the file system does that.
func (d keydir) adopt() error {
	if d.wrap == nil {
		return nil
	}
	names, err := d.list("")
	if err != nil {
		return err
	}
	for _, name := range names {
		path := filepath.Join(d.path, name)
		b, err := d.read(name)
		if err != nil {
			return err
		}
		if name == fileWrapping || wrapped(b) {
			continue
		}
		old, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		err = d.put(name, b)
		// The wrapped content is durable in its place; the old one has no name.
		if err == nil {
			_, err = old.Write(make([]byte, len(b)))
			err = errors.Join(err, old.Sync())
		}
		clear(b)
		if err = errors.Join(err, old.Close()); err != nil {
			return err
		}
	}
	return nil
}

// ReadSecret reads the secret that key files are wrapped under from a file, a
// final line break not included. Errors are ErrSecret and those of the file
// system.
func ReadSecret(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	b = []byte(strings.TrimRight(string(b), "\r\n"))
	if len(b) < MinSecret || len(b) > MaxSecret {
		return nil, ErrSecret
	}
	return b, nil
}
