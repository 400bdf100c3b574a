package main

import (
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"waxwing/relay/admin"
)

// Pseudonyms of senders that reporters want banned.

// banText says how far the opening of a pseudonym is.
func banText(b *admin.Ban) string {
	by := strings.Join(b.Reviewers, " and ")
	switch b.State {
	case "open":
		return b.Pseudonym + ", opened by " + by
	case "second":
		return "waits for a second reviewer; " + by + " wants it opened"
	case "refused":
		return "CANNOT BE OPENED: the reporter's part does not hold: " + b.Finding
	}
	return "can be opened"
}

func (a *app) reviewOpenCommand(r *remote) *cobra.Command {
	p := new(admin.OpenParams)
	c := request(r, "open ID --data DIR", "Open the pseudonym of a message's author, for a ban here; it needs two reviewers, and the reporter's consent",
		admin.ReportOpen, func(args []string) any { p.ID = args[0]; return p }, func(b *admin.Ban) error {
			next := "it is in \"waxwing admin reports bans\""
			if b.State == "second" {
				next = "a second reviewer runs the same command with another --reviewer"
			}
			return a.print(b, "%s: %s\nnext: %s\n", b.Report, banText(b), next)
		})
	c.Flags().IntVar(&p.Message, "message", 1, "which message of the report, by its number in \"show\"")
	c.Flags().StringVar(&p.Reviewer, "reviewer", os.Getenv("USER"), "your name, for the audit log")
	return c
}

func (a *app) reviewBansCommand(r *remote) *cobra.Command {
	p := new(admin.BansParams)
	c := request(r, "bans --data DIR", "List the pseudonyms that were opened, the oldest first; with --json to export them",
		admin.ReportBans, same(p), func(all *admin.BansResult) error {
			if a.json {
				return a.print(all, "")
			}
			head := []string{"pseudonym", "sender's provider", "reason", "opened", "by", "report"}
			return table(a, all.Bans, head, func(b *admin.Ban) []any {
				return []any{b.Pseudonym, b.Provider, b.Reason, b.Opened.Format(time.RFC3339), strings.Join(b.Reviewers, " and "), b.Report}
			})
		})
	c.Flags().IntVar(&p.From, "from", 0, "from this one on")
	c.Flags().IntVar(&p.Limit, "limit", 1000, "how many")
	return c
}

func (a *app) revokeEpochCommand(r *remote) *cobra.Command {
	c := request(r, "revoke-epoch DAY --data DIR", "Revoke the key that a day's tokens are signed with, which somebody else may have, and draw another",
		admin.EpochRevoke, func(args []string) any { return &admin.RevokeParams{Day: args[0]} }, func(v *admin.RevokeResult) error {
			next := "peers are told; accounts get new tokens with the next message"
			if len(v.Waiting) > 0 {
				next = "when they are connected, these are told: " + strings.Join(v.Waiting, " ")
			}
			return a.print(v, "the key of %s is revoked\nnext: %s\n", v.Day, next)
		})
	c.Long = "revoke-epoch revokes the key that this server signs the tokens of a UTC day with (YYYY-MM-DD) and draws\n" +
		"another. What is delivered under the old one from then on, nobody shows; what came before can be\n" +
		"reported as ever. Accounts are refused until their clients know, and get new tokens by themselves."
	return c
}
