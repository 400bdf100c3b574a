package node

import (
	"bytes"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/query"
	"waxwing/core/wire"
	"waxwing/ratelimit/gcra"
	"waxwing/ratelimit/limits"
	"waxwing/relay"
	"waxwing/relay/client"
	"waxwing/relay/client/state"
	"waxwing/relay/quicnet"
)

// withHop starts three providers that know one another. gamma is a hop if it is
// said.
func withHop(t testing.TB, on bool) (alpha, beta, gamma *server) {
	t.Helper()
	all := []*server{newServer(t, "alpha.example"), newServer(t, "beta.example"), newServer(t, "gamma.example")}
	for _, s := range all {
		s.conf.Listen = freeAddr(t)
	}
	for _, s := range all {
		for _, o := range all {
			if o != s {
				s.conf.Peers = append(s.conf.Peers, o.asPeer())
			}
		}
	}
	alpha, beta, gamma = all[0], all[1], all[2]
	gamma.conf.Hop = on
	for _, s := range all {
		s.start()
	}
	return alpha, beta, gamma
}

// queries is how many questions a provider was asked, by whomever.
func (s *server) queries() (n float64) {
	s.t.Helper()
	all, err := s.node.metrics.values()
	must(s.t, err)
	for _, code := range []string{"ok", wire.CodeForbidden.String(), wire.CodeUnknownProvider.String(), wire.CodeUnreachable.String(), wire.CodeLimit.String()} {
		n += all[`waxwing_requests_total{answer="`+code+`",type="query"}`]
	}
	return n
}

func (s *server) hopped(r relay.HopResult) float64 {
	return testutil.ToFloat64(s.node.metrics.hop[r])
}

// spentOf is how much of a limit counts for a peer.
func (s *server) spentOf(n limits.Name, peer *server) int64 {
	return s.node.Limit(n, peer.domain).Used
}

// slowly has limits of peers remember what counted.
func (s *server) slowly(names ...limits.Name) {
	s.t.Helper()
	for _, n := range names {
		must(s.t, s.node.SetLimit(s.t.Context(), limits.Target{Name: n}, limits.Change{Limit: gcra.Limit{Burst: 1000, Count: 1, Period: 1 << 40}}, 0))
	}
}

func requestsOf(t testing.TB, c *client.Client) []client.Request {
	t.Helper()
	out, err := c.Requests()
	must(t, err)
	return out
}

// Alice looks bob up, gets the day's credential and introduces herself, all by
// gamma: her own provider is asked nothing, beta counts it as gamma's questions
// and alpha's account, and bob reads her.
func TestHop(t *testing.T) {
	alpha, beta, gamma := withHop(t, true)
	beta.slowly(limits.PeerRefills, limits.HomeAccounts, limits.PeerRequests)
	alice, bob := newClient(t, alpha, "alice@alpha.example"), newClient(t, beta, "bob@beta.example")
	must(t, alice.SetHop(gamma.domain, keys.Pin{}))
	background(t, alice)
	background(t, bob)
	introduced(t, alice, ids.MustParseAddress("bob@beta.example"), "hello, by another way")
	await(t, "a request", func() bool { return len(requestsOf(t, bob)) == 1 })
	if r := requestsOf(t, bob)[0]; r.Text != "hello, by another way" || r.From != ids.MustParseAddress("alice@alpha.example") {
		t.Errorf("%+v", r)
	}
	if n := alpha.queries(); n != 0 {
		t.Errorf("alice's own provider saw %v questions", n)
	}
	if n := gamma.hopped(relay.HopAnswered); n < 2 { // a lookup and a refill
		t.Errorf("gamma passed %v questions on", n)
	}
	if own, theirs := beta.spentOf(limits.PeerRefills, alpha), beta.spentOf(limits.PeerRefills, gamma); own != 0 || theirs == 0 {
		t.Errorf("refills count %d for alpha, %d for gamma", own, theirs)
	}
	if own, theirs := beta.spentOf(limits.HomeAccounts, alpha), beta.spentOf(limits.HomeAccounts, gamma); own != 1 || theirs != 0 {
		t.Errorf("accounts count %d for alpha, %d for gamma", own, theirs)
	}
	if s, err := alice.Hop(); err != nil || s != (client.HopStatus{Hop: gamma.domain}) {
		t.Errorf("%+v, %v", s, err)
	}
	// What is asked of the hop itself goes through the own provider: gamma would see
	// asker and question.
	newClient(t, gamma, "carol@gamma.example")
	id := introduced(t, alice, ids.MustParseAddress("carol@gamma.example"), "hello carol")
	await(t, "it left", func() bool { return statusOf(t, alice, id) >= state.StatusAccepted })
	if alpha.queries() == 0 || gamma.hopped(relay.HopOwn) != 0 {
		t.Error("the hop was asked about its own accounts")
	}
}

// Standing stamps come through a hop as refills and lookups do, week after week.
func TestStandingByHop(t *testing.T) { inStandingByWeek(t, true) }

// Nobody is a hop who did not say so. The client tells why it waits, and asks its
// own provider nothing until the user says so.
func TestHopIsOffByDefault(t *testing.T) {
	alpha, beta, gamma := withHop(t, false)
	alice, bob := newClient(t, alpha, "alice@alpha.example"), newClient(t, beta, "bob@beta.example")
	must(t, alice.SetHop(gamma.domain, keys.Pin{}))
	background(t, alice)
	background(t, bob)
	id := introduced(t, alice, ids.MustParseAddress("bob@beta.example"), "hello")
	await(t, "alice is told", func() bool {
		s, err := alice.Hop()
		must(t, err)
		return s.Trouble == state.TroubleRefuses && !s.Retry.IsZero()
	})
	// Several times, with pauses between.
	await(t, "alice asks again", func() bool { return gamma.hopped(relay.HopOff) >= 2 })
	if alpha.queries() != 0 || beta.queries() != 0 || statusOf(t, alice, id) != state.StatusWaiting {
		t.Errorf("%v questions at alpha, %v at beta; the message is %v", alpha.queries(), beta.queries(), statusOf(t, alice, id))
	}
	must(t, alice.SetHop(ids.Domain{}, keys.Pin{}))
	await(t, "a request", func() bool { return len(requestsOf(t, bob)) == 1 })
	if alpha.queries() == 0 {
		t.Error("asked by nobody")
	}
}

// A hop that is away: messages wait, nothing is asked of the own provider, and
// they leave when it is back.
func TestHopIsAway(t *testing.T) {
	alpha, beta, gamma := withHop(t, true)
	alice, bob := newClient(t, alpha, "alice@alpha.example"), newClient(t, beta, "bob@beta.example")
	until(t, "gamma's keys at alpha", func() bool { _, ok := alpha.node.peers.Descriptor(gamma.domain); return ok })
	gamma.halt()
	must(t, alice.SetHop(gamma.domain, keys.Pin{}))
	background(t, alice)
	background(t, bob)
	id := introduced(t, alice, ids.MustParseAddress("bob@beta.example"), "hello")
	await(t, "alice is told", func() bool {
		s, err := alice.Hop()
		must(t, err)
		return s.Trouble == state.TroubleUnreachable
	})
	if alpha.queries() != 0 || statusOf(t, alice, id) != state.StatusWaiting {
		t.Errorf("%v questions at alpha; the message is %v", alpha.queries(), statusOf(t, alice, id))
	}
	gamma.start()
	await(t, "a request", func() bool { return len(requestsOf(t, bob)) == 1 })
	if alpha.queries() != 0 {
		t.Errorf("%v questions at alpha", alpha.queries())
	}
	if s, err := alice.Hop(); err != nil || s.Trouble != state.TroubleNone {
		t.Errorf("%+v, %v", s, err)
	}
}

// Every kind of question comes through. Who carried one may bring it again, or give
// it to another provider that does: there is one answer to it, which only the asker
// reads.
func TestHopReplays(t *testing.T) {
	alpha, beta, gamma := withHop(t, true)
	beta.slowly(limits.PeerRefills)
	until(t, "a link", func() bool { return gamma.node.peers.link(beta.domain).caller.Load() != nil })
	d, _ := beta.node.peers.Descriptor(beta.domain)
	key, _ := d.RelayKey()
	peer := alpha.asPeerTo(beta)
	s, err := peer.OpenStream(testContext(t), wire.StreamControl)
	must(t, err)
	colluding, err := quicnet.NewCaller(testContext(t), s)
	must(t, err)
	defer colluding.Close()
	for kind, q := range map[query.Kind]struct{ asked, answered wire.Schema }{
		query.KindLookup:   {&directory.LookupRequest{Address: ids.MustParseAddress("nobody@beta.example")}, new(directory.LookupAnswer)},
		query.KindRefill:   {&query.Refill{Home: alpha.domain, Tier: 1, Epoch: today()}, new(query.RefillAnswer)},
		query.KindStanding: {&query.Standing{Home: alpha.domain, Epoch: today()}, new(query.StandingAnswer)},
	} {
		sealed, pending, err := query.Ask(key.Key, key.ID, kind, wire.MustMarshal(q.asked), beta.node.now())
		must(t, err)
		var first []byte
		for _, by := range []*quicnet.Caller{nobodyAt(t, gamma), nobodyAt(t, gamma), colluding} {
			a, err := quicnet.Ask[*wire.Answer](testContext(t), by, &wire.Query{Dest: beta.domain, Kind: uint8(kind), Sealed: sealed})
			must(t, err)
			if first == nil {
				first = a.Sealed
				plain, err := pending.Open(first)
				must(t, err)
				must(t, wire.Unmarshal(plain, q.answered))
			}
			if !bytes.Equal(a.Sealed, first) {
				t.Errorf("kind %d: another answer to the same question", kind)
			}
		}
		// The hop changes the answer: the asker notices.
		first[len(first)/2] ^= 1
		if _, err := pending.Open(first); err == nil {
			t.Errorf("kind %d: a changed answer opens", kind)
		}
	}
	if own, theirs := beta.spentOf(limits.PeerRefills, alpha), beta.spentOf(limits.PeerRefills, gamma); own != 2 || theirs != 4 {
		t.Errorf("%d count for alpha, %d for gamma", own, theirs)
	}
}

// As many questions of strangers are under way to a peer as may be: others are told
// when to try again, and accounts are not held up.
func TestStrangersLeaveRoom(t *testing.T) {
	_, beta, gamma := withHop(t, true)
	l := gamma.node.peers.link(beta.domain)
	until(t, "a link", func() bool { return l.caller.Load() != nil })
	for range maxHops {
		l.hops <- struct{}{}
	}
	good := &wire.Query{Dest: beta.domain, Kind: uint8(query.KindLookup), Sealed: make([]byte, query.KindLookup.QuestionSize())}
	if code, after := codeOf(t, nobodyAt(t, gamma), good); code != wire.CodeBusy || after == 0 || gamma.hopped(relay.HopBusy) != 1 {
		t.Errorf("%v, %d ms", code, after)
	}
	carol := newDevice(t, gamma, "carol@gamma.example")
	if code, _ := codeOf(t, carol.caller, good); code == wire.CodeBusy {
		t.Error("an account waits for strangers")
	}
	<-l.hops
	if code, _ := codeOf(t, nobodyAt(t, gamma), good); code == wire.CodeBusy {
		t.Error("no room after one was answered")
	}
	if n := len(l.hops); n != maxHops-1 {
		t.Errorf("%d are under way", n)
	}
}

// nobodyAt is a connection that says nothing of an account.
func nobodyAt(t testing.TB, s *server) *quicnet.Caller {
	t.Helper()
	d := &device{t: t}
	d.dial(s)
	return d.caller
}

func codeOf(t testing.TB, c *quicnet.Caller, m wire.Message) (wire.Code, uint32) {
	t.Helper()
	switch a, err := c.Call(testContext(t), m); r := err.(type) {
	case nil:
		if _, ok := a.(*wire.Answer); !ok {
			t.Fatalf("%T", a)
		}
		return 0, 0
	case *quicnet.RefusedError:
		return r.Code, uint32(r.RetryAfter.Milliseconds())
	default:
		t.Fatal(err)
	}
	return 0, 0
}

// What strangers ask a hop, each on connections of their own, and what they do not
// get.
func TestHopRefuses(t *testing.T) {
	alpha, beta, gamma := withHop(t, true)
	until(t, "links of gamma", func() bool {
		return gamma.node.peers.link(beta.domain).caller.Load() != nil && gamma.node.peers.link(alpha.domain).caller.Load() != nil
	})
	good := func() *wire.Query {
		d, _ := beta.node.peers.Descriptor(beta.domain)
		key, _ := d.RelayKey()
		payload := wire.MustMarshal(&directory.LookupRequest{Address: ids.MustParseAddress("nobody@beta.example")})
		sealed, _, err := query.Ask(key.Key, key.ID, query.KindLookup, payload, beta.node.now())
		must(t, err)
		return &wire.Query{Dest: beta.domain, Kind: uint8(query.KindLookup), Sealed: sealed}
	}
	if code, _ := codeOf(t, nobodyAt(t, gamma), good()); code != 0 {
		t.Fatalf("refused: %v", code)
	}
	for name, tt := range map[string]struct {
		at     *server
		change func(m *wire.Query)
		code   wire.Code
	}{
		"another key":        {gamma, func(m *wire.Query) { m.Sealed[0] ^= 0xff }, wire.CodeStale},
		"another byte":       {gamma, func(m *wire.Query) { m.Sealed[100] ^= 1 }, wire.CodeMalformed},
		"the last byte":      {gamma, func(m *wire.Query) { m.Sealed[len(m.Sealed)-1] ^= 1 }, wire.CodeMalformed},
		"another kind":       {gamma, func(m *wire.Query) { m.Kind = uint8(query.KindStanding) }, wire.CodeMalformed},
		"no kind":            {gamma, func(m *wire.Query) { m.Kind = 0 }, wire.CodeMalformed},
		"cut":                {gamma, func(m *wire.Query) { m.Sealed = m.Sealed[:10] }, wire.CodeMalformed},
		"another provider":   {gamma, func(m *wire.Query) { m.Dest = alpha.domain }, wire.CodeMalformed}, // not sealed to it
		"the hop itself":     {gamma, func(m *wire.Query) { m.Dest = gamma.domain }, wire.CodeForbidden},
		"an unknown one":     {gamma, func(m *wire.Query) { m.Dest = ids.MustParseDomain("delta.example") }, wire.CodeUnknownProvider},
		"who is no hop":      {alpha, func(*wire.Query) {}, wire.CodeForbidden},
		"who is asked about": {beta, func(*wire.Query) {}, wire.CodeForbidden},
	} {
		m := good()
		tt.change(m)
		if code, _ := codeOf(t, nobodyAt(t, tt.at), m); code != tt.code {
			t.Errorf("%s: %v, want %v", name, code, tt.code)
		}
	}
	// A provider that is asked as a hop by another one refuses: one hop, never more.
	before := beta.queries()
	peer := alpha.asPeerTo(gamma)
	s, err := peer.OpenStream(testContext(t), wire.StreamControl)
	must(t, err)
	caller, err := quicnet.NewCaller(testContext(t), s)
	must(t, err)
	defer caller.Close()
	if code, _ := codeOf(t, caller, good()); code != wire.CodeForbidden {
		t.Errorf("a peer is passed on: %v", code)
	}
	if beta.queries() != before {
		t.Error("it reached beta")
	}
	// Its own accounts ask as accounts.
	if code, _ := codeOf(t, newDevice(t, gamma, "carol@gamma.example").caller, good()); code != 0 {
		t.Errorf("an account of gamma: %v", code)
	}
	// A limit, in force at once, with a time.
	one := limits.Change{Limit: gcra.Limit{Burst: 1, Count: 1, Period: 1 << 40}}
	must(t, gamma.node.SetLimit(t.Context(), limits.Target{Name: limits.HopQuestions}, one, 0))
	before = beta.queries()
	for range 3 {
		if code, after := codeOf(t, nobodyAt(t, gamma), good()); code != 0 && (code != wire.CodeLimit || after == 0) {
			t.Errorf("over the limit: %v, %d ms", code, after)
		}
	}
	if got := beta.queries() - before; got > 1 {
		t.Errorf("%v questions over the limit reached beta", got)
	}
	if gamma.hopped(relay.HopLimit) < 2 || gamma.hopped(relay.HopOwn) != 1 || gamma.hopped(relay.HopUnknown) != 1 || alpha.hopped(relay.HopOff) != 1 {
		t.Error("not counted by reason")
	}
}
