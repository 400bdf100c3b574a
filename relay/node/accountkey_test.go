package node

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"waxwing/core/ids"
	"waxwing/relay"
	"waxwing/relay/client"
)

// linkedTo is another device of a client's account.
func linkedTo(t testing.TB, c *client.Client) *client.Client {
	t.Helper()
	code := make(chan string, 1)
	linked := make(chan error, 1)
	go func() {
		_, err := c.Link(t.Context(), func(text string) { code <- text }, func(context.Context, string) bool { return true })
		linked <- err
	}()
	d, err := client.Join(t.Context(), client.Config{Dir: t.TempDir(), SyncEvery: time.Second}, <-code, func(context.Context, string) bool { return true })
	must(t, err)
	must(t, <-linked)
	t.Cleanup(func() { d.Close() })
	return d
}

// Mallory, whom bob has blocked, replaces her account's secret, which both her devices
// follow: what she introduces herself with next is dropped by bob's client, and what her
// other device does then is disposed of at the relay. Dave, who writes with her, is told.
func TestBlockOutlivesAccountKey(t *testing.T) {
	alpha, beta := federated(t)
	mallory, dave := newClient(t, alpha, "mallory@alpha.example"), newClient(t, alpha, "dave@alpha.example")
	bob := newClient(t, beta, "bob@beta.example")
	to, from := ids.MustParseAddress("bob@beta.example"), ids.MustParseAddress("mallory@alpha.example")
	other := linkedTo(t, mallory)
	must(t, bob.Block(t.Context(), from))
	must(t, bob.Sync(t.Context()))
	for _, c := range []*client.Client{mallory, other, dave, bob} {
		background(t, c)
	}
	code, err := dave.ContactCode(t.Context(), 0)
	must(t, err)
	_, err = mallory.Add(t.Context(), code)
	must(t, err)
	write := func(c *client.Client, text string) {
		_, err := c.Send(t.Context(), ids.MustParseAddress("dave@alpha.example"), text)
		must(t, err)
		await(t, "dave is shown: "+text, func() bool {
			inbox, err := dave.Inbox(0, 0)
			must(t, err)
			return slices.ContainsFunc(inbox, func(o *client.Opened) bool { return o.Text() == text })
		})
	}
	write(mallory, "under the first")
	await(t, "the account key replaced", func() bool {
		err := mallory.ReplaceAccountKey(t.Context())
		if err != nil && !errors.Is(err, client.ErrUntold) {
			t.Fatal(err)
		}
		return err == nil
	})
	var later *client.LaterError
	if err := mallory.ReplaceAccountKey(t.Context()); !errors.As(err, &later) || time.Until(later.At) < 88*24*time.Hour {
		t.Errorf("again: %v", err)
	}
	write(mallory, "under the second")
	contacts, err := dave.Contacts()
	must(t, err)
	if len(contacts) != 1 || !contacts[0].Rekeyed || contacts[0].IdentityChanged {
		t.Errorf("dave is not told: %+v", contacts)
	}
	introduced(t, mallory, to, "let me in")
	await(t, "bob's client drops it, and tells the relay", func() bool {
		n, err := bob.Counts()
		must(t, err)
		return n.Dropped["blocked"] == 1 && n.Strikes == 0
	})
	if n := beta.count(relay.DisposedBlocked, "peer"); n != 0 {
		t.Fatalf("%v disposed of under an X_S that nobody knew", n)
	}
	_, err = other.Devices(t.Context()) // its manifest is the newest: k has come before
	must(t, err)
	introduced(t, other, to, "let me in, too")
	await(t, "the next one's disposal", func() bool { return beta.count(relay.DisposedBlocked, "peer") == 1 })
	if asked, err := bob.Requests(); len(asked) != 0 || err != nil {
		t.Errorf("%v, %v", asked, err)
	}
	if p, err := other.Profile(); p.LacksAccountKey || err != nil {
		t.Errorf("the other device lacks the secret: %v", err)
	}
}
