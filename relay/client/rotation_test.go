package client

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"waxwing/core/devicesync"
	"waxwing/core/directory"
	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/wire"
	"waxwing/ratelimit"
	"waxwing/relay/client/state"
)

// rotate does what a rotation does on a connection. False says that another device's
// key was there first.
func (u *user) rotate() bool {
	u.w.t.Helper()
	u.do(func(k *work) error { return k.beginRotation() })
	return u.goOn()
}

// goOn is rotate from where it stands.
func (u *user) goOn() bool {
	u.w.t.Helper()
	u.strike()
	var key *directory.MailboxKey
	u.do(func(k *work) (err error) { key, err = k.draftKey(); return err })
	if key == nil {
		return true
	}
	if u.box.publish(key) {
		u.do(func(k *work) error { return k.published(key.Generation()) })
		return true
	}
	overtaken := false
	u.do(func(k *work) (err error) { overtaken, err = k.overtaken(key, u.box.sealKey); return err })
	return !overtaken
}

func (u *user) inUse() (g uint32, w [32]byte) {
	u.do(func(k *work) error { g, w = k.self.Secrets.Generation, k.self.Secrets.W; return nil })
	return g, w
}

func (u *user) known() (all []uint32) {
	u.do(func(k *work) (err error) { all, err = k.generations(); return err })
	return all
}

func (u *user) block(a ids.Address) { u.do(func(k *work) error { return k.block(a) }) }

// Who is blocked before, in the middle of or after a rotation, known or never seen, is
// disposed of at the relay under either W; who is unblocked is let in under both.
func TestRotationKeepsBlocks(t *testing.T) {
	for name, crash := range map[string]bool{"": false, "crash after each step": true} {
		t.Run(name, func(t *testing.T) {
			w, _, bob := strangers(t)
			step := func() {
				if crash {
					bob.reopen()
				}
			}
			people := map[string]*user{}
			for _, name := range []string{"before", "middle", "after", "never"} {
				u := w.user(name + "@alpha.example")
				u.credit(bob.p)
				u.do(func(k *work) error { return k.addAddress(bob.address, "") })
				people[name] = u
				if name != "never" {
					u.send(bob, "hello")
				}
			}
			w.settle()
			block := func(name string) {
				bob.block(people[name].address)
				bob.lookUp()
			}
			block("before")
			bob.strike()
			step()
			bob.do(func(k *work) error { return k.beginRotation() })
			step()
			block("middle") // after the next generation was drawn, before the provider was told
			bob.strike()
			step()
			block("never")
			var key *directory.MailboxKey
			bob.do(func(k *work) (err error) { key, err = k.draftKey(); return err })
			bob.strike()
			if !bob.box.publish(key) {
				t.Fatal("refused")
			}
			step() // the answer is lost
			if !bob.goOn() {
				t.Fatal("the own key is another's")
			}
			step()
			block("after")
			bob.supply()
			if g, _ := bob.inUse(); g != 2 || !slices.Equal(bob.known(), []uint32{2, 1}) {
				t.Fatalf("in use %d, known %v", g, bob.known())
			}
			tries := 0
			attempt := func(name string, old bool) {
				u := people[name]
				u.send(bob, "once more")
				u.insist(bob)
				if !old { // it looks bob up anew
					u.do(func(k *work) error {
						k.takeMailboxKey(k.find(bob.address), bob.box.sealKey, bob.manifest().Identity())
						return nil
					})
				}
				for _, o := range u.seal(true) {
					u.w.providers[o.dest].take(u.address.Domain(), o.bytes)
					u.do(func(k *work) error { return k.accepted([]uint64{o.number}) })
				}
				tries++
			}
			for _, old := range []bool{true, false} {
				for name := range people {
					attempt(name, old)
				}
			}
			if got := bob.p.door(); got.blocked != tries || got.refused != 0 {
				t.Errorf("%d of %d disposed of, %d refused", got.blocked, tries, got.refused)
			}
			bob.do(func(k *work) error { return k.unblock(people["before"].address) })
			bob.supply()
			shown := bob.p.door().blocked
			attempt("before", false)
			bob.pull()
			if bob.p.door().blocked != shown || bob.dropped(dropPseudonym) != 0 || len(bob.requests()) == 0 {
				t.Error("blocked under the new W after it was unblocked")
			}
		})
	}
}

// What the relay is told for who is blocked is what its pseudonym becomes by the
// change of W.
func TestRenewalsAreRemapped(t *testing.T) {
	w, carol, bob := strangers(t)
	carol.send(bob, "hello")
	w.settle()
	bob.block(carol.address)
	bob.do(func(k *work) error { return k.beginRotation() })
	bob.do(func(k *work) error {
		before, err := k.pseudonym(k.find(carol.address).XS, 1)
		w.must(err)
		old, err := k.pair(1)
		w.must(err)
		next, err := k.pair(2)
		w.must(err)
		from, _, err := old.Scalars()
		w.must(err)
		to, _, err := next.Scalars()
		w.must(err)
		nr, err := group.Ristretto255().DecodeElement(before.NR[:])
		w.must(err)
		want, err := ratelimit.Remap(from, to, nr)
		w.must(err)
		all, err := k.renewals(2)
		w.must(err)
		m := all[0].(*wire.BlockPseudonyms)
		if len(all) != 1 || m.Generation != 2 || len(m.Renewals) != 1 || !bytes.Equal(m.Renewals[0].NR[:], want.Bytes()) {
			t.Errorf("%+v", all)
		}
		return nil
	})
}

// An introduction and a token bundle that were made for the former W and Z are good
// until nothing can come under them; then the secrets are gone.
func TestFormerMailboxKeys(t *testing.T) {
	w, carol, bob := strangers(t)
	carol.send(bob, "for the first W")
	out := carol.seal(true) // introduction and bundle of generation 1
	if !bob.rotate() {
		t.Fatal("refused")
	}
	for _, o := range out {
		w.providers[o.dest].take(carol.address.Domain(), o.bytes)
		carol.do(func(k *work) error { return k.accepted([]uint64{o.number}) })
	}
	w.settle()
	if len(bob.requests()) != 1 {
		t.Fatal("not taken")
	}
	bob.do(func(k *work) error { return k.accept(k.find(carol.address)) })
	bob.send(carol, "hello")
	w.settle()
	carol.do(func(k *work) error {
		to, err := k.recipientOf(k.find(bob.address))
		if err != nil || to.Generation != 2 {
			t.Errorf("carol frankes for generation %d, %v", to.Generation, err)
		}
		return nil
	})
	var later *LaterError
	if err := bob.try(func(k *work) error { return k.beginRotation() }); !errors.As(err, &later) || later.At != (lastUnder(ids.DayOf(w.now))+1).Start() {
		t.Errorf("a third generation: %v", err)
	}
	w.now = later.At.Add(-time.Second)
	bob.do(func(k *work) error { return k.sweep() })
	if !slices.Equal(bob.known(), []uint32{2, 1}) {
		t.Errorf("erased early: %v", bob.known())
	}
	w.now = later.At
	bob.do(func(k *work) error { return k.sweep() })
	if !slices.Equal(bob.known(), []uint32{2}) {
		t.Errorf("kept: %v", bob.known())
	}
	if !bob.rotate() {
		t.Error("the next rotation is refused")
	}
	w.nothingDropped()
}

// A contact that heard nothing of a rotation until the former secrets are gone asks
// for the key anew before it writes.
func TestOldMailboxKeyIsNotUsed(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	if !bob.rotate() {
		t.Fatal("refused")
	}
	w.now = w.now.Add((directory.MailboxKeyDays + 20) * 24 * time.Hour)
	alice.do(func(k *work) error {
		c := k.find(bob.address)
		if !k.needsPair(c) {
			t.Error("still in use")
		}
		f, err := k.franker(c, k.today)
		if f != nil || err != nil {
			t.Errorf("franked for a key that is over: %v", err)
		}
		return nil
	})
}

// Two devices that rotate at once end with one pair: that which the provider took.
// Blocks of either hold.
func TestTwoDevicesRotate(t *testing.T) {
	w, alice, bob, bob2 := siblings(t)
	carol, dave := w.user("carol@alpha.example"), w.user("dave@alpha.example")
	for u, by := range map[*user]*user{carol: bob, dave: bob2} {
		u.credit(bob.p)
		u.do(func(k *work) error { return k.addAddress(bob.address, "") })
		by.block(u.address)
		by.lookUp()
		by.strike()
	}
	bob.do(func(k *work) error { return k.beginRotation() })
	bob2.do(func(k *work) error { return k.beginRotation() })
	bob2.strike()
	if !bob.goOn() || bob2.goOn() {
		t.Fatal("not the first one was taken")
	}
	w.agree()
	w.settle()
	g, pair := bob.inUse()
	if g2, pair2 := bob2.inUse(); g != 2 || g2 != g || pair2 != pair || bob2.box.pairs[2] != bob.box.bigW(t, 2) {
		t.Fatalf("generations %d and %d", g, g2)
	}
	if r := bob2.rotationNow(); r != (state.Rotation{}) {
		t.Errorf("left: %+v", r)
	}
	for _, u := range []*user{carol, dave} {
		u.send(bob, "hello")
		u.push(true)
	}
	if d := bob.p.door(); d.blocked != 2 || d.refused != 0 {
		t.Errorf("%d disposed of, %d refused", d.blocked, d.refused)
	}
	alice.send(bob, "to both")
	w.settle()
	for _, u := range []*user{bob, bob2} {
		if got := u.inbox(alice); got[len(got)-1] != "to both" {
			t.Errorf("%q", got)
		}
	}
	if strings.Contains(fmt.Sprintf("%+v", &devicesync.MailboxKeys{Generation: 77, W: pair}), fmt.Sprint(pair[0], " ", pair[1])) {
		t.Error("prints a secret")
	}
}

func (u *user) rotationNow() (r state.Rotation) {
	u.do(func(k *work) error {
		p, err := k.rotation()
		if err == nil {
			r = *p
		}
		return err
	})
	return r
}

// An introduction under a W that this device was not told of waits for the other
// device's word.
func TestIntroductionBeforeTheOtherDevicesWord(t *testing.T) {
	w, _, bob, bob2 := siblings(t)
	if !bob.rotate() {
		t.Fatal("refused")
	}
	carol := w.user("carol@alpha.example")
	carol.credit(bob.p)
	carol.do(func(k *work) error { return k.addAddress(bob.address, "") })
	carol.send(bob, "hello")
	carol.push(true)
	bob.pull()
	bob2.pull()
	if bob2.heldCount() != 1 || len(bob2.requests()) != 0 || len(bob.requests()) != 1 {
		t.Fatalf("%d held, %v", bob2.heldCount(), bob2.requests())
	}
	bob2.reopen()
	w.agree()
	if bob2.heldCount() != 0 || len(bob2.requests()) != 1 {
		t.Errorf("%d held, %v", bob2.heldCount(), bob2.requests())
	}
	w.nothingDropped()
}

// A device that drew and published, and is gone for good before it told, is overcome
// by the next generation.
func TestRotationOfALostDevice(t *testing.T) {
	_, _, bob, bob2 := siblings(t)
	bob2.do(func(k *work) error { return k.beginRotation() })
	var key *directory.MailboxKey
	bob2.do(func(k *work) (err error) { key, err = k.draftKey(); return err })
	if !bob2.box.publish(key) {
		t.Fatal("refused")
	}
	if bob.rotate() {
		t.Fatal("two keys of one generation")
	}
	if r := bob.rotationNow(); r.Ahead != 2 || r.Draft != 0 || r.Watched == 0 {
		t.Fatalf("%+v", r)
	}
	bob.reopen()
	if g, _ := bob.inUse(); !bob.rotate() || g != 1 {
		t.Fatal("refused")
	}
	if g, _ := bob.inUse(); g != 3 || bob.rotationNow() != (state.Rotation{}) {
		t.Errorf("generation %d, %+v", g, bob.rotationNow())
	}
}

// A removed device is told nothing of what the rotation draws that its removal asks
// for, and the rotation waits until the generation before is over.
func TestRemovalRotates(t *testing.T) {
	w, _, bob, bob2 := siblings(t)
	if bob.rotate(); !slices.Equal(bob.known(), []uint32{2, 1}) {
		t.Fatal(bob.known())
	}
	w.agree()
	m, err := bob.without(bob2.device)
	w.must(err)
	bob.do(func(k *work) error { k.ownProfile().Removing = bob2.device; return nil })
	w.must(bob.learn(m))
	bob.box.manifest = m
	due := func() (due bool) {
		bob.do(func(k *work) (err error) { due, err = k.rotationDue(); return err })
		return due
	}
	if r := bob.rotationNow(); !r.Removed || due() {
		t.Fatalf("%+v, due: %v", r, due())
	}
	bob.reopen()
	w.now = (lastUnder(ids.DayOf(w.now)) + 1).Start()
	bob.do(func(k *work) error { return k.sweep() })
	if !due() || !bob.rotate() || due() {
		t.Fatal("not rotated")
	}
	if g, _ := bob.inUse(); g != 3 || bob.queued() != 0 {
		t.Errorf("generation %d, told %d", g, bob.queued())
	}
	bob2.pull()
	if g, _ := bob2.inUse(); g != 2 {
		t.Error("the removed device knows the generation after it")
	}
}

// What another device tells of generations makes the same of every order and number
// of times.
func TestMailboxKeysConverge(t *testing.T) {
	bob := newWorld(t).user("bob@beta.example")
	day := ids.DayOf(bob.w.now)
	item := func(g uint32, until ids.Day) *devicesync.MailboxKeys {
		k := state.DrawMailboxKeys()
		return &devicesync.MailboxKeys{Generation: g, W: k.W, Z: k.Z, Until: until}
	}
	a, b := item(4, 0), item(4, 0)
	if bytes.Compare(a.W[:], b.W[:]) > 0 {
		a, b = b, a
	}
	former := item(3, day+3)
	over := item(2, day-1)
	all := []*devicesync.MailboxKeys{a, b, former, over, item(1, 0)}
	for range 20 {
		order := bob.w.r.Perm(2 * len(all))
		u := bob.w.user(fmt.Sprintf("bob%d@beta.example", bob.w.r.Uint64()))
		for _, i := range order {
			k := *all[i%len(all)]
			u.do(func(w *work) error { return w.apply(&k) })
		}
		u.reopen()
		if g, w := u.inUse(); g != 4 || w != a.W {
			t.Fatalf("order %v: generation %d", order, g)
		}
		if known := u.known(); slices.Contains(known, 2) {
			t.Fatalf("a generation that is over: %v", known)
		}
	}
}

// Of the generations that can still be used each goes into an archive; the next, which
// is being published, does not.
func TestArchiveHasFormerMailboxKeys(t *testing.T) {
	w := newWorld(t)
	_, bob := w.friends()
	bob.rotate()
	bob.do(func(k *work) error {
		pair := state.DrawMailboxKeys()
		return errors.Join(state.MailboxPairs.Put(k.tx, state.U32(uint32(3)), &pair), k.putRotation(&state.Rotation{Draft: 3}))
	})
	var out bytes.Buffer
	bob.do(func(k *work) error {
		return errors.Join(k.prepareArchive(), k.writeArchive(&out, k.self.manifest, false))
	})
	s, err := state.Open(t.TempDir()+"/state", state.Options{})
	w.must(err)
	e := &engine{store: s, delay: time.Second}
	t.Cleanup(func() { s.Close() })
	d := makeDevice()
	w.must(s.Update(func(tx *state.Tx) error { return restore(tx, &out, d, ids.DayOf(w.now), "127.0.0.1:1") }))
	u := &user{w: w, e: e}
	if got := u.known(); !slices.Equal(got, []uint32{2, 1}) {
		t.Errorf("%v", got)
	}
	if _, mine := bob.inUse(); func() [32]byte { _, w := u.inUse(); return w }() != mine {
		t.Error("another W")
	}
}
