package client

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"waxwing/core/ids"
	"waxwing/core/wire"
	"waxwing/relay/client/state"
)

// one seals a single message and returns its delivery, not yet taken.
func (u *user) one(to *user, text string) *wire.Delivery {
	u.w.t.Helper()
	u.send(to, text)
	u.push(false)
	q := to.queue
	var d wire.Delivery
	u.w.must(wire.Unmarshal(q[len(q)-1].bytes, &d))
	to.queue = q[:len(q)-1]
	return &d
}

// inject has a delivery taken as the next one of the mailbox.
func (u *user) inject(d *wire.Delivery) {
	u.w.t.Helper()
	u.box.push(wire.MustMarshal(d))
	u.pull()
}

// TestMutations: whatever of a delivery is changed, it is not shown, and the
// genuine one still opens afterwards.
func TestMutations(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	d := alice.one(bob, "genuine")
	other := d.Serial
	bob.do(func(k *work) error {
		for own := true; own; { // the next one may be alice's too
			other++
			row, _ := k.pool.Owner(other)
			own = row.Account == alice.address
		}
		return nil
	})
	cases := map[string]func(*wire.Delivery){
		"com":            func(d *wire.Delivery) { d.Com[3] ^= 1 },
		"day":            func(d *wire.Delivery) { d.Day-- },
		"day out":        func(d *wire.Delivery) { d.Day -= 7 },
		"received":       func(d *wire.Delivery) { d.Received += 30 * 86400 * 1000 },
		"head":           func(d *wire.Delivery) { d.Payload[9] ^= 1 },
		"body":           func(d *wire.Delivery) { d.Payload[len(d.Payload)-9] ^= 1 },
		"ticket":         func(d *wire.Delivery) { d.Ticket[20] ^= 1 },
		"other's serial": func(d *wire.Delivery) { d.Serial = other },
	}
	for name, change := range cases {
		bad := *d
		bad.Payload = slices.Clone(d.Payload)
		change(&bad)
		// Undone each time, as a failed delivery uses up its serial.
		shown := false
		err := bob.try(func(k *work) error {
			at := k.n.Position
			if err := k.receiveOne(wire.MustMarshal(&bad)); err != nil {
				return err
			}
			shown = k.n.Position != at
			return errUndo
		})
		is(t, err, errUndo)
		if shown {
			t.Errorf("%s: shown", name)
		}
	}
	// In one life of the engine: a poisoned one under the right serial leaves
	// the session as it was.
	bad := *d
	bad.Payload = slices.Clone(d.Payload)
	bad.Com[0] ^= 1
	bob.do(func(k *work) error {
		if k.open(&bad) == nil {
			t.Error("opened")
		}
		return k.open(d)
	})
	if got := bob.inbox(alice); len(got) != 2 || got[1] != "genuine" {
		t.Errorf("the genuine one: %q", got)
	}
}

func TestDuplicatesAndReplays(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.user("alice@alpha.example"), w.user("bob@beta.example")
	alice.add(bob.code())
	first := alice.one(bob, "first")
	for range 3 {
		bob.inject(first)
	}
	if got := bob.inbox(alice); len(got) != 1 {
		t.Fatalf("replayed first message: %q", got)
	}
	w.settle()
	d := alice.one(bob, "second")
	for range 3 {
		bob.inject(d)
	}
	bob.reopen()
	bob.inject(d)
	bob.inject(first)
	if got := bob.inbox(alice); len(got) != 2 || bob.dropped(dropUsed) != 6 {
		t.Errorf("%q, %d dropped", got, bob.dropped(dropUsed))
	}
	// Under another serial, as a relay could claim.
	var fresh uint64
	bob.do(func(k *work) error {
		for _, g := range k.pool.Unspent(alice.address, k.today) {
			fresh = g.Serial
		}
		return nil
	})
	d.Serial = fresh
	bob.inject(d)
	if got := bob.inbox(alice); len(got) != 2 {
		t.Errorf("%q", got)
	}
}

func TestUnknownSerialHeld(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	d := alice.one(bob, "from before a restore")
	bob.do(func(k *work) error { return state.Given.Delete(k.tx, state.U64(d.Serial)) })
	bob.reopen()
	bob.inject(d)
	if bob.heldCount() != 1 || len(bob.inbox(alice)) != 1 || bob.strike() != 0 {
		t.Errorf("%d held", bob.heldCount())
	}
	w.advance(7 * 24 * time.Hour)
	bob.supply()
	if bob.heldCount() != 0 || bob.dropped(dropExpired) != 1 {
		t.Error("not discarded after its time")
	}
}

func TestIdentityChange(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	d := alice.one(bob, "under another key")
	bob.do(func(k *work) error {
		c := k.find(alice.address)
		c.Fingerprint[0] ^= 1
		k.dirty(c)
		return nil
	})
	bob.inject(d)
	if got := bob.inbox(alice); len(got) != 1 || bob.dropped(dropIdentity) != 1 {
		t.Errorf("%q", got)
	}
	bob.do(func(k *work) error {
		if !k.find(alice.address).Changed {
			t.Error("the contact is not marked")
		}
		return nil
	})
	is(t, bob.try(func(k *work) error { _, err := k.add(alice.code()); return err }), ErrIdentityChanged)
}

func TestLookupMismatch(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.user("alice@alpha.example"), w.user("bob@beta.example")
	mallory := w.user("mallory@beta.example")
	alice.add(bob.code())
	alice.send(bob, "secret")
	alice.do(func(k *work) error { return k.described(bob.p.domain, bob.p.descriptor()) })
	answer := func() error {
		return alice.try(func(k *work) error { return k.lookedUp(bob.address, bob.p.lookup(bob.address)) })
	}
	good := *bob.box
	bob.box.manifest = mallory.box.manifest
	is(t, answer(), ErrServer)
	*bob.box = good
	bob.box.sealKey = mallory.box.sealKey
	is(t, answer(), ErrServer)
	*bob.box = good
	published := *bob.box.prekeys[1]
	bob.box.prekeys[1].signed = mallory.box.prekeys[1].signed
	is(t, answer(), ErrServer)
	*bob.box.prekeys[1] = published
	delete(bob.p.byName, bob.address)
	is(t, answer(), ErrNoAccount)
	alice.do(func(k *work) error {
		if n, err := k.pump(batchSize, true); n != 0 || err != nil {
			t.Error("something was sealed", err)
		}
		return nil
	})
	bob.p.byName[bob.address] = bob.box
	w.settle()
	if len(bob.inbox(alice)) != 1 {
		t.Error("not delivered in the end")
	}
}

// TestResend: the envelope arrived, the receipt did not: after D days the same
// message is sent again, and shows once.
func TestResend(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	id := alice.send(bob, "once")
	alice.push(false)
	bob.pull()
	bob.do(func(k *work) error { return k.dropReceipts(k.find(alice.address)) })
	lost := alice.send(bob, "lost on the way")
	alice.push(false)
	bob.queue = nil // the relay lost it
	w.advance((ids.MaxDelay + 1) * 24 * time.Hour)
	w.settle()
	if got := bob.inbox(alice); !slices.Equal(got, []string{"hello", "once", "lost on the way"}) {
		t.Errorf("%q", got)
	}
	if alice.status(id) != state.StatusDelivered || alice.status(lost) != state.StatusDelivered {
		t.Error("no receipt for what was sent again")
	}
}

func TestRefusedForGood(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	id := alice.send(bob, "x")
	rows := alice.seal(false)
	alice.do(func(k *work) error { return k.refused(rows[0].number, wire.CodeUnknownProvider) })
	if alice.status(id) != state.StatusFailed || len(alice.seal(false)) != 0 {
		t.Error("not failed")
	}
	alice.do(func(k *work) error {
		e, err := k.entry(id)
		if e.Failure != wire.CodeUnknownProvider {
			t.Error("no reason")
		}
		return err
	})
}

func TestShuffled(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	var want []string
	for i := range 10 {
		want = append(want, fmt.Sprint(i))
		alice.send(bob, want[i])
	}
	alice.push(false)
	q := bob.queue
	for i := range q {
		j := w.r.IntN(i + 1)
		q[i].bytes, q[j].bytes = q[j].bytes, q[i].bytes
	}
	bob.pull()
	if got := bob.inbox(alice)[1:]; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	// One is missing: the others are shown after a while, in order.
	w.settle()
	for i := range 6 {
		alice.send(bob, fmt.Sprint("b", i))
	}
	alice.push(false)
	missing := bob.queue[1]
	bob.queue = slices.Delete(bob.queue, 1, 2)
	slices.Reverse(bob.queue)
	for i := range bob.queue {
		bob.queue[i].sequence = bob.box.next + uint64(i) + 1
	}
	bob.box.next += 10
	bob.pull()
	if n := len(bob.inbox(alice)); n != 12 {
		t.Errorf("%d shown before the gap was given up", n)
	}
	w.advance(parkTime)
	bob.do(func(k *work) error { _, err := k.unparkLate(); return err })
	if got := bob.inbox(alice)[11:]; !slices.Equal(got, []string{"b0", "b2", "b3", "b4", "b5"}) {
		t.Errorf("%q", got)
	}
	// It comes after all, is shown and marked; what follows is not.
	bob.box.next++
	missing.sequence = bob.box.next
	bob.queue = append(bob.queue, missing)
	bob.pull()
	alice.send(bob, "b6")
	alice.push(false)
	bob.pull()
	if got := bob.inbox(alice)[16:]; !slices.Equal(got, []string{"b1", "b6"}) {
		t.Errorf("%q", got)
	}
	if late := bob.late(); !slices.Equal(late, []string{"b1"}) {
		t.Errorf("late: %q", late)
	}
}

// Where there is no room for what overtook another, it is shown at once, in order,
// and what it overtook is marked.
func TestNoRoomToWait(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	for i := range 4 {
		alice.send(bob, fmt.Sprint("b", i))
	}
	alice.push(false)
	q := bob.queue
	slices.Reverse(q) // b3, b2, b1, b0
	for i := range q {
		q[i].sequence = bob.box.next + uint64(i) + 1
	}
	bob.box.next += 10
	bob.queue = q[:1]
	bob.pull() // b3 waits
	bob.do(func(k *work) error {
		for n := state.Parked.Count(k.tx); n < state.MaxParked; n++ {
			if err := state.Parked.Put(k.tx, state.OfContact(99, state.U64(uint64(n))), &state.Message{Contact: 99, Status: state.StatusReceived, Frame: []byte{1}}); err != nil {
				return err
			}
		}
		return nil
	})
	bob.queue = q[1:]
	bob.pull() // no room for b2: b3 is shown, and b2 behind it
	bob.do(func(k *work) error {
		if n := state.Parked.Count(k.tx); n != state.MaxParked-1 {
			t.Errorf("%d wait", n)
		}
		return nil
	})
	if got := bob.inbox(alice)[1:]; !slices.Equal(got, []string{"b3", "b2", "b1", "b0"}) {
		t.Errorf("%q", got)
	}
	if late := bob.late(); !slices.Equal(late, []string{"b2", "b1", "b0"}) {
		t.Errorf("late: %q", late)
	}
}

// TestOtherMailbox: com is for another mailbox than the one that it came to.
func TestOtherMailbox(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	alice.do(func(k *work) error {
		c := k.find(bob.address)
		c.Mailbox[0] ^= 1
		k.dirty(c)
		return nil
	})
	alice.send(bob, "for another mailbox")
	alice.push(false)
	bob.pull()
	if got := bob.inbox(alice); len(got) != 1 || bob.dropped(dropCommitment) != 1 {
		t.Errorf("%q, %d dropped", got, bob.dropped(dropCommitment))
	}
}

// TestBlockedLocally: what the relay had already taken is not shown either.
func TestBlockedLocally(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	alice.send(bob, "on its way")
	alice.push(false)
	bob.do(func(k *work) error { return k.block(alice.address) })
	bob.pull()
	if got := bob.inbox(alice); len(got) != 1 || bob.dropped(dropUsed)+bob.dropped(dropBlocked) != 1 {
		t.Errorf("%q", got)
	}
	// Also under a new code, which may have come from anybody.
	alice.do(func(k *work) error { return k.emptyWallet(k.find(bob.address)) })
	alice.add(bob.code())
	alice.send(bob, "by a code")
	alice.push(false)
	bob.pull()
	if got := bob.inbox(alice); len(got) != 1 {
		t.Errorf("%q", got)
	}
}

// TestCodeSharedTwice: a code is for one account; another that uses the same
// ticket gets nothing.
func TestCodeSharedTwice(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.user("alice@alpha.example"), w.user("bob@beta.example")
	mallory := w.user("mallory@alpha.example")
	code := bob.code()
	alice.add(code)
	mallory.add(code)
	first := alice.one(bob, "first")
	bob.inject(first)
	// The relay would dispose of it; a relay that does not changes nothing.
	var e wire.Envelope
	mallory.send(bob, "second")
	second := mallory.seal(false)
	w.must(wire.ParseEnvelope(second[0].bytes, &e))
	d := *first
	d.Com, d.Payload = *e.Com, append(slices.Clone(e.Head), e.Body...)
	bob.inject(&d)
	if len(bob.inbox(mallory)) != 0 || len(bob.inbox(alice)) != 1 {
		t.Error("a code was used twice")
	}
}
