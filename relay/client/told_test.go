package client

import (
	"slices"
	"testing"
	"time"

	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/wire"
	"waxwing/relay/client/state"
)

// A code that one device gave out is good while only another is connected: what
// comes under it is held, and shown when the device has told of it.
func TestCodeOfAnotherDevice(t *testing.T) {
	w, _, bob, bob2 := siblings(t)
	w.agree()
	carol := w.user("carol@alpha.example")
	carol.add(bob.code())
	carol.send(bob, "who is there")
	carol.supply()
	carol.push(true)
	bob2.pull()
	if bob2.heldCount() != 1 {
		t.Fatalf("%d held", bob2.heldCount())
	}
	bob.tick()
	bob2.reopen()
	bob2.pull()
	if bob2.heldCount() != 0 {
		t.Error("still held")
	}
	bob2.shows(carol, "who is there")
	bob.pull()
	bob.shows(carol, "who is there")
	w.nothingDropped(dropEntry)
}

func TestContactsBlocksAndVerifiedMarks(t *testing.T) {
	w, alice, bob, bob2 := siblings(t)
	carol := w.user("carol@alpha.example")
	bob.add(carol.code())
	bob.send(carol, "hello")
	w.settle()
	bob.do(func(k *work) error {
		n, err := k.safetyNumber(carol.address)
		if err != nil {
			return err
		}
		c := k.find(carol.address)
		k.dirty(c)
		d := n.digest()
		return state.Verified.Put(k.tx, state.U32(c.id), &d)
	})
	w.agree()
	bob2.do(func(k *work) error {
		c := k.find(carol.address)
		if c == nil || c.Status != state.ContactKnown || !k.verified(c) || c.Blocked {
			t.Errorf("carol at the other device: %+v", c)
		}
		return nil
	})

	bob.do(func(k *work) error { return k.block(alice.address) })
	bob.supply()
	w.agree()
	blocked := func(u *user) (is bool) {
		u.do(func(k *work) error { is = k.find(alice.address).Blocked; return nil })
		return is
	}
	if !blocked(bob2) {
		t.Fatal("the block stayed on one device")
	}
	bob2.supply()
	before := bob2.dropped(dropUsed) + bob2.dropped(dropBlocked)
	alice.send(bob, "are you there")
	for _, o := range alice.seal(true) { // the relay disposes of it; one that does not
		var e wire.Envelope
		w.must(wire.ParseEnvelope(o.bytes, &e))
		var serial uint64
		bob2.do(func(k *work) error {
			for row, err := range state.Given.Scan(k.tx, nil, nil) {
				if err == nil && row.Record.Account == alice.address {
					serial = row.Record.Serial
				}
			}
			return nil
		})
		bob2.take([]delivery{{bob2.box.next + 1, wire.MustMarshal(&wire.Delivery{
			Received: uint64(w.now.UnixMilli()), Com: *e.Com, Day: e.Day, Class: e.Class, Origin: wire.ByTicket,
			Ticket: *e.Ticket, Serial: serial, Payload: append(slices.Clone(e.Head), e.Body...),
		})}})
		bob2.box.next++
	}
	if bob2.dropped(dropUsed)+bob2.dropped(dropBlocked) == before {
		t.Error("the other device takes messages of a blocked contact")
	}
	bob2.do(func(k *work) error { return k.unblock(alice.address) })
	bob2.supply()
	w.agree()
	if blocked(bob) || blocked(bob2) {
		t.Error("unblocked on one device only")
	}
}

// The later of two choices wins, in whichever order the devices hear of them.
func TestChoicesConverge(t *testing.T) {
	w, alice, bob, bob2 := siblings(t)
	w.agree()
	w.advance(time.Second)
	bob.do(func(k *work) error { return k.block(alice.address) })
	w.advance(time.Second)
	bob2.do(func(k *work) error { return k.block(alice.address) })
	w.advance(time.Second)
	bob2.do(func(k *work) error { return k.unblock(alice.address) })
	w.agree()
	for _, u := range []*user{bob, bob2} {
		u.do(func(k *work) error {
			if k.find(alice.address).Blocked {
				t.Errorf("bob %d blocks her", u.device)
			}
			return nil
		})
	}
}

// A device that knows of no block does not take back one because something else of
// the contact changed there; and after a block both give tickets of one generation.
func TestChoicesAreNotTakenBack(t *testing.T) {
	w, alice, bob, bob2 := siblings(t)
	w.agree()
	bob.do(func(k *work) error { return k.block(alice.address) })
	w.advance(time.Hour)
	bob2.do(func(k *work) error { // a later change that is no choice
		c := k.find(alice.address)
		k.dirty(c)
		c.Mailbox[0]++
		return nil
	})
	w.agree()
	generation := make(map[*user]uint32)
	for _, u := range []*user{bob, bob2} {
		u.do(func(k *work) error {
			c := k.find(alice.address)
			if !c.Blocked {
				t.Errorf("bob %d does not block her", u.device)
			}
			generation[u] = c.Batch >> generationBits
			return nil
		})
	}
	if generation[bob] != generation[bob2] || generation[bob] == 0 {
		t.Errorf("generations %d and %d", generation[bob], generation[bob2])
	}
	bob2.do(func(k *work) error { // it strikes on its own account, too
		k.find(alice.address).Batch = 7 << generationBits
		k.dirty(k.find(alice.address))
		return nil
	})
	w.agree()
	bob.do(func(k *work) error {
		if g := k.find(alice.address).Batch >> generationBits; g != 7 {
			t.Errorf("generation %d", g)
		}
		return nil
	})
}

// A receipt for a message that the other device has not told of yet counts when it
// does.
func TestEarlyReceipt(t *testing.T) {
	w, alice, bob, bob2 := siblings(t)
	w.agree()
	bob.send(alice, "quick")
	bob.push(true)
	alice.pull()
	alice.supply()
	alice.push(true)
	bob2.pull() // the receipt
	bob2.do(func(k *work) error {
		if state.Earlies.Count(k.tx) == 0 {
			t.Error("the receipt is forgotten")
		}
		return nil
	})
	bob.tick()
	bob2.pull()
	got := bob2.history(alice)
	if got[len(got)-1] != "quick (delivered)" {
		t.Errorf("bob 2: %q", got)
	}
	w.advance((ids.MaxTicketDays + 2) * 24 * time.Hour)
	bob2.do(func(k *work) error { return k.sweepEarly() })
	bob2.do(func(k *work) error {
		if n := state.Earlies.Count(k.tx); n != 0 {
			t.Errorf("%d receipts for nothing are kept", n)
		}
		return nil
	})
}

// When a device is removed, the others get the new root and chain, and it does not.
func TestRootsAreTold(t *testing.T) {
	w, alice, bob, bob2 := siblings(t)
	bob3 := bob.link()
	w.settle()
	w.agree()
	bob.remove(bob3)
	bob.supply()
	w.agree()
	type secrets struct {
		number uint16
		root   [32]byte
		chain  [32]byte
		week   directory.Week
	}
	of := func(u *user) (s secrets) {
		u.do(func(k *work) error {
			s = secrets{k.self.Root, [32]byte(k.self.root.Bytes()), k.self.Chain, k.self.ChainWeek}
			return nil
		})
		return s
	}
	if of(bob) != of(bob2) || of(bob).number != 1 {
		t.Error("the devices have other secrets")
	}
	if of(bob3).number != 0 {
		t.Error("the removed device has them")
	}
	bob2.send(alice, "still here")
	w.settle()
	if got := alice.inbox(bob); got[len(got)-1] != "still here" {
		t.Errorf("alice: %q", got)
	}
}
