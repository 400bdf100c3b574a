package node

import (
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/mailbox"
	"waxwing/core/query"
	"waxwing/core/wire"
	"waxwing/ratelimit"
	"waxwing/ratelimit/arc"
	"waxwing/ratelimit/introduction"
	"waxwing/ratelimit/keylist"
	"waxwing/ratelimit/membership"
	"waxwing/relay"
	"waxwing/relay/quicnet"
)

// stranger is a device that introduces itself at another provider, without the
// checks of a client.
type stranger struct {
	*device
	home, at *server
	listed   map[ratelimit.Month]*arc.PublicKey // of the home, when it gave a membership
}

func newStranger(t testing.TB, home, at *server, address string) *stranger {
	t.Helper()
	return &stranger{newDevice(t, home, address), home, at, map[ratelimit.Month]*arc.PublicKey{}}
}

// here returns a server's own list.
func (s *server) here() *keylist.List {
	s.t.Helper()
	l, err := s.node.admission.List(s.t.Context(), s.domain)
	must(s.t, err)
	return l
}

// member has the account's provider vouch for it.
func (s *stranger) member(month ratelimit.Month, tier ratelimit.Tier) (*arc.Credential, error) {
	s.t.Helper()
	key, ok := s.home.here().Membership(s.at.domain, month)
	if ok {
		s.listed[month] = key
	} else if key = s.listed[month]; key == nil {
		s.t.Fatal("no key of the month")
	}
	m := membership.Membership{Home: s.home.domain, Provider: s.at.domain, Month: month, Tier: tier}
	asked, err := m.Request(s.k, key)
	must(s.t, err)
	a, err := quicnet.Ask[*wire.MembershipIssued](testContext(s.t), s.caller, &wire.IssueMembership{
		Provider: m.Provider, Month: uint32(month), Tier: uint8(tier), Membership: [wire.MembershipRequestSize]byte(asked.Bytes()),
	})
	if err != nil {
		return nil, err
	}
	cred, err := asked.Finish(a.Membership[:])
	must(s.t, err)
	return cred, nil
}

// refillOf is the payload of a question for a day's credential.
func (s *stranger) refillOf(cred *arc.Credential, month ratelimit.Month, tier ratelimit.Tier, epoch ids.Day) (*query.Refill, *membership.Pending) {
	s.t.Helper()
	day, ok := s.at.here().Credential(epoch)
	if !ok {
		s.t.Fatal("no key of the day")
	}
	r := membership.Refill{
		Home: s.home.domain, Provider: s.at.domain, Month: month, Tier: tier, Epoch: epoch, Membership: s.listed[month], Key: day,
	}
	p, err := r.Request(cred)
	must(s.t, err)
	return &query.Refill{Home: r.Home, Month: uint32(month), Tier: uint8(tier), Epoch: epoch, Refill: p.Bytes()}, p
}

// sealed makes the question.
func (s *stranger) sealed(q *query.Refill) ([]byte, *query.Pending) {
	s.t.Helper()
	relay, ok := s.at.node.peers.own.Load().RelayKey()
	if !ok {
		s.t.Fatal("no relay key")
	}
	sealed, pending, err := query.Ask(relay.Key, relay.ID, query.KindRefill, wire.MustMarshal(q), s.at.node.now())
	must(s.t, err)
	return sealed, pending
}

// refill asks through the account's provider.
func (s *stranger) refill(q *query.Refill) *query.RefillAnswer {
	s.t.Helper()
	sealed, pending := s.sealed(q)
	a, err := new(wire.Answer), error(nil)
	eventually(s.t, "an answer of the other provider", func() bool { // it may not be connected
		a, err = quicnet.Ask[*wire.Answer](testContext(s.t), s.caller, &wire.Query{
			Dest: s.at.domain, Kind: uint8(query.KindRefill), Sealed: sealed,
		})
		var refused *quicnet.RefusedError
		if errors.As(err, &refused) && refused.Code == wire.CodeUnreachable {
			return false
		}
		must(s.t, err)
		return true
	})
	plain, err := pending.Open(a.Sealed)
	must(s.t, err)
	out := new(query.RefillAnswer)
	must(s.t, wire.Unmarshal(plain, out))
	return out
}

// sender gets the credential of a day, under this month's membership.
func (s *stranger) sender(epoch ids.Day) *introduction.Sender {
	s.t.Helper()
	month, tier := ratelimit.MonthOf(epoch), ratelimit.TierNew
	cred, err := s.member(month, tier)
	must(s.t, err)
	return s.credited(cred, month, tier, epoch)
}

// credited gets it under a membership.
func (s *stranger) credited(cred *arc.Credential, month ratelimit.Month, tier ratelimit.Tier, epoch ids.Day) *introduction.Sender {
	s.t.Helper()
	q, pending := s.refillOf(cred, month, tier, epoch)
	a := s.refill(q)
	if a.Status != query.RefillIssued {
		s.t.Fatalf("refill: status %d", a.Status)
	}
	day, err := pending.Finish(a.Answer[:])
	must(s.t, err)
	fresh, others := s.at.here().Limits(epoch)
	return &introduction.Sender{
		Credential: day, Home: s.home.domain, Provider: s.at.domain, Tier: tier, Epoch: epoch,
		Limits: introduction.Limits{New: fresh, Member: others},
	}
}

// door is where a device is introduced to.
func (d *device) door() *introduction.Mailbox {
	d.t.Helper()
	g := group.Ristretto255()
	w, err := g.DecodeElement(g.MulGenerator(d.w).Bytes())
	must(d.t, err)
	return &introduction.Mailbox{ID: d.mailbox, Generation: 1, W: w}
}

// introductionTo makes an envelope.
func introductionTo(t testing.TB, at *server, to *introduction.Mailbox, s *introduction.Sender, nonce uint32) []byte {
	t.Helper()
	class := wire.ClassIntroduction
	e := &wire.Envelope{
		Com: new([wire.ComSize]byte), Day: s.Epoch, Class: class, TTL: 86400,
		Head: make([]byte, class.HeadSize()), Body: make([]byte, class.BodySize()),
	}
	rand.Read(e.Com[:])
	rand.Read(e.Body)
	bound := introduction.Envelope{Com: *e.Com, Day: e.Day, Class: class, TTL: e.TTL, Payload: wire.PayloadHash(e.Head, e.Body)}
	relay, ok := at.node.peers.own.Load().RelayKey()
	if !ok {
		t.Fatal("no relay key")
	}
	address, err := s.Introduce(relay.Key, relay.ID, to, &bound, nonce, nil)
	must(t, err)
	e.Introduction = (*[wire.IntroductionSize]byte)(address)
	return e.Append(nil)
}

// federatedAt starts two servers that know each other, with a clock that stands at
// noon of a day and goes on.
func federatedAt(t testing.TB, at *clock, day ids.Day, change func(alpha, beta *server)) (alpha, beta *server) {
	t.Helper()
	at.to(day.Start().Add(12 * time.Hour))
	alpha, beta = newServer(t, "alpha.example"), newServer(t, "beta.example")
	alpha.conf.Now, beta.conf.Now = at.now, at.now
	alpha.conf.Listen, beta.conf.Listen = freeAddr(t), freeAddr(t)
	alpha.conf.Peers, beta.conf.Peers = []Peer{beta.asPeer()}, []Peer{alpha.asPeer()}
	if change != nil {
		change(alpha, beta)
	}
	alpha.start()
	beta.start()
	agreed(t, alpha, beta)
	return alpha, beta
}

// to sets the clock.
func (c *clock) to(when time.Time) { c.ahead.Store(int64(time.Until(when))) }

// forwarded returns what became of envelopes from peers.
func (s *server) forwarded() (out [relay.ReasonEnd]float64) {
	for r := range relay.ReasonEnd {
		if c := s.node.metrics.forwarded[r]; c != nil {
			out[r] = testutil.ToFloat64(c)
		}
	}
	return out
}

// hands gives introductions to the own provider, one after the other, and checks
// what becomes of each at the other.
func (s *stranger) hands(want relay.Reason, envelopes ...[]byte) {
	s.t.Helper()
	for i, raw := range envelopes {
		before := s.at.forwarded()
		if r := s.submit(s.at.domain, raw); len(r) != 0 {
			s.t.Fatalf("introduction %d: %+v", i, r)
		}
		var now [relay.ReasonEnd]float64
		eventually(s.t, "at the other provider", func() bool { now = s.at.forwarded(); return now != before })
		// While it is in the outbox still, the same one is not forwarded again.
		eventually(s.t, "acked", func() bool {
			box, err := s.home.node.store.Stat(s.t.Context(), mailbox.Outbox(s.at.domain))
			must(s.t, err)
			return box.Messages == 0
		})
		before[want]++
		if now != before {
			s.t.Errorf("introduction %d: not %v", i, want)
		}
	}
}
