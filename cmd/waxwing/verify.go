package main

import (
	"errors"

	"github.com/spf13/cobra"

	"waxwing/core/ids"
	"waxwing/relay/client"
)

// verification is the flags of verify.
type verification struct {
	confirm bool
	scan    string
}

// verifyLine is what verify prints as JSON.
type verifyLine struct {
	Address  string `json:"address"`
	Number   string `json:"number"` // 60 digits in groups of five
	Code     string `json:"code"`   // what the QR code says
	Verified bool   `json:"verified"`
}

func (a *app) verifyCommand() *cobra.Command {
	var v verification
	c := &cobra.Command{
		Use:   "verify ADDRESS",
		Short: "Show the safety number of a contact, and note that it was compared",
		Long: "Both sides see the same 60 digits, made from both accounts' addresses and keys. Compare\n" +
			"them in person or on a call, or scan the code on the other screen with any reader and pass\n" +
			"its text to --scan. If they are equal, nobody stands between you.",
		Args:              arguments("ADDRESS"),
		ValidArgsFunction: a.completeContact,
		RunE: func(c *cobra.Command, args []string) error {
			address, err := ids.ParseAddress(args[0])
			if err != nil {
				return usage(c, err)
			}
			return a.with(func(p *client.Client) error { return a.verify(p, address, &v) })
		},
	}
	c.Flags().BoolVar(&v.confirm, "confirm", false, "you have compared the number: mark the contact as verified")
	c.Flags().StringVar(&v.scan, "scan", "", "text of the other side's code, or its digits: compare, and mark the contact as verified")
	return c
}

func (a *app) verify(p *client.Client, address ids.Address, v *verification) error {
	n, err := p.SafetyNumber(address)
	if err != nil {
		return explain(address.String(), err)
	}
	if v.scan != "" {
		if err := n.Compare(v.scan); err != nil {
			return explain(address.String(), err)
		}
	}
	if v.scan != "" || v.confirm {
		if err := p.Confirm(address, n); err != nil {
			return explain(address.String(), err)
		}
	}
	contacts, err := p.Contacts()
	if err != nil {
		return explain("contacts", err)
	}
	line := verifyLine{Address: address.String(), Number: n.String(), Code: n.Code()}
	for _, k := range contacts {
		if k.Address == address {
			line.Verified = k.Verified
		}
	}
	if a.json {
		return a.print(line, "")
	}
	picture, err := qr(line.Code)
	if err != nil {
		return errors.Join(errors.New("the code cannot be drawn"), err)
	}
	state := "not verified yet; if the digits are equal on both sides: \"waxwing verify " + line.Address + " --confirm\""
	if line.Verified {
		state = "verified"
	}
	return a.print(line, "%s\n%s\n%s\n%s: %s\n", picture, line.Code, line.Number, line.Address, state)
}
