package node

import (
	"context"
	"testing"
	"time"

	"waxwing/core/ids"
	"waxwing/ratelimit/gcra"
	"waxwing/ratelimit/introduction"
	"waxwing/ratelimit/limits"
	"waxwing/relay"
)

// The introductions of a day are those of its key: a change by command counts from
// the first day whose key is not drawn yet, at midnight, through a restart. What a
// day was promised it keeps, also for an envelope that comes a day late.
func TestIntroductionLimitsOfDays(t *testing.T) {
	var at clock
	alpha, beta := federatedAt(t, &at, today()+1, func(_, beta *server) {
		beta.conf.Limits = limits.Settings{{Name: limits.IntroNew}: {Burst: 3}, {Name: limits.SenderIntroductions}: {Burst: 100, Count: 100, Period: time.Minute}}
	})
	bob := newDevice(t, beta, "bob@beta.example")
	publishAt(t, bob, at.today())
	carol := newStranger(t, alpha, beta, "carol@alpha.example")
	today := at.today()
	listed := func(s *server, day ids.Day) uint32 {
		l, err := s.node.admission.List(context.Background(), beta.domain)
		must(t, err)
		fresh, _ := l.Limits(day)
		return fresh
	}
	day := func(offset int, limit uint32) *introduction.Sender {
		t.Helper()
		s := carol.sender(today + ids.Day(offset))
		if s.Limits.New != limit {
			t.Fatalf("day %+d: %d are listed, want %d", offset, s.Limits.New, limit)
		}
		for nonce := range limit {
			carol.hands(relay.Delivered, introductionTo(t, beta, bob.door(), s, nonce))
		}
		// A modified client counts as if there were more, or fewer.
		for _, other := range []uint32{limit - 1, limit + 1} {
			if other < 2 {
				continue
			}
			more := *s
			more.Limits.New = other
			carol.hands(relay.DisposedProof, introductionTo(t, beta, bob.door(), &more, other-1))
		}
		return s
	}
	day(0, 3)
	must(t, beta.node.SetLimit(t.Context(), limits.Target{Name: limits.IntroNew}, limits.Change{Limit: gcra.Limit{Burst: 2}}, 0))
	must(t, beta.node.renewKeys())
	if listed(beta, today) != 3 || listed(beta, today+1) != 3 {
		t.Error("a day that was listed has other limits at once")
	}
	beta.halt()
	beta.start()
	bob.reconnect(beta)

	at.days(t, 1, beta, alpha)
	late := day(1, 3)
	kept := introductionTo(t, beta, bob.door(), late, 2)
	if listed(beta, today+2) != 2 {
		t.Error("the change does not count for the next key")
	}
	beta.halt()
	beta.start()
	at.days(t, 1, beta, alpha)
	day(2, 2)
	carol.hands(relay.DisposedTag, kept) // under the day's own limit, and spent
	alpha.node.peers.link(beta.domain).outdated()
	eventually(t, "the limit at the peer", func() bool { return listed(alpha, today+2) == 2 && listed(alpha, today+1) == 3 })
}

// A client has as many introductions as the other provider's list says.
func TestClientsCountByTheList(t *testing.T) {
	alpha, beta := newServer(t, "alpha.example"), newServer(t, "beta.example")
	alpha.conf.Listen, beta.conf.Listen = freeAddr(t), freeAddr(t)
	alpha.conf.Peers, beta.conf.Peers = []Peer{beta.asPeer()}, []Peer{alpha.asPeer()}
	beta.conf.Limits = limits.Settings{{Name: limits.IntroNew}: {Burst: 2}}
	alpha.start()
	beta.start()
	carol := newClient(t, alpha, "carol@alpha.example")
	background(t, carol)
	for _, name := range []string{"bob", "dave", "erin"} {
		newClient(t, beta, name+"@beta.example")
		introduced(t, carol, ids.MustParseAddress(name+"@beta.example"), "hello "+name)
	}
	await(t, "two introductions", func() bool {
		left, err := carol.Introductions()
		must(t, err)
		return len(left) == 1 && left[0].Known && left[0].Limit == 2 && left[0].Left == 0 && left[0].Waiting == 1
	})
	await(t, "both at beta", func() bool { return beta.count(relay.Delivered, "peer") == 2 })
	if n := beta.count(relay.DisposedProof, "peer"); n != 0 {
		t.Errorf("%v are disposed of", n)
	}
}
