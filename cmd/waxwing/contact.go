package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"waxwing/core/ids"
	"waxwing/relay/client"
)

const (
	// defaultCodeDays is how long a contact code is good.
	defaultCodeDays = 7
	day             = 24 * time.Hour
)

func (a *app) codeCommand() *cobra.Command {
	var days int
	var wait time.Duration
	c := &cobra.Command{
		Use:   "contact-code",
		Short: "Make a code by which one new contact can write to you, once",
		Long: "Pass the code to one person over a channel that others do not read: whoever uses it\n" +
			"first becomes a contact. It says who you are, so that nobody can pose as you.",
		Args: arguments(),
		RunE: func(c *cobra.Command, _ []string) error {
			if days < 1 || days > ids.MaxTicketDays {
				return usage(c, fmt.Errorf("--days %d: want 1 to %d", days, ids.MaxTicketDays))
			}
			return a.with(func(p *client.Client) error {
				ctx, cancel := context.WithTimeout(c.Context(), wait)
				defer cancel()
				code, err := p.ContactCode(ctx, time.Duration(days)*day)
				if err != nil {
					return explain("the contact code", err)
				}
				return a.print(struct {
					Code string `json:"code"`
					Days int    `json:"days"`
				}{code, days}, "%s\n", code)
			})
		},
	}
	c.Flags().IntVar(&days, "days", defaultCodeDays, "how many days it is good")
	waitFlag(c, &wait)
	return c
}

func (a *app) addCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "add CODE",
		Short: "Add the person who made a contact code",
		Args:  arguments("CODE"),
		RunE: func(c *cobra.Command, args []string) error {
			return a.with(func(p *client.Client) error {
				address, err := p.Add(c.Context(), args[0])
				if err != nil {
					about := "the contact code"
					if !address.IsZero() {
						about = address.String()
					}
					return explain(about, err)
				}
				return a.print(struct {
					Added string `json:"added"`
				}{address.String()}, "added %s\nnext: write with \"waxwing send %s TEXT\"\n", address, address)
			})
		},
	}
}

// contactLine is what contacts prints for each contact as JSON.
type contactLine struct {
	Address     string `json:"address"`
	Fingerprint string `json:"fingerprint"`
	Blocked     bool   `json:"blocked"`
	Changed     bool   `json:"identity_changed"`
	Tickets     int    `json:"tickets"` // messages that can be sent before an answer
	Waiting     int    `json:"waiting"`
	Verified    bool   `json:"verified"`             // the safety number was compared
	Standing    bool   `json:"standing"`             // it is given more tickets to write with
	Rekeyed     bool   `json:"account_key_replaced"` // lately, and the safety number was not compared since
}

func (a *app) contactsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "contacts",
		Short: "List the contacts",
		Args:  arguments(),
		RunE: func(*cobra.Command, []string) error {
			return a.with(func(p *client.Client) error {
				list, err := p.Contacts()
				if err != nil {
					return explain("contacts", err)
				}
				for _, k := range list {
					l := contactLine{
						k.Address.String(), hex.EncodeToString(k.Fingerprint[:]), k.Blocked, k.IdentityChanged, k.Tickets, k.Waiting, k.Verified, k.Standing, k.Rekeyed,
					}
					note := ""
					if k.Verified {
						note += ", verified"
					}
					if k.Blocked {
						note += ", blocked"
					} else if !k.Standing {
						note += ", given no more tickets until it proves its standing"
					}
					if k.Rekeyed {
						note += ", account key replaced: compare the safety number again"
					}
					if k.IdentityChanged {
						note += ", IDENTITY CHANGED"
					}
					if err := a.print(l, "%s: tickets %d, waiting %d%s, fingerprint %s\n", l.Address, l.Tickets, l.Waiting, note, l.Fingerprint); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
}

// contactAction makes a command that does one thing to a contact.
func (a *app) contactAction(use, short, long, done string, act func(context.Context, *client.Client, ids.Address) error) *cobra.Command {
	var wait time.Duration
	c := &cobra.Command{
		Use: use + " ADDRESS", Short: short, Long: long, Args: arguments("ADDRESS"), ValidArgsFunction: a.completeContact,
		RunE: func(c *cobra.Command, args []string) error {
			address, err := ids.ParseAddress(args[0])
			if err != nil {
				return usage(c, err)
			}
			return a.with(func(p *client.Client) error {
				ctx, cancel := context.WithTimeout(c.Context(), wait)
				defer cancel()
				if err := act(ctx, p, address); err != nil {
					f := explain(address.String(), err)
					if f.code == exitUnreachable {
						f.next = "what still comes is treated so here already; the provider is told with the next command that reaches it"
					}
					return f
				}
				return a.print(map[string]string{done: address.String()}, "%s %s\n", done, address)
			})
		},
	}
	waitFlag(c, &wait)
	return c
}

func (a *app) blockCommand() *cobra.Command {
	return a.contactAction("block", "Block somebody, at your provider and here",
		"Your provider disposes of whatever they still send, and of their introductions, also if they never\n"+
			"wrote to you before. Nothing tells them.", "blocked",
		func(ctx context.Context, p *client.Client, address ids.Address) error {
			// What has arrived is taken first: a serial that is spent already must
			// not be named to the provider beside those of the block, as far as it
			// can be known. Without a connection the block comes all the same.
			_ = p.Sync(ctx)
			if err := p.Block(ctx, address); err != nil {
				return err
			}
			return p.Sync(ctx) // who was no contact is looked up first
		})
}

func (a *app) unblockCommand() *cobra.Command {
	return a.contactAction("unblock", "Take a block back",
		"The contact can write again after your next message to it, or with a new contact code.", "unblocked",
		func(ctx context.Context, p *client.Client, address ids.Address) error { return p.Unblock(ctx, address) })
}
