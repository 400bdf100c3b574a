package badgerstore

import (
	"context"

	"waxwing/core/store"
)

// entryPrefix stands before each entry, since no row may be empty.
const entryPrefix = 0

// logOp is one call of LogAppend.
type logOp struct {
	call
	key     store.Key
	size    uint64
	entries [][]byte
	err     error
}

// LogAppend implements store.Store.
func (e *Engine) LogAppend(ctx context.Context, log store.Key, expectSize uint64, entries [][]byte) error {
	if log.Check() != nil || store.CheckEntries(entries) != nil {
		return store.ErrInvalid
	}
	if e.diskLow.Load() {
		return store.ErrUnavailable
	}
	o := &logOp{call: newCall(), key: log, size: expectSize, entries: entries}
	if err := e.submit(ctx, o); err != nil {
		return err
	}
	return o.err
}

func (o *logOp) run(g *group) bool {
	if !g.roomForStep() {
		return false
	}
	size, err := numberOf(g.tx(), plainKey(tagLog, o.key), 8)
	if err != nil {
		g.stop(err)
		return true
	}
	if size != o.size {
		o.err = store.ErrConflict
		return true
	}
	for i, entry := range o.entries {
		row := append(append(make([]byte, 0, 1+len(entry)), entryPrefix), entry...)
		g.put(numberedKey(tagEntry, o.key, size+uint64(i)), row)
	}
	if len(o.entries) > 0 {
		g.put(plainKey(tagLog, o.key), u64(size+uint64(len(o.entries))))
	}
	return true
}

// LogRead implements store.Store.
func (e *Engine) LogRead(ctx context.Context, log store.Key, from uint64, limit int) ([][]byte, error) {
	if err := log.Check(); err != nil {
		return nil, err
	}
	var out [][]byte
	err := e.view(ctx, func(s *snapshot) error {
		size, err := numberOf(s.txn, plainKey(tagLog, log), 8)
		if err != nil {
			return err
		}
		read := 0
		for i := from; i < size && len(out) < store.Limit(limit, store.MaxFetch); i++ {
			row, err := valueOf(s.txn, numberedKey(tagEntry, log, i))
			if err != nil {
				return err
			}
			if row == nil || row[0] != entryPrefix {
				return newFault("read", errCorrupt)
			}
			read += len(row) - 1
			if len(out) > 0 && read > store.MaxFetchBytes {
				return nil
			}
			out = append(out, row[1:])
		}
		return nil
	})
	return out, err
}

// LogSize implements store.Store.
func (e *Engine) LogSize(ctx context.Context, log store.Key) (uint64, error) {
	if err := log.Check(); err != nil {
		return 0, err
	}
	var size uint64
	err := e.view(ctx, func(s *snapshot) (err error) {
		size, err = numberOf(s.txn, plainKey(tagLog, log), 8)
		return err
	})
	return size, err
}
