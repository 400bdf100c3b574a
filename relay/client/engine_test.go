package client

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
	"waxwing/relay/client/state"
)

func TestFirstContact(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.user("alice@alpha.example"), w.user("bob@beta.example")
	code := bob.code()
	alice.add(code)
	first := alice.send(bob, "hello")
	second := alice.send(bob, "and more")
	if n := alice.push(true); n != 1 {
		t.Fatalf("%d envelopes under one ticket", n)
	}
	if alice.classes[wire.Class16K] != 1 {
		t.Errorf("classes of a first contact: %v", alice.classes)
	}
	if s := alice.status(second); s != state.StatusWaiting {
		t.Errorf("without a ticket: %v", s)
	}
	w.settle()
	if got := bob.inbox(alice); !slices.Equal(got, []string{"hello", "and more"}) {
		t.Fatalf("shown: %q", got)
	}
	for _, id := range []MessageID{first, second} {
		if s := alice.status(id); s != state.StatusDelivered {
			t.Errorf("status %v", s)
		}
	}
	answer := bob.send(alice, "welcome")
	w.settle()
	if got := alice.inbox(bob); !slices.Equal(got, []string{"welcome"}) || bob.status(answer) != state.StatusDelivered {
		t.Errorf("answer: %q", got)
	}
	is(t, alice.try(func(k *work) error { _, err := k.add(code); return err }), ErrKnownContact)
}

func TestAddErrors(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.user("alice@alpha.example"), w.user("bob@beta.example")
	add := func(code string) error {
		return alice.try(func(k *work) error { _, err := k.add(code); return err })
	}
	is(t, add(alice.code()), ErrOwnCode)
	is(t, add("hello"), ErrBadCode)
	is(t, add(codePrefix), ErrBadCode)
	code := bob.code()
	for i := range code {
		typo := []byte(code)
		if typo[i]++; typo[i] == 'B' && code[i] == 'A' && i == len(code)-1 {
			continue
		}
		is(t, add(string(typo)), ErrBadCode)
	}
	is(t, alice.try(func(k *work) error { _, err := k.enqueue(bob.address, "x"); return err }), ErrUnknownContact)
	w.advance(8 * 24 * time.Hour)
	is(t, add(code), ErrCodeExpired)
	bob.supply()
	spaced := bob.code()
	w.must(add(" " + spaced[:50] + "\n " + spaced[50:] + "\n"))
	is(t, alice.try(func(k *work) error { _, err := k.enqueue(bob.address, ""); return err }), ErrEmpty)
	is(t, alice.try(func(k *work) error { _, err := k.enqueue(bob.address, "\xff"); return err }), ErrEmpty)
	is(t, alice.try(func(k *work) error { _, err := k.enqueue(bob.address, strings.Repeat("x", 1<<17)); return err }), ErrTooLong)
}

func TestCodeMutations(t *testing.T) {
	w := newWorld(t)
	k, err := parseCode(w.user("bob@beta.example").code())
	w.must(err)
	whole := wire.MustMarshal(k)
	for i := range whole {
		b := slices.Clone(whole)
		b[i] ^= 1
		var other contactCode
		if wire.Unmarshal(b, &other) == nil && other.text() == k.text() {
			t.Fatalf("byte %d is not in the code", i)
		}
	}
}

func FuzzCode(f *testing.F) {
	k := &contactCode{Address: ids.MustParseAddress("bob@beta.example"), Expiry: 20000}
	f.Add(k.text())
	f.Fuzz(func(t *testing.T, text string) {
		k, err := parseCode(text)
		if err == nil && k.text() != strings.Join(strings.Fields(text), "") {
			t.Error("two texts of one code")
		}
	})
}

// TestSteadyState: short messages of an established conversation are in the
// smallest class, also with receipts.
func TestSteadyState(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	clear(alice.classes)
	clear(bob.classes)
	for i := range 6 {
		alice.send(bob, fmt.Sprint("message ", i))
		alice.push(false)
		bob.pull()
	}
	if alice.classes[wire.Class1K] != 6 {
		t.Errorf("classes %v", alice.classes)
	}
	w.advance(2 * time.Second)
	if n := bob.push(false); n != 1 || bob.classes[wire.Class1K] != 1 {
		t.Errorf("six receipts in %d envelopes, %v", n, bob.classes)
	}
}

func TestFastOneWay(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	const total = 4000
	var want []string
	for i := range total {
		want = append(want, fmt.Sprint(i))
	}
	alice.do(func(k *work) error {
		for _, s := range want {
			if _, err := k.enqueue(bob.address, s); err != nil {
				return err
			}
		}
		return nil
	})
	rounds := 0
	for len(bob.inbox(alice)) < total+1 && rounds < 300 {
		alice.supply()
		bob.supply()
		alice.push(false)
		bob.pull()
		bob.push(false)
		alice.pull()
		w.advance(200 * time.Millisecond)
		rounds++
	}
	if got := bob.inbox(alice)[1:]; !slices.Equal(got, want) {
		t.Fatalf("%d of %d shown in %d rounds", len(got), total, rounds)
	}
	if rounds > 60 {
		t.Errorf("%d rounds: the supply does not keep up", rounds)
	}
	w.advance(2 * time.Second)
	w.settle()
	if n := bob.dropped(dropUsed) + bob.dropped(dropSession); n != 0 {
		t.Errorf("%d dropped", n)
	}
}

// TestBothWriteAtOnce: both use up their tickets without hearing of each other.
func TestBothWriteAtOnce(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	for i := range 100 {
		alice.send(bob, fmt.Sprint(i))
		bob.send(alice, fmt.Sprint(i))
	}
	alice.push(true)
	bob.push(true)
	if alice.tickets(bob) == 0 || bob.tickets(alice) == 0 {
		t.Fatal("no ticket was kept to bring new ones")
	}
	w.settle()
	if len(alice.inbox(bob)) != 101 || len(bob.inbox(alice)) != 101 {
		t.Errorf("%d and %d shown", len(alice.inbox(bob)), len(bob.inbox(alice)))
	}
}

func TestCrossedCodes(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.user("alice@alpha.example"), w.user("bob@beta.example")
	a, b := alice.code(), bob.code()
	alice.add(b)
	bob.add(a)
	alice.send(bob, "one")
	bob.send(alice, "two")
	alice.push(true)
	bob.push(true)
	w.settle()
	alice.send(bob, "three")
	bob.send(alice, "four")
	w.settle()
	if got := bob.inbox(alice); !slices.Equal(got, []string{"one", "three"}) {
		t.Errorf("bob: %q", got)
	}
	if got := alice.inbox(bob); !slices.Equal(got, []string{"two", "four"}) {
		t.Errorf("alice: %q", got)
	}
}

func TestBlock(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	bob.do(func(k *work) error { return k.block(alice.address) })
	if n := bob.strike(); n == 0 {
		t.Fatal("no serial was listed")
	}
	bob.do(func(k *work) error { return k.block(alice.address) }) // again: nothing
	id := alice.send(bob, "are you there")
	alice.push(true)
	if alice.status(id) != state.StatusAccepted || bob.p.disposed == 0 || len(bob.box.queue) != 0 {
		t.Error("the envelope was not disposed of silently")
	}
	is(t, bob.try(func(k *work) error { _, err := k.enqueue(alice.address, "x"); return err }), ErrBlocked)
	// What was under way before is dropped here.
	w.settle()
	if got := bob.inbox(alice); len(got) != 1 {
		t.Errorf("shown: %q", got)
	}
	bob.do(func(k *work) error { return k.unblock(alice.address) })
	if w.settle(); len(bob.box.entries) != 0 {
		t.Error("the entry is still there")
	}
	// Bob had tickets of Alice, so she got fresh ones without a code.
	if alice.tickets(bob) == 0 {
		t.Fatal("no fresh tickets")
	}
	alice.send(bob, "again")
	w.settle()
	if got := bob.inbox(alice); len(got) != 2 || got[1] != "again" {
		t.Errorf("after unblocking: %q", got)
	}
}

func TestRecontact(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	w.advance(16 * 24 * time.Hour) // all tickets are over
	alice.send(bob, "long ago")
	w.settle()
	if len(bob.inbox(alice)) != 1 {
		t.Fatal("sent without a ticket")
	}
	alice.add(bob.code())
	w.settle()
	bob.send(alice, "back")
	w.settle()
	if got := bob.inbox(alice); len(got) != 2 || got[1] != "long ago" {
		t.Errorf("after a new code: %q", got)
	}
	if got := alice.inbox(bob); len(got) != 2 {
		t.Errorf("alice: %q", got)
	}
}

// TestQuietKeepsTickets: who says nothing for long still has tickets, as long
// as both are online now and then.
func TestQuietKeepsTickets(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	for range 40 {
		w.advance(24 * time.Hour)
		w.settle()
	}
	if alice.tickets(bob) <= reserveTickets || bob.tickets(alice) <= reserveTickets {
		t.Errorf("%d and %d tickets after forty quiet days", alice.tickets(bob), bob.tickets(alice))
	}
}

// TestBorrowedTicket: mallory, a contact too, sends under a ticket of alice's.
func TestBorrowedTicket(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	mallory := w.user("mallory@alpha.example")
	w.befriend(mallory, bob)
	before := alice.tickets(bob)

	mallory.do(func(k *work) error {
		return expire(k, state.Wallets, func(*heldRow) bool { return true })
	})
	// Alice hands tickets of hers over, with keys and S.
	var loan []state.Row[*heldRow]
	alice.do(func(k *work) (err error) {
		loan, err = state.Wallets.Rows(k.tx, nil, nil, 5)
		return err
	})
	mallory.do(func(k *work) error {
		c := k.find(bob.address)
		k.dirty(c)
		c.Confirmed = [32]byte{} // or nobody could tell who it is
		for _, r := range loan {
			if err := state.Wallets.Put(k.tx, state.OfContact(c.id, r.Record.Ticket[:]), r.Record); err != nil {
				return err
			}
		}
		return nil
	})
	mallory.reopen()
	mallory.send(bob, "i am mallory")
	mallory.push(true)
	bob.pull()
	if got := bob.inbox(mallory); len(got) != 1 {
		t.Errorf("shown: %q", got)
	}
	if bob.dropped(dropBorrowed) != 1 {
		t.Error("not dropped as borrowed")
	}
	if n := bob.strike(); n != before-1 {
		t.Errorf("%d of alice's %d tickets were voided", n, before-1)
	}
	if len(bob.box.entries) != 0 {
		t.Error("voiding left a block")
	}
}

// TestBorrowedUnproven: a stranger under alice's ticket voids nothing.
func TestBorrowedUnproven(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	mallory := w.user("mallory@alpha.example")
	mallory.add(bob.code()) // looked up, never wrote
	mallory.send(bob, "hi")
	mallory.lookUp()
	var loan []state.Row[*heldRow]
	alice.do(func(k *work) (err error) {
		loan, err = state.Wallets.Rows(k.tx, nil, nil, 5)
		return err
	})
	mallory.do(func(k *work) error {
		c := k.find(bob.address)
		k.dirty(c)
		c.Confirmed = [32]byte{} // or nobody could tell who it is
		for _, r := range loan {
			if err := state.Wallets.Put(k.tx, state.OfContact(c.id, r.Record.Ticket[:]), r.Record); err != nil {
				return err
			}
		}
		return nil
	})
	mallory.reopen()
	mallory.push(true)
	bob.pull()
	if bob.dropped(dropBorrowed) != 1 || bob.strike() != 0 || len(bob.inbox(mallory)) != 0 {
		t.Errorf("dropped %d", bob.dropped(dropBorrowed))
	}
	alice.send(bob, "still here")
	w.settle()
	if got := bob.inbox(alice); len(got) != 2 {
		t.Errorf("alice: %q", got)
	}
}

// one seals a single message and returns its delivery, not yet taken.
func (u *user) one(to *user, text string) *wire.Delivery {
	u.w.t.Helper()
	u.send(to, text)
	u.push(false)
	q := to.box.queue
	var d wire.Delivery
	u.w.must(wire.Unmarshal(q[len(q)-1].bytes, &d))
	to.box.queue = q[:len(q)-1]
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
	cases := map[string]func(*wire.Delivery){
		"com":            func(d *wire.Delivery) { d.Com[3] ^= 1 },
		"day":            func(d *wire.Delivery) { d.Day-- },
		"day out":        func(d *wire.Delivery) { d.Day -= 7 },
		"received":       func(d *wire.Delivery) { d.Received += 30 * 86400 * 1000 },
		"head":           func(d *wire.Delivery) { d.Payload[9] ^= 1 },
		"body":           func(d *wire.Delivery) { d.Payload[len(d.Payload)-9] ^= 1 },
		"ticket":         func(d *wire.Delivery) { d.Ticket[20] ^= 1 },
		"other's serial": func(d *wire.Delivery) { d.Serial++ },
	}
	for name, change := range cases {
		bad := *d
		bad.Payload = slices.Clone(d.Payload)
		change(&bad)
		// On a copy of the state, as a failed delivery uses up its serial.
		bob.do(func(k *work) error { return nil })
		before := bob.inbox(alice)
		err := bob.try(func(k *work) error {
			if err := k.receiveOne(wire.MustMarshal(&bad)); err != nil {
				return err
			}
			return errUndo
		})
		is(t, err, errUndo)
		if got := bob.inbox(alice); len(got) != len(before) {
			t.Errorf("%s: shown", name)
		}
		shown := false
		err = bob.try(func(k *work) error {
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

func TestCertificates(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	// A certificate that is referred to and not known: held.
	d := alice.one(bob, "by reference")
	bob.do(func(k *work) error {
		return expire(k, state.Certificates, func(*state.Known) bool { return true })
	})
	bob.reopen()
	bob.inject(d)
	if bob.heldCount() != 1 {
		t.Fatal("not held")
	}
	// A certificate that a provider without authority signed.
	w.providers[alice.p.domain].cert = keys.NewSigningKey()
	d = func() *wire.Delivery {
		alice.do(func(k *work) error {
			k.certs = nil
			v, err := sealedVerify(alice)
			own := k.ownProfile()
			own.Cert, own.CertExpiry, own.cert = v.Bytes(), v.Expiry(), v
			return err
		})
		alice.do(func(k *work) error { k.find(bob.address).Confirmed = [32]byte{}; return nil })
		return alice.one(bob, "forged certificate")
	}()
	bob.inject(d)
	if got := bob.inbox(alice); len(got) != 1 || bob.dropped(dropCertificate) != 1 {
		t.Errorf("%q, %d dropped", got, bob.dropped(dropCertificate))
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
	bob.box.signed = mallory.box.signed
	is(t, answer(), ErrServer)
	*bob.box = good
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
	bob.box.queue = nil // the relay lost it
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
	q := bob.box.queue
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
	bob.box.queue = slices.Delete(bob.box.queue, 1, 2)
	slices.Reverse(bob.box.queue)
	for i := range bob.box.queue {
		bob.box.queue[i].sequence = bob.box.next + uint64(i) + 1
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
}
