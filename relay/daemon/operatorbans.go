package daemon

import (
	"context"
	"encoding/hex"
	"errors"
	"time"

	"waxwing/core/ids"
	"waxwing/franking"
	"waxwing/relay/admin"
	"waxwing/relay/reports"
)

// openRefusals is what a reviewer who opens a pseudonym is told otherwise than one
// who decides a report.
var openRefusals = []struct {
	err        error
	what, next string
}{
	{franking.ErrConsent, "the reporter does not want the sender banned, and gave nothing that opens its pseudonym", "decide the report without it"},
	{reports.ErrUnproven, "this message is not in the report, or not proven", "see the numbers with \"waxwing admin reports show ID\""},
	{reports.ErrDecided, "the pseudonym is open already", "see \"waxwing admin reports show ID\""},
}

func banOf(b *reports.Ban) *admin.Ban {
	out := &admin.Ban{
		Report: reports.FormatID(b.Report), Message: b.Message + 1, State: "shared", Provider: b.Issuer.String(),
		Reason: b.Reason.String(), Opened: b.Opened, Pseudonym: hex.EncodeToString(b.Pseudonym),
	}
	for _, name := range b.Reviewers {
		if name != "" {
			out.Reviewers = append(out.Reviewers, name)
		}
	}
	switch {
	case b.Fault != franking.FaultNone:
		out.State, out.Finding = "refused", b.Fault.String()
	case len(b.Pseudonym) > 0:
		out.State = "open"
	case len(out.Reviewers) > 0:
		out.State = "second"
	}
	return out
}

// openPseudonym takes a reviewer's decision. That a second one is needed is no
// failure: the state says so.
func (o *operator) openPseudonym(ctx context.Context, p *admin.OpenParams) (*admin.Ban, error) {
	id, err := reportID(p.ID)
	if err != nil {
		return nil, err
	}
	desk := o.n.Reports()
	_, err = desk.OpenPseudonym(ctx, o.n.Now(), id, p.Message-1, p.Reviewer)
	for _, r := range openRefusals {
		if errors.Is(err, r.err) {
			return nil, &admin.Error{Code: admin.CodeUsage, What: r.what, Next: r.next}
		}
	}
	if err != nil && !errors.Is(err, reports.ErrSecond) {
		return nil, reportRefusal(err)
	}
	s, err := desk.Show(ctx, id)
	if err != nil {
		return nil, reportRefusal(err)
	}
	return banOf(s.Findings[p.Message-1].Ban), nil
}

func (o *operator) bans(ctx context.Context, p *admin.BansParams) (*admin.BansResult, error) {
	limit := p.Limit
	if limit < 1 || limit > maxReports {
		limit = maxReports
	}
	list, err := o.n.Reports().Bans(ctx, p.From, limit)
	if err != nil {
		return nil, reportRefusal(err)
	}
	out := &admin.BansResult{Bans: []admin.Ban{}}
	for i := range list {
		out.Bans = append(out.Bans, *banOf(&list[i]))
	}
	return out, nil
}

// revokeEpoch revokes a day's token-signing key.
func (o *operator) revokeEpoch(ctx context.Context, p *admin.RevokeParams) (*admin.RevokeResult, error) {
	day, err := time.Parse(time.DateOnly, p.Day)
	if err != nil {
		return nil, &admin.Error{Code: admin.CodeUsage, What: "this is not a day", Next: "want YYYY-MM-DD, in UTC"}
	}
	switch err := o.n.RevokeEpoch(ctx, ids.DayOf(day)); {
	case errors.Is(err, reports.ErrUnknown):
		return nil, &admin.Error{
			Code: admin.CodeNotFound, What: "messages of " + p.Day + " can neither be written nor delivered any more",
			Next: "revoke the key of a day of the last week, of today or of tomorrow",
		}
	case errors.Is(err, reports.ErrRevocations):
		return nil, &admin.Error{
			Code: admin.CodeLimit, What: "the key of " + p.Day + " was revoked as often as it can be",
			Next: "wait for the next day; until then close the server to whoever has the keys",
		}
	case err != nil:
		return nil, reportRefusal(err)
	}
	out := &admin.RevokeResult{Day: p.Day}
	for _, d := range o.n.Unlinked() {
		out.Waiting = append(out.Waiting, d.String())
	}
	return out, nil
}
