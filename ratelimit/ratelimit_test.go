package ratelimit

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/franking"
)

var (
	alpha = ids.MustParseDomain("alpha.example")
	beta  = ids.MustParseDomain("beta.example")
)

// No two contexts are alike, whatever they are of: what is issued or counted in
// one is nothing in another (TestAttack 8 and 9 of the packages above).
func TestContextsDiffer(t *testing.T) {
	contexts := map[string]string{}
	add := func(name string, c []byte) {
		if other, ok := contexts[string(c)]; ok {
			t.Errorf("%s and %s have one context", name, other)
		}
		contexts[string(c)] = name
	}
	for _, a := range []ids.Domain{alpha, beta} {
		for n := range uint32(3) {
			for _, b := range []ids.Domain{alpha, beta} {
				for _, tier := range []Tier{TierNew, TierMember} {
					add("membership", MembershipContext(a, b, Month(n), tier))
					add("epoch", EpochContext(a, b, ids.Day(n), tier))
				}
			}
			for limit := range uint32(3) {
				add("introduction", IntroductionContext(a, ids.Day(n), limit))
				add("standing", StandingContext(a, Week(n), limit))
			}
		}
	}
	// Lengths stand before names, so that names cannot run into one another.
	x, y := ids.MustParseDomain("a.example"), ids.MustParseDomain("b.example")
	if bytes.Equal(MembershipContext(x, y, 1, 1), MembershipContext(y, x, 1, 1)) {
		t.Error("home and provider can be exchanged")
	}
}

func TestBases(t *testing.T) {
	bases := []group.Element{PlatformBase(alpha), PlatformBase(beta), ListBase([16]byte{1}), ListBase([16]byte{2}), group.Ristretto255().Generator()}
	for i := range bases {
		for j := range i {
			if bases[i].Equal(bases[j]) {
				t.Errorf("bases %d and %d are equal", i, j)
			}
		}
	}
	for _, d := range []ids.Domain{alpha, beta} {
		if !PlatformBase(d).Equal(franking.PlatformBase(d)) {
			t.Error("what a report opens is not what a refill shows")
		}
	}
}

// Credentials.md 4, 40: rotation of W keeps blocks, and blocks cover an account
// that never wrote.
func TestAttackRotation(t *testing.T) {
	g := group.Ristretto255()
	rapid.Check(t, func(t *rapid.T) {
		scalar := func(name string) group.Scalar {
			return g.HashToScalar(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, name), name)
		}
		k, w, next := scalar("k"), scalar("w"), scalar("next")
		account, nr := g.MulGenerator(k), g.MulGenerator(w).Mul(k)
		if !Matches(w, account, nr) || !OfAccount(w, account).Equal(nr) {
			t.Fatal("k*W is not w*X_S")
		}
		moved, err := Remap(w, next, nr)
		if err != nil || !moved.Equal(g.MulGenerator(next).Mul(k)) || !Matches(next, account, moved) {
			t.Fatalf("remapped: %v", err)
		}
		if Matches(w, account.Add(g.Generator()), nr) || Matches(w.Add(g.ScalarFromUint64(1)), account, nr) {
			t.Fatal("another account, or another mailbox, matches")
		}
	})
	if _, err := Remap(g.ScalarFromUint64(0), g.RandomScalar(), g.Generator()); err != group.ErrZero {
		t.Errorf("key 0: %v", err)
	}
}

func TestPeriods(t *testing.T) {
	if MonthOf(59) != 1 || MonthOf(60) != 2 || WeekOf(6) != 0 || WeekOf(7) != 1 {
		t.Error("periods")
	}
	for tier, ok := range map[Tier]bool{0: false, TierNew: true, TierMember: true, 3: false} {
		if tier.Valid() != ok {
			t.Errorf("tier %d", tier)
		}
	}
}
