package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"waxwing/core/ids"
	"waxwing/relay/client"
)

// defaultHistory and maxHistory bound how many messages history shows.
const (
	defaultHistory = 50
	maxHistory     = 1 << 18 // all that a profile keeps
)

// historyLine is a message of a conversation as JSON. status is received, or
// for own messages one of send's (sentLine) or read: the contact has seen it,
// and both sides allow read receipts.
type historyLine struct {
	ID     uint64     `json:"id"`
	From   string     `json:"from"` // the contact, or "you"
	Text   string     `json:"text"`
	Files  []fileLine `json:"attachments,omitempty"`
	Time   time.Time  `json:"time"`
	Status string     `json:"status"`
}

func lineOf(e *client.Entry) historyLine {
	who := e.Contact.String()
	if e.Own {
		who = "you"
	}
	return historyLine{uint64(e.ID), who, e.Text, filesOf(e.Attachments), e.Time, statusNames[e.Status]}
}

func (a *app) historyCommand() *cobra.Command {
	var limit int
	c := &cobra.Command{
		Use:   "history ADDRESS",
		Short: "Show a conversation, and what became of each own message",
		Long: "Own messages are waiting (for tickets of the contact), sealed (the provider has not taken\n" +
			"it), accepted (by the own provider), delivered (to the contact's device), read (if both\n" +
			"have \"waxwing setting read-receipts on\"), or failed.",
		Args:              arguments("ADDRESS"),
		ValidArgsFunction: a.completeContact,
		RunE: func(c *cobra.Command, args []string) error {
			address, err := ids.ParseAddress(args[0])
			if err != nil {
				return usage(c, err)
			}
			if limit < 1 || limit > maxHistory {
				return usage(c, fmt.Errorf("--limit %d: want 1 to %d", limit, maxHistory))
			}
			return a.with(func(p *client.Client) error {
				entries, err := p.History(address, limit)
				if err != nil {
					return explain(address.String(), err)
				}
				for i := range entries {
					l, note := lineOf(&entries[i]), ""
					if entries[i].Own {
						note = " (" + l.Status + ")"
					}
					if err := a.print(l, "%s  %s: %s%s\n", l.Time.Local().Format("2006-01-02 15:04:05"), withFiles(l.From, l.Files), plain(l.Text), note); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	c.Flags().IntVar(&limit, "limit", defaultHistory, "how many messages, the newest ones")
	return c
}

func (a *app) settingCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "setting",
		Short: "Show or change what the profile does",
		Args:  arguments(),
		RunE:  func(*cobra.Command, []string) error { return a.with(a.showSettings) },
	}
	c.AddCommand(&cobra.Command{
		Use:       "read-receipts on|off",
		Short:     "Tell contacts what you have read, and learn what they have; off by default",
		Args:      arguments("on or off"),
		ValidArgs: []string{"on", "off"},
		RunE: func(c *cobra.Command, args []string) error {
			if args[0] != "on" && args[0] != "off" {
				return usage(c, fmt.Errorf("%q is neither on nor off", args[0]))
			}
			return a.with(func(p *client.Client) error {
				if err := p.SetReadReceipts(args[0] == "on"); err != nil {
					return explain("setting", err)
				}
				return a.showSettings(p)
			})
		},
	})
	c.AddCommand(a.anonymousCommand(), a.hopCommand())
	c.AddCommand(&cobra.Command{
		Use:   "sync INTERVAL",
		Short: "How often your devices tell each other what is new, such as 30s or 5m; one minute by default",
		Long: "How often your devices tell each other what is new while they are connected: one second to one\n" +
			"hour, one minute by default. So often 4 KiB go to the provider, whether there is news or not, so that\n" +
			"it cannot tell from them who has just written something. It counts from the next connection on.",
		Args: arguments("how often, such as 30s"),
		RunE: func(c *cobra.Command, args []string) error {
			every, err := time.ParseDuration(args[0])
			if err != nil {
				return usage(c, fmt.Errorf("%q is not an interval such as 30s or 5m", args[0]))
			}
			return a.with(func(p *client.Client) error {
				if err := p.SetSyncEvery(every); err != nil {
					return explain("setting", err)
				}
				return a.showSettings(p)
			})
		},
	})
	return c
}

func (a *app) showSettings(p *client.Client) error {
	on, err := p.ReadReceipts()
	if err != nil {
		return explain("settings", err)
	}
	every, err := p.SyncEvery()
	if err != nil {
		return explain("settings", err)
	}
	s, err := p.Submission()
	if err != nil {
		return explain("settings", err)
	}
	hop, err := hopOf(p)
	if err != nil {
		return explain("settings", err)
	}
	names := map[bool]string{true: "on", false: "off"}
	return a.print(struct {
		ReadReceipts bool   `json:"read_receipts"`
		Sync         string `json:"sync"`
		Anonymous    bool   `json:"anonymous"`
		Hop          string `json:"hop"`
	}{on, every.String(), s.Anonymous, hop.Hop}, "read-receipts %s\nsync %v\nanonymous %s\nhop %s\n", names[on], every, names[s.Anonymous], hop.Hop)
}
