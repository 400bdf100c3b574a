package state

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"
)

// rekeyRows is how many records one transaction of Rekey copies: a few
// megabytes in memory.
const rekeyRows = 4096

// Rekey puts the file at path under another passphrase, or under none if it is
// empty; o has the one that it is under now. All is written anew into another
// file, which then takes the place of the first, so that no page of the old one
// stays in it; what the disk keeps of the old file is beyond a program. Errors
// are ErrNotFound, those of Open, and ErrFull never. After an error the old file
// is as it was.
func Rekey(path string, o Options, passphrase []byte) (err error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return ErrNotFound
	}
	s, err := Open(path, o)
	if err != nil {
		return err
	}
	// Others wait for the old file's lock. Open finds, when it has it, that the
	// file is not the one at the path any more, and takes that.
	defer s.Close()
	defer guard(&err)()
	next := path + ".new"
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return wrapIO(err)
	}
	if err := s.copyTo(next, passphrase); err != nil {
		_ = os.Remove(next) // the next Rekey does it otherwise
		return err
	}
	if err := os.Rename(next, path); err != nil {
		return wrapIO(err)
	}
	// The new file is in place. A crash until the directory is synced finds
	// one or the other, both whole.
	return syncDir(filepath.Dir(path))
}

// copyTo writes the content into a new file, durably.
func (s *Store) copyTo(path string, passphrase []byte) error {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoSync: true, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		return wrapIO(err)
	}
	defer db.Close()
	l, record := makeLock(passphrase)
	err = db.Update(func(tx *bbolt.Tx) error {
		meta, err := tx.CreateBucket([]byte("meta"))
		if err != nil {
			return err
		}
		if record != nil {
			if err := meta.Put(keyLock, record); err != nil {
				return err
			}
		}
		for _, t := range tables {
			if _, err := tx.CreateBucket([]byte(t.name)); err != nil {
				return err
			}
		}
		return meta.Put([]byte("schema"), []byte{schema})
	})
	if err != nil {
		return wrapIO(err)
	}
	for _, t := range tables {
		if err := s.copyTable(db, t, l); err != nil {
			return err
		}
	}
	return wrapIO(db.Sync())
}

// copyTable copies one table, record by record under the other lock.
func (s *Store) copyTable(db *bbolt.DB, t *tableInfo, l *lock) error {
	return s.db.View(func(from *bbolt.Tx) error {
		c := from.Bucket([]byte(t.name)).Cursor()
		k, v := c.First()
		for k != nil {
			err := db.Update(func(to *bbolt.Tx) error {
				b := to.Bucket([]byte(t.name))
				for n := 0; k != nil && n < rekeyRows; n++ {
					key, value, err := s.lock.open(t, k, v)
					if err != nil {
						return err
					}
					if err := b.Put(l.name(t, key), l.seal(t, key, value)); err != nil {
						return wrapIO(err)
					}
					k, v = c.Next()
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return wrapIO(err)
	}
	return wrapIO(errors.Join(d.Sync(), d.Close()))
}
