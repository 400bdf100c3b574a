package main

import (
	"cmp"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"waxwing/relay/admin"
)

// What reviewers do with a running server.

func (a *app) reviewCommand(r *remote) *cobra.Command {
	c := group("reports", "See and decide what accounts of the server reported")
	c.AddCommand(a.reviewListCommand(r), a.reviewShowCommand(r), a.reviewDecideCommand(r), a.reviewExportCommand(r), a.reviewTrailCommand(r),
		a.reviewOpenCommand(r), a.reviewBansCommand(r), a.revokeEpochCommand(r),
		a.reviewHeadsCommand(r), a.reviewLogCommand(r))
	return c
}

func (a *app) reviewListCommand(r *remote) *cobra.Command {
	p := new(admin.ReportListParams)
	c := request(r, "list --data DIR", "List the reports", admin.ReportList, same(p), func(all *admin.ReportsResult) error {
		head := []string{"id", "state", "received", "proven", "sender's provider", "asked", "done"}
		return table(a, all.Reports, head, func(r *admin.Report) []any {
			return []any{
				r.ID, r.State, r.Received.Format(time.RFC3339), fmt.Sprintf("%d of %d", r.Proven, r.Messages),
				cmp.Or(r.Provider, "-"), cmp.Or(r.Asked, "-"), cmp.Or(r.Done, "-"),
			}
		})
	})
	c.Flags().StringVar(&p.State, "state", "", "only those in a state: open, second (waits for a second reviewer), closed, sent or answered")
	return c
}

func (a *app) reviewShowCommand(r *remote) *cobra.Command {
	return request(r, "show ID --data DIR", "Show a report: what was written and whether it is proven; by whom, nobody here knows",
		admin.ReportShow, func(args []string) any { return &admin.ReportParams{ID: args[0]} }, a.showReport)
}

func (a *app) showReport(r *admin.ReportResult) error {
	if a.json {
		return a.print(r, "")
	}
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	line := func(name, format string, args ...any) { fmt.Fprintf(w, name+"\t"+format+"\n", args...) }
	line("report", "%s, %s", r.ID, r.State)
	line("by", "%s, %s", r.Reporter, r.Received.Format(time.RFC3339))
	line("reason", "%s", r.Reason)
	if r.Note != "" {
		line("note", "%s", plain(r.Note))
	}
	line("sender", "some account of %s", cmp.Or(r.Provider, "a provider that is not proven"))
	line("it may be told", "%s; the content %s", yesNo(r.TellOrigin), yesNo(r.ShareContent))
	line("ban wanted", "%s", yesNo(r.AllowBan))
	if len(r.Reviewers) > 0 {
		line("decided", "%s by %s", cmp.Or(r.Asked, "-"), strings.Join(r.Reviewers, " and "))
	}
	if r.Done != "" {
		line("done there", "%s", r.Done)
	}
	for i, m := range r.Found {
		if m.Finding != "proven" {
			line(fmt.Sprintf("message %d", i+1), "NOT PROVEN: %s", m.Finding)
			continue
		}
		order := ""
		switch {
		case m.Gap:
			order = ", messages before it are missing"
		case m.Linked:
			order = ", follows the one before"
		}
		line(fmt.Sprintf("message %d", i+1), "proven, received %s%s: %s", m.Received.Format(time.RFC3339), order, plain(m.Text))
		for _, f := range m.Attachments {
			l := fileLine{Name: f.Name, Type: f.Type, Size: f.Size}
			line("  attachment", "%s, %d parts revealed", &l, f.Revealed)
		}
		if m.Ban != nil {
			line("  pseudonym", "%s", banText(m.Ban))
		}
	}
	return w.Flush()
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func (a *app) reviewDecideCommand(r *remote) *cobra.Command {
	p := new(admin.DecideParams)
	c := request(r, "decide ID --data DIR", "Decide a report; a suspension needs the same decision of two reviewers",
		admin.ReportDecide, func(args []string) any { p.ID = args[0]; return p }, func(r *admin.Report) error {
			next := map[string]string{
				"second":   "a second reviewer runs the same command with another --reviewer",
				"sent":     r.Provider + " is asked; see its answer with \"waxwing admin reports show " + r.ID + "\"",
				"answered": r.Provider + " did: " + cmp.Or(r.Done, "it refused"),
			}[r.State]
			return a.print(r, "%s: %s\nnext: %s\n", r.ID, r.State, cmp.Or(next, "nothing; the report is closed"))
		})
	c.Flags().StringVar(&p.Action, "action", "none", "what the sender's provider is asked to do: none, warn, limit or suspend")
	c.Flags().IntVar(&p.Message, "message", 0, "the message whose author is meant, by its number in \"show\"; needed where several may have written")
	c.Flags().StringVar(&p.Reviewer, "reviewer", os.Getenv("USER"), "your name, for the audit log")
	return c
}

func (a *app) reviewExportCommand(r *remote) *cobra.Command {
	p := new(admin.ReportParams)
	var out string
	c := request(r, "export ID --data DIR", "Write the evidence of a report to a file that can be verified offline",
		admin.ReportExport, func(args []string) any { p.ID = args[0]; return p }, func(x *admin.ExportResult) error {
			if err := os.WriteFile(out, x.File, 0o600); err != nil {
				return &failure{code: exitFailed, what: "the file " + out + " cannot be written", err: err, next: "name another one with --out"}
			}
			return a.print(struct {
				File string `json:"file"`
			}{out}, "wrote %s\nnext: it holds what was written, in clear; whoever has it can read it\n", out)
		})
	c.Flags().StringVar(&out, "out", "evidence.waxwing", "the file")
	c.Flags().StringVar(&p.Reviewer, "reviewer", os.Getenv("USER"), "your name, for the audit log")
	return c
}

func (a *app) reviewTrailCommand(r *remote) *cobra.Command {
	p := new(admin.TrailParams)
	c := request(r, "trail --data DIR", "Show the audit log: what reviewers and the server did, without names of accounts",
		admin.ReportTrail, same(p), func(t *admin.TrailResult) error {
			if a.json {
				return a.print(t, "")
			}
			head := []string{"time", "act", "report", "peer", "reviewer", "action", "finding"}
			if err := table(a, t.Entries, head, func(e *admin.TrailEntry) []any {
				return []any{
					e.Time.Format(time.RFC3339), e.Act, e.Report, cmp.Or(e.Peer, "-"), cmp.Or(e.Reviewer, "-"),
					cmp.Or(e.Action, "-"), cmp.Or(e.Finding, "-"),
				}
			}); err != nil {
				return err
			}
			return a.print(nil, "%d entries, root %s\n%d openings, root %s\n", t.Size, t.Root, t.Openings, t.OpeningsRoot)
		})
	c.Flags().Uint64Var(&p.From, "from", 0, "from this entry on")
	c.Flags().IntVar(&p.Limit, "limit", 100, "how many entries")
	return c
}

func (a *app) standingCommand(r *remote) *cobra.Command {
	p := new(admin.StandingParams)
	c := request(r, "standing ADDRESS --data DIR", "Show, or lift, what was decided about an account of the server",
		admin.StandingShow, func(args []string) any { p.Address = args[0]; return p }, func(s *admin.StandingResult) error {
			state := "in good standing"
			switch {
			case s.Suspended && s.SuspendedUntil.Year() == 9999:
				state = "suspended for good"
			case s.Suspended:
				state = "suspended until " + s.SuspendedUntil.Format(time.RFC3339)
			case !s.LimitedUntil.IsZero():
				state = "limited until " + s.LimitedUntil.Format(time.RFC3339)
			}
			return a.print(s, "%s is %s\n%d verdicts named it, %d warnings\n", s.Address, state, s.Openings, s.Warned)
		})
	c.Flags().BoolVar(&p.Lift, "lift", false, "end its limit or suspension and forget its warnings")
	return c
}
