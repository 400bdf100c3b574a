package client

import (
	"testing"

	"waxwing/core/ids"
	"waxwing/ratelimit/arc"
	"waxwing/ratelimit/introduction"
	"waxwing/ratelimit/keylist"
	"waxwing/relay/client/state"
)

// listed has the user learn a provider's list with its key of the day.
func (u *user) listed(at *provider, number, term uint32) {
	u.w.t.Helper()
	day := keylist.CredentialKey{
		Day: ids.DayOf(u.w.now), Key: [96]byte(at.door().day.Public().Bytes()),
		New: introduction.DefaultLimits.New, Member: introduction.DefaultLimits.Member,
	}
	b, err := keylist.Sign(keylist.Fields{
		Provider: at.domain, Number: number, Term: term, Credentials: []keylist.CredentialKey{day},
	}, at.root)
	u.w.must(err)
	u.do(func(k *work) error {
		if err := k.described(at.domain, at.descriptor()); err != nil {
			return err
		}
		return k.learnList(at.domain, b)
	})
}

// A provider that draws another key for the day has introductions wait for another
// credential. What was used of the day's share stays used: the same nonce makes the
// same tag under any key.
func TestKeyReplaced(t *testing.T) {
	w, carol, bob := strangers(t)
	dave := w.user("dave@beta.example")
	carol.do(func(k *work) error { return k.addAddress(dave.address, "") })
	carol.listed(bob.p, 1, 0)
	first := carol.send(bob, "hello")
	w.settle()
	left := carol.left(bob.p)
	if carol.status(first) != state.StatusAccepted || left != int(introduction.DefaultLimits.New)-1 {
		t.Fatalf("%d left, %v", left, carol.status(first))
	}
	carol.listed(bob.p, 2, 0)
	has := func() (has bool) {
		carol.do(func(k *work) (err error) { has, err = k.credited(bob.p.domain); return err })
		return has
	}
	if !has() {
		t.Fatal("the same key in another list ends the credential")
	}
	bob.p.door().day = arc.Ristretto255().NewSecretKey()
	carol.listed(bob.p, 3, 1)
	second := carol.send(dave, "hello as well")
	w.settle()
	if has() || carol.status(second) != state.StatusWaiting {
		t.Fatalf("under the key that is over: %v", carol.status(second))
	}
	carol.credit(bob.p)
	if !has() || carol.left(bob.p) != left {
		t.Errorf("%d left after another credential, not %d", carol.left(bob.p), left)
	}
	w.settle()
	if carol.status(second) != state.StatusAccepted || carol.left(bob.p) != left-1 {
		t.Errorf("%d left, %v", carol.left(bob.p), carol.status(second))
	}
}

// A provider that gives the day another limit with another key, and the first one
// again, gets no nonce twice under either: one with the same limit has the same tag.
func TestLimitReplaced(t *testing.T) {
	w, carol, bob := strangers(t)
	carol.listed(bob.p, 1, 0)
	used := func(n int, want int) {
		t.Helper()
		for range n {
			carol.do(func(k *work) error {
				row, err := state.Credentials.Get(k.tx, state.At(ids.DayOf(w.now), bob.p.domain))
				w.must(err)
				_, row.Share, err = row.Share.Reserve()
				w.must(err)
				return state.Credentials.Put(k.tx, state.At(ids.DayOf(w.now), bob.p.domain), row)
			})
		}
		if left := carol.left(bob.p); left != want {
			t.Errorf("%d left, want %d", left, want)
		}
	}
	used(1, 3)
	carol.creditUnder(bob.p, introduction.Limits{New: 3, Member: 32})
	used(1, 1)
	carol.creditUnder(bob.p, introduction.DefaultLimits)
	used(1, 0)
	carol.creditUnder(bob.p, introduction.Limits{New: 2, Member: 32})
	used(0, 0)
}

// A list is asked for again after a while, of providers whose credential is here.
func TestAgedLists(t *testing.T) {
	w, carol, bob := strangers(t)
	aged := func() (out []ids.Domain) {
		carol.do(func(k *work) (err error) { out, err = k.agedLists(); return err })
		return out
	}
	if len(aged()) != 0 {
		t.Error("without a list")
	}
	carol.listed(bob.p, 1, 0)
	if len(aged()) != 0 {
		t.Error("at once")
	}
	w.advance(renewedAfter)
	carol.credit(bob.p)
	if got := aged(); len(got) != 1 || got[0] != bob.p.domain {
		t.Errorf("after a while: %d", len(got))
	}
	carol.listed(bob.p, 2, 0)
	if len(aged()) != 0 {
		t.Error("after another one")
	}
}
