package node

import (
	"testing"
	"time"

	"waxwing/core/ids"
	"waxwing/core/wire"
	"waxwing/ratelimit/introduction"
	"waxwing/ratelimit/limits"
	"waxwing/relay"
)

// Credentials.md 4, 12: introductions are those of their envelope's day, before
// midnight, after it, and as long as envelopes of the day are taken. A day's nonces
// stay spent, and a credential is none of another day.
func TestAttackMidnight(t *testing.T) {
	var at clock
	day := today() + 1
	alpha, beta := federatedAt(t, &at, day, func(_, beta *server) {
		beta.conf.Limits = limits.Settings{{Name: limits.SenderIntroductions}: {Burst: 100, Count: 100, Period: time.Minute}}
	})
	bob := newDevice(t, beta, "bob@beta.example")
	publishAt(t, bob, day)
	carol := newStranger(t, alpha, beta, "carol@alpha.example")
	now, ahead := carol.sender(day), carol.sender(day+1)
	of := func(s *introduction.Sender, nonce uint32) []byte {
		t.Helper()
		return introductionTo(t, beta, bob.door(), s, nonce)
	}
	first := of(now, 0)
	renamed := *now
	renamed.Epoch = day + 1
	wrong := of(&renamed, 3)

	at.to(day.End().Add(-time.Minute))
	carol.hands(relay.Delivered, first, of(ahead, 0)) // the clock of one is ahead
	carol.hands(relay.DisposedProof, wrong)
	at.to(day.End().Add(time.Minute))
	for _, s := range []*server{alpha, beta} {
		must(t, s.node.renewKeys())
	}
	carol.hands(relay.Duplicate, first)
	carol.hands(relay.DisposedTag, of(now, 0), of(ahead, 0))
	carol.hands(relay.DisposedProof, of(&renamed, 3))
	carol.hands(relay.Delivered, of(now, 1), of(ahead, 1))

	at.days(t, ids.MaxDelay-1, alpha, beta)
	carol.hands(relay.DisposedTag, of(now, 1))
	carol.hands(relay.Delivered, of(now, 2))
	at.days(t, 1, alpha, beta)
	delivered := beta.forwarded()[relay.Delivered]
	refused := carol.submit(beta.domain, of(now, 3))
	if len(refused) != 1 || refused[1].Code != wire.CodeStale {
		t.Errorf("after its time: %+v", refused)
	}
	if n := beta.forwarded()[relay.Delivered]; n != delivered {
		t.Errorf("%v are delivered after their time", n-delivered)
	}
}
