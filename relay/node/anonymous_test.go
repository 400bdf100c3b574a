package node

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
	"waxwing/ratelimit/gcra"
	"waxwing/ratelimit/limits"
	"waxwing/relay"
	"waxwing/relay/client"
	"waxwing/relay/client/state"
	"waxwing/relay/quicnet"
)

// countSlowly has limits remember what counted toward them.
func (s *server) countSlowly() {
	s.t.Helper()
	for _, n := range []limits.Name{limits.AccountEnvelopes, limits.PrefixSubmissions} {
		c := limits.Change{Limit: gcra.Limit{Burst: 1000, Count: 1, Period: time.Hour}}
		must(s.t, s.node.SetLimit(s.t.Context(), limits.Target{Name: n}, c, 0))
	}
}

// used reports whether anything counted toward a limit.
func (s *server) used(n limits.Name) bool { return s.node.Limit(n, ids.Domain{}).Active > 0 }

// syncUntil has a client exchange until ok.
func syncUntil(t testing.TB, c *client.Client, what string, ok func() bool) {
	t.Helper()
	ctx := testContext(t)
	for !ok() {
		if err := c.Sync(ctx); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
}

// Two people write to each other, and nothing that they hand in counts as an
// account's. Only the user changes that.
func TestClientsAreNobody(t *testing.T) {
	alpha, beta := federated(t)
	alpha.countSlowly()
	beta.countSlowly()
	alice, bob := newClient(t, alpha, "alice@alpha.example"), newClient(t, beta, "bob@beta.example")
	ctx := testContext(t)
	code, err := bob.ContactCode(ctx, 0)
	must(t, err)
	to, err := alice.Add(ctx, code)
	must(t, err)
	background(t, bob)
	write := func(text string) {
		t.Helper()
		id, err := alice.Send(ctx, to, text)
		must(t, err)
		syncUntil(t, alice, "a receipt", func() bool {
			e, err := alice.Status(id)
			must(t, err)
			return e.Status == state.StatusDelivered
		})
	}
	write("as nobody")
	for _, s := range []*server{alpha, beta} {
		if s.used(limits.AccountEnvelopes) || !s.used(limits.PrefixSubmissions) {
			t.Errorf("%s: an envelope counts as an account's", s.domain)
		}
	}
	must(t, alice.SetAnonymous(false))
	write("as alice")
	if !alpha.used(limits.AccountEnvelopes) {
		t.Error("an identified envelope does not count as the account's")
	}
	if beta.used(limits.AccountEnvelopes) {
		t.Error("bob's receipt counts as his")
	}
}

// When the day's tokens are used up, messages wait, the application is told, and
// nothing goes another way; the next day they leave.
func TestTokensAreUsedUp(t *testing.T) {
	var ahead atomic.Int64
	clock := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	const daily = 8
	beta := newServer(t, "beta.example")
	beta.conf.Now = clock
	beta.conf.Limits = limits.Settings{{Name: limits.TokensDaily}: {Burst: daily}}
	beta.start().countSlowly()
	ctx := testContext(t)
	var users []*client.Client
	for _, name := range []string{"alice", "bob"} {
		c, err := client.Create(client.Config{Dir: t.TempDir(), Now: clock, ReceiptDelay: 50 * time.Millisecond})
		must(t, err)
		t.Cleanup(func() { must(t, c.Close()) })
		must(t, c.Register(ctx, client.RegisterConfig{
			Address: ids.MustParseAddress(name + "@beta.example"), Server: beta.conf.Listen, Pin: beta.pin,
		}))
		users = append(users, c)
	}
	alice, bob := users[0], users[1]
	code, err := bob.ContactCode(ctx, 0)
	must(t, err)
	to, err := alice.Add(ctx, code)
	must(t, err)
	_, err = alice.Send(ctx, to, "first")
	must(t, err)
	must(t, alice.Sync(ctx))
	must(t, bob.Sync(ctx)) // with tickets for more
	short := func() bool {
		s, err := alice.Submission()
		must(t, err)
		return s.Short()
	}
	told := make(chan client.Submission)
	watch, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		defer close(told)
		for s, err := range alice.Submissions(watch) {
			if err != nil {
				return
			}
			if s.Short() && s.Code == wire.CodeLimit {
				told <- s
				return
			}
		}
	}()
	noticed := make(chan bool, 8) // whether messages wait for tokens
	go func() {
		for n, err := range alice.Notices(watch) {
			if err != nil {
				return
			}
			if n.Submission == nil {
				continue
			}
			select {
			case noticed <- n.Submission.Short():
			case <-watch.Done():
			}
		}
	}()
	var last client.MessageID
	for i := range 2 * daily {
		last, err = alice.Send(ctx, to, fmt.Sprint("message ", i))
		must(t, err)
	}
	syncUntil(t, alice, "tokens to be used up", short)
	must(t, alice.Sync(ctx))
	s := <-told
	if !<-noticed {
		t.Error("the first notice is not that tokens are used up")
	}
	if midnight := ids.DayOf(clock()).End(); s.More.Before(midnight) || s.Remaining != 0 || s.Tokens != 0 {
		t.Errorf("told %+v", s)
	}
	e, err := alice.Status(last)
	must(t, err)
	if e.Status != state.StatusWaiting && e.Status != state.StatusSealed {
		t.Errorf("the last message is %v", e.Status)
	}
	if beta.used(limits.AccountEnvelopes) {
		t.Error("an envelope went the identified way")
	}
	before := beta.count(relay.Delivered, "client")

	// The same number for each day: what waits leaves in portions.
	must(t, beta.node.SetLimit(ctx, limits.Target{Name: limits.TokensDaily}, limits.Change{Limit: gcra.Limit{Burst: 4096}}, 0))
	must(t, alice.Sync(ctx))
	if !short() {
		t.Error("it asked before the time that it was told")
	}
	ahead.Store(int64(time.Until(ids.DayOf(time.Now()).End().Add(10 * time.Minute))))
	must(t, bob.Sync(ctx))
	syncUntil(t, alice, "what waited to leave", func() bool { return beta.count(relay.Delivered, "client") > before+daily/2 })
	if short() || beta.used(limits.AccountEnvelopes) {
		t.Error("the next day brought no tokens, or another way")
	}
	for over := false; !over; {
		select {
		case still := <-noticed: // perhaps told again when more come
			over = !still
		case <-ctx.Done():
			t.Fatal("no notice that tokens are there again")
		}
	}
}

// Sixteen connections race with one token for as many envelopes: one is delivered.
func TestTokenRacesOverConnections(t *testing.T) {
	beta := newServer(t, "beta.example").start()
	bob := newDevice(t, beta, "bob@beta.example")
	const racers = 16
	tokens, minted := bob.submissionTokens(beta, keys.NewSecret()), bob.mint(racers)
	for _, token := range tokens[:3] {
		var won atomic.Int32
		var wg sync.WaitGroup
		for i := range racers {
			wg.Go(func() {
				switch code := bear(t, beta, beta.domain, token, envelope(&minted.Tickets[i], wire.Class1K)); code {
				case 0:
					won.Add(1)
				case wire.CodeToken:
				default:
					t.Errorf("refused with %v", code)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Errorf("%d envelopes under one token", won.Load())
		}
		minted = bob.mint(racers)
	}
	bob.receive(0, 3)
}

// A token-signing key is revoked: a client that is nobody learns of it on the
// connection on which it submits, and what it writes then is read.
func TestNobodyIsToldOfARevocation(t *testing.T) {
	var ahead atomic.Int64
	clock := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	beta := newServer(t, "beta.example")
	beta.conf.Now = clock
	beta.start()
	ctx := testContext(t)
	var users []*client.Client
	for _, name := range []string{"alice", "bob"} {
		c, err := client.Create(client.Config{Dir: t.TempDir(), Now: clock, ReceiptDelay: 50 * time.Millisecond})
		must(t, err)
		t.Cleanup(func() { must(t, c.Close()) })
		must(t, c.Register(ctx, client.RegisterConfig{
			Address: ids.MustParseAddress(name + "@beta.example"), Server: beta.conf.Listen, Pin: beta.pin,
		}))
		background(t, c)
		users = append(users, c)
	}
	alice, bob := users[0], users[1]
	code, err := bob.ContactCode(ctx, 0)
	must(t, err)
	to, err := alice.Add(ctx, code)
	must(t, err)
	receipt := func(text string) {
		t.Helper()
		id, err := alice.Send(ctx, to, text)
		must(t, err)
		until(t, "a receipt", func() bool {
			e, err := alice.Status(id)
			must(t, err)
			return e.Status == state.StatusDelivered
		})
	}
	receipt("before")
	must(t, beta.node.RevokeEpoch(ctx, ids.DayOf(clock())))
	ahead.Add(int64(time.Minute)) // the snapshot that knows of it is in force
	receipt("after")
	if beta.count(relay.RefusedRevoked, "client") == 0 {
		t.Error("nobody was told")
	}
	// And of nothing else.
	d := &device{t: t}
	d.dial(beta)
	defer d.conn.Close(quicnet.CodeNone)
	for _, m := range []*wire.Publish{
		{Kind: wire.PublicationEpochKeys, Provider: ids.MustParseDomain("gamma.example"), Issuer: beta.domain},
		{Kind: wire.PublicationSnapshot, Provider: beta.domain, Issuer: beta.domain},
	} {
		if _, err := d.caller.Call(ctx, m); err == nil {
			t.Errorf("nobody was told of %+v", m)
		}
	}
}
