package client

import (
	"slices"
	"testing"

	"waxwing/core/ids"
	"waxwing/franking"
	"waxwing/relay/client/state"
	"waxwing/relay/reports"
)

// evidenceOf is what the newest message of a user is reported with.
func (u *user) evidenceOf(from *user, text string) (e *franking.Evidence) {
	u.w.t.Helper()
	u.do(func(k *work) error {
		for row, err := range state.Log.Backward(k.tx, nil) {
			if err != nil {
				return err
			}
			pos := state.Position(state.ParseU64(row.Key))
			if o, err := k.opened(pos, row.Record); err == nil && o.Text() == text && o.From() == from.address {
				e, err = k.evidence(pos)
				return err
			}
		}
		u.w.t.Fatalf("no message %q", text)
		return nil
	})
	return e
}

// Whatever is shown can be reported: what a client keeps of a message passes the
// desk's checks, first messages and later ones, whichever device shows them.
func TestShownCanBeReported(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	for _, text := range []string{"one", "two", "three"} {
		alice.send(bob, text)
		w.settle()
	}
	p := bob.p
	own := &franking.Ownership{Account: bob.address, Mailbox: bob.box.id}
	for _, text := range []string{"hello", "one", "two", "three"} {
		e := bob.evidenceOf(alice, text)
		d, err := franking.CheckDelivery(e, bob.address, own, p.stamps, w.now)
		w.must(err)
		_, err = d.Verify(p.bureau.history[alice.address.Domain()], reports.FrameOf)
		w.must(err)
	}
	// Not by anybody else, and not changed.
	e := bob.evidenceOf(alice, "two")
	if _, err := franking.CheckDelivery(e, alice.address, own, p.stamps, w.now); err == nil {
		t.Error("reported by somebody else")
	}
	e.Frame = bob.evidenceOf(alice, "one").Frame
	d, err := franking.CheckDelivery(e, bob.address, own, p.stamps, w.now)
	w.must(err)
	if _, err := d.Verify(p.bureau.history[alice.address.Domain()], reports.FrameOf); err == nil {
		t.Error("another text is proven")
	}
}

// A bundle comes whole until it is confirmed, then by its reference; anew on the
// next day, and for a new device.
func TestBundlesAreConfirmed(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	byReference := func() (ref bool) {
		alice.do(func(k *work) error {
			c := k.find(bob.address)
			m := &state.Message{Frame: []byte{1}}
			d, err := k.draft(c, m)
			if err != nil || d == nil {
				t.Fatalf("no draft: %v", err)
			}
			ref = d.byReference()
			return nil
		})
		return ref
	}
	if !byReference() {
		t.Error("confirmed, and still whole")
	}
	w.advance(24 * 3600 * 1e9)
	alice.supply()
	bob.supply()
	if byReference() {
		t.Error("the next day's by reference at once")
	}
	alice.send(bob, "one")
	w.settle()
	bob.send(alice, "two")
	w.settle()
	if !byReference() {
		t.Error("the next day's never confirmed")
	}
	// Bob loses it: what refers to it is held, not shown.
	bob.do(func(k *work) error {
		k.touched = true
		return expire(k, state.Bundles, func(*state.Bundle) bool { return true })
	})
	alice.send(bob, "three")
	w.settle()
	if got := bob.inbox(alice); slices.Contains(got, "three") || bob.heldCount() != 1 {
		t.Errorf("shown %q, %d held", got, bob.heldCount())
	}
}

// What could not be reported is not shown.
func TestUnprovenIsNotShown(t *testing.T) {
	for name, change := range map[string]func(d *draft){
		"no bundle": func(d *draft) { d.frank.offer.Bundle, d.frank.offer.Manifest = nil, 0 },
		"a bundle with a bit of it changed": func(d *draft) {
			b := slices.Clone(d.frank.offer.Bundle)
			b[len(b)/2] ^= 1
			d.frank.offer.Bundle, d.frank.offer.Manifest = b, 0
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			alice, bob := w.friends()
			id := alice.send(bob, "from nobody")
			alice.sendChanged(bob, id, change, nil)
			bob.pull()
			if got := bob.inbox(alice); slices.Contains(got, "from nobody") || bob.dropped(dropUnproven) != 1 {
				t.Errorf("shown %q, %d dropped", got, bob.dropped(dropUnproven))
			}
		})
	}
}

// sendChanged seals a message that is written, with something of it changed before
// its control part is made or after, and hands it in.
func (u *user) sendChanged(to *user, id MessageID, before, after func(d *draft)) {
	u.w.t.Helper()
	var envelope []byte
	u.do(func(k *work) error {
		c := k.find(to.address)
		m, err := state.Log.Get(k.tx, state.U64(id))
		u.w.must(err)
		d, err := k.draft(c, m)
		u.w.must(err)
		if before != nil {
			before(d)
		}
		k.dirty(c)
		u.w.must(k.fillControl(d))
		if after != nil {
			after(d)
		}
		a, err := k.takeTicket(d)
		u.w.must(err)
		envelope, err = k.buildEnvelope(d, a)
		u.w.must(err)
		return k.sealedMessage(c, m, id)
	})
	to.p.take(u.address.Domain(), envelope)
}

// A reference finds a bundle only among its sender's: with Alice's, which Bob keeps,
// Mallory shows nothing as hers.
func TestReferenceFindsNoOthersBundle(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	mallory := w.user("mallory@alpha.example")
	w.befriend(mallory, bob)
	today := ids.DayOf(w.now)
	theirs := alice.offerOf(bob, today)
	if theirs == nil || !bob.hasBundle(alice, theirs.Ref) || bob.hasBundle(mallory, theirs.Ref) {
		t.Fatal("bob does not keep alice's bundle as hers alone")
	}
	id := mallory.send(bob, "as if from her")
	mallory.sendChanged(bob, id, func(d *draft) {
		if !d.byReference() {
			t.Fatal("mallory's own bundle is not confirmed")
		}
		d.frank.offer.Ref = theirs.Ref
	}, nil)
	bob.pull()
	if got := slices.Concat(bob.inbox(mallory), bob.inbox(alice)); slices.Contains(got, "as if from her") || bob.heldCount() != 1 {
		t.Errorf("shown %q, %d held", got, bob.heldCount())
	}
}
