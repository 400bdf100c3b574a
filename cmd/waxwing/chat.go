package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	stdsync "sync"
	"time"

	"github.com/spf13/cobra"

	"waxwing/core/content"
	"waxwing/core/ids"
	"waxwing/relay/client"
	"waxwing/relay/client/state"
)

const (
	// historyLines is how much of the conversation chat shows at its start.
	historyLines = 20
	// patience is how long a message may wait before chat says so.
	patience = 2 * time.Second
	// leaveTime is how long chat stays after the end of input for messages that
	// the provider has not taken yet.
	leaveTime = 10 * time.Second
	// look is how often chat looks what became of a message.
	look = 50 * time.Millisecond
)

func (a *app) chatCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "chat ADDRESS",
		Short: "Talk to a contact, line by line, until the end of input",
		Long:  "What you type is sent a line at a time, and what the contact writes is shown as it comes.\n" + noticesHelp,
		Args:  arguments("ADDRESS"),

		ValidArgsFunction: a.completeContact,
		RunE: func(c *cobra.Command, args []string) error {
			address, err := ids.ParseAddress(args[0])
			if err != nil {
				return usage(c, err)
			}
			return a.with(func(p *client.Client) error { return a.chat(c.Context(), p, address) })
		},
	}
}

// chat is one conversation. Its goroutines share the output.
type chat struct {
	*app
	p    *client.Client
	with ids.Address

	mu  stdsync.Mutex // guards the output, so that lines stay whole
	own []client.MessageID
}

func (a *app) chat(ctx context.Context, p *client.Client, with ids.Address) error {
	c := &chat{app: a, p: p, with: with}
	history, err := p.History(with, historyLines)
	if err != nil {
		return explain(with.String(), err)
	}
	after, err := c.begin(history)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 3)
	go func() { ended <- p.Run(ctx) }()
	go func() { ended <- c.incoming(ctx, after) }()
	go func() { ended <- a.notices(ctx, p, &c.mu) }()
	typed := make(chan error, 1)
	// Reading cannot be interrupted; the goroutine ends with the process.
	go func() { typed <- c.lines(ctx) }()
	left := 3
	select {
	case err = <-typed:
		if err == nil {
			c.leave(ctx)
		}
	case err = <-ended:
		left--
	case <-ctx.Done():
	}
	cancel()
	for range left {
		err = errors.Join(err, <-ended)
	}
	if err != nil {
		return explain(with.String(), err)
	}
	return nil
}

// begin shows the conversation so far and returns the position behind it.
func (c *chat) begin(history []client.Entry) (after uint64, err error) {
	for _, e := range history {
		after = uint64(e.ID)
		line := lineOf(&e)
		if err := c.print(line, "%s  %s: %s\n", e.Time.Local().Format("15:04"), withFiles(line.From, line.Files), plain(e.Text)); err != nil {
			return 0, err
		}
	}
	if c.interactive() {
		fmt.Fprintf(c.progress(), "-- chat with %s; end with Ctrl-D --\n", c.with)
	}
	return after, nil
}

// incoming shows what the contact writes.
func (c *chat) incoming(ctx context.Context, after uint64) error {
	for o, err := range c.p.Receive(ctx, after) {
		if err != nil {
			return err
		}
		if o.From() != c.with {
			continue
		}
		c.mu.Lock()
		err := c.show(o)
		c.mu.Unlock()
		if err != nil {
			return err
		}
		if err := c.p.MarkRead(client.MessageID(o.Position())); err != nil {
			return err
		}
	}
	return nil
}

// lines sends what is typed.
func (c *chat) lines(ctx context.Context) error {
	scan := bufio.NewScanner(c.in)
	scan.Buffer(nil, content.MaxText+2)
	for scan.Scan() {
		if scan.Text() == "" {
			continue
		}
		id, err := c.p.Send(ctx, c.with, scan.Text())
		if err != nil {
			return err
		}
		c.mu.Lock()
		c.own = append(c.own, id)
		c.mu.Unlock()
		go c.tell(ctx, id)
	}
	if errors.Is(scan.Err(), bufio.ErrTooLong) {
		return client.ErrTooLong
	}
	return scan.Err()
}

// tell says if a message waits for the contact, or failed.
func (c *chat) tell(ctx context.Context, id client.MessageID) {
	said := false
	for began := time.Now(); ; {
		e, err := c.p.Status(id)
		switch {
		case err != nil:
			return
		case e.Status == state.StatusWaiting && !said && time.Since(began) > patience:
			said = true
			c.note(id, e.Status, "waiting for "+c.with.String())
		case e.Status == state.StatusFailed:
			c.note(id, e.Status, "not sent: "+e.Failure.String())
			return
		case e.Status == state.StatusAccepted, e.Status == state.StatusDelivered, e.Status == state.StatusRead:
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(look):
		}
	}
}

func (c *chat) note(id client.MessageID, s state.Status, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.print(sentLine{uint64(id), c.with.String(), statusNames[s]}, "(%s)\n", text)
}

// leave waits until the provider has taken what was typed. What waits for the
// contact's tickets stays stored.
func (c *chat) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, leaveTime)
	defer cancel()
	for _, id := range c.own {
		for began := time.Now(); ; {
			e, err := c.p.Status(id)
			if err != nil || e.Status >= state.StatusAccepted || e.Status == state.StatusWaiting && time.Since(began) > patience {
				break
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(look):
			}
		}
	}
}
