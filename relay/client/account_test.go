package client

import (
	"bytes"
	"errors"
	"testing"

	"waxwing/core/directory"
	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/relay/client/state"
	"waxwing/sealedsender"
)

// certificateWith is a certificate of a user's by its own provider, with another
// X_S than the manifest's.
func (u *user) certificateWith(xs [32]byte) []byte {
	u.w.t.Helper()
	m := u.box.manifest
	dev := m.Devices()[0]
	b, err := sealedsender.Issue(u.p.cert, sealedsender.CertificateFields{
		Address: u.address, Device: dev.ID, Identity: m.Identity(), DH: dev.DH, XS: xs, Expiry: ids.DayOf(u.w.now) + 13,
	})
	u.w.must(err)
	return b
}

// use makes a user send with a certificate that it would have refused.
func (u *user) use(cert []byte) {
	u.w.t.Helper()
	u.do(func(k *work) error {
		v, err := k.verifyCertificate(cert, u.address.Domain(), k.today)
		own := k.ownProfile()
		own.Cert, own.CertExpiry, own.cert = cert, v.Expiry(), v
		return err
	})
}

func randomXS() [32]byte {
	g := group.Ristretto255()
	return [32]byte(g.MulGenerator(g.RandomScalar()).Bytes())
}

func (u *user) pinned(of *user) (xs [32]byte) {
	u.w.t.Helper()
	u.do(func(k *work) error { xs = k.find(of.address).XS; return nil })
	return xs
}

// Both sides pin X_S with the first contact: from the lookup and from the first
// message.
func TestAccountKeyIsPinned(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.user("alice@alpha.example"), w.user("bob@beta.example")
	alice.add(bob.code())
	if alice.pinned(bob) != [32]byte{} {
		t.Error("pinned before anything was seen")
	}
	alice.send(bob, "hello")
	alice.lookUp()
	if alice.pinned(bob) != bob.box.manifest.XS() {
		t.Error("not pinned by the lookup")
	}
	w.settle()
	if bob.pinned(alice) != alice.box.manifest.XS() {
		t.Error("not pinned by the first message")
	}
	bob.reopen()
	if bob.pinned(alice) != alice.box.manifest.XS() {
		t.Error("the pin is not stored")
	}
}

// A certificate with another X_S than the pinned one is dropped, whatever else
// in it is right.
func TestCertificateWithAnotherAccountKey(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	mallory := w.user("mallory@alpha.example")
	for i, xs := range [][32]byte{randomXS(), mallory.box.manifest.XS()} {
		alice.use(alice.certificateWith(xs))
		bob.inject(alice.one(bob, "under another X_S"))
		if got := bob.inbox(alice); len(got) != 1 || bob.dropped(dropIdentity) != uint64(i+1) {
			t.Fatalf("shown: %q, %d dropped", got, bob.dropped(dropIdentity))
		}
	}
	bob.do(func(k *work) error {
		if c := k.find(alice.address); !c.Changed || c.XS != alice.box.manifest.XS() {
			t.Error("the contact is not marked, or its pin was replaced")
		}
		return nil
	})
	alice.use(alice.p.certificate(alice.box.manifest, 13))
	bob.inject(alice.one(bob, "as before"))
	w.advance(parkTime) // for the two that were dropped
	bob.do(func(k *work) error { _, err := k.unparkLate(); return err })
	if got := bob.inbox(alice); len(got) != 2 || got[1] != "as before" {
		t.Errorf("after that: %q", got)
	}
}

// In a first message certificate and manifest name one X_S.
func TestFirstMessageWithTwoAccountKeys(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.user("alice@alpha.example"), w.user("bob@beta.example")
	alice.add(bob.code())
	alice.use(alice.certificateWith(randomXS()))
	bob.inject(alice.one(bob, "hello"))
	if bob.dropped(dropContent) != 1 {
		t.Error("not dropped")
	}
	bob.do(func(k *work) error {
		if k.find(alice.address) != nil {
			t.Error("a contact was made of it")
		}
		return nil
	})
}

// What a contact code vouches for is the identity key; X_S is pinned only from
// what that key signed.
func TestAccountKeyIsNotPinnedFromACertificateAlone(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.user("alice@alpha.example"), w.user("bob@beta.example")
	bob.add(alice.code())
	alice.add(bob.code())
	alice.do(func(k *work) error { k.ownProfile().Profile.Manifest = nil; return nil })
	bob.inject(alice.one(bob, "no manifest"))
	if bob.dropped(dropContent) != 1 || bob.pinned(alice) != [32]byte{} {
		t.Error("pinned from a certificate")
	}
	carol := w.user("carol@alpha.example")
	bob.add(carol.code())
	carol.add(bob.code())
	bob.inject(carol.one(bob, "with it"))
	if bob.pinned(carol) != carol.box.manifest.XS() {
		t.Error("not pinned from a manifest")
	}
}

// The provider cannot give an account a certificate of another X_S.
func TestOwnCertificateWithAnotherAccountKey(t *testing.T) {
	w := newWorld(t)
	alice := w.user("alice@alpha.example")
	is(t, alice.try(func(k *work) error { return k.certified(alice.certificateWith(randomXS())) }), ErrServer)
	alice.do(func(k *work) error { return k.certified(alice.certificateWith(alice.box.manifest.XS())) })
}

// The secrets are drawn once, survive a restart, and are what manifest and
// mailbox key were made of; the same week's mailbox key is the same bytes.
func TestAccountSecrets(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.user("alice@alpha.example"), w.user("bob@beta.example")
	read := func(u *user) (s state.AccountSecrets, key *directory.MailboxKey) {
		u.do(func(k *work) (err error) {
			s = k.self.Secrets
			key, _, err = k.sealKey()
			return err
		})
		return s, key
	}
	before, first := read(alice)
	alice.reopen()
	after, second := read(alice)
	if before.K != after.K || before.W != after.W || before.Z != after.Z || after.Generation != 1 {
		t.Error("the secrets changed")
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) || !bytes.Equal(first.Bytes(), alice.box.sealKey) {
		t.Error("one week has two mailbox keys")
	}
	k, err := after.AccountKey()
	w.must(err)
	sw, sz, err := after.MailboxKeys()
	w.must(err)
	g := group.Ristretto255()
	for name, c := range map[string]struct {
		x    group.Scalar
		want [32]byte
	}{"X_S": {k, alice.box.manifest.XS()}, "W": {sw, second.W()}, "Z": {sz, second.Z()}} {
		if [32]byte(g.MulGenerator(c.x).Bytes()) != c.want {
			t.Errorf("%s is not of its secret", name)
		}
	}
	other, _ := read(bob)
	seen := map[[32]byte]bool{}
	for _, b := range [][32]byte{after.K, after.W, after.Z, other.K, other.W, other.Z} {
		if seen[b] {
			t.Error("one secret twice")
		}
		seen[b] = true
	}
	// The next week's key has the same pair, in the same generation.
	w.advance(7 * 24 * 3600e9)
	_, third := read(alice)
	if third.W() != second.W() || third.Z() != second.Z() || third.Generation() != 1 || third.Week() == second.Week() {
		t.Error("W and Z changed with the week")
	}
}

func TestSafetyNumber(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.user("alice@alpha.example"), w.user("bob@beta.example")
	carol := w.user("carol@beta.example")
	number := func(u, with *user) (n SafetyNumber, err error) {
		err = u.try(func(k *work) error { n, err = k.safetyNumber(with.address); return err })
		return n, err
	}
	if _, err := number(alice, bob); !errors.Is(err, ErrUnknownContact) {
		t.Error(err)
	}
	alice.add(bob.code())
	if _, err := number(alice, bob); !errors.Is(err, ErrKeysUnknown) {
		t.Error(err)
	}
	alice.send(bob, "hello")
	w.settle()
	w.befriend(carol, bob)
	ab, err := number(alice, bob)
	w.must(err)
	ba, err := number(bob, alice)
	w.must(err)
	cb, err := number(carol, bob)
	w.must(err)
	if ab.Own != ba.Theirs || ab.Theirs != ba.Own || ab.Bytes() != ba.Bytes() || ab.Own == ab.Theirs {
		t.Error("the two sides see different numbers")
	}
	if cb.Theirs != ab.Theirs || cb.Bytes() == ab.Bytes() {
		t.Error("bob's half is not his alone")
	}
	// It changes with identity key, X_S and address.
	id, xs := alice.box.manifest.Identity(), alice.box.manifest.XS()
	if safetyHash(alice.address, id, xs) != ab.Own {
		t.Error("not of what is pinned")
	}
	for name, h := range map[string][32]byte{
		"address":  safetyHash(carol.address, id, xs),
		"identity": safetyHash(alice.address, carol.box.manifest.Identity(), xs),
		"X_S":      safetyHash(alice.address, id, carol.box.manifest.XS()),
	} {
		if h == ab.Own {
			t.Errorf("the same with another %s", name)
		}
	}
	if err := (&engine{store: w.fresh()}).view(w.now, func(k *work) error {
		_, err := k.safetyNumber(bob.address)
		return err
	}); !errors.Is(err, ErrNotRegistered) {
		t.Error(err)
	}
}

// fresh is an empty file.
func (w *world) fresh() *state.Store {
	s, err := state.Open(w.t.(*testing.T).TempDir()+"/state", state.Options{})
	w.must(err)
	w.t.Cleanup(func() { s.Close() })
	return s
}
