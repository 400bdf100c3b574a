package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"waxwing/core/wire"
	"waxwing/relay/client"
	"waxwing/relay/client/state"
)

func (a *app) anonymousCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "anonymous on|off",
		Short: "Hand messages in without telling your provider whose they are; on by default",
		Long: "On: messages leave with tokens that your provider gave to some account, on a connection that says\n" +
			"nothing of yours. It still sees your network address. Without tokens messages wait for the next ones.\n" +
			"Off: your provider sees that this account sends something, and to which provider.\n" +
			"If \"waxwing status\" warns of your provider's keys, turning this on again takes the keys as they are now.",
		Args:      arguments("on or off"),
		ValidArgs: []string{"on", "off"},
		RunE: func(c *cobra.Command, args []string) error {
			if args[0] != "on" && args[0] != "off" {
				return usage(c, fmt.Errorf("%q is neither on nor off", args[0]))
			}
			return a.with(func(p *client.Client) error {
				if err := p.SetAnonymous(args[0] == "on"); err != nil {
					return explain("setting", err)
				}
				return a.showSettings(p)
			})
		},
	}
}

// submissionLine is how messages leave, as JSON.
type submissionLine struct {
	Anonymous bool      `json:"anonymous"`
	Tokens    int       `json:"tokens"`            // messages that can be handed in before more tokens come
	Remaining uint32    `json:"remaining"`         // tokens that the account had left of its day when last told
	More      time.Time `json:"more,omitzero"`     // when the provider is asked again that gave none
	Refused   string    `json:"refused,omitempty"` // why it gave none
	Alarm     string    `json:"alarm,omitempty"`   // why it is not asked
}

var alarmNames = map[state.Alarm]string{
	state.AlarmForked: "the provider's lists of keys contradict each other",
	state.AlarmProof:  "the provider answered under another key than it lists",
}

func submissionOf(s client.Submission) submissionLine {
	l := submissionLine{Anonymous: s.Anonymous, Tokens: s.Tokens, Remaining: s.Remaining, More: s.More, Alarm: alarmNames[s.Alarm]}
	if s.Code != 0 {
		l.Refused = s.Code.String()
	}
	return l
}

// String says it in a line or two.
func (l submissionLine) String() string {
	if !l.Anonymous {
		return "messages leave under the account's name (\"waxwing setting anonymous on\" changes that)"
	}
	out := fmt.Sprintf("messages leave without a name: tokens for %d, %d more to be had today", l.Tokens, l.Remaining)
	switch {
	case l.Alarm != "":
		out += "\nWARNING: " + l.Alarm + ", as if to know you again by your tokens; no more are asked for.\n" +
			"Ask others at your provider before you turn \"waxwing setting anonymous\" on again, which takes its keys as they are now"
	case l.Refused == wire.CodeLimit.String():
		out += "; more come " + moment(l.More)
	case l.Refused != "":
		out += fmt.Sprintf("; the provider gives none (%s) and is asked again %s", l.Refused, moment(l.More))
	}
	return out
}

func moment(t time.Time) string { return t.Local().Format("2006-01-02 15:04") }
