package node

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"waxwing/core/ids"
	"waxwing/relay"
	"waxwing/relay/client"
	"waxwing/relay/client/state"
	"waxwing/relay/quicnet"
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
			Address: ids.MustParseAddress(local + "@beta.example"), Server: beta.conf.Listen, Pin: beta.pin,
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

// setClocks are two users of one provider whose clocks a test sets; the first has the
// second as a contact.
type setClocks struct {
	beta       *server
	alice, bob *client.Client
	to         ids.Address
	shifts     [2]atomic.Int64
}

func newSetClocks(ctx context.Context, t *testing.T) *setClocks {
	w := &setClocks{beta: newServer(t, "beta.example").start()}
	var users [2]*client.Client
	for i, address := range []string{"alice@beta.example", "bob@beta.example"} {
		c, err := client.Create(client.Config{
			Dir: t.TempDir(), ReceiptDelay: time.Millisecond,
			Now: func() time.Time { return time.Now().Add(time.Duration(w.shifts[i].Load())) },
		})
		must(t, err)
		t.Cleanup(func() { must(t, c.Close()) })
		must(t, c.Register(ctx, client.RegisterConfig{
			Address: ids.MustParseAddress(address), Server: w.beta.conf.Listen, Pin: w.beta.pin,
		}))
		users[i] = c
	}
	w.alice, w.bob = users[0], users[1]
	code, err := w.bob.ContactCode(ctx, 0)
	must(t, err)
	w.to, err = w.alice.Add(ctx, code)
	must(t, err)
	return w
}

// TestClocksOffByMore has the clock of a sender, and then of a recipient, stand
// more than a day off: the user is told, nothing leaves and nothing is acked or
// dropped; when the clock is right again all comes, once.
func TestClocksOffByMore(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	w := newSetClocks(ctx, t)
	beta, alice, bob, to, shifts := w.beta, w.alice, w.bob, w.to, &w.shifts
	told := func(who string, c *client.Client) {
		t.Helper()
		for name, err := range map[string]error{"Sync": c.Sync(ctx), "Run": c.Run(ctx)} {
			var off *client.ClockError
			if !errors.Is(err, quicnet.ErrExpired) && (!errors.Is(err, client.ErrClock) || !errors.As(err, &off) || off.Ahead.Abs() <= ids.MaxClockSkew) {
				t.Fatalf("%s of %s: %v", name, who, err)
			}
		}
	}
	seen := 0
	expect := func(want string) {
		t.Helper()
		must(t, bob.Sync(ctx))
		in, err := bob.Inbox(0, 100)
		must(t, err)
		if seen++; len(in) != seen || in[seen-1].Text() != want {
			t.Fatalf("%d messages, want %d", len(in), seen)
		}
	}
	for _, off := range []time.Duration{30 * time.Hour, 20 * 24 * time.Hour, 100 * 24 * time.Hour, -30 * time.Hour, -20 * 24 * time.Hour} {
		t.Run(off.String(), func(t *testing.T) {
			shifts[0].Store(int64(off))
			before := beta.count(relay.Delivered, "client")
			id, err := alice.Send(ctx, to, "of a wrong clock")
			must(t, err)
			told("the sender", alice)
			e, err := alice.Status(id)
			must(t, err)
			if n := beta.count(relay.Delivered, "client"); e.Status != state.StatusWaiting || n != before {
				t.Fatalf("the message is %v, %v left", e.Status, n-before)
			}
			shifts[0].Store(0)
			must(t, alice.Sync(ctx))
			expect("of a wrong clock")

			_, err = alice.Send(ctx, to, "to a wrong clock")
			must(t, err)
			must(t, alice.Sync(ctx))
			shifts[1].Store(int64(off))
			pushed := testutil.ToFloat64(beta.node.metrics.pushed)
			told("the recipient", bob)
			if n := testutil.ToFloat64(beta.node.metrics.pushed); n != pushed {
				t.Fatalf("%v deliveries were sent to who cannot judge them", n-pushed)
			}
			shifts[1].Store(0)
			expect("to a wrong clock")
			must(t, alice.Sync(ctx))
			for _, c := range []*client.Client{alice, bob} {
				counts, err := c.Counts()
				must(t, err)
				if counts.Held > 0 || counts.Outbox > 0 || len(counts.Dropped) > 0 {
					t.Errorf("%+v", counts)
				}
			}
		})
	}
}

// TestClockIsSetWhileConnected sets the clock of a sender, and then of a recipient,
// more than a day off while both are connected: their connections end before
// anything is sealed, stored or acked by the wrong day, the next one tells them, and
// all comes when the clock is right again. A step within a day ends nothing but the
// connection.
func TestClockIsSetWhileConnected(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	w := newSetClocks(ctx, t)
	alice, bob, to, shifts := w.alice, w.bob, w.to, &w.shifts
	running := func(c *client.Client) <-chan error {
		done := make(chan error, 1)
		go func() { done <- c.Run(ctx) }()
		return done
	}
	shown := func(texts ...string) {
		t.Helper()
		until(t, "shown", func() bool {
			in, err := bob.Inbox(0, 100)
			must(t, err)
			return len(in) == len(texts)
		})
		in, err := bob.Inbox(0, 100)
		must(t, err)
		for i, want := range texts {
			if in[i].Text() != want {
				t.Fatalf("%q, want %q", in[i].Text(), want)
			}
		}
	}
	say := func(text string) client.MessageID {
		t.Helper()
		id, err := alice.Send(ctx, to, text)
		must(t, err)
		return id
	}
	told := func(done <-chan error) {
		t.Helper()
		if err := <-done; !errors.Is(err, client.ErrClock) && !errors.Is(err, quicnet.ErrExpired) {
			t.Fatalf("told %v", err)
		}
	}
	alices, bobs := running(alice), running(bob)
	say("one")
	shown("one")

	shifts[0].Store(int64(2 * time.Hour)) // within a day: the next connection follows
	say("two")
	shown("one", "two")

	shifts[0].Store(int64(30 * time.Hour))
	id := say("three")
	told(alices)
	if e, err := alice.Status(id); err != nil || e.Status != state.StatusWaiting {
		t.Fatalf("sealed by a wrong clock: %v, %v", e.Status, err)
	}
	shifts[0].Store(0)
	alices = running(alice)
	shown("one", "two", "three")

	shifts[1].Store(int64(-20 * 24 * time.Hour))
	say("four")
	told(bobs)
	shifts[1].Store(0)
	running(bob)
	shown("one", "two", "three", "four")
	for _, c := range []*client.Client{alice, bob} {
		counts, err := c.Counts()
		must(t, err)
		if counts.Held > 0 || len(counts.Dropped) > 0 {
			t.Errorf("%+v", counts)
		}
	}
	cancel()
	<-alices
}
