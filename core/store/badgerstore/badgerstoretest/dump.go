package badgerstoretest

import (
	"bytes"
	"errors"
	"slices"

	"github.com/dgraph-io/badger/v4"
)

// Raw is a row as it lies in the tree, the value log or the journal. Rows that were
// deleted or overwritten and are still there come too.
type Raw struct {
	Key, Value []byte
	Gone       bool   // deleted: there is no value
	Version    uint64 // of one in the journal: its segment's generation
}

// open opens an engine's folder. Nobody else may have it open, and what opening
// it changes on the disk (a crash is healed) is for the caller to mind: tests
// work on copies.
func open(dir string) (*badger.DB, error) {
	const memTable, valueLog = 8 << 20, 64 << 20 // badgerstore's own, for its files
	return badger.Open(badger.DefaultOptions(dir).WithLogger(nil).WithMetricsEnabled(false).
		WithMemTableSize(memTable).WithValueLogFileSize(valueLog).WithDetectConflicts(false))
}

// Dump returns all rows of an engine's folder: of its journal in the order in which
// they were written, then of its tree in the order of their keys.
func Dump(dir string) (rows []Raw, err error) {
	if rows, err = journalRows(dir); err != nil {
		return nil, err
	}
	db, err := open(dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	err = db.View(func(txn *badger.Txn) error {
		opts := badger.DefaultIteratorOptions
		opts.AllVersions = true
		it := txn.NewIterator(opts)
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			item := it.Item()
			r := Raw{Key: item.KeyCopy(nil), Gone: item.IsDeletedOrExpired(), Version: item.Version()}
			if !r.Gone {
				if r.Value, err = item.ValueCopy(nil); err != nil {
					return err
				}
			}
			rows = append(rows, r)
		}
		return nil
	})
	return rows, err
}

// Change reads a row with the key's first bytes, of the tree or else of the journal,
// and writes what f makes of it to the tree, for tests that plant something. Without
// such a row f gets none.
func Change(dir string, prefix []byte, f func(key, value []byte) (newKey, newValue []byte)) (err error) {
	db, err := open(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return db.Update(func(txn *badger.Txn) error {
		opts := badger.DefaultIteratorOptions
		opts.Prefix = prefix
		it := txn.NewIterator(opts)
		it.Rewind()
		var key, value []byte
		if it.Valid() {
			key = it.Item().KeyCopy(nil)
			if value, err = it.Item().ValueCopy(nil); err != nil {
				it.Close()
				return err
			}
		}
		it.Close()
		if key == nil {
			journal, err := journalRows(dir)
			if err != nil {
				return err
			}
			i := slices.IndexFunc(journal, func(r Raw) bool { return !r.Gone && bytes.HasPrefix(r.Key, prefix) })
			if i >= 0 {
				key, value = journal[i].Key, journal[i].Value
			}
		}
		newKey, newValue := f(key, value)
		return txn.Set(newKey, newValue)
	})
}
