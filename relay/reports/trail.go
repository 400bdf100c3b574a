package reports

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"waxwing/core/auditlog"
	"waxwing/core/store"
)

// growing is a log in memory that is kept in the store: segment after segment, each
// a log of the store's under its own key.
type growing interface {
	Log() *auditlog.Log // the segment in use
	Extend(record []byte) error
	Next(*auditlog.Log) // another segment is in use
}

// segmentKey is the key of a segment of a log; the first one's is the log's.
func segmentKey(key store.Key, segment uint32) store.Key {
	if segment == 1 {
		return key
	}
	return key + store.Key(fmt.Sprintf("/%06d", segment))
}

// readSegment returns all records of a segment.
func readSegment(ctx context.Context, st store.Logs, key store.Key) (records [][]byte, err error) {
	for {
		batch, err := st.LogRead(ctx, key, uint64(len(records)), trailBatch)
		if err != nil || len(batch) == 0 {
			return records, err
		}
		records = append(records, batch...)
	}
}

// follow reads the records that the store has after those of a log. An append
// whose outcome was unknown, as after a caller that has gone, is in the store or
// not; without this no later append would fit. A segment that was begun is in use,
// however long the one before is.
func follow(ctx context.Context, st store.Logs, key store.Key, g growing) error {
	for {
		log := g.Log()
		segment := log.Head().Segment
		batch, err := st.LogRead(ctx, segmentKey(key, segment), log.Size(), trailBatch)
		if err != nil {
			return err
		}
		if len(batch) == 0 {
			if segment == maxSegments {
				return nil
			}
			if batch, err = st.LogRead(ctx, segmentKey(key, segment+1), 0, 1); err != nil || len(batch) == 0 {
				return err
			}
			g.Next(log.Next())
		}
		for _, b := range batch {
			if g.Extend(b) != nil {
				return ErrState
			}
		}
	}
}

// room begins the next segment if the one in use is as long as it may be. Errors
// are ErrTrail and the store's; after store.ErrConflict or another failure the
// caller follows the log and tries again.
func room(ctx context.Context, st store.Logs, key store.Key, g growing, limit uint64) error {
	log := g.Log()
	if log.Size() < limit {
		return nil
	}
	next := log.Next()
	segment := next.Head().Segment
	if segment > maxSegments {
		return ErrTrail
	}
	p, err := next.Prepare(next.Link())
	if err != nil {
		return err
	}
	if err := st.LogAppend(ctx, segmentKey(key, segment), 0, [][]byte{p.Record}); err != nil {
		return err
	}
	// The link is durable, and the segment is in use. A crash now leaves it with
	// nothing more.
	if _, err := next.Commit(p); err != nil {
		return err
	}
	g.Next(next)
	return nil
}

// trail is an audit log in the store.
type trail struct {
	// fixed
	st    store.Logs
	key   store.Key
	limit uint64 // entries of a segment

	mu     sync.Mutex // held over a whole append
	log    *auditlog.Log
	bases  []uint64 // of the segments: how many entries are before each
	behind bool     // the store may have entries that log has not
}

// Log returns the segment in use.
func (t *trail) Log() *auditlog.Log { return t.log }

// Extend takes a stored record.
func (t *trail) Extend(b []byte) error { return t.log.Extend(b) }

// Next has another segment in use.
func (t *trail) Next(l *auditlog.Log) { t.log, t.bases = l, append(t.bases, l.Base()) }

// openTrail loads a log and checks its chain. The error wraps ErrState.
func openTrail(ctx context.Context, st store.Logs, key store.Key) (*trail, error) {
	t := &trail{st: st, key: key, limit: SegmentSize, log: new(auditlog.Log), bases: []uint64{0}}
	return t, follow(ctx, st, key, t)
}

// add appends an entry durably. After an error the entry may be there.
func (t *trail) add(ctx context.Context, entry []byte) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for range tries {
		if err := t.catchUp(ctx); err != nil {
			return err
		}
		err := room(ctx, t.st, t.key, t, t.limit)
		if err == nil {
			var p *auditlog.Pending
			if p, err = t.log.Prepare(entry); err != nil {
				return err
			}
			if err = t.st.LogAppend(ctx, segmentKey(t.key, t.log.Head().Segment), t.log.Size(), [][]byte{p.Record}); err == nil {
				// Durable. A crash now leaves a record whose action did not happen.
				_, err = t.log.Commit(p)
				return err
			}
		}
		if t.behind = true; !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
	return store.ErrConflict
}

// read returns records from an index among all entries on, at most limit, and not
// beyond the end of a segment.
func (t *trail) read(ctx context.Context, from uint64, limit int) ([][]byte, error) {
	bases, err := t.known(ctx)
	if err != nil {
		return nil, err
	}
	i, found := slices.BinarySearch(bases, from)
	if !found {
		i--
	}
	return t.st.LogRead(ctx, segmentKey(t.key, uint32(i)+1), from-bases[i], limit)
}

// known returns the bases of the segments, those included that were begun with an
// unknown outcome.
func (t *trail) known(ctx context.Context) ([]uint64, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.catchUp(ctx); err != nil {
		return nil, err
	}
	return slices.Clone(t.bases), nil
}

// catchUp reads what of the log is not known. The caller holds mu.
func (t *trail) catchUp(ctx context.Context) error {
	if !t.behind {
		return nil
	}
	if err := follow(ctx, t.st, t.key, t); err != nil {
		return err
	}
	t.behind = false
	return nil
}
