package admission

import (
	"context"

	"waxwing/core/auditlog"
	"waxwing/core/store"
)

// trail is the log of every list that was signed. It is never used twice at once.
type trail struct {
	st  store.Logs
	log *auditlog.Log // nil after an error: it is not known what is stored
}

// openTrail loads the log. Errors are ErrState and the store's.
func openTrail(ctx context.Context, st store.Logs) (*trail, error) {
	t := &trail{st: st}
	return t, t.load(ctx)
}

// load loads the log and checks its chain.
func (t *trail) load(ctx context.Context) error {
	var records [][]byte
	for len(records) < maxTrail {
		batch, err := t.st.LogRead(ctx, keyAudit, uint64(len(records)), trailBatch)
		if err != nil {
			return err
		}
		if len(batch) == 0 {
			break
		}
		records = append(records, batch...)
	}
	log, err := auditlog.Load(records...)
	if err != nil {
		return ErrState
	}
	t.log = log
	return nil
}

// add appends an entry durably.
func (t *trail) add(ctx context.Context, entry []byte) error {
	if t.log == nil {
		if err := t.load(ctx); err != nil {
			return err
		}
	}
	if t.log.Size() >= maxTrail {
		return ErrTrail
	}
	p, err := t.log.Prepare(entry)
	if err != nil {
		return err
	}
	if err := t.st.LogAppend(ctx, keyAudit, t.log.Size(), [][]byte{p.Record}); err != nil {
		t.log = nil
		return err
	}
	// Durable. A crash now leaves an entry of a list that nobody was shown.
	_, err = t.log.Commit(p)
	return err
}
