package admission

import (
	"context"
	"errors"
	"time"

	"waxwing/core/store"
	"waxwing/core/wire"
	"waxwing/ratelimit/keylist"
)

// compare reports whether the store is older than the keys, or another one: then
// what was spent under them is missing from it. A mark that the operator took away
// says so as well. The caller holds changing.
func (a *Admission) compare(ctx context.Context) (lost bool, err error) {
	var file, stored *markRecord
	if err := each(a.conf.Files, fileMark, new(markRecord), func(r *markRecord) error {
		file = &markRecord{r.at}
		return nil
	}); err != nil {
		return false, err
	}
	doc, err := a.conf.Store.Get(ctx, keyMark)
	switch {
	case err == nil:
		stored = new(markRecord)
		if wire.Unmarshal(doc.Value, stored) != nil {
			return false, ErrState
		}
	case !errors.Is(err, store.ErrNotFound):
		return false, err
	}
	switch {
	case file == nil && stored == nil:
		return !a.keyring.empty(), nil
	case file == nil || stored == nil:
		return true, nil
	}
	// The store is marked first, so that a crash between makes it the newer one.
	return stored.at < file.at, nil
}

// mark marks the store and then the keys from time to time. The caller holds
// changing.
func (a *Admission) mark(ctx context.Context, now time.Time) error {
	if !a.marked.IsZero() && now.Sub(a.marked).Abs() < markEvery {
		return nil
	}
	r := &markRecord{uint64(max(now.UnixMilli(), 0))}
	if err := a.put(ctx, keyMark, wire.MustMarshal(r)); err != nil {
		return err
	}
	// A crash now leaves the store newer than the keys, as it may be.
	if err := a.keyring.put(fileMark, r); err != nil {
		return err
	}
	a.marked = now
	return nil
}

// Anew has the next Renew draw other keys of credentials for the days that can be
// shown: nobody keeps a credential, and who was banned gets no other one.
func (a *Admission) Anew() {
	a.changing.Lock()
	defer a.changing.Unlock()
	a.renewing = true
}

// Recall looks at a list of this provider's that a peer kept, and reports whether
// it shows that this data directory was put back from a copy: then keys are drawn
// anew with the next Renew. What is not this provider's says nothing.
func (a *Admission) Recall(b []byte) (lost bool) {
	l, err := keylist.Parse(b, a.conf.Domain, a.conf.Root.Public())
	if err != nil {
		return false
	}
	a.changing.Lock()
	defer a.changing.Unlock()
	own := a.own.Load()
	if own == nil || own.Follows(l) == nil {
		return false
	}
	a.lost, a.above = true, l
	return true
}
