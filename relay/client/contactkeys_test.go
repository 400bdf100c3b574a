package client

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"waxwing/core/devicesync"
	"waxwing/core/directory"
	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/relay/client/state"
)

// rekeyed is a user that replaced its account key and has what it sends with again.
func (u *user) rekeyed() (former, xs [32]byte) {
	u.w.t.Helper()
	former = u.box.manifest.XS()
	if !u.replaceKey() {
		u.w.t.Fatal("refused")
	}
	u.supply()
	return former, u.box.manifest.XS()
}

// contactNow is what a user has stored of another.
func (u *user) contactNow(of ids.Address) (c state.Contact) {
	u.w.t.Helper()
	u.do(func(k *work) error { c = *k.find(of).Contact; return nil })
	return c
}

func (u *user) verify(other *user) {
	u.w.t.Helper()
	u.do(func(k *work) error {
		n, err := k.safetyNumber(other.address)
		if err != nil {
			return err
		}
		c := k.find(other.address)
		k.dirty(c)
		c.Rekeyed = 0
		d := n.digest()
		return state.Verified.Put(k.tx, state.U32(c.id), &d)
	})
}

func (u *user) isVerified(other *user) (is bool) {
	u.do(func(k *work) error { is = k.verified(k.find(other.address)); return nil })
	return is
}

// blocks reports whether the mailbox's relay disposes of what an account with an X_S
// introduces itself with, under each W.
func (u *user) blocks(xs [32]byte) (all bool) {
	u.w.t.Helper()
	all = true
	u.do(func(k *work) error {
		for g := range u.box.pairs {
			p, err := k.pseudonym(xs, g)
			if err != nil {
				return err
			}
			all = all && u.box.list.Blocks(p.NR)
		}
		return nil
	})
	return all
}

// A contact's other X_S is taken with the manifest that comes along; what was under way
// under the former one is shown, in order, and the user is told to compare again.
func TestContactFollowsAccountKey(t *testing.T) {
	for name, crash := range map[string]bool{"": false, "crash after each step": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			alice, bob := w.friends()
			step := func() {
				if crash {
					alice.reopen()
					bob.reopen()
				}
			}
			bob.verify(alice)
			alice.send(bob, "sealed before")
			late := alice.seal(true)
			step()
			former, xs := alice.rekeyed()
			step()
			alice.send(bob, "sealed after")
			for _, o := range alice.seal(true)[len(late):] { // overtakes the other one
				w.providers[o.dest].take(alice.address.Domain(), o.bytes)
			}
			bob.pull()
			step()
			if bob.pinned(alice) != xs || bob.isVerified(alice) {
				t.Error("the other X_S is not taken, or counts as compared")
			}
			c := bob.contactNow(alice.address)
			if c.Changed || c.Rekeyed != ids.DayOf(w.now) || !slices.Equal(c.Others, []state.OtherKey{{XS: former, Until: ids.DayOf(w.now) + formerDays}}) {
				t.Errorf("%+v", c.Others)
			}
			w.settle()
			bob.shows(alice, "hello", "sealed before", "sealed after")
			bob.verify(alice)
			if !bob.isVerified(alice) || bob.contactNow(alice.address).Rekeyed != 0 {
				t.Error("not compared again")
			}
			bob.send(alice, "an answer")
			w.settle()
			step()
			alice.shows(bob, "hello back", "an answer")
			w.nothingDropped()
			// The former one is over, and the provider cannot bring it back.
			w.advance(time.Duration(formerDays+1) * 24 * time.Hour)
			bob.do(func(k *work) error { return k.sweep() })
			if c := bob.contactNow(alice.address); len(c.Others) != 0 || c.XS != xs {
				t.Errorf("kept: %+v", c.Others)
			}
			bob.do(func(k *work) error {
				if k.find(alice.address).accepts(former, k.today) {
					t.Error("taken for ever")
				}
				return nil
			})
		})
	}
}

// Both sides at once.
func TestBothReplace(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	_, a := alice.rekeyed()
	_, b := bob.rekeyed()
	alice.send(bob, "one")
	bob.send(alice, "two")
	w.settle()
	if bob.pinned(alice) != a || alice.pinned(bob) != b {
		t.Error("not taken")
	}
	bob.shows(alice, "hello", "one")
	alice.shows(bob, "hello back", "two")
	w.nothingDropped()
}

// Another X_S is taken of a newer manifest alone, which the pinned identity key signed.
func TestAccountKeyIsNotTakenOtherwise(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	first := alice.box.manifest
	pin := first.XS()
	fork := alice.next(nil, func(f *directory.ManifestFields) { w.prove(alice, f) })
	_, xs := alice.rekeyed()
	alice.send(bob, "under the new one")
	w.settle()
	if bob.pinned(alice) != xs {
		t.Fatal("not taken")
	}
	beyond := alice.next(nil, func(f *directory.ManifestFields) {
		f.AddDevice(f.Devices[0].Sign, f.Devices[0].DH)
		w.prove(alice, f)
	})
	for name, m := range map[string]*directory.Manifest{
		"of the version before": first, "another of the same version": fork, "another device with it": beyond,
	} {
		bob.do(func(k *work) error {
			c := k.find(alice.address)
			newer, err := k.newer(c, m)
			if _, refused := dropped(err); newer && !refused {
				t.Errorf("%s is newer", name)
			}
			return nil
		})
	}
	alice.p.byName[alice.address].manifest = fork
	is(t, bob.try(func(k *work) error { return k.lookedUp(alice.address, alice.p.lookup(alice.address)) }), ErrServer)
	alice.p.byName[alice.address].manifest = first
	bob.do(func(k *work) error { return k.lookedUp(alice.address, alice.p.lookup(alice.address)) })
	if got := bob.pinned(alice); got != xs || got == pin {
		t.Error("taken back")
	}
	// Certificates of both, without a manifest that says so, and of neither.
	alice.box.manifest = alice.manifest()
	alice.use(alice.certificateWith(randomXS()))
	bob.inject(alice.one(bob, "under a made up one"))
	if bob.dropped(dropIdentity) != 1 || !bob.contactNow(alice.address).Changed || bob.pinned(alice) != xs {
		t.Error("taken from a certificate")
	}
}

// prove puts another X_S into a manifest.
func (w *world) prove(u *user, f *directory.ManifestFields) {
	w.t.Helper()
	identity := u.box.manifest.Identity()
	key, err := directory.ProveAccountKey(group.Ristretto255().RandomScalar(), u.address, identity)
	w.must(err)
	f.AccountKey = key
}

// A lookup finds it, too.
func TestLookupFindsAccountKey(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	_, xs := alice.rekeyed()
	bob.do(func(k *work) error { return k.lookedUp(alice.address, alice.p.lookup(alice.address)) })
	if bob.pinned(alice) != xs || bob.contactNow(alice.address).Rekeyed == 0 {
		t.Error("not taken")
	}
	alice.send(bob, "hello again")
	w.settle()
	bob.shows(alice, "hello", "hello again")
	w.nothingDropped()
}

// The other devices learn of it from each other, in whatever order, and what an older
// one still tells changes nothing.
func TestDevicesAgreeOnAccountKey(t *testing.T) {
	w, alice, bob, bob2 := siblings(t)
	var behind *devicesync.Contact
	bob2.do(func(k *work) (err error) { behind, _, err = k.contactItem(k.find(alice.address)); return err })
	former, xs := alice.rekeyed()
	bob.do(func(k *work) error { return k.lookedUp(alice.address, alice.p.lookup(alice.address)) })
	w.agree()
	if bob2.pinned(alice) != xs || bob2.contactNow(alice.address).Rekeyed == 0 {
		t.Error("not told")
	}
	bob2.do(func(k *work) error { i := *behind; return k.apply(&i) })
	if c := bob2.contactNow(alice.address); c.XS != xs || len(c.Others) != 1 || c.Others[0].XS != former {
		t.Errorf("taken back: %+v", c.Others)
	}
	made := *behind
	made.XS = randomXS()
	bob2.do(func(k *work) error { return k.apply(&made) })
	if bob2.pinned(alice) != xs {
		t.Error("taken without a manifest")
	}
	alice.send(bob, "to both")
	w.settle()
	for _, u := range []*user{bob, bob2} {
		if got := u.inbox(alice); got[len(got)-1] != "to both" {
			t.Errorf("%q", got)
		}
	}
	w.nothingDropped()
	e, err := w.restored(bob.written(false), makeDevice())
	w.must(err)
	v := &user{w: w, e: e}
	if c := v.contactNow(alice.address); c.XS != xs || !slices.Equal(c.Others, bob.contactNow(alice.address).Others) {
		t.Errorf("archived: %+v", c.Others)
	}
}

// Who is blocked stays so under another X_S: its first introduction under that is
// dropped by the client, which has the next one disposed of at the relay. Unblocked, it
// is let in under each.
func TestBlockOutlivesAccountKey(t *testing.T) {
	for name, crash := range map[string]bool{"": false, "crash after each step": true} {
		t.Run(name, func(t *testing.T) {
			w, carol, bob := strangers(t)
			step := func() {
				if crash {
					bob.reopen()
				}
			}
			carol.send(bob, "hello")
			w.settle()
			bob.block(carol.address)
			step()
			bob.strike()
			former, xs := carol.rekeyed()
			attempt := func() {
				carol.credit(bob.p)
				carol.send(bob, "once more")
				carol.insist(bob)
				carol.push(true)
				bob.pull()
				step()
			}
			attempt()
			if d := bob.p.door(); d.blocked != 0 || bob.dropped(dropBlocked) != 1 {
				t.Fatalf("%d disposed of, %d dropped", d.blocked, bob.dropped(dropBlocked))
			}
			bob.strike()
			step()
			attempt()
			if d := bob.p.door(); d.blocked != 1 || d.refused != 0 || bob.dropped(dropBlocked) != 1 || len(bob.requests()) != 0 {
				t.Errorf("%d disposed of, %d refused, %d dropped", d.blocked, d.refused, bob.dropped(dropBlocked))
			}
			if !bob.blocks(former) || !bob.blocks(xs) || len(bob.box.entries) != 2 {
				t.Errorf("%d entries", len(bob.box.entries))
			}
			// Under another W as well.
			if !bob.rotate() {
				t.Fatal("refused")
			}
			bob.supply()
			if !bob.blocks(former) || !bob.blocks(xs) {
				t.Error("unblocked by another W")
			}
			bob.do(func(k *work) error { return k.unblock(carol.address) })
			step()
			bob.strike()
			if bob.blocks(former) || bob.blocks(xs) || len(bob.box.entries) != 0 || len(bob.contactNow(carol.address).Others) != 0 {
				t.Errorf("%d entries left", len(bob.box.entries))
			}
		})
	}
}

// Of an account that was replaced before it is blocked, both X_S are.
func TestBlockCoversFormerAccountKey(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	former, xs := alice.rekeyed()
	alice.send(bob, "under the new one")
	w.settle()
	bob.block(alice.address)
	bob.strike()
	if !bob.blocks(former) || !bob.blocks(xs) || len(bob.box.entries) != 2 {
		t.Errorf("%d entries", len(bob.box.entries))
	}
	again := bob.written(false)
	e, err := w.restored(again, makeDevice())
	w.must(err)
	v := &user{w: w, e: e, p: bob.p, box: bob.box}
	v.do(func(k *work) error {
		k.ownProfile().Registered = true
		return k.unblock(alice.address)
	})
	v.strike()
	if len(bob.box.entries) != 0 {
		t.Error("a restored device does not know all entries")
	}
}

// Every device of the account makes the same entries, and one that only hears of the
// block has them, too.
func TestDevicesMakeTheSameEntries(t *testing.T) {
	w, _, bob, bob2 := siblings(t)
	carol := w.user("carol@alpha.example")
	carol.credit(bob.p)
	carol.do(func(k *work) error { return k.addAddress(bob.address, "") })
	carol.send(bob, "hello")
	w.settle()
	bob.block(carol.address)
	w.agree()
	_, xs := carol.rekeyed()
	carol.credit(bob.p)
	carol.send(bob, "once more")
	carol.insist(bob)
	carol.push(true)
	w.settle()
	w.agree()
	if n := len(bob.box.entries); n != 2 || !bob.blocks(xs) {
		t.Errorf("%d entries", n)
	}
	a, b := bob.contactNow(carol.address), bob2.contactNow(carol.address)
	if !a.Blocked || !b.Blocked || a.Entry != b.Entry || !slices.Equal(a.Others, b.Others) {
		t.Errorf("%+v and %+v", a.Others, b.Others)
	}
	bob2.do(func(k *work) error { return k.unblock(carol.address) })
	w.settle()
	w.agree()
	if len(bob.box.entries) != 0 || bob.contactNow(carol.address).Blocked {
		t.Errorf("%d entries left", len(bob.box.entries))
	}
}

// However many X_S a blocked account is vouched for, the list stays short.
func TestOtherKeysAreBounded(t *testing.T) {
	w, carol, bob := strangers(t)
	carol.send(bob, "hello")
	w.settle()
	bob.block(carol.address)
	for i := range 3 * devicesync.MaxOtherKeys {
		bob.do(func(k *work) error {
			c := k.find(carol.address)
			if i%2 == 0 {
				return k.rekey(c, randomXS())
			}
			xs := randomXS()
			if err := k.addOther(c, state.OtherKey{XS: xs}); err != nil {
				return err
			}
			return k.enter(c, xs)
		})
		bob.strike()
	}
	c := bob.contactNow(carol.address)
	if len(c.Others) != devicesync.MaxOtherKeys || len(bob.box.entries) != 1+devicesync.MaxOtherKeys {
		t.Errorf("%d kept, %d entries", len(c.Others), len(bob.box.entries))
	}
	for _, o := range c.Others {
		if !bob.blocks(o.XS) {
			t.Error("an entry is missing")
		}
	}
	if e := entryOf(c.Entry, c.XS); fmt.Sprintf("%x", e) == fmt.Sprintf("%x", c.Entry) || e == entryOf([16]byte{1}, c.XS) {
		t.Error("entries tell of each other")
	}
}

// An X_S that is found out while introductions come under two W is blocked under both.
func TestReblockUnderBothW(t *testing.T) {
	w, carol, bob := strangers(t)
	carol.send(bob, "hello")
	w.settle()
	bob.block(carol.address)
	bob.strike()
	if !bob.rotate() {
		t.Fatal("refused")
	}
	_, xs := carol.rekeyed()
	carol.credit(bob.p)
	carol.send(bob, "once more")
	carol.insist(bob)
	carol.push(true)
	bob.pull()
	if bob.strike(); len(bob.box.pairs) != 2 || !bob.blocks(xs) {
		t.Errorf("of %d W one lets it in", len(bob.box.pairs))
	}
}
