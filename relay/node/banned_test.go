package node

import (
	"errors"
	"testing"
	"time"

	"waxwing/core/query"
	"waxwing/franking"
	"waxwing/ratelimit"
	"waxwing/ratelimit/arc"
	"waxwing/ratelimit/limits"
	"waxwing/relay/reports"
)

// Credentials.md 4, 33: a sender whose pseudonym was opened for a ban gets no
// credential from its next refill on: not on another device, nor after a restart, nor
// under another key. It counts as nobody, and others get theirs.
func TestAttackBannedRefill(t *testing.T) {
	w := newBanWorld(t)
	agreed(t, w.alpha, w.beta)
	month, tier := ratelimit.MonthOf(today()), ratelimit.TierNew
	of := func(a *author) *stranger {
		return &stranger{a.device, w.alpha, w.beta, map[ratelimit.Month]*arc.PublicKey{}}
	}
	alice, carol := of(w.alice), of(w.carol)
	member, err := alice.member(month, tier)
	must(t, err)
	alice.credited(member, month, tier, today())
	w.beta.slowly(limits.HomeAccounts)

	e, esc := w.hears(w.alice, "one")
	r := wantBan(newReport(e))
	r.Escrows = []franking.EscrowOpening{{Escrow: *esc, Share: *w.bob.share(e, esc, w.bob.z)}}
	id := w.takes(r)
	refused := func(name string, s *stranger) {
		t.Helper()
		q, _ := s.refillOf(member, month, tier, today()+1)
		if a := s.refill(q); a.Status != query.RefillRefused {
			t.Errorf("%s: status %d", name, a.Status)
		}
	}
	_, err = w.beta.node.Reports().OpenPseudonym(testContext(t), time.Now(), id, 0, "dora")
	if !errors.Is(err, reports.ErrSecond) {
		t.Fatal(err)
	}
	alice.credited(member, month, tier, today()) // one reviewer bans nobody
	_, err = w.beta.node.Reports().OpenPseudonym(testContext(t), time.Now(), id, 0, "erin")
	must(t, err)
	refused("the next day", alice)
	second := alice.second()
	second.listed[month] = alice.listed[month]
	refused("another device", second)
	w.beta.halt()
	w.beta.start()
	w.beta.slowly(limits.HomeAccounts)
	refused("after a restart", alice)
	_, err = w.beta.node.RenewCredentials()
	must(t, err)
	refused("under another key", alice)
	if n := w.beta.spentOf(limits.HomeAccounts, w.alpha); n != 0 {
		t.Errorf("%d accounts are counted", n)
	}
	carol.sender(today())
}
