package reports

import (
	"context"
	"sync"

	"waxwing/core/auditlog"
	"waxwing/core/store"
)

// trail is an audit log in the store.
type trail struct {
	// fixed
	st  store.Logs
	key store.Key

	mu  sync.Mutex // held over a whole append
	log *auditlog.Log
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

// add appends an entry durably.
func (t *trail) add(ctx context.Context, entry []byte) (*auditlog.Receipt, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.log.Size() >= MaxTrail {
		return nil, ErrTrail
	}
	p, err := t.log.Prepare(entry)
	if err != nil {
		return nil, err
	}
	if err := t.st.LogAppend(ctx, t.key, t.log.Size(), [][]byte{p.Record}); err != nil {
		return nil, err
	}
	// Durable. A crash now leaves a record whose action did not happen.
	return t.log.Commit(p)
}
