package reports

import (
	"context"
	"encoding/hex"
	"errors"
	"math"
	"strings"
	"time"

	"waxwing/core/attachment"
	"waxwing/core/auditlog"
	"waxwing/core/content"
	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/store"
	"waxwing/core/wire"
	"waxwing/franking"
)

// Summary is a report in a list.
type Summary struct {
	ID       franking.ReportID
	State    State
	Received time.Time
	Proven   int // of Messages
	Messages int
	Issuer   ids.Domain // the sender's provider
	Asked    franking.Action
	Action   franking.Action // what it did
}

// Shown is a report as reviewers see it. Who wrote the messages is not in it:
// nobody here knows.
type Shown struct {
	Summary
	Reporter  ids.Address
	Reason    franking.Reason
	Consents  franking.Consents
	Note      string
	Reviewers [2]string
	Decided   time.Time
	Findings  []ShownMessage
}

// ShownMessage is one message of a report.
type ShownMessage struct {
	Fault    franking.Fault // FaultNone: proven
	Linked   bool           // it names the message before it
	Gap      bool           // messages between them are missing
	Text     string         // of a proven message only
	Files    []ShownFile    // the same
	Sent     time.Time      // as its sender claims
	Received time.Time      // by the own relay
	Seq      uint64
	Ban      *Ban // the share that opens its author's escrow; nil if there is none
}

// ShownFile is an attachment of a proven message, as its sender describes it.
type ShownFile struct {
	attachment.Descriptor
	Revealed int // chunks that the reporter reveals of it
}

// filesOf returns the attachments of a frame, and how much of each is revealed.
func filesOf(f *content.Frame, leaves []franking.Leaf) (out []ShownFile) {
	for _, d := range f.Attachments {
		out = append(out, ShownFile{Descriptor: d})
	}
	for i := range leaves {
		out[leaves[i].Attachment].Revealed++
	}
	return out
}

func (r *reportRecord) summary(id franking.ReportID) Summary {
	s := Summary{
		ID: id, State: r.state, Received: time.UnixMilli(int64(r.received)).UTC(), Messages: len(r.findings),
		Issuer: r.issuer, Asked: r.asked, Action: r.action,
	}
	for _, f := range r.findings {
		if f.fault == franking.FaultNone {
			s.Proven++
		}
	}
	return s
}

// List returns the reports in a state, or all for 0, at most limit.
func (r *Reports) List(ctx context.Context, state State, limit int) (out []Summary, err error) {
	err = r.each(ctx, prefixReport, func(doc *store.KeyDoc) error {
		if len(out) == limit {
			return nil
		}
		rec := new(reportRecord)
		id, err := hex.DecodeString(strings.TrimPrefix(string(doc.Key), string(prefixReport)))
		if err != nil || len(id) != franking.ReportIDSize || wire.Unmarshal(doc.Value, rec) != nil {
			return ErrState
		}
		if state == 0 || rec.state == state {
			out = append(out, rec.summary(franking.ReportID(id)))
		}
		return nil
	})
	return out, err
}

// Show opens a report. Errors are ErrUnknown, franking.ErrReport (the desk's key
// is gone) and the store's.
func (r *Reports) Show(ctx context.Context, id franking.ReportID) (*Shown, error) {
	rec, report, _, err := r.reopen(ctx, id)
	if err != nil {
		return nil, err
	}
	out := &Shown{
		Summary: rec.summary(id), Reporter: rec.reporter, Reason: report.Reason, Consents: report.Consents,
		Note: report.Note, Reviewers: rec.reviewers,
	}
	if rec.decided != 0 {
		out.Decided = time.UnixMilli(int64(rec.decided)).UTC()
	}
	for i, f := range rec.findings {
		m := ShownMessage{Fault: f.fault, Linked: f.linked, Gap: f.gap}
		if f.fault == franking.FaultNone {
			e := &report.Messages[i]
			frame, err := content.ParseFrame(e.Frame)
			if err != nil {
				return nil, ErrState
			}
			m.Text, m.Seq, m.Files = frame.Text, frame.Seq, filesOf(frame, e.Leaves)
			m.Sent, m.Received = time.UnixMilli(int64(frame.Sent)).UTC(), time.UnixMilli(int64(e.Received)).UTC()
			o, ban, err := r.share(ctx, id, report, i)
			if err == nil {
				m.Ban = ban.ban(id, int(o.Message))
			} else if !errors.Is(err, ErrShare) && !errors.Is(err, franking.ErrConsent) {
				return nil, err
			}
		}
		out.Findings = append(out.Findings, m)
	}
	return out, nil
}

// reopen loads a report and opens it with the key of its desk.
func (r *Reports) reopen(ctx context.Context, id franking.ReportID) (*reportRecord, *franking.Report, *desk, error) {
	rec, err := r.record(ctx, id)
	if err != nil {
		return nil, nil, nil, err
	}
	for _, d := range r.keyring.allDesks() {
		if d.number == rec.desk {
			report, err := franking.OpenReport(rec.sealed, d.seal, d.public, rec.reporter)
			if err == nil && len(report.Messages) != len(rec.findings) {
				err = ErrState
			}
			return rec, report, d, err
		}
	}
	return nil, nil, nil, franking.ErrReport
}

// FirstProven stands for the first proven message of a report.
const FirstProven = -1

// about returns the message that a decision is about. The messages of a report may be
// of different authors who wrote under one conversation's name: where the tokens
// differ, FirstProven names nobody.
func (r *reportRecord) about(report *franking.Report, message int) (int, error) {
	if message != FirstProven {
		if message < 0 || message >= len(r.findings) || r.findings[message].fault != franking.FaultNone {
			return 0, ErrUnproven
		}
		return message, nil
	}
	first := FirstProven
	for i := range report.Messages {
		switch {
		case r.findings[i].fault != franking.FaultNone:
		case first == FirstProven:
			first = i
		case report.Messages[i].Token.Hash() != report.Messages[first].Token.Hash():
			return 0, ErrWhich
		}
	}
	if first == FirstProven {
		return 0, ErrUnproven
	}
	return first, nil
}

// Decide is a reviewer's decision about the author of a message: what its provider is
// asked to do, or franking.ActionNone. A suspension needs the same decision of a second reviewer;
// until then the error is ErrSecond, and the first one's is kept. Errors are also
// ErrUnknown, ErrDecided, ErrReviewer, ErrUnproven, ErrWhich, franking.ErrConsent (the
// reporter wants the sender's provider not to know) and the store's.
func (r *Reports) Decide(ctx context.Context, now time.Time, id franking.ReportID, message int, action franking.Action, reviewer string) error {
	if reviewer == "" || len(reviewer) > maxReviewer {
		return ErrReviewer
	}
	r.queue.Lock()
	defer r.queue.Unlock()
	rec, report, _, err := r.reopen(ctx, id)
	switch {
	case err != nil:
		return err
	case rec.state == StateSent:
		if err := r.send(ctx, now, id, rec.issuer); err != nil {
			return err
		}
		return ErrDecided
	case rec.state != StateOpen && rec.state != StateSecond:
		return ErrDecided
	case action != franking.ActionNone && !rec.proven:
		return ErrUnproven
	case action != franking.ActionNone && report.Consents&franking.ConsentOrigin == 0:
		return franking.ErrConsent
	}
	if action != franking.ActionNone {
		if message, err = rec.about(report, message); err != nil {
			return err
		}
		rec.issuer = report.Messages[message].Token.Issuer
	} else {
		message = 0
	}
	entry := &Entry{Act: ActDecided, Report: id, Reviewer: reviewer, Action: action}
	second := rec.state == StateSecond && rec.asked == action && int(rec.message) == message && rec.reviewers[0] != reviewer
	rec.message = uint8(message)
	if action == franking.ActionSuspend && !second {
		rec.state, rec.asked, rec.reviewers = StateSecond, action, [2]string{reviewer}
		if err := r.note(ctx, entry, now); err != nil {
			return err
		}
		if err := r.save(ctx, id, rec, 0); err != nil {
			return err
		}
		return ErrSecond
	}
	if second {
		rec.reviewers[1] = reviewer
	} else {
		rec.reviewers = [2]string{reviewer}
	}
	rec.asked, rec.decided = action, uint64(now.UnixMilli())
	if err := r.note(ctx, entry, now); err != nil {
		return err
	}
	// In the audit log. A crash now leaves the report undecided, to be decided
	// again.
	if rec.state = StateClosed; action == franking.ActionNone {
		return r.save(ctx, id, rec, -1)
	}
	rec.state = StateSent
	verdict, err := r.countersign(now, id, rec, report)
	if err != nil {
		return err
	}
	if err := r.save(ctx, id, rec, -1); err != nil {
		return err
	}
	// Decided. A crash now leaves the report without its verdict, which the next
	// start makes.
	return r.dispatch(ctx, now, id, rec, verdict)
}

// send makes the verdict of a report that was decided, if a failure kept it from
// being made. The caller holds queue.
func (r *Reports) send(ctx context.Context, now time.Time, id franking.ReportID, issuer ids.Domain) error {
	if _, err := r.get(ctx, pendingKey(issuer, id)); !errors.Is(err, ErrUnknown) {
		return err
	}
	rec, report, _, err := r.reopen(ctx, id)
	if err != nil {
		return err
	}
	verdict, err := r.countersign(now, id, rec, report)
	if err != nil {
		return err
	}
	return r.dispatch(ctx, now, id, rec, verdict)
}

// sendAll makes the verdicts that are missing. One that cannot be made, as its
// desk's keys are gone, must not keep the server from starting.
func (r *Reports) sendAll(ctx context.Context, now time.Time) error {
	list, err := r.List(ctx, StateSent, math.MaxInt)
	if err != nil {
		return err
	}
	for _, s := range list {
		err := r.send(ctx, now, s.ID, s.Issuer)
		if errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrUnknownOutcome) || ctx.Err() != nil {
			return err
		}
	}
	return nil
}

// dispatch puts a verdict where it waits for the sender's provider.
func (r *Reports) dispatch(ctx context.Context, now time.Time, id franking.ReportID, rec *reportRecord, verdict []byte) error {
	if err := r.note(ctx, &Entry{Act: ActSent, Report: id, Peer: rec.issuer, Action: rec.asked}, now); err != nil {
		return err
	}
	// Durable when put returns: it goes out until it is answered.
	return r.put(ctx, pendingKey(rec.issuer, id), verdict)
}

// countersign makes the verdict on a report.
func (r *Reports) countersign(now time.Time, id franking.ReportID, rec *reportRecord, report *franking.Report) ([]byte, error) {
	m, err := r.substantiated(rec, &report.Messages[rec.message])
	if err != nil {
		return nil, err
	}
	d := r.keyring.current(dayOf(now))
	if d == nil {
		return nil, ErrNotReady
	}
	return m.Countersign(&franking.Decision{
		Report: id, Reason: report.Reason, Asked: rec.asked, Consents: report.Consents, Reviewers: rec.reviewers,
	}, d.countersign, now)
}

// substantiated verifies a proven message once more. Its delivery was checked when
// it was reported: by now it may be too old, and the stamp's key erased.
func (r *Reports) substantiated(rec *reportRecord, e *franking.Evidence) (*franking.Substantiated, error) {
	h := r.history(e.Token.Issuer)
	if h == nil {
		return nil, franking.FaultIssuer
	}
	return franking.DeliveredBefore(e, rec.reporter).Verify(h, FrameOf)
}

// Pending is a verdict that waits for the sender's provider.
type Pending struct {
	Report  franking.ReportID
	Verdict []byte
}

// maxPending is how many verdicts are handed out at once.
const maxPending = 64

// Pending returns verdicts that a provider has not answered.
func (r *Reports) Pending(ctx context.Context, to ids.Domain) (out []Pending, err error) {
	docs, err := r.st.List(ctx, pendingTo(to), pendingTo(to), maxPending)
	for i := range docs {
		id, ok := ParseID(strings.TrimPrefix(string(docs[i].Key), string(pendingTo(to))))
		if !ok {
			return nil, ErrState
		}
		out = append(out, Pending{id, docs[i].Value})
	}
	return out, err
}

// Answered takes the answer of the sender's provider to a pending verdict. root
// is its pinned root key. Errors are ErrUnknown, franking.FaultAnswer,
// wire.ErrMalformed and the store's.
func (r *Reports) Answered(ctx context.Context, now time.Time, p Pending, from ids.Domain, answer []byte, root keys.VerifyKey) error {
	desks, err := r.desks(ctx, from, root)
	if err != nil {
		return err
	}
	var a *franking.AnswerFields
	err = franking.FaultAnswer
	for i := len(desks) - 1; i >= 0 && err != nil; i-- {
		a, err = franking.ParseAnswer(answer, p.Verdict, desks[i])
	}
	if err != nil {
		return err
	}
	return r.finish(ctx, now, p.Report, from, a.Action)
}

// Refused notes that the sender's provider refused a verdict for good.
func (r *Reports) Refused(ctx context.Context, now time.Time, p Pending, from ids.Domain) error {
	return r.finish(ctx, now, p.Report, from, 0)
}

func (r *Reports) finish(ctx context.Context, now time.Time, id franking.ReportID, from ids.Domain, action franking.Action) error {
	r.queue.Lock()
	defer r.queue.Unlock()
	rec, err := r.record(ctx, id)
	if err != nil {
		return err
	}
	if rec.state != StateAnswered {
		rec.state, rec.action = StateAnswered, action
		if err := r.note(ctx, &Entry{Act: ActAnswered, Report: id, Peer: from, Action: action}, now); err != nil {
			return err
		}
		if err := r.save(ctx, id, rec, 0); err != nil {
			return err
		}
	}
	// The answer is kept, and a later one changes it no more. A crash now asks once
	// more.
	return r.put(ctx, pendingKey(from, id), nil)
}

// Export makes the evidence file of a report, signed by the desk. Errors are
// those of Show.
func (r *Reports) Export(ctx context.Context, now time.Time, id franking.ReportID, reviewer string) ([]byte, error) {
	rec, report, d, err := r.reopen(ctx, id)
	if err != nil {
		return nil, err
	}
	x := franking.Export{
		Report: id, Reader: rec.reporter, Messages: report.Messages, Findings: rec.faults(),
		Desk: d.public, Root: r.conf.Root.Public(),
	}
	seen := map[franking.SnapshotID]bool{}
	for i := range report.Messages {
		e := &report.Messages[i]
		h := r.history(e.Token.Issuer)
		if h == nil {
			continue
		}
		if s := h.Find(e.Snapshot); s != nil && !seen[s.ID()] {
			seen[s.ID()] = true
			x.Snapshots = append(x.Snapshots, s)
		}
	}
	file, err := x.Sign(r.conf.Domain, d.countersign, now)
	if err != nil {
		return nil, err
	}
	return file, r.note(ctx, &Entry{Act: ActExported, Report: id, Reviewer: reviewer}, now)
}

// Lift ends an account's limit or suspension and forgets its warnings. The error
// is directory.ErrUnknown, or the store's.
func (r *Reports) Lift(ctx context.Context, now time.Time, a ids.Address) (*directory.Standing, error) {
	s, err := r.conf.Directory.ChangeStanding(ctx, a, func(s *directory.Standing) {
		*s = directory.Standing{Acts: s.Acts} // an opening that is sent again does not count anew
	})
	if err != nil {
		return nil, err
	}
	return s, r.note(ctx, &Entry{Act: ActLifted}, now)
}

// Trail returns entries of the audit log from an index on, at most limit.
func (r *Reports) Trail(ctx context.Context, from uint64, limit int) (out []Entry, err error) {
	for len(out) < limit {
		records, err := r.audit.read(ctx, from, limit-len(out))
		if err != nil || len(records) == 0 {
			return out, err
		}
		from += uint64(len(records))
		for _, b := range records {
			var e Entry
			raw, err := auditlog.Entry(b)
			if err == nil && auditlog.IsLink(raw) {
				continue // where a segment begins
			}
			if err != nil || wire.Unmarshal(raw, &e) != nil {
				return nil, ErrState
			}
			out = append(out, e)
		}
	}
	return out, nil
}
