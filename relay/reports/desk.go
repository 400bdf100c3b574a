package reports

import (
	"context"
	"encoding/hex"
	"errors"
	"time"

	"waxwing/core/content"
	"waxwing/core/ids"
	"waxwing/core/store"
	"waxwing/core/wire"
	"waxwing/franking"
	"waxwing/ratelimit/limits"
)

// FrameOf is the franking.FrameReader of this protocol's frames: clients and
// reviewers use the same.
func FrameOf(frame []byte) (franking.Position, error) {
	f, err := content.ParseFrame(frame)
	if err != nil {
		return franking.Position{}, err
	}
	return franking.Position{Conversation: f.Conversation, Seq: f.Seq, Prev: franking.Digest(f.Prev), Attachments: f.Attachments}, nil
}

// Take takes a report of an authenticated account and returns what was found
// about each of its messages, FaultNone for proven ones. A report of which
// nothing is proven is not kept. The same report sent again gets the same
// findings. Errors are *Limited, ErrFull, franking.ErrReport, wire.ErrMalformed
// and the store's.
func (r *Reports) Take(ctx context.Context, now time.Time, reporter ids.Address, sealed []byte) ([]franking.Fault, error) {
	if err := r.spend(now, limits.AccountReports, limits.KeyOf(reporter.String())); err != nil {
		return nil, err
	}
	report, number, err := r.open(sealed, reporter)
	if err != nil {
		return nil, err
	}
	r.queue.Lock()
	defer r.queue.Unlock()
	if rec, err := r.record(ctx, report.ID); err == nil {
		if rec.reporter != reporter {
			return nil, franking.ErrReport // somebody else's id
		}
		return rec.faults(), nil
	} else if !errors.Is(err, ErrUnknown) {
		return nil, err
	}
	if err := r.room(ctx); err != nil {
		return nil, err
	}
	findings, err := r.examine(ctx, now, reporter, report)
	if err != nil {
		return nil, err
	}
	shares, err := r.shares(ctx, now, reporter, report, findings)
	if err != nil {
		return nil, err
	}
	rec := &reportRecord{
		state: StateOpen, reporter: reporter, received: uint64(now.UnixMilli()), desk: number, sealed: sealed,
	}
	entry := &Entry{Act: ActTaken, Report: report.ID}
	for i, f := range findings {
		rec.findings = append(rec.findings, findingRecord{f.Fault, f.Linked, f.Gap})
		if f.Fault != franking.FaultNone {
			if entry.Fault == franking.FaultNone {
				entry.Fault = f.Fault
			}
			continue
		}
		rec.proven, rec.issuer = true, report.Messages[i].Token.Issuer
	}
	if err := r.note(ctx, entry, now); err != nil {
		return nil, err
	}
	// In the audit log. A crash now leaves an entry without its report, until it is
	// sent again.
	if !rec.proven {
		return rec.faults(), nil
	}
	for i, s := range shares {
		if err := r.put(ctx, banKey(report.ID, i), wire.MustMarshal(s)); err != nil {
			return nil, err
		}
	}
	// The shares are kept. A crash now leaves them without their report.
	if err := r.remember(ctx, now, reporter, report, rec); err != nil {
		return nil, err
	}
	// Its messages count as reported as soon as the report is in the queue. A crash
	// now leaves them to whichever report of them comes next.
	return rec.faults(), r.save(ctx, report.ID, rec, 1)
}

// room returns ErrFull if too many reports wait. The caller holds queue.
func (r *Reports) room(ctx context.Context) error {
	if r.waiting < 0 {
		r.waiting = 0
		if err := r.countWaiting(ctx); err != nil {
			r.waiting = -1
			return err
		}
	}
	if r.waiting >= MaxOpen {
		return ErrFull
	}
	return nil
}

// save stores a report, after which so many more wait. The caller holds queue.
// After an error it is not known how many do.
func (r *Reports) save(ctx context.Context, id franking.ReportID, rec *reportRecord, more int) error {
	if err := r.put(ctx, reportKey(id), wire.MustMarshal(rec)); err != nil {
		r.waiting = -1
		return err
	}
	if r.waiting >= 0 {
		r.waiting += more
	}
	return nil
}

func (r *reportRecord) faults() (out []franking.Fault) {
	for _, f := range r.findings {
		out = append(out, f.fault)
	}
	return out
}

// open opens a report with the desk's key that it was sealed to.
func (r *Reports) open(sealed []byte, reporter ids.Address) (*franking.Report, uint32, error) {
	desks := r.keyring.allDesks()
	for i := len(desks) - 1; i >= 0; i-- { // two, or three around a change
		if report, err := franking.OpenReport(sealed, desks[i].seal, desks[i].public, reporter); err == nil {
			return report, desks[i].number, nil
		}
	}
	return nil, 0, franking.ErrReport
}

// examine takes the desk's decision on each message.
func (r *Reports) examine(ctx context.Context, now time.Time, reporter ids.Address, report *franking.Report) ([]franking.Finding, error) {
	a, err := r.conf.Directory.Account(ctx, reporter)
	if err != nil {
		return nil, err
	}
	own := &franking.Ownership{Account: reporter, Mailbox: a.Mailbox, From: uint64(a.Registered.Start().UnixMilli())}
	var failed error
	c := franking.Case{
		Reporter: reporter, Snapshots: r.history, Stamps: r.conf.Stamps, Frame: FrameOf, Now: now,
		Owner: func(mailbox ids.MailboxID, _ uint64) *franking.Ownership {
			if mailbox != own.Mailbox {
				return nil
			}
			return own
		},
		Seen: func(token franking.TokenHash, d franking.Digest) bool {
			seen, err := r.seen(ctx, report.ID, seenKey(reporter, token, d))
			if err != nil {
				failed = err
			}
			return seen
		},
	}
	findings := c.Examine(report)
	return findings, failed
}

// seen reports whether another report that is in the queue has a message.
func (r *Reports) seen(ctx context.Context, report franking.ReportID, key store.Key) (bool, error) {
	b, err := r.get(ctx, key)
	if errors.Is(err, ErrUnknown) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	var rec seenRecord
	if wire.Unmarshal(b, &rec) != nil {
		return false, ErrState
	}
	if rec.report == report {
		return false, nil
	}
	_, err = r.get(ctx, reportKey(rec.report))
	if errors.Is(err, ErrUnknown) {
		return false, nil // it never came to be
	}
	return err == nil, err
}

// remember notes that the reporter has reported the proven messages.
func (r *Reports) remember(ctx context.Context, now time.Time, reporter ids.Address, report *franking.Report, rec *reportRecord) error {
	for i := range report.Messages {
		if i >= len(rec.findings) || rec.findings[i].fault != franking.FaultNone {
			continue
		}
		m := &report.Messages[i]
		key := seenKey(reporter, m.Token.Hash(), m.Key.Digest(m.Frame))
		if err := r.put(ctx, key, wire.MustMarshal(&seenRecord{dayOf(now), report.ID})); err != nil {
			return err
		}
	}
	return nil
}

// record returns a report of the queue, or ErrUnknown.
func (r *Reports) record(ctx context.Context, id franking.ReportID) (*reportRecord, error) {
	b, err := r.get(ctx, reportKey(id))
	if err != nil {
		return nil, err
	}
	rec := new(reportRecord)
	if wire.Unmarshal(b, rec) != nil {
		return nil, ErrState
	}
	return rec, nil
}

func (r *Reports) countWaiting(ctx context.Context) error {
	return r.each(ctx, prefixReport, func(doc *store.KeyDoc) error {
		rec := new(reportRecord)
		if wire.Unmarshal(doc.Value, rec) != nil {
			return ErrState
		}
		if rec.state == StateOpen || rec.state == StateSecond {
			r.waiting++
		}
		return nil
	})
}

// ParseID parses a report's id as reviewers type it.
func ParseID(text string) (id franking.ReportID, ok bool) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(id) {
		return id, false
	}
	return franking.ReportID(b), true
}

// FormatID returns the text of a report's id.
func FormatID(id franking.ReportID) string { return hex.EncodeToString(id[:]) }
