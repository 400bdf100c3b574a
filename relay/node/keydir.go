package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"waxwing/core/ids"
	"waxwing/core/keys"
)

// What callers branch on, with errors.Is.
var (
	// ErrInitialised: the data directory already belongs to a provider.
	ErrInitialised = errors.New("node: data directory is already initialised")
	// ErrNotInitialised: the data directory has no keys.
	ErrNotInitialised = errors.New("node: data directory is not initialised")
)

// The files of a data directory. Each key that has an end is a file of its
// own, so that it can be erased on its own.
const (
	fileDomain     = "domain"     // the provider's name
	filePin        = "pin"        // of the root key, which may be wrapped
	fileDescriptor = "descriptor" // the newest signed descriptor
	dirKeys        = "keys"
	dirStore       = "store"

	fileWrapping     = "wrapping"        // of the key files, if they are wrapped: wrapHeader
	keyRoot          = "root"            // Ed25519 seed; its pin is what peers and clients trust
	prefixCert       = "certificate-"    // Ed25519 seed by first day: signs sender certificates
	prefixVerify     = "verify-"         // what remains of a certificate key: its public half
	prefixRelay      = "relay-"          // X-Wing seed by key id: opens queries
	prefixTicket     = "ticket-key-"     // ticket.Ring's records
	prefixStamp      = "stamp-key-"      // franking.StampRing's records
	prefixSubmission = "submission-key-" // scalar by epoch: issues and redeems submission tokens
	maxKeyFileSize   = 4096              // the largest is a few hundred bytes
)

// keydir is a directory of key files. Every write is durable before it
// returns: a key is in use only after it is stored.
type keydir struct {
	path string
	wrap *wrapping // nil: files are as they are
}

// put stores a key under a name, in place of what is there.
func (d keydir) put(name string, b []byte) error {
	if d.wrap != nil {
		b = d.wrap.seal(name, b)
	}
	return writeDurably(filepath.Join(d.path, name), b)
}

// writeDurably replaces a file. A crash leaves the old or the new content.
func writeDurably(path string, b []byte) error {
	tmp := path + ".new"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	// The new content is durable beside the old; a crash here changes nothing.
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// get returns a key. Errors are ErrKeysWrapped, ErrKeyFile and those of the file
// system.
func (d keydir) get(name string) ([]byte, error) {
	b, err := d.read(name)
	switch {
	case err != nil || !wrapped(b):
		return b, err
	case d.wrap == nil:
		return nil, ErrKeysWrapped
	}
	if b, err = d.wrap.open(name, b); err != nil {
		return nil, fmt.Errorf("%w: %s", err, name)
	}
	return b, nil
}

// read returns a file's content as it is.
func (d keydir) read(name string) ([]byte, error) {
	b, err := os.ReadFile(filepath.Join(d.path, name))
	if err == nil && len(b) > maxKeyFileSize {
		return nil, fmt.Errorf("node: key file %s is too large", name)
	}
	return b, err
}

// list returns the names with a prefix in alphabetical order.
func (d keydir) list(prefix string) ([]string, error) {
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefix) && !strings.HasSuffix(e.Name(), ".new") {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// all returns the contents of the files with a prefix.
func (d keydir) all(prefix string) ([][]byte, error) {
	names, err := d.list(prefix)
	if err != nil {
		return nil, err
	}
	out := make([][]byte, len(names))
	for i, name := range names {
		if out[i], err = d.get(name); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// erase overwrites and unlinks key files. That the bytes are gone from the
// medium is up to the file system; see docs/architecture.md.
func (d keydir) erase(names ...string) error {
	var errs []error
	for _, name := range names {
		path := filepath.Join(d.path, name)
		if f, err := os.OpenFile(path, os.O_WRONLY, 0); err == nil {
			if st, err := f.Stat(); err == nil {
				_, err = f.Write(make([]byte, st.Size()))
				errs = append(errs, err, f.Sync())
			}
			errs = append(errs, f.Close())
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, syncDir(d.path))...)
}

// Init makes a provider: a data directory with a root key, wrapped under the
// secret if there is one. It returns the pin by which peers and clients know
// the provider. Errors are ErrInitialised, ErrSecret, those of a secret that
// does not fit and those of the file system.
func Init(dir string, domain ids.Domain, secret []byte) (keys.Pin, error) {
	keysPath := filepath.Join(dir, dirKeys)
	if err := os.MkdirAll(keysPath, 0o700); err != nil {
		return keys.Pin{}, err
	}
	if _, err := os.Stat(filepath.Join(dir, fileDomain)); err == nil {
		return keys.Pin{}, ErrInitialised
	}
	wrap, err := openWrapping(keysPath, secret)
	if err != nil {
		return keys.Pin{}, err
	}
	root := newRoot()
	defer root.Erase()
	seed := root.Seed()
	defer clear(seed)
	if err := (keydir{keysPath, wrap}).put(keyRoot, seed); err != nil {
		return keys.Pin{}, err
	}
	pin := keys.PinOf(root.Public())
	if err := writeDurably(filepath.Join(dir, filePin), []byte(pin.String()+"\n")); err != nil {
		return keys.Pin{}, err
	}
	// The name comes last: a crash before it leaves a directory that counts as
	// not initialised, and the next Init draws a key nobody has seen yet.
	if err := writeDurably(filepath.Join(dir, fileDomain), []byte(domain.String()+"\n")); err != nil {
		return keys.Pin{}, err
	}
	return pin, nil
}

// newRoot draws a root key whose pin does not begin with a hyphen: people give pins
// to commands, which would take it for a flag.
func newRoot() *keys.SigningKey {
	for {
		root := keys.NewSigningKey()
		if !strings.HasPrefix(keys.PinOf(root.Public()).String(), "-") {
			return root
		}
		root.Erase()
	}
}

// Identify returns whose data directory it is, without reading a secret. Errors
// are ErrNotInitialised and those of the file system.
func Identify(dir string) (ids.Domain, keys.Pin, error) {
	domain, err := ownDomain(dir)
	if err != nil {
		return ids.Domain{}, keys.Pin{}, err
	}
	text, err := os.ReadFile(filepath.Join(dir, filePin))
	if errors.Is(err, fs.ErrNotExist) { // made by an older version, or by hand
		_, root, err := openKeys(dir, nil)
		if err != nil {
			return ids.Domain{}, keys.Pin{}, err
		}
		defer root.Erase()
		return domain, keys.PinOf(root.Public()), nil
	}
	if err != nil {
		return ids.Domain{}, keys.Pin{}, err
	}
	pin, err := keys.ParsePin(strings.TrimSpace(string(text)))
	return domain, pin, err
}

func ownDomain(dir string) (ids.Domain, error) {
	name, err := os.ReadFile(filepath.Join(dir, fileDomain))
	if errors.Is(err, fs.ErrNotExist) {
		return ids.Domain{}, ErrNotInitialised
	}
	if err != nil {
		return ids.Domain{}, err
	}
	return ids.ParseDomain(strings.TrimSpace(string(name)))
}

// openKeys opens the keys of a data directory and wraps those that are not
// wrapped yet, if there is a secret.
func openKeys(dir string, secret []byte) (keydir, *keys.SigningKey, error) {
	d := keydir{path: filepath.Join(dir, dirKeys)}
	var err error
	if d.wrap, err = openWrapping(d.path, secret); err != nil {
		return d, nil, err
	}
	if err := d.adopt(); err != nil {
		return d, nil, err
	}
	seed, err := d.get(keyRoot)
	if err != nil {
		return d, nil, err
	}
	defer clear(seed)
	root, err := keys.SigningKeyFromSeed(seed)
	if err != nil {
		return d, nil, err
	}
	pin := keys.PinOf(root.Public()).String() + "\n"
	if b, err := os.ReadFile(filepath.Join(dir, filePin)); err == nil && string(b) == pin {
		return d, root, nil
	}
	return d, root, writeDurably(filepath.Join(dir, filePin), []byte(pin))
}
