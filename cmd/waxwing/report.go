package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"waxwing/core/ids"
	"waxwing/franking"
	"waxwing/relay/client"
)

// reportLine is what was found about one reported message, as JSON.
type reportLine struct {
	Message uint64 `json:"message"`
	Finding string `json:"finding"` // "proven", or the check that failed
}

// reportFlags is what report is told.
type reportFlags struct {
	last     int
	messages []uint
	reason   string
	note     string
	origin   bool
	content  bool
	ban      bool
	wait     time.Duration
}

func (a *app) reportCommand() *cobra.Command {
	var f reportFlags
	c := &cobra.Command{
		Use:   "report ADDRESS",
		Short: "Report what a contact wrote to your provider's reviewers",
		Long: "report hands messages that a contact wrote to the reviewers of your own provider, with what\n" +
			"proves that an account of the contact's provider wrote them to you. They see what was written\n" +
			"and that it is genuine, and not by whom. With --tell-origin they may tell the contact's provider,\n" +
			"which then finds out which of its accounts it was; with --share-content they may show it the\n" +
			"messages. Nobody tells it who reported. With --ban two reviewers may open the contact's\n" +
			"pseudonym at your provider, so that it can be banned there; that tells them no name.",
		Args:              arguments("ADDRESS"),
		ValidArgsFunction: a.completeContact,
		RunE: func(c *cobra.Command, args []string) error {
			address, err := ids.ParseAddress(args[0])
			if err != nil {
				return usage(c, err)
			}
			reason, ok := franking.ParseReason(f.reason)
			if !ok {
				return usage(c, fmt.Errorf("--reason %q is none of spam, harassment, threat, hate, fraud, impersonation, sexual, child-safety, self-harm, malware, other", f.reason))
			}
			return a.with(func(p *client.Client) error { return a.reportMessages(c.Context(), p, address, reason, &f) })
		},
	}
	c.Flags().IntVar(&f.last, "last", 1, "report the newest messages of the contact, so many")
	c.Flags().UintSliceVar(&f.messages, "message", nil, "report these messages instead, by the ids that \"waxwing history --json\" shows")
	c.Flags().StringVar(&f.reason, "reason", "other", "why")
	c.Flags().StringVar(&f.note, "note", "", "what the reviewers should know")
	c.Flags().BoolVar(&f.origin, "tell-origin", false, "let the contact's provider be told, so that it can act")
	c.Flags().BoolVar(&f.content, "share-content", false, "let it be shown the messages as well")
	c.Flags().BoolVar(&f.ban, "ban", false, "let two reviewers open the contact's pseudonym here, so that it can be banned")
	waitFlag(c, &f.wait)
	c.AddCommand(a.reportVerifyCommand(), a.verifyLogCommand())
	return c
}

func (a *app) reportMessages(ctx context.Context, p *client.Client, address ids.Address, reason franking.Reason, f *reportFlags) error {
	messages, err := reported(p, address, f)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, f.wait)
	defer cancel()
	found, err := p.Report(ctx, client.ReportConfig{
		Reason: reason, Note: f.note, TellOrigin: f.origin, ShareContent: f.content, AllowBan: f.ban,
	}, messages...)
	if err != nil {
		return explain("the report", err)
	}
	proven := 0
	for _, r := range found {
		l := reportLine{Message: uint64(r.ID), Finding: "proven"}
		if r.Fault != franking.FaultNone {
			l.Finding = r.Fault.String()
		} else {
			proven++
		}
		if err := a.print(l, "message %d: %s\n", l.Message, l.Finding); err != nil {
			return err
		}
	}
	if proven == 0 {
		return &failure{
			code: exitRefused, what: "the provider did not take the report: nothing in it is proven",
			next: "\"duplicate\" means that you have reported it before; otherwise ask the provider's operator",
		}
	}
	if a.json {
		return nil
	}
	return a.print(nil, "reported %d of %d messages\nnext: the reviewers decide; to hear no more of %s, run \"waxwing block %s\"\n", proven, len(found), address, address)
}

// reported returns the messages that the flags name, the oldest first.
func reported(p *client.Client, address ids.Address, f *reportFlags) (out []client.MessageID, err error) {
	if len(f.messages) > 0 {
		for _, id := range f.messages {
			out = append(out, client.MessageID(id))
		}
		return out, nil
	}
	entries, err := p.History(address, maxHistory)
	if err != nil {
		return nil, explain(address.String(), err)
	}
	for i := range entries {
		if !entries[i].Own {
			out = append(out, entries[i].ID)
		}
	}
	if f.last < 1 || f.last > franking.MaxMessages || len(out) == 0 {
		return nil, &failure{
			code: exitUsage, what: fmt.Sprintf("there are no %d messages to report", f.last), err: errors.New("one report holds 1 to 16 received messages"),
			next: "see them with \"waxwing history " + address.String() + "\"",
		}
	}
	return out[max(0, len(out)-f.last):], nil
}
