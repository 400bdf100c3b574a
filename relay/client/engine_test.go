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

func FuzzDoorCode(f *testing.F) {
	f.Add(doorCode(keys.NewSecret()))
	f.Fuzz(func(t *testing.T, text string) {
		secret, err := parseDoorCode(text)
		if err != nil {
			return
		}
		s, err := keys.SecretFrom(secret[:])
		if err != nil || doorCode(s) != strings.Join(strings.Fields(text), "") {
			t.Error("two texts of one code", err)
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
	w.advance((1 + receiptSpread) * time.Second)
	if n := bob.push(false); n != 1 || bob.classes[wire.Class1K] != 1 {
		t.Errorf("six receipts in %d envelopes, %v", n, bob.classes)
	}
}

func TestFastOneWay(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	const total = 2500
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
	w.advance((1 + receiptSpread) * time.Second)
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
	if alice.status(id) != state.StatusAccepted || bob.p.disposed == 0 || len(bob.queue) != 0 {
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
// as both are online now and then: their stamps go alone before it is too late.
func TestQuietKeepsTickets(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	for range 40 {
		w.day()
	}
	w.nothingDropped()
	if alice.tickets(bob) <= reserveTickets || bob.tickets(alice) <= reserveTickets {
		t.Errorf("%d and %d tickets after forty quiet days", alice.tickets(bob), bob.tickets(alice))
	}
}
