package badgerstore

import (
	"errors"
	"log/slog"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
)

// Config configures the engine. The zero value of each field but Dir is usable.
type Config struct {
	// Dir is the folder that the engine owns; it is created if need be.
	Dir string
	// Now is the clock that things expire by; nil means time.Now.
	Now func() time.Time
	// Logger gets what Badger reports, without the keys in it; nil means that
	// nothing is logged.
	Logger *slog.Logger
	// CacheMailboxes is how many mailboxes' heads stay in memory, at about
	// 300 bytes each; 0 means 131072, 40 MiB when all are in use.
	CacheMailboxes int
	// MinFree is how many bytes of the disk stay free: below it the engine
	// refuses what adds data with ErrUnavailable until there is more. (A write
	// to a full disk would end the process, as the files are mapped.) 0 means
	// 256 MiB.
	MinFree uint64
	// SweepEvery is how often the engine looks for expired messages and days,
	// and for free space; 0 means a minute.
	SweepEvery time.Duration
	// CollectEvery is how often it returns space of deleted messages to the
	// file system; 0 means five minutes.
	CollectEvery time.Duration

	hooks hooks
}

// hooks let tests fail a commit before it happens and after it happened, and
// make files so small that little data fills many.
type hooks struct {
	beforeCommit, afterCommit, beforeDrain func() error
	valueLogFile                           int64
	journalRows                            int
}

var errConfig = errors.New("badgerstore: Config: Dir is empty or a limit is negative")

// complete validates a configuration and fills in what is zero.
func (c Config) complete() (Config, error) {
	if c.Dir == "" || c.CacheMailboxes < 0 || c.SweepEvery < 0 || c.CollectEvery < 0 {
		return c, errConfig
	}
	orElse(&c.CacheMailboxes, 1<<17)
	orElse(&c.MinFree, 256<<20)
	orElse(&c.hooks.valueLogFile, valueLogFile)
	orElse(&c.hooks.journalRows, journalRows)
	orElse(&c.SweepEvery, time.Minute)
	orElse(&c.CollectEvery, 5*time.Minute)
	if c.Now == nil {
		c.Now = time.Now
	}
	return c, nil
}

func orElse[T int | int64 | uint64 | time.Duration](p *T, v T) {
	if *p == 0 {
		*p = v
	}
}

const (
	// memTableSize bounds memory (a handful of them exist) and, through
	// Badger's rule of 15 %, one transaction: 1.2 MiB of rows, 12 000 rows.
	memTableSize = 8 << 20
	// valueThreshold sends messages to the value log, where they are written
	// once, and keeps all other rows in the tree.
	valueThreshold = 256
	// valueLogFile is the unit in which space is given back. The last file is
	// never collected.
	valueLogFile = 64 << 20
)

// badgerOptions are Badger's options: its defaults take more than a gigabyte
// of memory under load and write each message several times.
func badgerOptions(c Config, log badger.Logger) badger.Options {
	return badger.DefaultOptions(c.Dir).
		WithSyncWrites(true).
		WithDetectConflicts(false). // one writer
		WithLogger(log).
		WithMetricsEnabled(false).
		WithMemTableSize(memTableSize).
		WithNumMemtables(3).
		WithNumLevelZeroTables(4).
		WithNumLevelZeroTablesStall(12).
		WithBaseTableSize(4 << 20).
		WithNumCompactors(2).
		WithValueThreshold(valueThreshold).
		WithValueLogFileSize(c.hooks.valueLogFile).
		WithCompression(options.Snappy).
		WithBlockCacheSize(16 << 20).
		WithBlockSize(4 << 10)
}
