package reports

import (
	"context"
	"time"

	"waxwing/core/ids"
	"waxwing/core/store"
	"waxwing/core/wire"
	"waxwing/franking"
)

// sweep removes once a day what nobody needs any more. The logs stay, and so do
// published secrets.
func (r *Reports) sweep(ctx context.Context, now time.Time) error {
	today := dayOf(now)
	r.sweeping.Lock()
	defer r.sweeping.Unlock()
	if r.swept == today {
		return nil
	}
	over := func(day ids.Day, kept int64) bool { return int64(today) > int64(day)+kept }
	seen, answer, report, ban := new(seenRecord), new(answerRecord), new(reportRecord), new(banRecord)
	for _, s := range []struct {
		prefix store.Key
		rec    wire.Schema
		over   func() bool
	}{
		{prefixSeen, seen, func() bool { return over(seen.day, seenKept) }},
		{prefixOpened, answer, func() bool { return over(answer.day, answerKept) }},
		{prefixBan, ban, func() bool { return ban.opened == 0 && over(ban.day, reportKept) }},
		{prefixReport, report, func() bool {
			return (report.state == StateClosed || report.state == StateAnswered) &&
				over(ids.DayOf(time.UnixMilli(int64(report.received))), reportKept)
		}},
	} {
		if err := r.remove(ctx, s.prefix, func(doc *store.KeyDoc) (bool, error) {
			if wire.Unmarshal(doc.Value, s.rec) != nil {
				return false, ErrState
			}
			return s.over(), nil
		}); err != nil {
			return err
		}
	}
	if err := r.sweepSnapshots(ctx, now); err != nil {
		return err
	}
	r.swept = today
	return nil
}

// sweepSnapshots removes snapshots that another one replaced long ago. The newest
// of each provider stays.
func (r *Reports) sweepSnapshots(ctx context.Context, now time.Time) error {
	limit := uint64(now.Add(-snapshotKept * 24 * time.Hour).UnixMilli())
	var last store.Key
	var of ids.Domain
	var gone []store.Key
	if err := r.each(ctx, prefixSnapshot, func(doc *store.KeyDoc) error {
		var f franking.SnapshotFields
		if wire.Unmarshal(doc.Value, &f) != nil {
			return ErrState
		}
		// Keys are in the order of numbers: this one replaced the one before it.
		if last != "" && of == f.Issuer && f.From < limit {
			gone = append(gone, last)
		}
		last, of = doc.Key, f.Issuer
		return nil
	}); err != nil {
		return err
	}
	return r.drop(ctx, gone)
}

// remove removes the documents with a prefix that are over.
func (r *Reports) remove(ctx context.Context, prefix store.Key, over func(*store.KeyDoc) (bool, error)) error {
	var gone []store.Key
	if err := r.each(ctx, prefix, func(doc *store.KeyDoc) error {
		done, err := over(doc)
		if done {
			gone = append(gone, doc.Key)
		}
		return err
	}); err != nil {
		return err
	}
	return r.drop(ctx, gone)
}

func (r *Reports) drop(ctx context.Context, all []store.Key) error {
	for _, key := range all {
		if err := r.put(ctx, key, nil); err != nil {
			return err
		}
	}
	return nil
}
