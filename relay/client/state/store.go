package state

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"waxwing/core/keys"
)

// schema is the version of the file's layout: 2 has the account's secrets, 3 the
// devices of contacts. A file of another version is refused; there is nothing to
// convert yet.
const schema = 3

// Options configures Open. The zero value is the default.
type Options struct {
	LockTimeout time.Duration // how long to wait for another process; DefaultLockTimeout
	// Passphrase opens a file that is under one; a new file is put under it.
	Passphrase []byte
	keys.Redacted
}

// Store is an open file. It is safe for concurrent use; one Update runs at a
// time, beside any number of Views, which see the state before it.
type Store struct {
	// fixed
	db   *bbolt.DB
	lock *lock // nil without a passphrase

	mu     sync.RWMutex
	counts []int // of each table's records; guarded by mu
	closed bool  // guarded by mu
}

// Open opens the file at path and creates it, with its directory, if there is
// none. Errors are ErrInUse, ErrLocked, ErrPassphrase, ErrCorrupt, ErrVersion and
// ErrIO.
func Open(path string, o Options) (s *Store, err error) {
	if o.LockTimeout <= 0 {
		o.LockTimeout = DefaultLockTimeout
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, wrapIO(err)
	}
	defer guard(&err)()
	db, err := openCurrent(path, o.LockTimeout)
	if err != nil {
		return nil, openError(err)
	}
	s = &Store{db: db, counts: make([]int, len(tables))}
	if err := s.prepare(o.Passphrase); err != nil {
		db.Close()
		return nil, err
	}
	return s, nil
}

// openCurrent opens and locks the file that is at path when the lock is had:
// Rekey puts another one there.
func openCurrent(path string, timeout time.Duration) (*bbolt.DB, error) {
	for {
		var info fs.FileInfo
		db, err := bbolt.Open(path, 0o600, &bbolt.Options{
			Timeout: timeout, FreelistType: bbolt.FreelistMapType,
			OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
				f, err := openWhole(name, flag, mode)
				if err == nil {
					info, err = f.Stat()
				}
				return f, err
			},
		})
		if err != nil {
			return nil, err
		}
		if now, err := os.Stat(path); err == nil && os.SameFile(now, info) {
			return db, nil
		}
		// Ends: each time round, somebody has replaced the file.
		if err := db.Close(); err != nil {
			return nil, err
		}
	}
}

// errUnchanged ends a transaction that wrote nothing.
var errUnchanged = errors.New("state: nothing to write")

func openError(err error) error {
	var path *fs.PathError
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return ErrInUse
	case errors.As(err, &path):
		return wrapIO(err)
	}
	return &CorruptError{"file"} // every other refusal is about the content
}

// guard turns a panic or memory fault of the engine, which meets a page that
// makes no sense, into ErrCorrupt. Call what it returns deferred.
func guard(err *error) func() {
	before := debug.SetPanicOnFault(true)
	return func() {
		debug.SetPanicOnFault(before)
		if r := recover(); r != nil {
			*err = &CorruptError{"file"}
		}
	}
}

// prepare creates the tables that are missing and counts the records.
func (s *Store) prepare(passphrase []byte) error {
	return wrapUnlessTyped(s.db.Update(func(tx *bbolt.Tx) error {
		meta, err := tx.CreateBucketIfNotExists([]byte("meta"))
		if err != nil {
			return wrapIO(err)
		}
		v := meta.Get([]byte("schema"))
		if s.lock, err = lockOf(meta, v == nil, passphrase); err != nil {
			return err
		}
		switch {
		case v == nil:
			if err := meta.Put([]byte("schema"), []byte{schema}); err != nil {
				return wrapIO(err)
			}
		case len(v) != 1 || v[0] == 0:
			return &CorruptError{"meta"}
		case v[0] != schema:
			return ErrVersion
		}
		for i, t := range tables {
			b, err := tx.CreateBucketIfNotExists([]byte(t.name))
			if err != nil {
				return wrapIO(err)
			}
			c := b.Cursor()
			for k, _ := c.First(); k != nil; k, _ = c.Next() {
				s.counts[i]++
			}
		}
		return nil
	}))
}

// Tx is one transaction. It is valid inside the function that got it, and so
// are no slices but those that a record copied.
type Tx struct {
	buckets []*bbolt.Bucket
	lock    *lock
	counts  []int
	delta   []int // what this transaction adds to counts
	after   []func()
	changed bool // something was written
}

func (tx *Tx) count(i int) int { return tx.counts[i] + tx.delta[i] }

// AfterCommit has f called once the transaction is durable, and not otherwise.
func (tx *Tx) AfterCommit(f func()) { tx.after = append(tx.after, f) }

func (s *Store) newTx(b *bbolt.Tx, counts []int) *Tx {
	tx := &Tx{lock: s.lock, buckets: make([]*bbolt.Bucket, len(tables)), counts: counts, delta: make([]int, len(tables))}
	for i, t := range tables {
		tx.buckets[i] = b.Bucket([]byte(t.name))
	}
	return tx
}

// Update runs f in a transaction. If f returns nil, everything that it changed
// is durable when Update returns nil; otherwise nothing of it is. The error is
// that of f, ErrClosed, ErrCorrupt or ErrIO.
func (s *Store) Update(f func(*Tx) error) (err error) {
	defer guard(&err)()
	if s.isClosed() {
		return ErrClosed
	}
	var tx *Tx
	err = s.db.Update(func(b *bbolt.Tx) error {
		// Only one Update runs, and only it writes counts.
		tx = s.newTx(b, s.counts)
		if err := f(tx); err != nil || tx.changed {
			return err
		}
		return errUnchanged // rolled back, without a sync
	})
	if err != nil && !errors.Is(err, errUnchanged) {
		return wrapUnlessTyped(err)
	}
	// Durable here. A crash from now on finds the new state.
	s.mu.Lock()
	counts := make([]int, len(s.counts))
	for i := range counts {
		counts[i] = tx.count(i)
	}
	s.counts = counts
	s.mu.Unlock()
	for _, f := range tx.after {
		f()
	}
	return nil
}

// View runs f on one consistent state. f must change nothing.
func (s *Store) View(f func(*Tx) error) (err error) {
	defer guard(&err)()
	s.mu.RLock()
	counts := s.counts
	s.mu.RUnlock()
	if s.isClosed() {
		return ErrClosed
	}
	return wrapUnlessTyped(s.db.View(func(b *bbolt.Tx) error { return f(s.newTx(b, counts)) }))
}

func (s *Store) isClosed() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.closed
}

// wrapUnlessTyped makes ErrIO of what the engine itself returns.
func wrapUnlessTyped(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, berrors.ErrDatabaseNotOpen):
		return ErrClosed
	}
	var path *fs.PathError
	var sys *os.SyscallError
	if errors.As(err, &path) || errors.As(err, &sys) {
		return wrapIO(err)
	}
	return err
}

// Close waits for transactions that are under way and releases the lock.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	return wrapIO(s.db.Close())
}
