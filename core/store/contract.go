package store

import (
	"context"
	"time"

	"waxwing/core/ids"
)

// Store is what every engine implements. doc.go has the rules that hold for
// all operations; each operation says only what is special to it. Operations
// are safe for concurrent use.
type Store interface {
	Mailboxes
	Sets
	Pools
	Documents
	Logs

	// Health returns nil, or why the engine no longer works; the error is
	// ErrUnavailable as well.
	Health(ctx context.Context) error
	// Close ends every operation and watch. Later calls return ErrUnavailable.
	Close() error
}

// Mailboxes are queues of messages. A mailbox exists as soon as it is used.
type Mailboxes interface {
	// Append adds messages. Whatever its outcome, an element that is not
	// ErrInvalid costs the same commit and the same amount of writing, so that
	// a disposal cannot be told from a delivery by time.
	Append(ctx context.Context, reqs []AppendReq) []AppendRes
	// OpenReader opens a reader, or finds it open, and returns the position up
	// to which it has acked. A new one stands before the oldest message kept.
	// ErrFull: MaxReaders are open.
	OpenReader(ctx context.Context, mailbox ids.MailboxID, reader ReaderID) (Cursor, error)
	// CloseReader closes a reader, if it is open: no message waits for it any
	// more. What all others have acked is removed, if there are others.
	CloseReader(ctx context.Context, mailbox ids.MailboxID, reader ReaderID) error
	// Fetch returns messages with a cursor above after, in the order in which
	// they were appended, never an expired one, and skips none whose Append
	// returned before Fetch began. It stops before maxMsgs messages or
	// maxBytes bytes of bodies are exceeded (zero or more than the limit: the
	// limit), but returns at least one message if there is one.
	Fetch(ctx context.Context, mailbox ids.MailboxID, after Cursor, maxMsgs, maxBytes int) ([]Message, error)
	// Ack says that a reader has all messages up to a cursor. A cursor that is
	// lower than before changes nothing, one above the last message means the
	// last message. A message that all open readers have acked is removed; a
	// mailbox without open readers keeps messages until they expire. The
	// result has an error per element: ErrNotFound, the reader is not open.
	Ack(ctx context.Context, reqs []AckReq) []error
	// Remove removes single messages, whether or not a reader has acked them.
	// It is for a mailbox whose only reader is done with some that come after
	// others: an outbox. A cursor at which there is no message changes nothing.
	// After an error some may be gone. ErrInvalid: more than MaxBatch.
	Remove(ctx context.Context, mailbox ids.MailboxID, cursors []Cursor) error
	// Strike marks serials that are not yet spent as spent by nobody and
	// returns how many; spent and struck ones, and those of days that are
	// over, stay as they are.
	Strike(ctx context.Context, mailbox ids.MailboxID, serials []Serial) (struck int, err error)
	// Stat returns the size of a mailbox. One never used is all zero.
	Stat(ctx context.Context, mailbox ids.MailboxID) (MailboxStat, error)
	// Drop removes the messages and readers of a mailbox. Spent serials stay
	// spent, and no cursor is used twice, should the mailbox be used again.
	Drop(ctx context.Context, mailbox ids.MailboxID) error
}

// Sets are one-winner sets: of all who claim a token in a set, one wins.
type Sets interface {
	// OpenSet opens a set until dropAfter; opening it again changes nothing.
	// Its tokens are forgotten some time after dropAfter, so a set's id must
	// never be used for another purpose or epoch. ErrInvalid: dropAfter has
	// passed. ErrFull: MaxSets are open.
	OpenSet(ctx context.Context, set SetID, dropAfter time.Time) error
	// Spend claims tokens. The first claimant of a token wins, and wins again
	// whenever it asks again. An element's error is ErrUnavailable in a set
	// that is not open or no longer open: nobody wins.
	Spend(ctx context.Context, set SetID, claims []Claim) []SpendRes
}

// Pools are stocks of items, each of which is given out to one claimant only.
type Pools interface {
	// Put adds items. One whose ID is in the pool, or is not above every ID
	// ever taken from it, is left as it is: ids are counted upwards by whoever
	// fills the pool, so that an item given out never returns. ErrFull: the
	// pool would have more than MaxPool items; none is added.
	Put(ctx context.Context, pool Key, items []Item) error
	// Take removes the item with the lowest ID and returns it with the number
	// of those that remain. The same claimant gets the same item again for
	// ClaimMemory. ErrEmpty: there is none, or MaxPoolClaims were taken within
	// ClaimMemory.
	Take(ctx context.Context, pool Key, claimant Claimant) (item Item, remaining int, err error)
	// PoolSize returns the number of items that can be taken.
	PoolSize(ctx context.Context, pool Key) (int, error)
	// DropPool removes a pool and all memory of what was taken from it.
	DropPool(ctx context.Context, pool Key) error
}

// Documents are small values with versions.
type Documents interface {
	// Get returns a document. ErrNotFound: there is none.
	Get(ctx context.Context, key Key) (Doc, error)
	// CAS replaces a document whose version is ifVersion and returns the new
	// version, which no document of this engine had before. Version 0 means
	// that there must be none. A nil value deletes and returns 0; an empty one
	// is stored. ErrConflict: another version, or it exists, or it does not; a
	// caller that sends again after a lost answer reads the document to see
	// whether it is its own.
	CAS(ctx context.Context, key Key, ifVersion uint64, value []byte) (version uint64, err error)
	// List returns documents whose key begins with prefix and is above after,
	// in the order of keys, at most limit (zero or more than MaxList: MaxList).
	List(ctx context.Context, prefix, after Key, limit int) ([]KeyDoc, error)
	// Watch reports changes of documents under prefix made after it returned,
	// each at least once, but several of one key perhaps as one. A watcher
	// that is too slow loses events and gets a Resync for them. The channel is
	// closed when ctx ends or the engine closes. ErrFull: MaxWatchers watch.
	Watch(ctx context.Context, prefix Key) (<-chan Event, error)
}

// Logs are append-only sequences of entries, with one writer each.
type Logs interface {
	// LogAppend adds entries to a log that has expectSize of them, all or
	// none, at most MaxLogBatch and MaxLogBytes. ErrConflict: it has another size; a caller that sends again after
	// a lost answer reads the log to see whether the entries are its own.
	LogAppend(ctx context.Context, log Key, expectSize uint64, entries [][]byte) error
	// LogRead returns entries from index from on, at most max (zero or more
	// than MaxFetch: MaxFetch) and MaxFetchBytes, but one if there is one.
	LogRead(ctx context.Context, log Key, from uint64, max int) ([][]byte, error)
	// LogSize returns the number of entries; 0 for a log never used.
	LogSize(ctx context.Context, log Key) (uint64, error)
}
