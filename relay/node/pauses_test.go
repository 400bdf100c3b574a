package node

import (
	"context"
	"testing"
	"time"

	"waxwing/core/ids"
	"waxwing/ratelimit/limits"
	"waxwing/relay"
	"waxwing/relay/client"
)

// A mailbox that gets more than it takes in an hour stops what the sender has for
// it, and nothing that the sender has for others.
func TestOneMailboxDoesNotStopASender(t *testing.T) {
	for name, identified := range map[string]bool{"account": true, "tokens": false} {
		t.Run(name, func(t *testing.T) { oneMailbox(t, identified) })
	}
}

func oneMailbox(t *testing.T, identified bool) {
	beta := newServer(t, "beta.example")
	beta.conf.Limits = limits.Settings{{Name: limits.MailboxEnvelopes}: {Burst: 12, Count: 1, Period: time.Hour}}
	beta.start()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	user := func(name string) *client.Client {
		c, err := client.Create(client.Config{Dir: t.TempDir(), ReceiptDelay: time.Minute, Identified: identified})
		must(t, err)
		t.Cleanup(func() { must(t, c.Close()) })
		must(t, c.Register(ctx, client.RegisterConfig{
			Address: ids.MustParseAddress(name + "@beta.example"), Server: beta.conf.Listen, Pin: beta.pin,
		}))
		background(t, c)
		return c
	}
	alice, bob, carol := user("alice"), user("bob"), user("carol")
	know := func(c *client.Client) ids.Address {
		code, err := c.ContactCode(ctx, 0)
		must(t, err)
		a, err := alice.Add(ctx, code)
		must(t, err)
		_, err = alice.Send(ctx, a, "first")
		must(t, err)
		for o, err := range c.Receive(ctx, 0) {
			must(t, err)
			_, err = c.Send(ctx, o.From(), "back") // which brings tickets
			must(t, err)
			break
		}
		for o, err := range alice.Receive(ctx, 0) {
			must(t, err)
			if o.From() == a {
				break
			}
		}
		must(t, ctx.Err()) // Receive ends with it
		return a
	}
	toBob := know(bob)
	until(t, "refusal", func() bool {
		_, err := alice.Send(ctx, toBob, "more")
		must(t, err)
		return beta.count(relay.RefusedMailbox, "client") > 0
	})
	know(carol)
}
