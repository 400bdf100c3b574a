package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"waxwing/core/ids"
	"waxwing/relay/client"
)

// linkWait is how long linking may take: what the provider keeps the place for.
const linkWait = 10 * time.Minute

// linkLine is what device link and device join print as JSON: the code first,
// then the digits, then the outcome.
type linkLine struct {
	Code   string       `json:"code,omitempty"`
	Digits string       `json:"digits,omitempty"`
	Linked ids.DeviceID `json:"linked,omitempty"`
}

func (a *app) deviceLinkCommand() *cobra.Command {
	var wait time.Duration
	c := &cobra.Command{
		Use:   "link",
		Short: "Let a new device into the account",
		Long: "Shows a code, which is typed or scanned on the new device with \"waxwing device join CODE\". Both\n" +
			"then show six digits: answer yes on each if they are equal. The new device gets the whole\n" +
			"account, its identity key and contacts, but no messages that were there before.",
		Args: arguments(),
		RunE: func(c *cobra.Command, _ []string) error {
			return a.with(func(p *client.Client) error {
				ctx, cancel := context.WithTimeout(c.Context(), wait)
				defer cancel()
				id, err := p.Link(ctx, a.showLink, a.compare)
				if err != nil {
					return explain("the new device", err)
				}
				return a.print(linkLine{Linked: id}, "device %d is linked\n", id)
			})
		},
	}
	c.Flags().DurationVar(&wait, "wait", linkWait, "how long to wait for the new device")
	return c
}

// showLink prints the code, as a picture too where a person sees it.
func (a *app) showLink(code string) {
	picture, err := qr(code)
	if err != nil || !a.interactive() {
		picture = ""
	}
	// What cannot be printed shows when the other device does not come.
	_ = a.print(linkLine{Code: code}, "%s%s\non the new device: waxwing device join %s\n", picture, code, code)
}

// compare shows the digits and asks whether they are equal: one line of standard
// input, in which only yes is yes.
func (a *app) compare(ctx context.Context, digits string) bool {
	if err := a.print(linkLine{Digits: digits}, "%s\n", digits); err != nil {
		return false
	}
	fmt.Fprint(a.errOut, "does the other device show the same digits? (yes/no) ")
	answer := make(chan string, 1)
	// The read ends with the process if nobody answers in time.
	go func() {
		line, err := bufio.NewReader(io.LimitReader(a.in, 64)).ReadString('\n')
		if err != nil {
			line = ""
		}
		answer <- line
	}()
	select {
	case line := <-answer:
		return strings.EqualFold(strings.TrimSpace(line), "yes")
	case <-ctx.Done():
		return false
	}
}

func (a *app) deviceJoinCommand() *cobra.Command {
	var wait time.Duration
	c := &cobra.Command{
		Use:   "join CODE",
		Short: "Make this a new device of an account, by the code that another device shows",
		Args:  arguments("CODE"),
		RunE: func(c *cobra.Command, args []string) error {
			conf, err := a.newProfile()
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(c.Context(), wait)
			defer cancel()
			p, err := client.Join(ctx, conf, args[0], a.compare)
			if err != nil {
				return explain("the account", err)
			}
			own, err := p.Profile()
			if err = errors.Join(err, p.Close()); err != nil {
				return explain("profile", err)
			}
			return a.print(struct {
				Joined string `json:"joined"`
			}{own.Address.String()}, "this is a device of %s now\n", own.Address)
		},
	}
	c.Flags().DurationVar(&wait, "wait", linkWait, "how long to wait for the other device")
	return c
}

// newProfile is where a profile is made, with its passphrase.
func (a *app) newProfile() (conf client.Config, err error) {
	dir, err := a.directory()
	if err != nil {
		return conf, err
	}
	passphrase, err := a.unlocked()
	if err != nil {
		return conf, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return conf, &failure{
			code: exitFailed, what: "cannot make the profile's directory " + dir, err: err,
			next: "name another one with --profile",
		}
	}
	return client.Config{Dir: dir, LockTimeout: lockWait, Passphrase: passphrase}, nil
}
