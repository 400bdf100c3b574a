package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"waxwing/core/ids"
	"waxwing/core/mailbox"
	"waxwing/relay/client"
)

func (a *app) introduceCommand() *cobra.Command {
	var wait time.Duration
	var code string
	c := &cobra.Command{
		Use:   "introduce ADDRESS TEXT",
		Short: "Write to somebody who gave you no contact code",
		Long: "The first message to a stranger is an introduction: it waits at the other side until it is\n" +
			"accepted, and neither provider learns who writes to whom. You have a few a day at each provider,\n" +
			"and one a day for each person. The text is short: 480 bytes.",
		Args: arguments("ADDRESS", "TEXT"),
		RunE: func(c *cobra.Command, args []string) error {
			address, err := ids.ParseAddress(args[0])
			if err != nil {
				return usage(c, err)
			}
			return a.with(func(p *client.Client) error {
				if err := p.AddAddress(c.Context(), address, code); err != nil {
					return explain(address.String(), err)
				}
				if err := a.send(c.Context(), p, address, args[1], wait); err != nil {
					return err
				}
				return a.showIntroductions(p, address.Domain())
			})
		},
	}
	c.Flags().StringVar(&code, "code", "", "a code that the person gave out for introductions (waxwing-door:...)")
	waitFlag(c, &wait)
	return c
}

// introductionsLine is what is left of a day's introductions, as JSON.
type introductionsLine struct {
	Provider string    `json:"provider"`
	Known    bool      `json:"known"` // the day's credential is here
	Left     int       `json:"left"`
	Limit    int       `json:"limit"`
	More     time.Time `json:"more"`
	Waiting  int       `json:"waiting"`
}

// String says it in one line.
func (l introductionsLine) String() string {
	waiting := ""
	if l.Waiting > 0 {
		waiting = fmt.Sprintf("; %d messages wait for one", l.Waiting)
	}
	if !l.Known {
		return fmt.Sprintf("introductions at %s: none asked for yet today%s", l.Provider, waiting)
	}
	return fmt.Sprintf("introductions at %s: %d of %d left today, more come %s%s", l.Provider, l.Left, l.Limit, moment(l.More), waiting)
}

// lines is one for each provider.
func lines(all []introductionsLine) string {
	var b strings.Builder
	for _, l := range all {
		fmt.Fprintln(&b, l)
	}
	return b.String()
}

func introductionsOf(p *client.Client) (out []introductionsLine, err error) {
	all, err := p.Introductions()
	out = []introductionsLine{}
	for _, i := range all {
		out = append(out, introductionOf(i))
	}
	return out, err
}

func (a *app) showIntroductions(p *client.Client, d ids.Domain) error {
	all, err := introductionsOf(p)
	if err != nil {
		return explain("introductions", err)
	}
	for _, l := range all {
		if l.Provider == d.String() {
			return a.print(l, "%v\n", l)
		}
	}
	return nil
}

// requestLine is somebody who waits for an answer, as JSON.
type requestLine struct {
	From        string     `json:"from"`
	Fingerprint string     `json:"fingerprint"`
	Text        string     `json:"text"` // the first message
	Files       []fileLine `json:"attachments,omitempty"`
	Received    time.Time  `json:"received"`
	Messages    int        `json:"messages"`
}

func (a *app) requestsCommand() *cobra.Command {
	var wait time.Duration
	c := &cobra.Command{
		Use:   "requests",
		Short: "List who introduced themselves and wait for an answer",
		Args:  arguments(),
		RunE: func(c *cobra.Command, _ []string) error {
			return a.with(func(p *client.Client) error {
				failed := sync(c.Context(), p, wait)
				list, err := p.Requests()
				if err != nil {
					return explain("requests", err)
				}
				for _, r := range list {
					l := requestOf(r)
					if err := a.print(l, "%s, an account of %s, since %s: %s\n", r.From, r.From.Domain(), withFiles(moment(r.Received), l.Files), plain(r.Text)); err != nil {
						return err
					}
				}
				if failed != nil {
					return explain("the provider", failed)
				}
				return nil
			})
		},
	}
	waitFlag(c, &wait)
	c.AddCommand(
		a.contactAction("accept", "Make a contact of who introduced themselves",
			"They learn that you have their messages, and can write to you from now on.", "accepted",
			func(ctx context.Context, p *client.Client, address ids.Address) error {
				if err := p.Accept(ctx, address); err != nil {
					return err
				}
				return p.Sync(ctx)
			}),
		a.contactAction("refuse", "Forget what somebody wrote who introduced themselves",
			"Nothing tells them. To keep them from asking again, block them.", "refused",
			func(ctx context.Context, p *client.Client, address ids.Address) error { return p.Refuse(ctx, address) }),
	)
	return c
}

var policyNames = map[mailbox.Policy]string{
	mailbox.ToRequests: "requests", mailbox.Deliver: "deliver", mailbox.CodeOnly: "code", mailbox.Refuse: "refuse",
}

// policyWords are what the policies mean, for people.
var policyWords = map[mailbox.Policy]string{
	mailbox.ToRequests: "whoever introduces themselves waits among your requests",
	mailbox.Deliver:    "introductions are delivered like messages of contacts",
	mailbox.CodeOnly:   "only who has a code of yours gets in",
	mailbox.Refuse:     "nobody gets in by an introduction",
}

func (a *app) policyCommand() *cobra.Command {
	var wait time.Duration
	act := func(run func(context.Context, *client.Client, []string) error) func(*cobra.Command, []string) error {
		return func(c *cobra.Command, args []string) error {
			return a.with(func(p *client.Client) error {
				ctx, cancel := context.WithTimeout(c.Context(), wait)
				defer cancel()
				err := run(ctx, p, args)
				if err == nil {
					return nil
				}
				f := explain("the policy", err)
				if f.code == exitUnreachable {
					f.next = "it is stored; the provider is told with the next command that reaches it"
				}
				return f
			})
		}
	}
	c := &cobra.Command{
		Use:   "policy",
		Short: "Show or set what strangers' introductions may do",
		Args:  arguments(),
		RunE:  act(func(_ context.Context, p *client.Client, _ []string) error { return a.showPolicy(p) }),
	}
	c.PersistentFlags().DurationVar(&wait, "wait", defaultWait, "how long the provider may take")
	for _, policy := range []mailbox.Policy{mailbox.ToRequests, mailbox.Deliver, mailbox.CodeOnly, mailbox.Refuse} {
		c.AddCommand(&cobra.Command{
			Use: policyNames[policy], Short: strings.ToUpper(policyWords[policy][:1]) + policyWords[policy][1:], Args: arguments(),
			RunE: act(func(ctx context.Context, p *client.Client, _ []string) error {
				if err := p.SetPolicy(ctx, policy); err != nil {
					return err
				}
				return a.showPolicy(p)
			}),
		})
	}
	c.AddCommand(
		&cobra.Command{
			Use: "new-code", Short: "Make a code with which introductions get in, also under the policy \"code\"", Args: arguments(),
			RunE: act(func(ctx context.Context, p *client.Client, _ []string) error {
				code, err := p.DoorCode(ctx)
				if err != nil {
					return err
				}
				return a.print(map[string]string{"code": code}, "%s\n", code)
			}),
		},
		&cobra.Command{
			Use: "no-codes", Short: "Take all such codes back", Args: arguments(),
			RunE: act(func(ctx context.Context, p *client.Client, _ []string) error {
				if err := p.CloseDoors(ctx); err != nil {
					return err
				}
				return a.showPolicy(p)
			}),
		},
	)
	return c
}

func (a *app) showPolicy(p *client.Client) error {
	policy, err := p.Policy()
	if err != nil {
		return err
	}
	return a.print(map[string]string{"policy": policyNames[policy]}, "%s: %s\n", policyNames[policy], policyWords[policy])
}

// maxBlockFile bounds a file of blocked addresses: more than a blocklist holds.
const maxBlockFile = 1 << 20

func (a *app) blocksCommand() *cobra.Command {
	var wait time.Duration
	c := &cobra.Command{
		Use: "blocks", Short: "List who is blocked", Args: arguments(),
		RunE: func(*cobra.Command, []string) error {
			return a.with(func(p *client.Client) error {
				list, err := p.Blocked()
				for _, b := range list {
					if err := a.print(map[string]string{"blocked": b.String()}, "%s\n", b); err != nil {
						return err
					}
				}
				if err != nil {
					return explain("blocks", err)
				}
				return nil
			})
		},
	}
	export := &cobra.Command{
		Use: "export FILE", Short: "Write who is blocked into a new file, an address a line", Args: arguments("FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			return a.with(func(p *client.Client) error {
				list, err := p.Blocked()
				if err != nil {
					return explain("blocks", err)
				}
				f, err := os.OpenFile(args[0], os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
				if err != nil {
					return explain(args[0], err)
				}
				w := bufio.NewWriter(f)
				for _, b := range list {
					fmt.Fprintln(w, b)
				}
				if err := w.Flush(); err != nil {
					return explain(args[0], err)
				}
				if err := f.Close(); err != nil {
					return explain(args[0], err)
				}
				return a.print(map[string]int{"exported": len(list)}, "%d blocks in %s\n", len(list), args[0])
			})
		},
	}
	imports := &cobra.Command{
		Use: "import FILE", Short: "Block all addresses in a file, one a line; lines that begin with # are skipped", Args: arguments("FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			list, err := readBlocks(args[0])
			if err != nil {
				return err
			}
			return a.with(func(p *client.Client) error {
				ctx, cancel := context.WithTimeout(c.Context(), wait)
				defer cancel()
				for _, b := range list {
					if err := p.Block(ctx, b); err != nil {
						return explain(b.String(), err)
					}
				}
				if err := p.Sync(ctx); err != nil {
					return explain("the provider", err)
				}
				return a.print(map[string]int{"blocked": len(list)}, "%d blocked\n", len(list))
			})
		},
	}
	waitFlag(imports, &wait)
	c.AddCommand(export, imports)
	return c
}

func readBlocks(path string) (list []ids.Address, err error) {
	info, err := os.Stat(path)
	if err == nil && info.Size() > maxBlockFile {
		err = fmt.Errorf("larger than %d bytes", maxBlockFile)
	}
	var b []byte
	if err == nil {
		b, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, explain(path, err)
	}
	n := 0
	for line := range bytes.Lines(b) {
		n++
		text := strings.TrimSpace(string(line))
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		address, err := ids.ParseAddress(text)
		if err != nil {
			return nil, &failure{code: exitUsage, what: fmt.Sprintf("%s, line %d, is no address", path, n), err: err, next: "nobody was blocked; correct the line"}
		}
		list = append(list, address)
	}
	return list, nil
}

// waitsFor says what a message of this profile waits for.
func waitsFor(p *client.Client, to ids.Address) (string, error) {
	all, err := p.Introductions()
	if err != nil {
		return "", err
	}
	hop, err := hopOf(p)
	if err != nil {
		return "", err
	}
	for _, i := range all {
		switch {
		case i.Provider != to.Domain() || i.Waiting == 0:
		case !i.Known && hop.Trouble != "" && i.Provider.String() != hop.Hop:
			return "the message is stored, and waits for the hop " + hop.Hop + hop.trouble(), nil
		case i.Known && i.Left == 0:
			return fmt.Sprintf("what this device has of today's %d introductions at %s is used up; the message is stored and goes out %s", i.Limit, i.Provider, moment(i.More)), nil
		default:
			return fmt.Sprintf("the message is stored and goes out as an introduction, %s at the latest", moment(i.More)), nil
		}
	}
	return fmt.Sprintf("waiting for %s: the message is stored and goes out when tickets have come", to), nil
}
