package client

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"waxwing/core/content"
	"waxwing/core/ids"
	"waxwing/core/wire"
	"waxwing/franking"
	"waxwing/relay/client/state"
)

// forgetBundles has a user lose all bundles of contacts.
func (u *user) forgetBundles() {
	u.w.t.Helper()
	forget(u, state.Bundles)
	u.reopen()
}

// last returns the last texts that a user was shown of another.
func (u *user) last(from *user, n int) []string {
	u.w.t.Helper()
	got := u.inbox(from)
	return got[max(0, len(got)-n):]
}

// digestOf returns d of a message that was shown, in hex, zero if none was.
func (u *user) digestOf(from *user, text string) (d franking.Digest) {
	u.w.t.Helper()
	u.do(func(k *work) error {
		for row, err := range state.Log.Scan(k.tx, nil, nil) {
			if err != nil {
				return err
			}
			o, err := k.opened(state.Position(state.ParseU64(row.Key)), row.Record)
			if err == nil && o.From() == from.address && o.Text() == text {
				d = o.Digest()
			}
		}
		return nil
	})
	return d
}

// What names a bundle that is not here is held, over a restart too, and asked for;
// when the bundle comes, all is shown, in order and once.
func TestHeldUntilItsBundleComes(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	w.chat(alice, bob, 1)
	bob.forgetBundles()
	for _, text := range []string{"one", "two", "three"} {
		alice.send(bob, text)
		w.settle()
	}
	bob.reopen()
	if bob.heldCount() != 3 || countOf(bob, state.Wants) != 1 || slices.Contains(bob.inbox(alice), "one") {
		t.Fatalf("%d held, %d wanted, shown %q", bob.heldCount(), countOf(bob, state.Wants), bob.inbox(alice))
	}
	bob.send(alice, "did you write?") // asks for it
	w.settle()
	alice.wantClass(bob, "four", wire.Class4K) // brings it
	if got := bob.last(alice, 4); !slices.Equal(got, []string{"one", "two", "three", "four"}) {
		t.Errorf("%q", got)
	}
	if bob.heldCount() != 0 || countOf(bob, state.Wants) != 0 {
		t.Errorf("%d held, %d wanted", bob.heldCount(), countOf(bob, state.Wants))
	}
	alice.wantClass(bob, "five", wire.Class1K)
	if got := bob.last(alice, 1); got[0] != "five" {
		t.Errorf("%q", got)
	}
	w.nothingDropped()
}

// A bundle of a day that is over comes in pieces, and what was held for it is shown.
func TestHeldOverNight(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	w.dayByDay = true
	w.evening()
	w.chat(alice, bob, 1)
	bob.forgetBundles()
	alice.send(bob, "good night")
	w.settle()
	if bob.heldCount() != 1 {
		t.Fatalf("%d held", bob.heldCount())
	}
	w.nextMorning()
	w.settle()
	alice.send(bob, "good morning")
	w.settle()
	if bob.heldCount() != 1 {
		t.Fatalf("%d held", bob.heldCount())
	}
	for i := 0; bob.heldCount() > 0; i++ {
		if i == 20 {
			t.Fatal("never shown")
		}
		w.chat(bob, alice, 1)
	}
	if !slices.Contains(bob.inbox(alice), "good night") || countOf(bob, state.Wants) != 0 {
		t.Errorf("%q, %d wanted", bob.inbox(alice), countOf(bob, state.Wants))
	}
	w.chat(bob, alice, 2)
	var a *state.Ahead
	alice.do(func(k *work) (err error) {
		a, err = state.Aheads.Get(k.tx, state.U32(k.find(bob.address).id))
		return err
	})
	if o := alice.offerOf(bob, a.Epoch); !a.Wanted || !confirmed(o, 1) || a.Rounds >= maxAheadRounds {
		t.Errorf("wanted %v, %d rounds, confirmed %v", a.Wanted, a.Rounds, confirmed(o, 1))
	}
	w.nothingDropped()
}

// What is held for a bundle that never comes goes after D days. The message, sent again
// under another token and with the same d, is shown once.
func TestHeldTooLong(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	w.chat(alice, bob, 1)
	bob.forgetBundles()
	id := alice.send(bob, "patience")
	alice.push(false)
	bob.pull()
	var d franking.Digest
	alice.do(func(k *work) error {
		m, err := state.Log.Get(k.tx, state.U64(id))
		d = m.D
		return err
	})
	w.advance(ids.MaxDelay * 24 * time.Hour)
	bob.do(func(k *work) error { return k.sweep() })
	if bob.heldCount() != 1 {
		t.Errorf("%d held on the last day", bob.heldCount())
	}
	w.advance(24 * time.Hour)
	bob.do(func(k *work) error { return k.sweep() })
	if bob.heldCount() != 0 || bob.dropped(dropExpired) != 1 || countOf(bob, state.Wants) != 0 {
		t.Errorf("%d held, %d expired, %d wanted", bob.heldCount(), bob.dropped(dropExpired), countOf(bob, state.Wants))
	}
	if slices.Contains(bob.inbox(alice), "patience") {
		t.Error("shown without its bundle")
	}
	w.settle()
	n := 0
	for _, text := range bob.inbox(alice) {
		if text == "patience" {
			n++
		}
	}
	if n != 1 || bob.digestOf(alice, "patience") != d || alice.status(id) != state.StatusDelivered {
		t.Errorf("shown %d times, %v", n, alice.status(id))
	}
	w.nothingDropped(dropExpired)
}

// A question that nobody can answer, or that asks for what is not there, changes
// nothing; another device's confirmation stays.
func TestQuestionsForBundles(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	w.evening()
	w.chat(alice, bob, 3)
	alice.do(func(k *work) error {
		c := k.find(bob.address)
		today, err := state.Offers.Get(k.tx, offerKey(c, k.today))
		w.must(err)
		ahead, err := state.Offers.Get(k.tx, offerKey(c, k.today+1))
		w.must(err)
		for name, ref := range map[string][32]byte{"unknown": {1}, "tomorrow's": ahead.Ref} {
			w.must(k.repeat(c, 1, ref))
			after, err := state.Offers.Get(k.tx, offerKey(c, k.today+1))
			w.must(err)
			if !slices.Equal(after.Confirmed, ahead.Confirmed) {
				t.Errorf("%s: confirmations changed", name)
			}
		}
		w.must(k.repeat(c, 2, today.Ref))
		after, err := state.Offers.Get(k.tx, offerKey(c, k.today))
		w.must(err)
		if !slices.Equal(after.Confirmed, today.Confirmed) || len(after.Confirmed) != 1 {
			t.Error("another device's confirmation went")
		}
		w.must(k.repeat(c, 1, today.Ref))
		after, err = state.Offers.Get(k.tx, offerKey(c, k.today))
		w.must(err)
		if len(after.Confirmed) != 0 {
			t.Error("still confirmed by who asked for it")
		}
		a, err := state.Aheads.Get(k.tx, state.U32(c.id))
		if err == nil && a.Wanted {
			t.Error("today's goes in pieces")
		}
		return nil
	})
}

// The sender's clock is a day ahead or behind, and set right later; so is the
// recipient's. All is shown.
func TestBundlesAndClockSteps(t *testing.T) {
	const day = 24 * time.Hour
	for name, steps := range map[string][]struct{ alice, bob time.Duration }{
		"sender ahead":             {{day, 0}, {0, 0}},
		"sender behind":            {{-day, 0}, {0, 0}},
		"recipient ahead":          {{0, day}, {0, 0}},
		"recipient behind":         {{0, -day}, {0, 0}},
		"sender steps on and back": {{0, 0}, {day, 0}, {0, 0}, {day, 0}},
		"sender steps back and on": {{0, 0}, {-day, 0}, {0, 0}},
		"recipient steps":          {{0, 0}, {0, day}, {0, -day}, {0, 0}},
		"apart, either way":        {{-day, 0}, {0, -day}, {0, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			alice, bob := w.friends()
			w.evening()
			w.chat(alice, bob, 2)
			var want []string
			say := func(text string) {
				want = append(want, text)
				alice.send(bob, text)
				w.settle()
				bob.send(alice, "yes: "+text)
				w.settle()
			}
			for i, s := range steps {
				alice.skew, bob.skew = s.alice, s.bob
				say(fmt.Sprintf("step %d", i))
			}
			alice.skew, bob.skew = 0, 0
			w.nextMorning()
			w.settle()
			say("the next day")
			w.advance(day)
			w.settle()
			say("and the one after")
			if got := bob.last(alice, len(want)); !slices.Equal(got, want) {
				t.Errorf("%q", got)
			}
			if got := alice.last(bob, 1); got[0] != "yes: and the one after" {
				t.Errorf("%q", got)
			}
			w.nothingDropped()
		})
	}
}

// Both sides are closed and opened, or fail half-way, after each step of a bundle's
// way: offered, sent, received, confirmed, named.
func TestBundleAheadAfterEveryCrash(t *testing.T) {
	for _, fails := range []bool{false, true} {
		w := newWorld(t)
		alice, bob := w.friends()
		w.evening()
		crash := func(u *user) {
			if fails {
				is(t, u.try(func(k *work) error {
					if _, err := k.pump(batchSize, true); err != nil {
						return err
					}
					if err := k.receive(u.queue); err != nil {
						return err
					}
					return errUndo
				}), errUndo)
			}
			u.reopen()
		}
		step := func(u *user, f func()) { f(); crash(u) }
		for i := range 3 {
			for _, p := range [][2]*user{{alice, bob}, {bob, alice}} {
				from, to := p[0], p[1]
				step(from, func() { from.send(to, roomy(i)) })
				crash(from)
				var rows []outgoing
				step(from, func() { rows = from.seal(true) })
				again := from.seal(true)
				for i := range rows {
					if string(rows[i].bytes) != string(again[i].bytes) {
						t.Fatal("sealed anew")
					}
				}
				step(from, func() { from.push(true) })
				queue := slices.Clone(to.queue)
				crash(to)
				step(to, to.pull)
				to.queue = queue // the ack was lost
				step(to, to.pull)
			}
		}
		w.settle()
		w.chat(alice, bob, 1)
		if !confirmed(alice.tomorrowsOffer(bob), 1) || !confirmed(bob.tomorrowsOffer(alice), 1) {
			t.Errorf("fails %v: not confirmed", fails)
		}
		w.nextMorning()
		w.settle()
		for _, u := range w.users {
			u.reopen()
		}
		alice.wantClass(bob, "morning", wire.Class1K)
		if got := bob.last(alice, 1); got[0] != "morning" {
			t.Errorf("%q", got)
		}
		w.nothingDropped()
	}
}

// Each device of the recipient gathers and confirms for itself, and each of the sender
// has bundles of its own. Until the last device confirmed, messages bring it whole.
func TestBundleAheadForTwoDevices(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	alice2, bob2 := alice.link(), bob.link()
	w.settle()
	all := []*user{alice, alice2, bob, bob2}
	round := func(users ...*user) {
		for _, u := range users {
			to := bob
			if u.address == bob.address {
				to = alice
			}
			u.send(to, roomy(int(u.device)))
			w.settle()
		}
	}
	round(all...)
	w.evening()
	for range 3 {
		round(all...)
	}
	for _, u := range []*user{alice, alice2} {
		if o := u.tomorrowsOffer(bob); !confirmed(o, 2) || !bob.hasBundle(alice, o.Ref) || !bob2.hasBundle(alice, o.Ref) {
			t.Fatalf("alice %d: not confirmed by both", u.device)
		}
	}
	if alice.tomorrowsOffer(bob).Ref == alice2.tomorrowsOffer(bob).Ref {
		t.Error("two devices offer one bundle")
	}
	w.nextMorning()
	w.settle()
	alice.wantClass(bob, "from the old one", wire.Class1K)
	alice2.wantClass(bob, "from the new one", wire.Class1K)
	for _, u := range []*user{bob, bob2} {
		if got := u.last(alice, 2); !slices.Equal(got, []string{"from the old one", "from the new one"}) {
			t.Errorf("bob %d: %q", u.device, got)
		}
	}
	// One device of bob's is off until the day after.
	w.evening()
	w.users = slices.DeleteFunc(w.users, func(u *user) bool { return u == bob2 })
	for range 3 {
		round(alice, bob)
	}
	o := alice.tomorrowsOffer(bob)
	if confirmed(o, 2) || !bob.hasBundle(alice, o.Ref) || bob2.hasBundle(alice, o.Ref) {
		t.Error("confirmed by a device that is off")
	}
	w.nextMorning()
	w.users = append(w.users, bob2)
	alice.wantClass(bob, "whole for both", wire.Class4K)
	w.settle()
	for _, u := range []*user{bob, bob2} {
		if got := u.last(alice, 1); got[0] != "whole for both" {
			t.Errorf("bob %d: %q", u.device, got)
		}
	}
	w.nothingDropped(dropEntry)
}

// Pieces of two devices of one sender are gathered apart, and a newer bundle of one
// takes the place of what came of the older.
func TestPiecesAreApart(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	w.evening()
	forget(bob, state.Pieces)
	good := alice.wholeOf(bob)
	half := func(p *content.Piece) *content.Piece {
		return content.Cut(p.ID, p.Bytes, 0, len(p.Bytes)/2)
	}
	rest := func(p *content.Piece) *content.Piece {
		return content.Cut(p.ID, p.Bytes, uint8(content.Units(len(half(p).Bytes))), len(p.Bytes))
	}
	other := pieceOf([franking.SaltSize]byte{1}, good.Bytes[franking.SaltSize+1:])
	before := bob.padding()
	alice.bring(bob, half(good))
	alice.bring(bob, half(other)) // replaces what came
	alice.bring(bob, rest(good))
	if got := bob.padding(); got != [3]int{before[0], before[1], 1} {
		t.Errorf("mixed: %v became %v", before, got)
	}
	alice.bring(bob, half(good))
	if got := bob.padding(); got != [3]int{before[0] + 1, before[1] + 1, 0} {
		t.Errorf("not taken: %v became %v", before, got)
	}
	// Nobody goes on with it.
	alice.bring(bob, half(other))
	w.advance(48 * time.Hour)
	bob.do(func(k *work) error { return k.sweep() })
	if got := countOf(bob, state.Pieces); got != 0 {
		t.Errorf("%d gathered after two days", got)
	}
}

// One contact that names bundles which are not there takes a part of the room only:
// beyond it, its messages are dropped without voiding anything, and others' are held.
func TestHeldOfOneContact(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	carol := w.user("carol@alpha.example")
	w.befriend(carol, bob)
	w.chat(alice, bob, 1)
	w.chat(carol, bob, 1)
	bob.forgetBundles()
	bob.do(func(k *work) error {
		k.touched = true
		for i := range maxHeldOf - 1 { // under two references
			ok, err := k.want(k.find(alice.address), [32]byte{1, byte(i % 2)}, k.today+1)
			if !ok || err != nil {
				t.Fatalf("%d: %v, %v", i, ok, err)
			}
		}
		return nil
	})
	for i, u := range []*user{alice, alice, carol} {
		u.send(bob, fmt.Sprintf("message %d", i))
		u.push(false)
		bob.pull()
	}
	if n, held := bob.dropped(dropHeldFull), bob.heldCount(); n != 1 || held != 2 {
		t.Errorf("%d dropped, %d held", n, held)
	}
	bob.reopen()
	bob.send(alice, "did you write?")
	bob.send(carol, "and you?")
	w.settle()
	alice.send(bob, "yes")
	carol.send(bob, "yes")
	w.settle()
	if got := bob.inbox(alice); !slices.Contains(got, "message 0") || slices.Contains(got, "message 1") {
		t.Errorf("%q", got)
	}
	if got := bob.inbox(carol); !slices.Contains(got, "message 2") {
		t.Errorf("%q", got)
	}
	w.advance((ids.MaxDelay + 1) * 24 * time.Hour) // sent again
	w.settle()
	if got := bob.inbox(alice); !slices.Contains(got, "message 1") {
		t.Errorf("%q", got)
	}
}
