package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/relay/client"
	"waxwing/relay/client/state"
)

func (a *app) hopCommand() *cobra.Command {
	var text string
	c := &cobra.Command{
		Use:   "hop DOMAIN|none",
		Short: "Ask other providers through a third one instead of your own; none by default",
		Long: "Whom you look up, and where you get the day's introductions, is asked through your own provider,\n" +
			"which cannot read it but sees which account asks whom, and when. With a hop a third provider passes\n" +
			"it on, which sees a network address and no account. Its operator has to allow that, and your own\n" +
			"provider has to know it. While the hop does not answer, nothing is asked: what waits is shown by\n" +
			"\"waxwing status\". What is asked of the hop itself goes through your own provider.\n" +
			"Give the hop's pin if you can: without it your provider says who the hop is, and could name another.\n" +
			"Each device of the account has a setting of its own; a new one takes over that of the device which lets it in.",
		Args:              arguments("DOMAIN or none"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, args []string) error {
			var hop ids.Domain
			var pin keys.Pin
			if text != "" {
				var err error
				if pin, err = keys.ParsePin(text); err != nil {
					return usage(c, fmt.Errorf("--pin: want the 43 characters that \"waxwingd pin\" prints"))
				}
			}
			if args[0] != "none" {
				var err error
				if hop, err = ids.ParseDomain(args[0]); err != nil {
					return usage(c, fmt.Errorf("%q is neither a provider's domain nor none", args[0]))
				}
			}
			return a.with(func(p *client.Client) error {
				if err := p.SetHop(hop, pin); err != nil {
					return explain(args[0], err)
				}
				return a.showSettings(p)
			})
		},
	}
	c.Flags().StringVar(&text, "pin", "", "`PIN` of the hop, which its operator prints with \"waxwingd pin\"")
	return c
}

// hopLine is through whom other providers are asked, as JSON.
type hopLine struct {
	Hop     string    `json:"hop"`               // a domain, or none
	Trouble string    `json:"trouble,omitempty"` // why what was asked last did not get through
	Retry   time.Time `json:"retry,omitzero"`    // when it is asked again
}

var troubleNames = map[state.Trouble]string{
	state.TroubleUnknown:     "your provider does not know it",
	state.TroubleUnreachable: "it does not answer",
	state.TroubleKey:         "who answers there has another key",
	state.TroubleRefuses:     "it passes nothing on",
	state.TroubleNoPeer:      "it does not know the provider that was asked",
	state.TroubleLimit:       "it is asked too much",
}

func hopOf(p *client.Client) (hopLine, error) {
	s, err := p.Hop()
	if err != nil || s.Hop.IsZero() {
		return hopLine{Hop: "none"}, err
	}
	return hopLine{s.Hop.String(), troubleNames[s.Trouble], s.Retry}, nil
}

// String says it in a line.
func (l hopLine) String() string {
	if l.Hop == "none" {
		return "other providers are asked through your own"
	}
	return "other providers are asked through " + l.Hop + l.trouble()
}

func (l hopLine) trouble() string {
	switch {
	case l.Trouble == "":
		return ""
	case l.Retry.IsZero():
		return ": " + l.Trouble
	}
	return fmt.Sprintf(": %s, and is asked again %s", l.Trouble, moment(l.Retry))
}
