package state

import "errors"

// What callers branch on, with errors.Is.
var (
	// ErrInUse: another process has the file open.
	ErrInUse = errors.New("state: in use by another process")
	// ErrCorrupt: the file or a record of it is damaged. A *CorruptError, which
	// wraps it, names the table.
	ErrCorrupt = errors.New("state: damaged")
	// ErrLocked: the file is under a passphrase, and none was given.
	ErrLocked = errors.New("state: under a passphrase")
	// ErrPassphrase: the file is under another passphrase.
	ErrPassphrase = errors.New("state: wrong passphrase")
	// ErrVersion: the file was written by another version of this program.
	ErrVersion = errors.New("state: written by another version")
	// ErrNotFound: there is no such record.
	ErrNotFound = errors.New("state: not found")
	// ErrFull: the table has as many records as its limit allows.
	ErrFull = errors.New("state: limit reached")
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("state: closed")
	// ErrIO: the file could not be read, written or synced. What the failed
	// transaction changed is not stored.
	ErrIO = errors.New("state: file error")
)

// CorruptError says which table is damaged. It holds no key and no content.
type CorruptError struct{ Table string }

func (e *CorruptError) Error() string { return "state: damaged: " + e.Table }

// Unwrap makes errors.Is(err, ErrCorrupt) true.
func (e *CorruptError) Unwrap() error { return ErrCorrupt }
