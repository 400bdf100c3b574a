package node

import (
	"context"
	"fmt"
	"testing"
	"time"

	"waxwing/core/ids"
	"waxwing/relay/client"
	"waxwing/relay/client/state"
)

func newClient(t testing.TB, s *server, address string) *client.Client {
	t.Helper()
	return newClientAt(t, new(clock), s, address)
}

// background runs a client until the test ends.
func background(t testing.TB, c *client.Client) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = c.Run(ctx) // ends with ctx
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
}

// The whole of it: clients with every layer, two servers, each of which stops
// and comes back while messages flow. All arrive, once and in order, and each
// gets its receipt.
func TestClientsThroughRestarts(t *testing.T) {
	alpha, beta := federated(t)
	alice, bob := newClient(t, alpha, "alice@alpha.example"), newClient(t, beta, "bob@beta.example")
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	code, err := bob.ContactCode(ctx, 0)
	must(t, err)
	to, err := alice.Add(ctx, code)
	must(t, err)
	background(t, alice)
	background(t, bob)

	const n, each = 300, 100
	texts := make([]string, n)
	for i := range texts {
		texts[i] = fmt.Sprint("message ", i)
	}
	var all []client.MessageID
	got := 0
	for o, err := range receiveWhile(ctx, bob, func(seen int) {
		if seen%each != 0 || seen == n {
			return
		}
		ids, err := alice.SendAll(ctx, to, texts[seen:seen+each])
		must(t, err)
		all = append(all, ids...)
		switch seen {
		case each:
			beta.halt()
			beta.start()
		case 2 * each:
			alpha.halt()
			alpha.start()
		}
	}) {
		must(t, err)
		if o.Text() != texts[got] || o.From() != ids.MustParseAddress("alice@alpha.example") {
			t.Fatalf("message %d is %q", got, o.Text())
		}
		if got++; got == n {
			break
		}
	}
	for _, id := range all {
		for {
			e, err := alice.Status(id)
			must(t, err)
			if e.Status == state.StatusDelivered {
				break
			}
			select {
			case <-ctx.Done():
				t.Fatalf("message without a receipt: %v", e.Status)
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
}

// receiveWhile is Receive with a call before the first message and after each.
func receiveWhile(ctx context.Context, c *client.Client, next func(seen int)) func(func(*client.Opened, error) bool) {
	return func(yield func(*client.Opened, error) bool) {
		seen := 0
		next(seen)
		for o, err := range c.Receive(ctx, 0) {
			if !yield(o, err) {
				return
			}
			seen++
			next(seen)
		}
	}
}
