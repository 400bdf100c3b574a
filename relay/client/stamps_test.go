package client

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"waxwing/core/ids"
	"waxwing/core/wire"
	"waxwing/ratelimit"
	"waxwing/ratelimit/introduction"
	"waxwing/relay/client/state"
)

// The tickets of who gets no stamps any more end: those given before a stamp of its
// last week counts no longer, with what they last. Then nothing arrives. Once it has
// a credential again it introduces itself, and all that waited arrives.
func TestBanEndsTickets(t *testing.T) {
	w, alice, bob := standing(t)
	for range 10 {
		w.day()
	}
	last, late := 0, 0
	const within = 7 + ids.MaxDelay + ids.MaxTicketDays
	sent := 0
	for n := range within + 10 {
		w.day(alice)
		before := len(bob.inbox(alice))
		for range 3 {
			alice.send(bob, fmt.Sprint("banned ", sent))
			sent++
		}
		bob.send(alice, "still here")
		w.settle()
		switch got := len(bob.inbox(alice)) - before; {
		case n > within:
			late += got
		case got > 0:
			last = n
		}
	}
	// Bob goes on writing, and so lends two tickets.
	if last < 2 || late > lentTickets {
		t.Errorf("the last message arrived on day %d, and %d later", last, late)
	}
	if n := len(bob.inbox(alice)); n >= 1+sent {
		t.Fatalf("%d of %d arrived", n, sent)
	}
	w.day()
	w.advance(introduceAfter)
	for range 3 {
		w.day()
	}
	if n := len(bob.inbox(alice)); n != 1+sent {
		t.Errorf("%d of %d arrived after the ban", n, sent)
	}
}

// Useless stamps, which nobody can tell from others, are no reason for a refusal,
// and do not stop who can introduce itself.
func TestUselessStamps(t *testing.T) {
	w, alice, bob := standing(t)
	bob.p.door().useless = func(ids.MailboxID) bool { return true }
	for n := range 24 {
		w.day()
		for i := range 5 {
			alice.send(bob, fmt.Sprint(n, " ", i))
		}
		w.settle()
	}
	w.advance(introduceAfter)
	for range 2 {
		w.day()
	}
	if got, want := len(bob.inbox(alice)), 1+120; got != want {
		t.Errorf("%d of %d arrived", got, want)
	}
	w.nothingDropped()
}

// What is no stamp, another's, or one of another week is ignored: the message that
// brings it arrives.
func TestFalseStamps(t *testing.T) {
	w, alice, bob := standing(t)
	key := introduction.StandingKey(bob.p.door().stand, bob.box.id)
	var nr, other [32]byte
	bob.do(func(k *work) error {
		p, err := k.pseudonymOf(k.find(alice.address))
		nr = p.NR
		return err
	})
	other[0] = 1
	for w.week() == ratelimit.WeekOf(20513) { // the grace of the first week is over
		w.advance(24 * time.Hour)
	}
	w.settle()
	this := w.week()
	for name, c := range map[string]struct {
		stamp [introduction.StampSize]byte
		want  uint32
	}{
		"bytes":             {[32]byte{1}, 0},
		"another pseudonym": {introduction.Stamp(key, other, this), 0},
		"another mailbox":   {introduction.Stamp(introduction.StandingKey(bob.p.door().stand, alice.box.id), nr, this), 0},
		"of next week":      {introduction.Stamp(key, nr, this+1), 0},
		"of two weeks ago":  {introduction.Stamp(key, nr, this-2), 0},
		"of last week":      {introduction.Stamp(key, nr, this-1), uint32(this)},
		"of this week":      {introduction.Stamp(key, nr, this), uint32(this) + 1},
	} {
		bob.do(func(k *work) error {
			k.dirty(k.find(alice.address))
			k.find(alice.address).Standing = 0
			return nil
		})
		alice.do(func(k *work) error {
			return state.Stamps.Put(k.tx, state.U32(k.find(bob.address).id), &state.Stamp{Week: this, Has: true, Stamp: c.stamp})
		})
		alice.send(bob, name)
		w.settle()
		if got := bob.inbox(alice); got[len(got)-1] != name {
			t.Fatalf("%s: did not arrive", name)
		}
		if got := bob.stands(alice); got != c.want {
			t.Errorf("%s: in standing for %d, not %d", name, got, c.want)
		}
	}
	w.nothingDropped()
}

// Whom the user lets in is given tickets once, whenever that is, and for that week;
// whom it lets in again as well.
func TestGrace(t *testing.T) {
	w, alice, bob := standing(t)
	in := func() (in bool) {
		bob.do(func(k *work) error { in = k.inStanding(k.find(alice.address)); return nil })
		return in
	}
	at := func(day ids.Day) { // of the week after
		w.now = (ids.Day(ratelimit.WeekOf(20513)+1)*7 + day).Start().Add(time.Hour)
	}
	for day, want := range []bool{true, true, true, true, true, false, false, false} {
		if at(ids.Day(day)); in() != want {
			t.Errorf("day %d of the week after: %v", day, !want)
		}
	}
	bob.do(func(k *work) error { return errors.Join(k.block(alice.address), k.unblock(alice.address)) })
	if !in() {
		t.Error("after an unblock")
	}
	at(60)
	if !in() {
		t.Error("it was given nothing yet")
	}
	bob.do(func(k *work) error { k.find(alice.address).Fresh = false; return nil })
	if in() {
		t.Error("long after")
	}
	bob.do(func(k *work) error { // from a clock that was ahead
		k.find(alice.address).Standing = uint32(w.week()) + 9
		return nil
	})
	if in() {
		t.Error("in weeks to come")
	}
	bob.do(func(k *work) error { k.stood(k.find(alice.address), w.week()); return nil })
	if !in() {
		t.Error("a clock that was ahead keeps a stamp out")
	}
	bob.do(func(k *work) error {
		k.find(alice.address).Standing = 0
		return k.entered(&wire.Session{Mailbox: bob.box.id})
	})
	if !in() {
		t.Error("the provider gives no stamps")
	}
}

// An introduction is proof for the week of its day.
func TestIntroductionStands(t *testing.T) {
	w, carol, bob := strangers(t)
	carol.send(bob, "hello")
	w.settle()
	if got := bob.stands(carol); got != uint32(w.week())+1 {
		t.Errorf("in standing for %d", got)
	}
	if bob.contact(carol).Fresh {
		t.Error("a request is let in by itself")
	}
	bob.do(func(k *work) error { return k.accept(k.find(carol.address)) })
	if !bob.contact(carol).Fresh {
		t.Error("not after it was accepted")
	}
}

// Who writes to somebody after a long silence, without tickets, can be answered at
// once: with two tickets, not more.
func TestLongSilence(t *testing.T) {
	w, alice, bob := standing(t)
	w.advance(30 * 24 * time.Hour)
	alice.supply()
	bob.supply()
	alice.credit(bob.p)
	id := alice.send(bob, "long ago")
	w.advance(introduceAfter)
	alice.push(true)
	bob.pull()
	if n := bob.tickets(alice); n != lentTickets || alice.classes[wire.ClassIntroduction] != 1 {
		t.Fatalf("%d tickets came, %v", n, alice.classes)
	}
	if in := func() (in bool) {
		alice.do(func(k *work) error { in = k.inStanding(k.find(bob.address)); return nil })
		return in
	}; in() {
		t.Fatal("bob proved nothing")
	}
	bob.send(alice, "indeed")
	w.settle()
	if alice.status(id) != state.StatusDelivered || len(alice.inbox(bob)) != 2 {
		t.Errorf("%v, %q", alice.status(id), alice.inbox(bob))
	}
	if n := alice.tickets(bob); n < 8 {
		t.Errorf("bob gave %d", n)
	}
}

// A stamp takes room that would be padding, and is left out where there is none: it
// makes no message larger, and is no reason for one as long as there are tickets.
func TestStampsTakeNoRoom(t *testing.T) {
	w, alice, bob := standing(t)
	alice.send(bob, "until everything is confirmed")
	w.settle()
	seal := func(n int, stamp bool) (class wire.Class, told bool) {
		is(t, alice.try(func(k *work) error {
			c := k.find(bob.address)
			row := &state.Stamp{Week: w.week(), Has: stamp, Stamp: [32]byte{1}}
			if err := state.Stamps.Put(k.tx, state.U32(c.id), row); err != nil {
				return err
			}
			if n > 0 {
				if _, err := k.enqueue(bob.address, strings.Repeat("x", n)); err != nil {
					return err
				}
			}
			if _, err := k.pump(batchSize, true); err != nil {
				return err
			}
			rows, err := k.outbox(0, state.MaxOutbox)
			if err != nil || n == 0 && len(rows) > 0 || n > 0 && len(rows) != 1 {
				t.Fatalf("%d bytes: %d envelopes, %v", n, len(rows), err)
			}
			if n > 0 {
				var e wire.Envelope
				w.must(wire.ParseEnvelope(rows[0].bytes, &e))
				class = e.Class
			}
			if row, err = k.stampOf(c); err == nil {
				told = row.Told
			}
			return errors.Join(err, errUndo)
		}), errUndo)
		return class, told
	}
	with, without := 0, 0
	for n := 0; n < 1500; n += 11 {
		plain, _ := seal(n, false)
		class, told := seal(n, true)
		if class != plain {
			t.Fatalf("%d bytes: class %v, not %v", n, class, plain)
		}
		if told {
			with++
		} else if n > 0 {
			without++
		}
	}
	if with == 0 || without == 0 || without > with/4 {
		t.Errorf("%d messages with a stamp, %d without", with, without)
	}
}

// A stamp that was asked for under the former W counts as long as that is kept; who
// learns of the new one asks for another.
func TestStampOfFormerW(t *testing.T) {
	w, alice, bob := standing(t)
	alice.finish(alice.after(t))
	if !bob.rotate() {
		t.Fatal("not replaced")
	}
	id := alice.send(bob, "under the former")
	alice.push(true)
	bob.pull()
	if bob.stands(alice) != uint32(w.week())+1 {
		t.Fatal("the stamp of the former W is not taken")
	}
	bob.send(alice, "under the new one")
	w.settle()
	if alice.status(id) != state.StatusDelivered {
		t.Fatal("no receipt")
	}
	alice.do(func(k *work) error {
		k.takeMailboxKey(k.find(bob.address), bob.box.sealKey, k.find(bob.address).Identity)
		return nil
	})
	w.advance(standingRetry)
	alice.credit(bob.p)
	a := alice.begin()
	if a == nil || a.generation != 2 {
		t.Fatalf("%+v", a)
	}
	alice.finish(a)
	bob.do(func(k *work) error {
		k.dirty(k.find(alice.address))
		k.find(alice.address).Standing = 0
		return nil
	})
	alice.send(bob, "and its stamp")
	w.settle()
	if bob.stands(alice) != uint32(w.week())+1 {
		t.Error("the stamp of the new W is not taken")
	}
}
