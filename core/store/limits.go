package store

import (
	"time"

	"waxwing/core/ids"
)

const (
	// MaxBody is the longest message, in bytes: the largest envelope class
	// (64 KiB) and room for what a delivery adds (stamp, serial, times).
	MaxBody = 68 << 10
	// MaxBatch is the largest number of elements in one call: many times the
	// window of a connection, and little enough for one answer's memory.
	MaxBatch = 4096
	// MaxReaders is the largest number of readers of one mailbox: twice the
	// eight devices of an account, so that devices can be replaced.
	MaxReaders = 16
	// MaxFetch is the largest number of messages, and the number for zero, and
	// MaxFetchBytes the same for bytes of bodies, that one Fetch returns: a
	// few windows' worth, which bounds the memory of one slow recipient.
	MaxFetch      = 1024
	MaxFetchBytes = 1 << 20
	// DefaultMessages and DefaultBytes are the quota of a mailbox whose caller
	// names none: weeks of absence of a busy user, at 4 KiB a message.
	DefaultMessages = 10_000
	DefaultBytes    = 40 << 20
	// MaxSets is the largest number of open one-winner sets: their metadata is
	// in memory, and there are a few per day and purpose.
	MaxSets = 4096
	// MaxKey is the longest key of a document, pool or log, in bytes.
	MaxKey = 192
	// MaxValue is the longest document and the longest log entry, in bytes:
	// below what distributed engines accept as one value (100 kB).
	MaxValue = 96 << 10
	// MaxList is the largest number of documents, and the number for zero,
	// that one List returns.
	MaxList = 1000
	// MaxListBytes is where List stops, and MaxLogBytes the largest sum of
	// entries in one LogAppend: bounds of the memory and of the commit that one
	// call costs.
	MaxListBytes = 4 << 20
	MaxLogBytes  = 1 << 20
	// MaxLogBatch is the largest number of entries in one LogAppend, which is
	// one commit.
	MaxLogBatch = 1024
	// MaxItem is the longest item of a pool, in bytes: a signed prekey with an
	// ML-KEM-1024 key has about 1.7 KiB.
	MaxItem = 4 << 10
	// MaxPool is the largest number of items that wait in one pool: ten times
	// what a device uploads at once.
	MaxPool = 1024
	// ClaimMemory is how long a pool remembers who took an item, and
	// MaxPoolClaims how many takes it remembers at once: at the limit it gives
	// out nothing more, which also slows down whoever empties pools.
	ClaimMemory   = 10 * time.Minute
	MaxPoolClaims = 256
	// WatchBuffer is the number of events that wait for a watcher that is
	// slow; after that it gets one Resync instead.
	WatchBuffer = 64
	// MaxWatchers is the largest number of watchers: each costs every CAS a
	// comparison, and only the relay's own parts watch.
	MaxWatchers = 1024
	// SerialMemory is how many days after its Day a spent serial is kept: as
	// long as an envelope that carries it may still arrive, and one more for
	// clocks that differ.
	SerialMemory = ids.MaxDelay + 1
	// ExpirySlack is how long an expired message may still count towards a
	// quota and in Stat while the engine runs. Fetch never returns it. To find
	// what has expired an engine reads the whole mailbox, so it does that about
	// once an hour at most.
	ExpirySlack = 2 * time.Hour
)
