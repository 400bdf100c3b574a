package client

import (
	"maps"
	"sort"
	"strings"
	"testing"
	"time"

	"waxwing/core/content"
	"waxwing/core/wire"
	"waxwing/relay/client/state"
)

// TestAttackSizes is number 42: what has no text, and what carries a token, has
// the length of something else. A receipt is as long as a short text, and the day's
// first message with its token's bundle as long as tickets.
func TestAttackSizes(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	sizes := map[string]map[int]bool{}
	move := func(what string, from, to *user) {
		t.Helper()
		sizes[what] = map[int]bool{}
		for _, o := range from.seal(true) {
			sizes[what][len(o.bytes)] = true
		}
		if len(sizes[what]) == 0 {
			t.Fatalf("%s: nothing to send", what)
		}
		from.push(true)
		to.pull()
	}
	alice.send(bob, "x")
	move("text", alice, bob)
	move("receipt", bob, alice)
	w.settle()
	w.advance(24 * time.Hour)
	alice.supply()
	bob.supply()
	alice.send(bob, "x")
	move("text with a bundle", alice, bob)
	move("receipt and confirmation", bob, alice)
	w.settle()
	for range 40 {
		alice.send(bob, "x")
	}
	move("texts", alice, bob)
	move("receipts and tickets", bob, alice)
	for what, like := range map[string]string{
		"receipt": "text", "receipt and confirmation": "text", "texts": "text", "text with a bundle": "receipts and tickets",
	} {
		if !maps.Equal(sizes[what], sizes[like]) {
			t.Errorf("%s: %v bytes, %s: %v", what, sizes[what], like, sizes[like])
		}
	}
}

// dressed returns the class of the envelope that a user's next message would go in,
// if change has been made before.
func (u *user) dressed(to *user, n int, change func(*work, *contact)) (class wire.Class) {
	u.w.t.Helper()
	is(u.w.t, u.try(func(k *work) error {
		c := k.find(to.address)
		var m *state.Message
		if n > 0 {
			id, err := k.enqueue(to.address, strings.Repeat("a", n))
			u.w.must(err)
			m, err = state.Log.Get(k.tx, state.U64(id))
			u.w.must(err)
		}
		change(k, c)
		d, err := k.draft(c, m)
		u.w.must(err)
		if d == nil {
			u.w.t.Fatalf("nothing can be sent to %s", to.address.Local())
		}
		fill := k.fillControl
		if d.intro != nil {
			fill = k.fillIntroduction
		}
		u.w.must(fill(d))
		u.w.must(k.fillPadding(d))
		class = d.class
		return errUndo
	}), errUndo)
	return class
}

// steps returns the length of the longest text that goes in each of the first classes.
func (u *user) steps(to *user, change func(*work, *contact)) (out [4]int) {
	u.w.t.Helper()
	for i := range out {
		out[i] = sort.Search(content.MaxText, func(n int) bool {
			return u.dressed(to, n+1, change) > wire.Class(i+1)
		})
	}
	return out
}

// What a message's class depends on, and what not: relays and whoever watches see no
// more of an envelope. The table is docs/franking.md's, "Lengths".
func TestWhatLengthsDependOn(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	long := w.user(strings.Repeat("l", 40) + "@alpha.example")
	w.befriend(long, bob)
	w.evening()
	for _, u := range []*user{alice, bob, long} {
		u.supply()
	}
	w.chat(alice, bob, 4)
	w.chat(long, bob, 4)
	nothing := func(*work, *contact) {}
	owing := func(n int) func(*work, *contact) {
		return func(k *work, c *contact) {
			for i := range n {
				w.must(k.owe(c, [32]byte{9, byte(i)}))
			}
		}
	}
	steady := alice.steps(bob, nothing)
	// same wants every text in the class that it has in the steady state, or in least if
	// that is larger.
	same := func(what string, from, to *user, least wire.Class, change func(*work, *contact)) {
		t.Helper()
		for i, n := range steady {
			for more, class := range []wire.Class{wire.Class(i + 1), wire.Class(i + 2)} {
				if got := from.dressed(to, n+more, change); got != max(class, least) {
					t.Errorf("%s: %d bytes go in class %d, not %d", what, n+more, got, max(class, least))
				}
			}
		}
	}
	// Not on who writes to whom, on how often they did, or on what is told in padding.
	same("the other way", bob, alice, 0, nothing)
	same("a longer name", long, bob, 0, nothing)
	same("to that name", bob, long, 0, nothing)
	same("bundles to be confirmed", alice, bob, 0, func(k *work, c *contact) {
		for i := range 8 {
			w.must(k.acquired(c, [32]byte{1, byte(i)}, k.today))
		}
	})
	same("bundles wanted", alice, bob, 0, func(k *work, c *contact) {
		_, err := k.want(c, [32]byte{2}, k.today)
		w.must(err)
	})
	// On what has to be told before the text can be shown: nothing of it fits into
	// smaller classes, and to larger ones it makes no difference.
	same("a certificate", alice, bob, wire.Class2K, func(k *work, c *contact) { k.unconfirm(c) })
	same("a bundle", alice, bob, wire.Class4K, func(k *work, _ *contact) {
		w.must(expire(k, state.Offers, func(*state.Offer) bool { return true }))
	})
	same("a certificate and a bundle", alice, bob, wire.Class4K, func(k *work, c *contact) {
		k.unconfirm(c)
		w.must(expire(k, state.Offers, func(*state.Offer) bool { return true }))
	})
	// On how much there is to tell: receipts alone are as long as a text.
	for n, class := range map[int]wire.Class{1: wire.Class1K, 2: wire.Class1K, 5: wire.Class1K, 12: wire.Class2K} {
		if got := alice.dressed(bob, 0, owing(n)); got != class {
			t.Errorf("%d receipts go in class %d, not %d", n, got, class)
		}
	}
	// A first message is of the class of first messages, whatever day it is.
	fresh := w.user("fresh@alpha.example")
	fresh.add(bob.code())
	fresh.send(bob, "hello") // for which what it needs is fetched
	fresh.lookUp()
	fresh.supply()
	for _, n := range []int{1, steady[0] + 1, steady[1] + 1, steady[2] / 2} {
		if got := fresh.dressed(bob, n, nothing); got != wire.Class16K {
			t.Errorf("a first message of %d bytes goes in class %d", n, got)
		}
	}
}
