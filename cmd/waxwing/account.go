package main

import (
	"context"
	"encoding/hex"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/relay/client"
)

// registration is the flags of register.
type registration struct {
	server, pin, invite string
	wait                time.Duration
}

func (a *app) registerCommand() *cobra.Command {
	var r registration
	c := &cobra.Command{
		Use:   "register ADDRESS --server HOST:PORT --pin PIN",
		Short: "Register an account, such as alice@alpha.example, at its provider",
		Args:  arguments("ADDRESS"),
		RunE: func(c *cobra.Command, args []string) error {
			address, err := ids.ParseAddress(args[0])
			if err != nil {
				return usage(c, err)
			}
			if r.server == "" || r.pin == "" {
				return usage(c, errors.New("--server or --pin is missing: the provider's operator knows both"))
			}
			pin, err := keys.ParsePin(r.pin)
			if err != nil {
				return usage(c, errors.New("--pin is not a pin: want the 43 characters that \"waxwingd pin\" prints at the provider"))
			}
			if _, err := directory.ParseInvite(r.invite); r.invite != "" && err != nil {
				return usage(c, errors.New("--invite is not an invite, or it was mistyped: want eight groups of four letters and digits"))
			}
			if err := a.register(c.Context(), address, pin, &r); err != nil {
				return err
			}
			return a.print(struct {
				Registered string `json:"registered"`
			}{address.String()}, "registered %s\nnext: give somebody a contact code, made with \"waxwing contact-code\"\n", address)
		},
	}
	c.Flags().StringVar(&r.server, "server", "", "UDP address of the provider's server, HOST:PORT (required)")
	c.Flags().StringVar(&r.pin, "pin", "", "pin of the provider (required)")
	c.Flags().StringVar(&r.invite, "invite", "", "invite, if the provider asks for one")
	waitFlag(c, &r.wait)
	return c
}

// waitFlag adds --wait.
func waitFlag(c *cobra.Command, wait *time.Duration) {
	c.Flags().DurationVar(wait, "wait", defaultWait, "how long to wait for the provider")
}

func (a *app) register(ctx context.Context, address ids.Address, pin keys.Pin, r *registration) (err error) {
	profile, release, err := a.create()
	if err != nil {
		return err
	}
	defer release()
	defer func() { err = errors.Join(err, profile.Close()) }()
	own, err := profile.Profile()
	switch {
	case err != nil:
		return explain("profile", err)
	case own.Registered:
		return &failure{
			code: exitInUse, what: "this profile has the account " + own.Address.String() + " already",
			next: "give another account a profile of its own with --profile DIR",
		}
	}
	ctx, cancel := context.WithTimeout(ctx, r.wait)
	defer cancel()
	err = profile.Register(ctx, client.RegisterConfig{
		Address: address, Server: r.server, Pin: pin, Invite: []byte(r.invite),
	})
	if err != nil {
		return explain(address.String(), err)
	}
	return nil
}

// statusLine is what status prints as JSON.
type statusLine struct {
	Address     string            `json:"address"`
	Registered  bool              `json:"registered"`
	Server      string            `json:"server"`
	Fingerprint string            `json:"fingerprint"`
	Contacts    int               `json:"contacts"`
	Waiting     int               `json:"waiting"` // messages that wait for tickets or their turn
	Outbox      int               `json:"outbox"`  // envelopes that the provider has not taken
	Held        int               `json:"held"`    // deliveries that cannot be judged yet
	Dropped     map[string]uint64 `json:"dropped"` // deliveries that failed a check, by reason
	Untold      int               `json:"untold"`  // records that your other devices are still to be told
	Lost        uint64            `json:"lost"`    // records of them that came in part or did not fit
	Submission  submissionLine    `json:"submission"`
	Hop         hopLine           `json:"hop"`
	Requests    int               `json:"requests"` // people who introduced themselves and wait for an answer

	LacksAccountKey bool `json:"lacks_account_key"` // its secret is on another device alone: messages wait

	Introductions []introductionsLine `json:"introductions"` // what is left of the day's, by provider
}

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show the profile: account, contacts, what waits and what was dropped",
		Args:  arguments(),
		RunE: func(*cobra.Command, []string) error {
			return a.with(func(p *client.Client) error {
				s, err := status(p)
				if err != nil {
					return explain("profile", err)
				}
				note := ""
				if s.LacksAccountKey {
					note = lackingText + "\n"
				}
				return a.print(s, "%s at %s\nfingerprint %s\n%d contacts, %d messages waiting, %d not yet with the provider, %d held, dropped %v\n"+
					"%d things not told to your other devices yet, %d of theirs lost\n%v\n%v\n%d requests\n%s%s",
					s.Address, s.Server, s.Fingerprint, s.Contacts, s.Waiting, s.Outbox, s.Held, s.Dropped, s.Untold, s.Lost, s.Submission, s.Hop, s.Requests, note, lines(s.Introductions))
			})
		},
	}
}

func status(p *client.Client) (*statusLine, error) {
	own, err := p.Profile()
	if err != nil {
		return nil, err
	}
	if own.Address.IsZero() {
		return nil, client.ErrNotRegistered
	}
	contacts, err := p.Contacts()
	if err != nil {
		return nil, err
	}
	counts, err := p.Counts()
	if err != nil {
		return nil, err
	}
	sub, err := p.Submission()
	if err != nil {
		return nil, err
	}
	s := &statusLine{
		Submission: submissionOf(sub),
		Address:    own.Address.String(), Registered: own.Registered, Server: own.Server,
		Fingerprint: hex.EncodeToString(own.Fingerprint[:]), Contacts: len(contacts),
		Outbox: counts.Outbox, Held: counts.Held, Dropped: counts.Dropped,
		Untold: counts.Untold, Lost: counts.Lost, LacksAccountKey: own.LacksAccountKey,
	}
	for _, c := range contacts {
		s.Waiting += c.Waiting
	}
	requests, err := p.Requests()
	if err != nil {
		return nil, err
	}
	s.Requests = len(requests)
	if s.Hop, err = hopOf(p); err != nil {
		return nil, err
	}
	if s.Introductions, err = introductionsOf(p); err != nil {
		return nil, err
	}
	return s, nil
}
