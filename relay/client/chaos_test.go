package client

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"waxwing/core/ids"
)

// TestChaos has two users write to each other over a network that delays,
// repeats and reorders envelopes and loses acks, while both are closed and
// opened again between any two steps, and transactions fail half-way. The
// oracle: everything is shown exactly once and in order, no ticket admits two
// envelopes, and (which would show as a message that does not open) no ratchet
// state is used twice.
func TestChaos(t *testing.T) { chaosWith(t, func(*chaos, *user, int) {}) }

// TestChaosOfAccountKeys is TestChaos with account keys that are replaced while messages
// are under way, and crashes after any step of that.
func TestChaosOfAccountKeys(t *testing.T) {
	replaced := 0
	chaosWith(t, func(c *chaos, u *user, round int) {
		if round%25 != 10 {
			return
		}
		replaced++
		u.do(func(k *work) error { return k.drawAccountKey() })
		c.disturb(u)
		next, _ := u.keyStep()
		u.box.manifest = next
		c.disturb(u) // the answer is lost
		if _, done := u.keyStep(); !done {
			t.Fatal("not in force")
		}
		c.disturb(u)
		u.supply()
	})
	if replaced < 2 {
		t.Errorf("%d replaced", replaced)
	}
}

// chaosWith calls each after every round with one of the two.
func chaosWith(t *testing.T, each func(c *chaos, u *user, round int)) {
	w := newWorld(t)
	alice, bob := w.friends()
	c := &chaos{w: w}
	want := map[*user][]string{alice: {"hello"}, bob: {"hello back"}}
	rounds := 150
	if testing.Short() {
		rounds = 60
	}
	for i := range rounds {
		from, to := alice, bob
		if w.r.IntN(2) == 0 {
			from, to = bob, alice
		}
		for range w.r.IntN(4) {
			text := fmt.Sprintf("%s %d %d", from.address.Local(), i, len(want[from]))
			want[from] = append(want[from], text)
			from.send(to, text)
			c.disturb(from)
		}
		c.seal(from)
		c.carry()
		c.pull(to)
		if w.r.IntN(3) == 0 {
			from.supply()
			w.advance(time.Duration(w.r.IntN(1500)) * time.Millisecond)
		}
		each(c, from, i)
	}
	c.calm = true
	for range 30 { // what was kept back arrives
		for _, u := range w.users {
			c.seal(u)
			c.carry()
			c.pull(u)
		}
		w.advance(time.Second)
	}
	w.settle()
	for _, p := range [][2]*user{{alice, bob}, {bob, alice}} {
		from, to := p[0], p[1]
		got := to.inbox(from)
		slices.Sort(got)
		slices.Sort(want[from])
		if !slices.Equal(got, want[from]) {
			t.Errorf("%d of %d shown, or not once each", len(got), len(want[from]))
		}
		for r := range dropEnd {
			if n := to.dropped(r); n > 0 {
				t.Errorf("%d dropped: %v", n, r)
			}
		}
	}
}

// chaos is the network of TestChaos.
type chaos struct {
	w      *world
	flying []flight
	calm   bool
}

// flight is an envelope between two providers.
type flight struct {
	from  ids.Domain
	dest  ids.Domain
	bytes []byte
}

// disturb closes and opens a user, or has a transaction fail that did much.
func (c *chaos) disturb(u *user) {
	if c.calm {
		return
	}
	switch c.w.r.IntN(6) {
	case 0:
		u.reopen()
	case 1: // a crash before the commit
		err := u.try(func(k *work) error {
			if _, err := k.pump(batchSize, true); err != nil {
				return err
			}
			return errUndo
		})
		is(c.w.t, err, errUndo)
	case 2:
		err := u.try(func(k *work) error {
			if err := k.receive(u.queue); err != nil {
				return err
			}
			return errUndo
		})
		is(c.w.t, err, errUndo)
	}
}

// seal seals and sends; acks are lost now and then, so that envelopes are sent
// again.
func (c *chaos) seal(u *user) {
	for _, o := range u.seal(c.w.r.IntN(2) == 0) {
		u.count(o)
		c.flying = append(c.flying, flight{u.address.Domain(), o.dest, o.bytes})
		if c.calm || c.w.r.IntN(3) > 0 {
			u.do(func(k *work) error { return k.accepted([]uint64{o.number}) })
		}
		c.disturb(u)
	}
}

// carry brings some of what is under way to its provider, out of order.
func (c *chaos) carry() {
	for n := len(c.flying); n > 0; n-- {
		if !c.calm && c.w.r.IntN(4) == 0 {
			continue
		}
		i := c.w.r.IntN(min(len(c.flying), 4))
		f := c.flying[i]
		if c.calm || c.w.r.IntN(5) > 0 {
			c.flying = slices.Delete(c.flying, i, i+1)
		}
		c.w.providers[f.dest].take(f.from, f.bytes)
	}
}

// pull hands deliveries over; acks to the provider are lost now and then, so
// that they come again.
func (c *chaos) pull(u *user) {
	for len(u.queue) > 0 {
		n := 1 + c.w.r.IntN(min(len(u.queue), batchSize))
		c.disturb(u)
		u.take(u.queue[:n])
		if !c.calm && c.w.r.IntN(4) == 0 {
			c.disturb(u)
			return // the ack is lost: all of it comes again
		}
		u.queue = u.queue[n:]
	}
}

// TestEveryStep crashes a conversation after each of its transactions, one run
// for each, and compares the outcome.
func TestEveryStep(t *testing.T) {
	for crash := range 12 {
		w := newWorld(t)
		alice, bob := w.user("alice@alpha.example"), w.user("bob@beta.example")
		step := 0
		at := func(u *user) {
			if step == crash {
				u.reopen()
			}
			step++
		}
		alice.add(bob.code())
		at(alice)
		alice.send(bob, "one")
		at(alice)
		alice.lookUp()
		at(alice)
		rows := alice.seal(true)
		at(alice)
		again := alice.seal(true)
		if len(rows) != 1 || len(again) != 1 || string(rows[0].bytes) != string(again[0].bytes) {
			t.Fatalf("crash %d: sealed %d, then %d", crash, len(rows), len(again))
		}
		bob.p.take(alice.address.Domain(), rows[0].bytes)
		at(alice)
		bob.p.take(alice.address.Domain(), again[0].bytes)
		at(bob)
		queue := slices.Clone(bob.queue)
		bob.pull()
		at(bob)
		bob.queue = queue // the ack was lost
		bob.pull()
		at(bob)
		alice.do(func(k *work) error { return k.accepted([]uint64{rows[0].number}) })
		at(alice)
		bob.send(alice, "two")
		at(bob)
		bob.push(true)
		at(bob)
		alice.pull()
		at(alice)
		w.settle()
		if got := bob.inbox(alice); !slices.Equal(got, []string{"one"}) {
			t.Errorf("crash %d: bob %q", crash, got)
		}
		if got := alice.inbox(bob); !slices.Equal(got, []string{"two"}) {
			t.Errorf("crash %d: alice %q", crash, got)
		}
		alice.e.store.Close()
		bob.e.store.Close()
	}
}

// TestChaosTwoDevices is TestChaos with two devices on one side.
func TestChaosTwoDevices(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	bob2 := bob.link()
	bob.send(alice, "two")
	w.settle()
	alice.send(bob, "so be it")
	w.settle()
	c := &chaos{w: w}
	sent := map[*user][]string{}
	rounds := 40
	if testing.Short() {
		rounds = 20
	}
	for i := range rounds {
		from := w.users[w.r.IntN(3)]
		to := alice
		if from == alice {
			to = bob
		}
		for range w.r.IntN(3) {
			text := fmt.Sprintf("%s %d: %d %d", from.address.Local(), from.device, i, len(sent[from]))
			sent[from] = append(sent[from], text)
			from.send(to, text)
			c.disturb(from)
		}
		c.seal(from)
		c.carry()
		w.share()
		for _, u := range w.users {
			if u != from {
				c.pull(u)
			}
		}
		if w.r.IntN(3) == 0 {
			from.supply()
			w.advance(time.Duration(w.r.IntN(1500)) * time.Millisecond)
		}
	}
	c.calm = true
	for range 20 { // what was kept back arrives
		for _, u := range w.users {
			c.seal(u)
			c.carry()
			w.share()
			c.pull(u)
		}
		w.advance(time.Second)
	}
	w.settle()
	want := slices.Sorted(slices.Values(slices.Concat([]string{"hello back", "two"}, sent[bob], sent[bob2])))
	if got := slices.Sorted(slices.Values(alice.inbox(bob))); !slices.Equal(got, want) {
		t.Errorf("alice: %d of %d shown, or not once each", len(got), len(want))
	}
	for u, first := range map[*user][]string{bob: {"hello", "so be it"}, bob2: {"so be it"}} {
		want := slices.Sorted(slices.Values(slices.Concat(first, sent[alice])))
		if got := slices.Sorted(slices.Values(u.inbox(alice))); !slices.Equal(got, want) {
			t.Errorf("bob %d: %d of %d shown, or not once each", u.device, len(got), len(want))
		}
	}
	w.nothingDropped()
}
