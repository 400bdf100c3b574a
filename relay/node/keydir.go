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
	"waxwing/relay/quicnet"
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
	fileDescriptor = "descriptor" // the newest signed descriptor
	dirKeys        = "keys"
	dirStore       = "store"

	keyRoot        = "root"         // Ed25519 seed; its pin is what peers and clients trust
	prefixCert     = "certificate-" // Ed25519 seed by first day: signs sender certificates
	prefixVerify   = "verify-"      // what remains of a certificate key: its public half
	prefixRelay    = "relay-"       // X-Wing seed by key id: opens queries
	prefixTicket   = "ticket-key-"  // ticket.Ring's records
	prefixStamp    = "stamp-key-"   // franking.StampRing's records
	maxKeyFileSize = 4096           // the largest is a few hundred bytes
)

// keydir is a directory of key files. Every write is durable before it
// returns: a key is in use only after it is stored.
type keydir struct{ path string }

// put stores a key under a name, in place of what is there.
func (d keydir) put(name string, b []byte) error {
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

func (d keydir) get(name string) ([]byte, error) {
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

// Init makes a provider: a data directory with a root key. It returns the pin
// by which peers and clients know the provider. Errors are ErrInitialised and
// those of the file system.
func Init(dir string, domain ids.Domain) (quicnet.Pin, error) {
	keysPath := filepath.Join(dir, dirKeys)
	if err := os.MkdirAll(keysPath, 0o700); err != nil {
		return quicnet.Pin{}, err
	}
	if _, err := os.Stat(filepath.Join(dir, fileDomain)); err == nil {
		return quicnet.Pin{}, ErrInitialised
	}
	root := keys.NewSigningKey()
	defer root.Erase()
	seed := root.Seed()
	defer clear(seed)
	if err := (keydir{keysPath}).put(keyRoot, seed); err != nil {
		return quicnet.Pin{}, err
	}
	// The name comes last: a crash before it leaves a directory that counts as
	// not initialised, and the next Init draws a key nobody has seen yet.
	if err := writeDurably(filepath.Join(dir, fileDomain), []byte(domain.String()+"\n")); err != nil {
		return quicnet.Pin{}, err
	}
	return quicnet.PinOf(root.Public()), nil
}

// Identify returns whose data directory it is. Errors are ErrNotInitialised
// and those of the file system.
func Identify(dir string) (ids.Domain, quicnet.Pin, error) {
	domain, root, err := identify(dir)
	if err != nil {
		return ids.Domain{}, quicnet.Pin{}, err
	}
	defer root.Erase()
	return domain, quicnet.PinOf(root.Public()), nil
}

func identify(dir string) (ids.Domain, *keys.SigningKey, error) {
	name, err := os.ReadFile(filepath.Join(dir, fileDomain))
	if errors.Is(err, fs.ErrNotExist) {
		return ids.Domain{}, nil, ErrNotInitialised
	}
	if err != nil {
		return ids.Domain{}, nil, err
	}
	domain, err := ids.ParseDomain(strings.TrimSpace(string(name)))
	if err != nil {
		return ids.Domain{}, nil, err
	}
	seed, err := (keydir{filepath.Join(dir, dirKeys)}).get(keyRoot)
	if err != nil {
		return ids.Domain{}, nil, err
	}
	defer clear(seed)
	root, err := keys.SigningKeyFromSeed(seed)
	return domain, root, err
}
