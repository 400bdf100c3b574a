package franking

import (
	"testing"

	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/wire"
)

// Bob reports mallory's message with carol's escrow, to have carol banned.
func TestEscrowOfAnotherIsRefused(t *testing.T) {
	w := newWorld(t)
	mallory := newPerson(ids.MustParseAddress("mallory@alpha.example"))
	s := w.hello(t)
	victim := mustBundle(t, w, s)
	own := w.tokens(t, mallory, today, 1)[0]
	spam := w.send(t, own, mallory, w.bob, frame(1, Digest{}, "spam"))
	m := w.substantiate(t, spam.e)
	share, err := MakeShare(m.Verified, victim.Escrow(), w.bob.recipient(), w.bob.z)
	if err != nil {
		t.Fatal(err)
	}
	_, err = m.OpenEscrow(&EscrowOpening{Escrow: *victim.Escrow(), Share: *share}, w.bob.recipient(), w.b.reviewers)
	wants(t, "at the desk", err, FaultEscrow)

	// The same in a bundle, and with nothing in it.
	var b, v BundleFields
	if wire.Unmarshal(spam.bundle, &b) != nil || wire.Unmarshal(s.bundle, &v) != nil {
		t.Fatal("bundles")
	}
	check := func(b *BundleFields) error {
		_, err := CheckBundle(wire.MustMarshal(b), mallory.sender(), w.bob.recipient(), &spam.e.Audience, w.snapshot)
		return err
	}
	b.Escrow = v.Escrow
	wants(t, "at bob's", check(&b), FaultEscrow)
	// Mallory escrows another pseudonym than her own.
	ek, _ := escrowKeysOf(w.snapshot, today, 7, w.bob.recipient())
	aud := spam.e.Audience.Hash(bob)
	_, err = makeEscrow(&own.token, &aud, &ek, 7, w.alice.k, own.r)
	wants(t, "alice's k", err, group.ErrWitness)
	if _, err := makeEscrow(&own.token, &aud, &ek, 7, mallory.k, own.r); err != nil {
		t.Error(err)
	}
}

// A share without its proof, of another z, and of another message.
func TestShareNeedsItsProof(t *testing.T) {
	w := newWorld(t)
	s := w.hello(t)
	m := w.substantiate(t, s.e)
	esc := mustBundle(t, w, s).Escrow()
	share, err := MakeShare(m.Verified, esc, w.bob.recipient(), w.bob.z)
	if err != nil {
		t.Fatal(err)
	}
	open := func(sh Share, to *Recipient, x group.Scalar) error {
		_, err := m.OpenEscrow(&EscrowOpening{Escrow: *esc, Share: sh}, to, x)
		return err
	}
	if err := open(*share, w.bob.recipient(), w.b.reviewers); err != nil {
		t.Fatal(err)
	}
	bad := *share
	bad.Proof = [possessionSize]byte{}
	wants(t, "no proof", open(bad, w.bob.recipient(), w.b.reviewers), FaultShare)
	bad = *share
	bad.Key = esc.E1
	wants(t, "another point", open(bad, w.bob.recipient(), w.b.reviewers), FaultShare)
	_, err = MakeShare(m.Verified, esc, w.bob.recipient(), w.carol.z)
	wants(t, "another z", err, FaultEscrow)
	other := w.substantiate(t, w.hello(t).e)
	foreign, err := MakeShare(other.Verified, esc, w.bob.recipient(), w.bob.z)
	if err != nil {
		t.Fatal(err)
	}
	wants(t, "of another message", open(*foreign, w.bob.recipient(), w.b.reviewers), FaultShare)
	wants(t, "another desk's key", open(*share, w.bob.recipient(), w.a.reviewers), FaultEscrow)
	wants(t, "another mailbox", open(*share, w.carol.recipient(), w.b.reviewers), FaultEscrow)
	elsewhere := w.bob.recipient()
	elsewhere.Address = carol
	wants(t, "another owner", open(*share, elsewhere, w.b.reviewers), FaultEscrow)
	// Neither side opens alone: what is left is blinded.
	g := group.Ristretto255()
	e1, _ := g.DecodeElement(esc.E1[:])
	e2, _ := g.DecodeElement(esc.E2[:])
	n := PlatformBase(beta).Mul(w.alice.k)
	if e2.Sub(e1.Mul(w.b.reviewers)).Equal(n) || e2.Sub(e1.Mul(w.bob.z)).Equal(n) {
		t.Error("one side opens alone")
	}
}

// One token and salt for a group's members at two providers would let them
// compare verdicts; one token for two audiences would link these.
func TestTokensAreForOneAudience(t *testing.T) {
	w := newWorld(t)
	purse := NewPurse(w.tokens(t, w.alice, today, 4)...)
	targets := []*Target{
		{Provider: beta, Reader: bob},
		{Provider: beta, Reader: carol},
		{Provider: beta, Group: true, ID: [32]byte{1}},
		{Provider: alpha, Group: true, ID: [32]byte{1}},
	}
	seen, salts := map[TokenHash]bool{}, map[[SaltSize]byte]bool{}
	for _, target := range targets {
		o, changed, err := purse.For(target, today)
		if err != nil || !changed {
			t.Fatal(err)
		}
		again, changed, err := purse.For(target, today)
		if err != nil || changed || again != o {
			t.Error("not the same token for the same target")
		}
		seen[o.token.Hash()], salts[o.salt] = true, true
	}
	if len(seen) != len(targets) || len(salts) != len(targets) {
		t.Error("a token or salt for two targets")
	}
	_, _, err := purse.For(&Target{Provider: beta, Reader: ids.MustParseAddress("dave@beta.example")}, today)
	wants(t, "fifth", err, ErrNoToken)
	o, _, _ := purse.For(targets[0], today)
	k := NewKey()
	_, _, err = o.Frank(k, &Digest{}, targets[1], w.carol.mailbox, ids.HourOf(noon))
	wants(t, "bob's token for carol", err, ErrAudience)
	_, err = o.FrankGroup(k, &Digest{}, targets[0], ids.HourOf(noon))
	wants(t, "one as a group", err, ErrAudience)
	_, err = MakeBundle(o, targets[0], w.alice.sender(), w.carol.recipient(), w.snapshot, w.alice.k)
	wants(t, "bundle for carol", err, ErrAudience)
}
