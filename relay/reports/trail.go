package reports

import (
	"context"
	"errors"
	"sync"

	"waxwing/core/auditlog"
	"waxwing/core/store"
)

// trail is an audit log in the store.
type trail struct {
	// fixed
	st  store.Logs
	key store.Key

	mu     sync.Mutex // held over a whole append
	log    *auditlog.Log
	behind bool // the store may have entries that log has not
}

// readTrail returns all records of a log.
func readTrail(ctx context.Context, st store.Logs, key store.Key) (records [][]byte, err error) {
	for len(records) < MaxTrail {
		batch, err := st.LogRead(ctx, key, uint64(len(records)), trailBatch)
		if err != nil || len(batch) == 0 {
			return records, err
		}
		records = append(records, batch...)
	}
	return records, nil
}

// openTrail loads a log and checks its chain. The error wraps ErrState.
func openTrail(ctx context.Context, st store.Logs, key store.Key) (*trail, error) {
	records, err := readTrail(ctx, st, key)
	if err != nil {
		return nil, err
	}
	log, err := auditlog.Load(records...)
	if err != nil {
		return nil, ErrState
	}
	return &trail{st: st, key: key, log: log}, nil
}

// follow reads the records that the store has after those of a log. An append
// whose outcome was unknown, as after a caller that has gone, is in the store or
// not; without this no later append would fit.
func follow(ctx context.Context, st store.Logs, key store.Key, log *auditlog.Log, extend func([]byte) error) error {
	for {
		batch, err := st.LogRead(ctx, key, log.Size(), trailBatch)
		if err != nil || len(batch) == 0 {
			return err
		}
		for _, b := range batch {
			if extend(b) != nil {
				return ErrState
			}
		}
	}
}

// add appends an entry durably. After an error the entry may be there.
func (t *trail) add(ctx context.Context, entry []byte) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for range tries {
		if t.behind {
			if err := follow(ctx, t.st, t.key, t.log, t.log.Extend); err != nil {
				return err
			}
			t.behind = false
		}
		if t.log.Size() >= MaxTrail {
			return ErrTrail
		}
		p, err := t.log.Prepare(entry)
		if err != nil {
			return err
		}
		err = t.st.LogAppend(ctx, t.key, t.log.Size(), [][]byte{p.Record})
		if err == nil {
			// Durable. A crash now leaves a record whose action did not happen.
			_, err = t.log.Commit(p)
			return err
		}
		if t.behind = true; !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
	return store.ErrConflict
}
