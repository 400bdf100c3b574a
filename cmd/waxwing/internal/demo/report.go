package demo

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"waxwing/cmd/waxwing/internal/child"
	"waxwing/core/ids"
	"waxwing/core/wire"
	"waxwing/franking"
	"waxwing/ratelimit/privacypass"
	"waxwing/relay/admin"
	"waxwing/relay/client"
	"waxwing/relay/client/state"
)

// operate asks a server as its operator.
func operate[R any](ctx context.Context, s *child.Server, m admin.Method, params any) (*R, error) {
	return admin.Call[R](ctx, filepath.Join(s.Dir, "admin.sock"), m, params)
}

// reported hands a report of bob's making in and says what was found first.
func reported(ctx context.Context, u *user, e ...*franking.Evidence) (string, error) {
	r := &franking.Report{ID: franking.NewReportID(), Reason: franking.ReasonThreat, Consents: franking.ConsentOrigin}
	for _, m := range e {
		r.Messages = append(r.Messages, *m)
	}
	found, err := u.c.SendReport(ctx, r)
	if err != nil {
		return "", err
	}
	return found[0].String(), nil
}

// report: bob reports two messages of alice's.
func (d *demo) reportMessages(ctx context.Context) (err error) {
	ctx, cancel := within(ctx)
	defer cancel()
	got, err := d.bob.shown()
	if err != nil || len(got) < 2 {
		return errors.Join(err, errors.New("bob was shown too little"))
	}
	last := got[len(got)-2:]
	messages := []client.MessageID{client.MessageID(last[0].Position()), client.MessageID(last[1].Position())}
	asked, err := d.alpha.Metrics(ctx)
	if err != nil {
		return err
	}
	if err := d.refused(ctx, messages); err != nil {
		return err
	}
	found, err := d.bob.c.Report(ctx, client.ReportConfig{
		Reason: franking.ReasonThreat, Note: "She threatens me.", TellOrigin: true,
	}, messages...)
	if err != nil {
		return err
	}
	now, err := d.alpha.Metrics(ctx)
	if err != nil {
		return err
	}
	proven := len(found) == 2 && found[0].Fault == franking.FaultNone && found[1].Fault == franking.FaultNone
	const verdicts = `waxwing_verdicts_total{result="opened"}`
	return all(
		d.check(proven && now.Value(verdicts) == asked.Value(verdicts), fmt.Sprintf("%+v", found),
			"bob reports two messages, and beta.example's desk verifies both: genuine, from an account of alpha.example, to bob; alpha.example was not asked"),
		d.replayed(ctx, messages[1]),
		d.decided(ctx),
		d.suspended(ctx),
	)
}

// refused tries reports that must not get in.
func (d *demo) refused(ctx context.Context, messages []client.MessageID) error {
	one, err := d.bob.c.Evidence(messages[0])
	if err != nil {
		return err
	}
	two, err := d.bob.c.Evidence(messages[1])
	if err != nil {
		return err
	}
	carol, err := newUser(ctx, d.root, d.beta.Provider, "carol")
	if err != nil {
		return err
	}
	defer func() { _ = carol.close() }()
	stolen, err := reported(ctx, carol, one)
	if err != nil {
		return err
	}
	forged := *one
	forged.Frame = slices.Clone(two.Frame)
	changed, err := reported(ctx, d.bob, &forged)
	if err != nil {
		return err
	}
	return all(
		d.check(stolen == franking.FaultOwner.String(), stolen, "what carol took from bob and reports as her own is refused: not her mailbox (\"owner\")"),
		d.check(changed == franking.FaultCommitment.String(), changed, "bob puts other words into alice's mouth: refused (\"commitment\")"),
	)
}

func (d *demo) replayed(ctx context.Context, m client.MessageID) error {
	e, err := d.bob.c.Evidence(m)
	if err != nil {
		return err
	}
	again, err := reported(ctx, d.bob, e)
	if err != nil {
		return err
	}
	return d.check(again == franking.FaultDuplicate.String(), again, "bob reports one of them once more: refused (\"duplicate\")")
}

// decided is what beta's reviewers see, and what two of them decide.
func (d *demo) decided(ctx context.Context) error {
	list, err := operate[admin.ReportsResult](ctx, d.beta, admin.ReportList, nil)
	if err != nil || len(list.Reports) != 1 {
		return errors.Join(err, fmt.Errorf("the desk has %d reports", len(list.Reports)))
	}
	r, err := operate[admin.ReportResult](ctx, d.beta, admin.ReportShow, &admin.ReportParams{ID: list.Reports[0].ID})
	if err != nil {
		return err
	}
	d.say("beta.example's reviewers see: by %s, for %s, of some account of %s", r.Reporter, r.Reason, r.Provider)
	for _, m := range r.Found {
		d.say("  %s: %.60q", m.Finding, m.Text)
	}
	first, err := operate[admin.Report](ctx, d.beta, admin.ReportDecide, &admin.DecideParams{ID: r.ID, Action: "suspend", Reviewer: "dora"})
	if err != nil {
		return err
	}
	if _, err := operate[admin.Report](ctx, d.beta, admin.ReportDecide, &admin.DecideParams{ID: r.ID, Action: "suspend", Reviewer: "erin"}); err != nil {
		return err
	}
	for {
		r, err = operate[admin.ReportResult](ctx, d.beta, admin.ReportShow, &admin.ReportParams{ID: r.ID})
		if err != nil || r.State == "answered" {
			break
		}
		if err := pause(ctx, poll); err != nil {
			return fmt.Errorf("alpha.example does not answer the verdict: %w", err)
		}
	}
	if err != nil {
		return err
	}
	trail, err := operate[admin.TrailResult](ctx, d.alpha, admin.ReportTrail, nil)
	if err != nil {
		return err
	}
	return all(
		d.check(first.State == "second", first.State, "one reviewer alone suspends nobody"),
		d.check(r.Done == "suspend", fmt.Sprintf("%+v", r.Report), "a second one decides the same; alpha.example answers that it has suspended the account, and not which"),
		d.check(trail.Openings == 1, fmt.Sprintf("%+v", trail), "alpha.example's log of openings has one entry, made before it looked"),
	)
}

// suspended is what alice meets.
func (d *demo) suspended(ctx context.Context) error {
	s, err := operate[admin.StandingResult](ctx, d.alpha, admin.StandingShow, &admin.StandingParams{Address: d.alice.address.String()})
	if err != nil {
		return err
	}
	held, err := d.alice.c.Submission()
	if err != nil {
		return err
	}
	// What she hands in with tokens has no name to stop it by.
	if err := d.alice.c.SetAnonymous(false); err != nil {
		return err
	}
	id, err := d.alice.c.Send(ctx, d.bob.address, "Am I still here?")
	if err != nil {
		return err
	}
	e, err := d.alice.reaches(ctx, id, state.StatusFailed)
	if err != nil {
		return err
	}
	d.say("alice gets no more submission tokens; the %d that she holds are good until %s: nobody can tell whose they are",
		held.Tokens, (privacypass.EpochOf(ids.DayOf(time.Now())).Last() + privacypass.OverlapDays).Start().Format(time.DateOnly))
	return all(
		d.check(s.Suspended, fmt.Sprintf("%+v", s), "only alpha.example knows that it was %s", d.alice.address),
		d.check(e.Status == state.StatusFailed && e.Failure == wire.CodeSuspended, fmt.Sprintf("%+v", e), "alice can send nothing more under her name: her provider refuses it as \"suspended\""),
	)
}
