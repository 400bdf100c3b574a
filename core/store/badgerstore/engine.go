package badgerstore

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/dgraph-io/badger/v4"

	"waxwing/core/ids"
	"waxwing/core/store"
)

// Engine is the engine; it implements store.Store.
type Engine struct {
	cfg      Config         // fixed
	db       *badger.DB     // fixed
	salts    salts          // fixed
	pad      []byte         // fixed; what scratch rows are filled with
	cache    *cache         // has its own lock
	tables   tables         // has its own lock
	watchers store.Watchers // has its own lock
	queue    queue          // has its own lock
	fault    atomic.Pointer[fault]
	diskLow  atomic.Bool // set by maintenance and the committer
	kicks    chan ids.MailboxID
	cancel   func() // ends maintenance
	closing  sync.Once
	running  sync.WaitGroup
	closeErr error // set in closing

	// reading is held for reading while a value is looked up and read, and for
	// writing when files of the value log that were collected are deleted:
	// otherwise one could vanish between the two.
	reading sync.RWMutex

	committer committer // owned by the committer's goroutine once Open has returned
}

var _ store.Store = (*Engine)(nil)

// kickBuffer bounds the mailboxes that wait to be swept on request. What does
// not fit is swept when its hour comes.
const kickBuffer = 256

// Open opens the engine in c.Dir, which no other process may have open. After
// a crash it finds everything that was acknowledged. On a disk that is full to the
// end it returns store.ErrUnavailable.
func Open(c Config) (*Engine, error) {
	c, err := c.complete()
	if err != nil {
		return nil, err
	}
	e := &Engine{
		cfg: c, cache: newCache(c.CacheMailboxes), pad: make([]byte, chunkBytes+store.MaxBody+recordHeader),
		kicks: make(chan ids.MailboxID, kickBuffer),
	}
	rand.Read(e.pad)
	e.queue.init()
	if low(c.Dir, min(c.MinFree, startFree)) {
		return nil, fmt.Errorf("badgerstore: open: %w: %w", store.ErrUnavailable, errDiskLow)
	}
	if err := removeUnborn(c.Dir); err != nil {
		return nil, fmt.Errorf("badgerstore: open: %w", newFault("remove an empty file", err))
	}
	if e.db, err = badger.Open(badgerOptions(c, &badgerLog{e.fail, c.Logger})); err != nil {
		return nil, fmt.Errorf("badgerstore: open: %w", err)
	}
	if err := e.load(); err != nil {
		return nil, errors.Join(err, e.db.Close(), e.committer.journal.close())
	}
	e.checkDisk()
	e.running.Go(e.commitLoop)
	ctx, cancel := context.WithCancel(context.Background())
	e.cancel = cancel
	e.running.Go(func() { e.maintain(ctx) })
	return e, nil
}

// load reads the engine's own rows, or writes them into an empty folder.
func (e *Engine) load() error {
	e.committer.init(e)
	var found []byte
	err := e.db.View(func(txn *badger.Txn) (err error) {
		if found, err = valueOf(txn, keyFormat); err != nil || found == nil {
			return err
		}
		return e.committer.load(txn)
	})
	switch {
	case err != nil:
		return err
	case found == nil:
		return errors.Join(e.create(), e.recover())
	case len(found) != 1+2*saltSize || found[0] != format:
		return fmt.Errorf("badgerstore: the folder is in another format than %d", format)
	}
	copy(e.salts.token[:], found[1:])
	copy(e.salts.claimant[:], found[1+saltSize:])
	return e.recover()
}

func (e *Engine) create() error {
	rand.Read(e.salts.token[:])
	rand.Read(e.salts.claimant[:])
	row := append([]byte{format}, e.salts.token[:]...)
	row = append(row, e.salts.claimant[:]...)
	err := e.db.Update(func(txn *badger.Txn) error { return txn.Set(keyFormat, row) })
	if err != nil {
		return fmt.Errorf("badgerstore: create: %w", err)
	}
	return nil
}

// valueOf returns a copy of a row's value, nil if there is no such row.
func valueOf(txn *badger.Txn, key []byte) ([]byte, error) {
	item, err := txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, newFault("read", err)
	}
	v, err := item.ValueCopy(nil)
	if err != nil {
		return nil, newFault("read", err)
	}
	// Badger hands out an empty value when it cannot read one; no row of this
	// engine is empty.
	if len(v) == 0 {
		return nil, newFault("read", errCorrupt)
	}
	return v, nil
}

// numberOf is valueOf for rows that hold an integer of size bytes.
func numberOf(txn *badger.Txn, key []byte, size int) (uint64, error) {
	v, err := valueOf(txn, key)
	if err != nil || v == nil {
		return 0, err
	}
	if len(v) != size {
		return 0, newFault("read", errCorrupt)
	}
	var full [8]byte
	copy(full[8-size:], v)
	return binary.BigEndian.Uint64(full[:]), nil
}

// fail stops the engine for good. The first reason stays.
func (e *Engine) fail(err error) {
	f, ok := errors.AsType[*fault](err)
	if !ok {
		f = newFault("commit", err)
	}
	e.fault.CompareAndSwap(nil, f)
}

// failed returns nil, or ErrUnavailable with the reason.
func (e *Engine) failed() error {
	if f := e.fault.Load(); f != nil {
		return fmt.Errorf("%w: %w", store.ErrUnavailable, f)
	}
	return nil
}

// Health implements store.Store.
func (e *Engine) Health(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := e.failed(); err != nil {
		return err
	}
	if e.queue.closed.Load() {
		return store.ErrUnavailable
	}
	if e.diskLow.Load() {
		return fmt.Errorf("%w: %w", store.ErrUnavailable, errDiskLow)
	}
	return nil
}

// Close implements store.Store. It returns why the engine had stopped before,
// if it had.
func (e *Engine) Close() error {
	e.closing.Do(func() {
		e.cancel()
		e.queue.close()
		e.running.Wait()
		e.watchers.Close()
		// Readers that are still at work finish first; later ones see the
		// closed queue.
		e.reading.Lock()
		defer e.reading.Unlock()
		e.closeErr = e.failed()
		if err := e.db.Close(); err != nil && e.closeErr == nil {
			e.closeErr = newFault("close", err)
		}
		if err := e.committer.journal.close(); err != nil && e.closeErr == nil {
			e.closeErr = newFault("close", err)
		}
	})
	return e.closeErr
}

// view runs a read on a snapshot of everything committed so far.
func (e *Engine) view(ctx context.Context, read func(*snapshot) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	e.reading.RLock()
	defer e.reading.RUnlock()
	if err := e.failed(); err != nil {
		return err
	}
	if e.queue.closed.Load() {
		return store.ErrUnavailable
	}
	s := e.tables.now()
	s.txn = e.db.NewTransaction(false)
	defer s.txn.Discard()
	err := read(&s)
	if f, ok := errors.AsType[*fault](err); ok {
		e.fail(f)
		return e.failed()
	}
	return err
}
