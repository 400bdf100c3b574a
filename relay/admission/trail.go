package admission

import (
	"context"

	"waxwing/core/auditlog"
	"waxwing/core/store"
)

// trail is the log of every list that was signed. It is never used twice at once.
type trail struct {
	st  store.Logs
	log *auditlog.Log
}

// openTrail loads the log and checks its chain. Errors are ErrState and the
// store's.
func openTrail(ctx context.Context, st store.Logs) (*trail, error) {
	var records [][]byte
	for len(records) < maxTrail {
		batch, err := st.LogRead(ctx, keyAudit, uint64(len(records)), trailBatch)
		if err != nil {
			return nil, err
		}
		if len(batch) == 0 {
			break
		}
		records = append(records, batch...)
	}
	log, err := auditlog.Load(records...)
	if err != nil {
		return nil, ErrState
	}
	return &trail{st, log}, nil
}

// add appends an entry durably.
func (t *trail) add(ctx context.Context, entry []byte) error {
	if t.log.Size() >= maxTrail {
		return ErrTrail
	}
	p, err := t.log.Prepare(entry)
	if err != nil {
		return err
	}
	if err := t.st.LogAppend(ctx, keyAudit, t.log.Size(), [][]byte{p.Record}); err != nil {
		return err
	}
	// Durable. A crash now leaves an entry of a list that nobody was shown.
	_, err = t.log.Commit(p)
	return err
}
