package daemon

import (
	"context"
	"encoding/hex"
	"errors"
	"math"
	"time"

	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/franking"
	"waxwing/relay/admin"
	"waxwing/relay/reports"
)

// maxReports is how many reports one answer lists.
const maxReports = 1000

// reportRefusals is what a reviewer is told of an error.
var reportRefusals = []struct {
	err        error
	code       admin.Code
	what, next string
}{
	{reports.ErrUnknown, admin.CodeNotFound, "there is no such report", "list them with \"waxwing admin reports list\""},
	{reports.ErrDecided, admin.CodeExists, "the report was decided already", "see \"waxwing admin reports show ID\""},
	{reports.ErrUnproven, admin.CodeUsage, "nothing in the report is proven, or not the message that you named, so nobody can be asked to act on it", "decide it with --action none, or name another message"},
	{reports.ErrWhich, admin.CodeUsage, "the messages are under different tokens, and may be of different authors", "name the one whose author is meant with --message N"},
	{reports.ErrReviewer, admin.CodeUsage, "a decision needs a reviewer's name of 1 to 64 bytes", "give yours with --reviewer"},
	{reports.ErrShare, admin.CodeUsage, "the reporter gave nothing that opens this message's pseudonym", "look at \"waxwing admin reports show ID\" for one that has it"},
	{franking.FaultShare, admin.CodeFailed, "what the reporter gave does not open this message's pseudonym: share", "it cannot be opened"},
	{franking.FaultEscrow, admin.CodeFailed, "what the reporter gave does not open this message's pseudonym: escrow", "it cannot be opened"},
	{reports.ErrFull, admin.CodeLimit, "there are too many of them", "ask whoever runs the server"},
	{franking.ErrConsent, admin.CodeUsage, "the reporter does not want the sender's provider to be told", "decide it with --action none"},
	{franking.ErrReport, admin.CodeFailed, "the report cannot be opened: the key that it was sealed to is gone", "it is too old to be decided"},
	{reports.ErrNotReady, admin.CodeFailed, "the desk has no keys for today", "look at the server's log"},
	{directory.ErrUnknown, admin.CodeNotFound, "there is no such account here", "check the address"},
}

func reportRefusal(err error) error {
	for _, r := range reportRefusals {
		if errors.Is(err, r.err) {
			return &admin.Error{Code: r.code, What: r.what, Next: r.next}
		}
	}
	return refusal(err)
}

func reportID(text string) (franking.ReportID, error) {
	id, ok := reports.ParseID(text)
	if !ok {
		return id, &admin.Error{Code: admin.CodeUsage, What: "this is not the id of a report", Next: "copy it from \"waxwing admin reports list\""}
	}
	return id, nil
}

// actions are the decisions by name.
var actions = map[string]franking.Action{
	"none": franking.ActionNone, "warn": franking.ActionWarn, "limit": franking.ActionLimit, "suspend": franking.ActionSuspend,
}

func actionName(a franking.Action) string {
	if a == 0 {
		return ""
	}
	return a.String()
}

func reportOf(s *reports.Summary) admin.Report {
	return admin.Report{
		ID: reports.FormatID(s.ID), State: s.State.String(), Received: s.Received, Messages: s.Messages, Proven: s.Proven,
		Provider: s.Issuer.String(), Asked: actionName(s.Asked), Done: actionName(s.Action),
	}
}

func (o *operator) reports(ctx context.Context, p *admin.ReportListParams) (*admin.ReportsResult, error) {
	var state reports.State
	if p.State != "" {
		var ok bool
		if state, ok = reports.ParseState(p.State); !ok {
			return nil, &admin.Error{Code: admin.CodeUsage, What: "there is no state \"" + p.State + "\" of reports", Next: "choose open, second, closed, sent or answered"}
		}
	}
	list, err := o.n.Reports().List(ctx, state, maxReports)
	if err != nil {
		return nil, reportRefusal(err)
	}
	out := &admin.ReportsResult{Reports: []admin.Report{}}
	for i := range list {
		out.Reports = append(out.Reports, reportOf(&list[i]))
	}
	return out, nil
}

func (o *operator) report(ctx context.Context, p *admin.ReportParams) (*admin.ReportResult, error) {
	id, err := reportID(p.ID)
	if err != nil {
		return nil, err
	}
	s, err := o.n.Reports().Show(ctx, id)
	if err != nil {
		return nil, reportRefusal(err)
	}
	out := &admin.ReportResult{
		Report: reportOf(&s.Summary), Reporter: s.Reporter.String(), Reason: s.Reason.String(), Note: s.Note,
		TellOrigin: s.Consents&franking.ConsentOrigin != 0, ShareContent: s.Consents&franking.ConsentContent != 0,
		AllowBan: s.Consents&franking.ConsentBan != 0,
	}
	for _, name := range s.Reviewers {
		if name != "" {
			out.Reviewers = append(out.Reviewers, name)
		}
	}
	for _, m := range s.Findings {
		f := admin.ReportMessage{Finding: "proven", Text: m.Text, Sent: m.Sent, Received: m.Received, Sequence: m.Seq, Linked: m.Linked, Gap: m.Gap}
		if m.Fault != franking.FaultNone {
			f.Finding = m.Fault.String()
		}
		for _, d := range m.Files {
			f.Attachments = append(f.Attachments, admin.ReportAttachment{Name: d.Name, Type: d.Type, Size: d.Size, Revealed: d.Revealed})
		}
		if m.Ban != nil {
			f.Ban = banOf(m.Ban)
		}
		out.Found = append(out.Found, f)
	}
	return out, nil
}

// decide takes a decision. That a second reviewer is needed is no failure: the
// report's state says so.
func (o *operator) decide(ctx context.Context, p *admin.DecideParams) (*admin.Report, error) {
	id, err := reportID(p.ID)
	if err != nil {
		return nil, err
	}
	action, ok := actions[p.Action]
	if !ok {
		return nil, &admin.Error{Code: admin.CodeUsage, What: "\"" + p.Action + "\" is no decision", Next: "choose none, warn, limit or suspend"}
	}
	desk := o.n.Reports()
	if err := desk.Decide(ctx, o.n.Now(), id, p.Message-1, action, p.Reviewer); err != nil && !errors.Is(err, reports.ErrSecond) {
		return nil, reportRefusal(err)
	}
	s, err := desk.Show(ctx, id)
	if err == nil && s.State == reports.StateSent {
		if err = o.n.Decided(ctx, s.Issuer); err == nil {
			s, err = desk.Show(ctx, id) // the own provider has answered already
		}
	}
	if err != nil {
		return nil, reportRefusal(err)
	}
	out := reportOf(&s.Summary)
	return &out, nil
}

func (o *operator) export(ctx context.Context, p *admin.ReportParams) (*admin.ExportResult, error) {
	id, err := reportID(p.ID)
	if err != nil {
		return nil, err
	}
	file, err := o.n.Reports().Export(ctx, o.n.Now(), id, p.Reviewer)
	if err != nil {
		return nil, reportRefusal(err)
	}
	return &admin.ExportResult{File: file}, nil
}

func (o *operator) trail(ctx context.Context, p *admin.TrailParams) (*admin.TrailResult, error) {
	desk := o.n.Reports()
	limit := p.Limit
	if limit < 1 || limit > maxReports {
		limit = maxReports
	}
	entries, err := desk.Trail(ctx, p.From, limit)
	if err != nil {
		return nil, reportRefusal(err)
	}
	out := &admin.TrailResult{Entries: []admin.TrailEntry{}}
	heads := desk.OwnHeads()
	own, openings := heads[franking.LogTrail], heads[franking.LogOpenings]
	out.Segment, out.Size, out.Root = own.Segment, own.Size, hex.EncodeToString(own.Root[:])
	out.Openings, out.OpeningsRoot = openings.Size, hex.EncodeToString(openings.Root[:])
	for i := range entries {
		e := &entries[i]
		t := admin.TrailEntry{
			Act: e.Act.String(), Time: time.UnixMilli(int64(e.Time)).UTC(), Report: reports.FormatID(e.Report),
			Peer: e.Peer.String(), Reviewer: e.Reviewer, Action: actionName(e.Action),
		}
		if e.Fault != franking.FaultNone {
			t.Finding = e.Fault.String()
		}
		out.Entries = append(out.Entries, t)
	}
	return out, nil
}

func (o *operator) standing(ctx context.Context, p *admin.StandingParams) (*admin.StandingResult, error) {
	address, err := ids.ParseAddress(p.Address)
	if err != nil {
		return nil, &admin.Error{Code: admin.CodeUsage, What: "this is not an address", Next: "want NAME@DOMAIN"}
	}
	s, err := o.n.Standing(ctx, address, p.Lift)
	if err != nil {
		return nil, reportRefusal(err)
	}
	return &admin.StandingResult{
		Address: address.String(), Warned: int(s.Warned), Openings: int(s.Openings),
		LimitedUntil: until(s.LimitedUntil), SuspendedUntil: until(s.SuspendedUntil), Suspended: s.Suspended(o.n.Now()),
	}, nil
}

// until is a time of a standing: zero for none; for good is the year 9999.
func until(ms uint64) time.Time {
	switch {
	case ms == 0:
		return time.Time{}
	case ms > math.MaxInt64/2:
		return time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)
	}
	return time.UnixMilli(int64(ms)).UTC()
}
