package node

import (
	"context"
	"testing"
	"time"

	"waxwing/core/ids"
	"waxwing/ratelimit/limits"
	"waxwing/relay"
	"waxwing/relay/client"
	"waxwing/relay/client/state"
	"waxwing/relay/quicnet"
)

// Two clients of two providers, friends since last week: each asks the other's
// provider for this week's stamp and shows it with its next message.
func TestStanding(t *testing.T) { inStandingByWeek(t, false) }

// inStandingByWeek is TestStanding, with gamma as the hop of both if it is said.
func inStandingByWeek(t *testing.T, hop bool) {
	var at clock
	const day = 24 * time.Hour
	// Noon of the last day but one of a week.
	at.ahead.Store(int64(time.Until(((ids.DayOf(time.Now())/7+1)*7 + 5).Start().Add(day / 2))))
	alpha, beta := newServer(t, "alpha.example"), newServer(t, "beta.example")
	alpha.conf.Now, beta.conf.Now = at.now, at.now
	alpha.conf.Listen, beta.conf.Listen = freeAddr(t), freeAddr(t)
	alpha.conf.Peers, beta.conf.Peers = []Peer{beta.asPeer()}, []Peer{alpha.asPeer()}
	servers := []*server{alpha, beta}
	if hop {
		gamma := newServer(t, "gamma.example")
		gamma.conf.Now, gamma.conf.Listen, gamma.conf.Hop = at.now, freeAddr(t), true
		gamma.conf.Peers = []Peer{alpha.asPeer(), beta.asPeer()}
		for _, s := range servers {
			s.conf.Peers = append(s.conf.Peers, gamma.asPeer())
		}
		servers = append(servers, gamma)
	}
	for _, s := range servers {
		s.start()
	}
	agreed(t, alpha, beta)
	alice, bob := newClientAt(t, &at, alpha, "alice@alpha.example"), newClientAt(t, &at, beta, "bob@beta.example")
	if hop {
		must(t, alice.SetHop(servers[2].domain, servers[2].pin))
		must(t, bob.SetHop(servers[2].domain, servers[2].pin))
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	code, err := bob.ContactCode(ctx, 0)
	must(t, err)
	to, err := alice.Add(ctx, code)
	must(t, err)
	stop := running(alice, bob)
	from := ids.MustParseAddress("alice@alpha.example")
	for _, text := range []string{"hello", "still there?"} {
		tells(t, alice, to, text)
		tells(t, bob, from, text)
		at.ahead.Add(int64(2 * time.Minute)) // beyond the pause between two looks at what is due
	}
	stop()
	if !stands(t, alice) || !stands(t, bob) {
		t.Fatal("not taken to be in standing in the first week")
	}
	// The same day of the week after, late: everything is due, and the last week
	// counts no longer.
	for _, s := range servers {
		s.halt()
	}
	at.ahead.Add(int64(7*day + 9*time.Hour))
	if stands(t, alice) || stands(t, bob) {
		t.Fatal("in standing without a stamp")
	}
	for _, s := range servers {
		s.start()
	}
	agreed(t, alpha, beta)
	if hop {
		alpha.slowly(limits.PeerRefills)
		beta.slowly(limits.PeerRefills)
	}
	stop = running(alice, bob)
	defer stop()
	await(t, "both in standing", func() bool {
		tells(t, alice, to, "still me")
		tells(t, bob, from, "me too")
		at.ahead.Add(int64(2 * time.Minute))
		return stands(t, alice) && stands(t, bob)
	})
	if hop && (beta.spentOf(limits.PeerRefills, alpha) != 0 || alpha.spentOf(limits.PeerRefills, beta) != 0 ||
		beta.spentOf(limits.PeerRefills, servers[2]) < 2 || servers[2].hopped(relay.HopAnswered) < 4) {
		t.Error("refills and stamps did not go through the hop alone")
	}
	for _, c := range []*client.Client{alice, bob} {
		n, err := c.Counts()
		must(t, err)
		if len(n.Dropped) > 0 {
			t.Errorf("dropped: %v", n.Dropped)
		}
	}
}

// newClientAt is newClient under a clock.
func newClientAt(t testing.TB, at *clock, s *server, address string) *client.Client {
	t.Helper()
	c, err := client.Create(client.Config{
		Dir: t.TempDir(), ReceiptDelay: 50 * time.Millisecond, Now: at.now,
		Timeouts: quicnet.Timeouts{KeepAlive: 200 * time.Millisecond, Idle: time.Second},
	})
	must(t, err)
	t.Cleanup(func() { must(t, c.Close()) })
	must(t, c.Register(testContext(t), client.RegisterConfig{
		Address: ids.MustParseAddress(address), Server: s.conf.Listen, Pin: s.pin,
	}))
	return c
}

// running runs clients until the function that it returns is called.
func running(all ...*client.Client) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{}, len(all))
	for _, c := range all {
		go func() {
			_ = c.Run(ctx) // ends with ctx
			done <- struct{}{}
		}()
	}
	return func() {
		cancel()
		for range all {
			<-done
		}
	}
}

// tells sends a message and waits until it is delivered.
func tells(t testing.TB, c *client.Client, to ids.Address, text string) {
	t.Helper()
	id, err := c.Send(t.Context(), to, text)
	must(t, err)
	await(t, text, func() bool { return statusOf(t, c, id) >= state.StatusDelivered })
}

// stands reports whether a client's only contact is given tickets.
func stands(t testing.TB, c *client.Client) bool {
	t.Helper()
	all, err := c.Contacts()
	must(t, err)
	if len(all) != 1 {
		t.Fatalf("%d contacts", len(all))
	}
	return all[0].Standing
}
