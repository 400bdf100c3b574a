package main

import (
	"context"
	"errors"
	stdsync "sync"
	"time"

	"github.com/spf13/cobra"

	"waxwing/core/ids"
	"waxwing/relay/client"
	"waxwing/relay/client/state"
)

// statusNames say what became of a message.
var statusNames = map[state.Status]string{
	state.StatusReceived: "received", state.StatusWaiting: "waiting", state.StatusSealed: "sealed",
	state.StatusAccepted: "accepted", state.StatusDelivered: "delivered", state.StatusFailed: "failed",
	state.StatusRead: "read",
}

// sentLine is what send prints as JSON. status is waiting (for tickets of the
// contact), sealed (kept here, the provider has not taken it), accepted (the
// provider has it durably), delivered or failed.
type sentLine struct {
	ID     uint64 `json:"id"`
	To     string `json:"to"`
	Status string `json:"status"`
}

func (a *app) sendCommand() *cobra.Command {
	var wait time.Duration
	c := &cobra.Command{
		Use:   "send ADDRESS TEXT",
		Short: "Send a message to a contact",
		Long: "The message is stored here before anything is sent, and goes out with a later command if\n" +
			"the provider does not answer now. Without tickets of the contact it waits for them.",
		Args:              arguments("ADDRESS", "TEXT"),
		ValidArgsFunction: a.completeContact,
		RunE: func(c *cobra.Command, args []string) error {
			address, err := ids.ParseAddress(args[0])
			if err != nil {
				return usage(c, err)
			}
			return a.with(func(p *client.Client) error { return a.send(c.Context(), p, address, args[1], wait) })
		},
	}
	waitFlag(c, &wait)
	return c
}

func (a *app) send(ctx context.Context, p *client.Client, to ids.Address, text string, wait time.Duration) error {
	id, err := p.Send(ctx, to, text)
	if err != nil {
		return explain(to.String(), err)
	}
	if err := sync(ctx, p, wait); err != nil {
		f := explain(to.String(), err)
		if f.code == exitUnreachable {
			f.next = "the message is stored and goes out with the next command that reaches the provider, such as \"waxwing inbox\""
		}
		return f
	}
	e, err := p.Status(id)
	if err != nil {
		return explain("message", err)
	}
	line := sentLine{uint64(id), to.String(), statusNames[e.Status]}
	sub, err := p.Submission()
	if err != nil {
		return explain("message", err)
	}
	if kept := e.Status == state.StatusWaiting || e.Status == state.StatusSealed; kept && sub.Short() {
		return a.print(line, "stored: the message waits for submission tokens. %v\n", submissionOf(sub))
	}
	switch e.Status {
	case state.StatusFailed:
		return refused(to.String(), e.Failure, 0)
	case state.StatusWaiting:
		why, err := waitsFor(p, to)
		if err != nil {
			return explain("message", err)
		}
		return a.print(line, "%s\n", why)
	case state.StatusSealed:
		return a.print(line, "stored: your provider takes the message to %s later\n", to)
	}
	return a.print(line, "sent to %s\n", to)
}

// messageLine is a received message as JSON.
type messageLine struct {
	Position uint64     `json:"position"` // in the profile's log; never changes
	From     string     `json:"from"`
	Text     string     `json:"text"`
	Files    []fileLine `json:"attachments,omitempty"`
	Received time.Time  `json:"received"` // by the provider's clock
	Sent     time.Time  `json:"sent"`     // by the sender's clock: a claim
	Sequence uint64     `json:"sequence"` // the sender's count: a claim
	Late     bool       `json:"late"`     // one with a higher sequence was shown before
}

func (a *app) show(o *client.Opened) error {
	late, files := "", filesOf(o.Attachments())
	if o.Late() {
		late = " (late)"
	}
	return a.print(messageLine{
		o.Position(), o.From().String(), o.Text(), files, o.Received(), o.Sent(), o.Sequence(), o.Late(),
	}, "%s  %s: %s\n", o.Received().Local().Format("2006-01-02 15:04:05"), withFiles(o.From().String()+late, files), plain(o.Text()))
}

func (a *app) inboxCommand() *cobra.Command {
	var follow, everything bool
	var wait time.Duration
	c := &cobra.Command{
		Use:   "inbox",
		Short: "Fetch and show new messages; send what waits",
		Long:  "With --follow it stays open and shows messages as they come.\n" + noticesHelp,
		Args:  arguments(),
		RunE: func(c *cobra.Command, _ []string) error {
			after, err := a.position()
			if err != nil {
				return err
			}
			if everything {
				after = 0
			}
			return a.with(func(p *client.Client) error {
				if follow {
					return a.follow(c.Context(), p, after)
				}
				err := sync(c.Context(), p, wait)
				if err != nil {
					err = explain("the provider", err)
				}
				// What is here is shown whether the provider answers or not.
				return errors.Join(a.showBehind(p, after), err)
			})
		},
	}
	c.Flags().BoolVar(&follow, "follow", false, "go on until interrupted")
	c.Flags().BoolVar(&everything, "all", false, "show the messages that were shown before, too")
	waitFlag(c, &wait)
	return c
}

// showBehind shows the stored messages behind a position.
func (a *app) showBehind(p *client.Client, after uint64) error {
	shown, err := a.position()
	if err != nil {
		return err
	}
	for {
		batch, err := p.Inbox(after, 0)
		if err != nil {
			return explain("inbox", err)
		}
		if len(batch) == 0 {
			return nil
		}
		for _, o := range batch {
			if err := a.show(o); err != nil {
				return err
			}
			after = o.Position()
		}
		if err := a.setPosition(after); err != nil {
			return err
		}
		var read []client.MessageID
		for _, o := range batch {
			if o.Position() > shown { // what is shown again was told before
				read = append(read, client.MessageID(o.Position()))
			}
		}
		if err := p.MarkRead(read...); err != nil {
			return explain("inbox", err)
		}
	}
}

// follow shows messages as they come until ctx ends.
func (a *app) follow(ctx context.Context, p *client.Client, after uint64) error {
	ctx, cancel := context.WithCancel(ctx)
	running := make(chan error, 2)
	var mu stdsync.Mutex // keeps lines whole
	go func() {
		running <- p.Run(ctx)
		cancel()
	}()
	go func() {
		running <- a.notices(ctx, p, &mu)
		cancel()
	}()
	shown := func() error {
		for o, err := range p.Receive(ctx, after) {
			if err != nil {
				return explain("inbox", err)
			}
			mu.Lock()
			err := a.show(o)
			mu.Unlock()
			if err != nil {
				return err
			}
			if err := a.setPosition(o.Position()); err != nil {
				return err
			}
			if err := p.MarkRead(client.MessageID(o.Position())); err != nil {
				return explain("inbox", err)
			}
		}
		return nil
	}()
	cancel()
	if err := errors.Join(<-running, <-running); err != nil {
		return errors.Join(shown, explain("the provider", err))
	}
	return shown
}
