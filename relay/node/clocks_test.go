package node

import (
	"context"
	"testing"
	"time"

	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/relay/client"
)

// TestClocksOffByADay has two users write to each other whose clocks are almost
// a day off, in opposite directions: both follow their provider's.
func TestClocksOffByADay(t *testing.T) {
	beta := newServer(t, "beta.example").start()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	const off = 24*time.Hour - 10*time.Minute
	var users []*client.Client
	for local, shift := range map[string]time.Duration{"alice": off, "bob": -off} {
		c, err := client.Create(client.Config{
			Dir: t.TempDir(), ReceiptDelay: 50 * time.Millisecond,
			Now: func() time.Time { return time.Now().Add(shift) },
		})
		must(t, err)
		t.Cleanup(func() { must(t, c.Close()) })
		must(t, c.Register(ctx, client.RegisterConfig{
			Address: ids.MustParseAddress(local + "@beta.example"), Server: beta.conf.Listen, Pin: directory.Pin(beta.pin),
		}))
		background(t, c)
		users = append(users, c)
	}
	alice, bob := users[0], users[1]
	code, err := bob.ContactCode(ctx, 0)
	must(t, err)
	to, err := alice.Add(ctx, code)
	must(t, err)
	before := time.Now()
	for _, text := range []string{"one", "two", "three"} {
		_, err = alice.Send(ctx, to, text)
		must(t, err)
	}
	n := 0
	for o, err := range bob.Receive(ctx, 0) {
		must(t, err)
		if d := o.Sent().Sub(before).Abs(); d > 2*time.Hour {
			t.Errorf("%q was written %v off", o.Text(), d)
		}
		if n++; n < 3 {
			continue
		}
		_, err = bob.Send(ctx, o.From(), "back")
		must(t, err)
		break
	}
	for o, err := range alice.Receive(ctx, 0) {
		must(t, err)
		if o.Text() != "back" {
			t.Errorf("%q", o.Text())
		}
		break
	}
	for _, c := range users {
		counts, err := c.Counts()
		must(t, err)
		if counts.Held > 0 {
			t.Errorf("%d held", counts.Held)
		}
		for reason, n := range counts.Dropped {
			if n > 0 {
				t.Errorf("%d dropped: %s", n, reason)
			}
		}
	}
}
