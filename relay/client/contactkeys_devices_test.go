package client

import (
	"errors"
	"slices"
	"testing"
	"time"

	"waxwing/core/devicesync"
	"waxwing/core/directory"
	"waxwing/core/wire"
	"waxwing/ratelimit/ticket"
	"waxwing/relay/client/state"
)

// At one device the message that brings the manifest is held, as its ticket is one that the
// other device gave out and has not told of yet. The other device confirms the manifest, so
// the next message comes without: it waits, too.
func TestManifestIsHeldOnOneDevice(t *testing.T) {
	w, alice, bob, bob2 := siblings(t)
	alice.rekeyed()
	alice.send(bob, "one")
	alice.push(true)
	var d wire.Delivery
	w.must(wire.Unmarshal(bob2.queue[0].bytes, &d))
	var row ticket.Given
	bob2.do(func(k *work) error {
		row, _ = k.pool.Owner(d.Serial)
		k.pool.Use(d.Serial)
		k.pool.Forget(d.Serial)
		return state.Given.Delete(k.tx, state.U64(d.Serial))
	})
	bob2.pull()
	bob.pull()
	bob.supply()
	bob.send(alice, "answer")
	bob.push(true)
	alice.pull()
	alice.supply()
	alice.send(bob, "two")
	alice.push(true)
	bob2.pull()
	if bob2.heldCount() != 2 {
		t.Errorf("%d held", bob2.heldCount())
	}
	bob2.reopen()
	bob2.do(func(k *work) error {
		return errors.Join(k.learnGiven([]ticket.Given{row}), k.release(false))
	})
	w.settle()
	w.agree()
	if c := bob2.contactNow(alice.address); c.Changed || bob2.dropped(dropIdentity) != 0 || c.XS != alice.box.manifest.XS() {
		t.Error("taken for another identity")
	}
	if got := bob2.inbox(alice); !slices.Equal(got, []string{"one", "two"}) {
		t.Errorf("shown %q", got)
	}
}

// What was compared on one device is not asked for on the other.
func TestComparedOnOneDevice(t *testing.T) {
	w, alice, bob, bob2 := siblings(t)
	alice.rekeyed()
	alice.send(bob, "one")
	w.settle()
	w.agree()
	if bob2.contactNow(alice.address).Rekeyed == 0 {
		t.Fatal("not told")
	}
	w.advance(time.Second)
	bob.verify(alice)
	w.agree()
	if !bob2.isVerified(alice) || bob2.contactNow(alice.address).Rekeyed != 0 {
		t.Error("the other device asks for a comparison that was made")
	}
}

// A former X_S does not come back, also by a newer manifest.
func TestFormerAccountKeyDoesNotComeBack(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	first := alice.box.manifest.Next().AccountKey
	former, xs := alice.rekeyed()
	alice.send(bob, "under the new one")
	w.settle()
	back := alice.next(nil, func(f *directory.ManifestFields) { f.AccountKey = first })
	bob.do(func(k *work) error {
		newer, err := k.newer(k.find(alice.address), back)
		if _, refused := dropped(err); newer || !refused {
			t.Errorf("newer: %v, %v", newer, err)
		}
		return nil
	})
	if got := bob.pinned(alice); got != xs || got == former {
		t.Error("taken back")
	}
}

// Where the requests to the provider have no room for the entry of another X_S, what the
// other device tells of the contact is taken as a whole or not at all: the manifests after
// it are taken, too.
func TestRekeyedWithoutRoom(t *testing.T) {
	w, alice, bob, bob2 := siblings(t)
	w.agree()
	bob.block(alice.address)
	bob.strike()
	alice.rekeyed()
	var told *devicesync.Contact
	bob2.do(func(k *work) (err error) {
		if err := k.lookedUp(alice.address, alice.p.lookup(alice.address)); err != nil {
			return err
		}
		told, _, err = k.contactItem(k.find(alice.address))
		return err
	})
	bob.do(func(k *work) error {
		for n := state.Strikes.Count(k.tx); n < state.MaxStrikes; n++ {
			if err := k.ask(&state.Strike{Kind: state.StrikeUnblock}); err != nil {
				return err
			}
		}
		return k.apply(told)
	})
	bob.reopen()
	next := alice.next(nil, func(*directory.ManifestFields) {})
	bob.do(func(k *work) error {
		c := k.find(alice.address)
		b, err := state.Manifests.Get(k.tx, state.U32(c.id))
		if err != nil {
			return err
		}
		if m, err := directory.ParseManifest(b.Bytes); err != nil || uint32(m.Version()) != c.Version || m.XS() != c.XS {
			t.Errorf("version %d is known, and of the manifest that is stored is %d: %v", c.Version, m.Version(), err)
		}
		newer, err := k.newer(c, next)
		if !newer || err != nil {
			t.Errorf("the next manifest: %v, %v", newer, err)
		}
		return nil
	})
}
