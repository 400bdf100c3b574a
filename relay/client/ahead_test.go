package client

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"waxwing/core/content"
	"waxwing/core/ids"
	"waxwing/core/wire"
	"waxwing/franking"
	"waxwing/relay/client/state"
	"waxwing/relay/reports"
	"waxwing/sealedsender"
)

// evening has all users at an hour of the day at which they have tomorrow's tokens.
func (w *world) evening() {
	w.t.Helper()
	w.advance(w.now.Truncate(24 * time.Hour).Add(21 * time.Hour).Sub(w.now))
	w.settle()
}

func (w *world) nextMorning() {
	w.t.Helper()
	w.advance(w.now.Truncate(24 * time.Hour).Add(31 * time.Hour).Sub(w.now))
}

// chat has two users write to each other, with room for half a bundle each time.
func (w *world) chat(a, b *user, n int) {
	w.t.Helper()
	for i := range n {
		a.send(b, roomy(i))
		w.settle()
		b.send(a, roomy(i))
		w.settle()
	}
}

// roomy is a text that is too long for the smallest class.
func roomy(i int) string { return fmt.Sprintf("%d ", i) + strings.Repeat("and so on ", 16) }

// offerOf returns a user's bundle of a day for a contact, nil if it has none.
func (u *user) offerOf(to *user, epoch ids.Day) (o *state.Offer) {
	u.w.t.Helper()
	u.do(func(k *work) error {
		var err error
		if o, err = state.Offers.Get(k.tx, offerKey(k.find(to.address), epoch)); err != nil {
			o = nil
		}
		return nil
	})
	return o
}

func (u *user) tomorrowsOffer(to *user) *state.Offer {
	return u.offerOf(to, ids.DayOf(u.w.now.Add(u.skew))+1)
}

// hasBundle reports whether a user has a bundle of a contact's.
func (u *user) hasBundle(of *user, ref [32]byte) (has bool) {
	u.w.t.Helper()
	u.do(func(k *work) error {
		has = state.Bundles.Has(k.tx, state.OfContact(k.find(of.address).id, ref[:]))
		return nil
	})
	return has
}

// confirmed reports whether n of a contact's devices confirmed an offer.
func confirmed(o *state.Offer, n int) bool { return o != nil && len(o.Confirmed) == n }

func countOf[T any, P state.Record[T]](u *user, t *state.Table[T, P]) (n int) {
	u.w.t.Helper()
	u.do(func(k *work) error { n = t.Count(k.tx); return nil })
	return n
}

// wantClass sends a short message and says whether it went in the smallest class,
// into which no bundle fits: then it named one.
func (u *user) wantClass(to *user, text string, want wire.Class) {
	u.w.t.Helper()
	before := len(u.order)
	u.send(to, text)
	u.push(false)
	if got := u.order[before:]; len(got) != 1 || got[0] != want {
		u.w.t.Errorf("%s %d: %q went in classes %v, not %d", u.address.Local(), u.device, text, got, want)
	}
	u.w.settle()
}

// A day's first message needs no bundle if the day before had messages enough: it is
// shown, and can be reported.
func TestBundleGoesAhead(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	w.evening()
	for i := range 8 { // seven pieces of a hundred bytes, and the confirmation
		alice.send(bob, fmt.Sprintf("%d", i))
		w.settle()
		bob.send(alice, fmt.Sprintf("%d", i))
		w.settle()
	}
	for _, p := range [][2]*user{{alice, bob}, {bob, alice}} {
		if o := p[0].tomorrowsOffer(p[1]); !confirmed(o, 1) || !p[1].hasBundle(p[0], o.Ref) {
			t.Fatalf("%s: not confirmed", p[0].address.Local())
		}
		if countOf(p[0], state.Pieces) != 0 || countOf(p[0], state.Acquired) != 0 {
			t.Errorf("%s: pieces or confirmations are left", p[0].address.Local())
		}
	}
	w.nextMorning()
	w.settle()
	alice.wantClass(bob, "good morning", wire.Class1K)
	bob.wantClass(alice, "good morning to you", wire.Class1K)
	own := &franking.Ownership{Account: bob.address, Mailbox: bob.box.id}
	d, err := franking.CheckDelivery(bob.evidenceOf(alice, "good morning"), bob.address, own, bob.p.stamps, w.now)
	w.must(err)
	_, err = d.Verify(bob.p.bureau.history[alice.address.Domain()], reports.FrameOf)
	w.must(err)
	w.nothingDropped()
}

// Whoever counts envelopes and their classes sees the same on a day on which bundles
// go ahead as on one on which none do.
func TestAheadIsInvisible(t *testing.T) {
	run := func(dayByDay bool) (out [][]wire.Class, pieces bool) {
		w := newWorld(t)
		alice, bob := w.friends()
		w.befriend(alice, w.user("carol@alpha.example"))
		w.dayByDay = dayByDay
		for _, u := range w.users { // what came before, at some hour, is forgotten
			u.do(func(k *work) error {
				k.touched = true
				tomorrow := k.today + 1
				k.purse = nil
				return expire(k, state.Tokens, func(o *state.Token) bool { return o.Epoch == tomorrow })
			})
		}
		w.evening()
		w.chat(alice, bob, 2)
		for i, n := range []int{1, 100, 126, 140, 147, 400, 560, 1600, 20000} {
			alice.send(bob, strings.Repeat("a", n))
			bob.send(alice, strings.Repeat("b", n/2+1))
			if i%2 == 0 {
				alice.send(w.users[2], "and you?")
			}
			w.settle()
		}
		w.chat(bob, alice, 1)
		for _, u := range w.users {
			out = append(out, u.order)
		}
		return out, confirmed(alice.tomorrowsOffer(bob), 1) && confirmed(bob.tomorrowsOffer(alice), 1)
	}
	with, pieces := run(false)
	without, none := run(true)
	if !pieces || none {
		t.Fatalf("bundles ahead %v, without %v", pieces, none)
	}
	for i := range with {
		if !slices.Equal(with[i], without[i]) {
			t.Errorf("user %d: classes\n%v\nwithout\n%v", i, with[i], without[i])
		}
	}
}

// Whatever is in an envelope, what goes in padding leaves its class as it is.
func TestPaddingKeepsTheClass(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	w.evening()
	alice.send(bob, "x")
	w.settle()
	pieces := 0
	for n := 1; n < 6000; n += 13 {
		err := alice.try(func(k *work) error {
			c := k.find(bob.address)
			id, err := k.enqueue(bob.address, strings.Repeat("a", n))
			w.must(err)
			m, err := state.Log.Get(k.tx, state.U64(id))
			w.must(err)
			for i := range n % 3 {
				w.must(k.acquired(c, [32]byte{1, byte(i)}, k.today))
				_, err := k.want(c, [32]byte{2, byte(i)}, k.today)
				w.must(err)
			}
			d, err := k.draft(c, m)
			w.must(err)
			w.must(k.fillControl(d))
			class := d.class
			w.must(k.fillPadding(d))
			b, err := d.control.Marshal()
			w.must(err)
			now, err := sealedsender.ClassFor(d.needs(len(b)))
			if err != nil || now != class || d.class != class {
				t.Errorf("%d bytes: class %d became %d: %v", n, class, now, err)
			}
			if d.control.Piece != nil {
				pieces++
			}
			return errUndo
		})
		is(t, err, errUndo)
	}
	if pieces < 100 {
		t.Errorf("%d pieces", pieces)
	}
}

// A confirmation that is lost is given again, and pieces go maxAheadRounds times at
// most; then the next day's first message brings the bundle.
func TestConfirmationIsLost(t *testing.T) {
	for name, lost := range map[string]int{"once": 1, "always": 1 << 30} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			alice, bob := w.friends()
			w.evening()
			confirmations := 0
			for i := range 12 {
				alice.send(bob, roomy(i))
				alice.push(true)
				bob.pull()
				bob.do(func(k *work) error {
					if state.Acquired.Count(k.tx) > 0 && confirmations < lost {
						confirmations++
						k.touched = true
						return expire(k, state.Acquired, func(*state.Ref) bool { return true })
					}
					return nil
				})
				bob.send(alice, "yes")
				w.settle()
			}
			o := alice.tomorrowsOffer(bob)
			if o == nil || !bob.hasBundle(alice, o.Ref) || confirmations == 0 {
				t.Fatal("no bundle came")
			}
			var a *state.Ahead
			alice.do(func(k *work) (err error) {
				a, err = state.Aheads.Get(k.tx, state.U32(k.find(bob.address).id))
				return err
			})
			w.nextMorning()
			if lost == 1 {
				if !confirmed(o, 1) || a.Rounds >= maxAheadRounds {
					t.Errorf("confirmed by %d, %d rounds", len(o.Confirmed), a.Rounds)
				}
				alice.wantClass(bob, "morning", wire.Class1K)
			} else {
				if len(o.Confirmed) != 0 || a.Rounds != maxAheadRounds {
					t.Errorf("confirmed by %d, %d rounds", len(o.Confirmed), a.Rounds)
				}
				alice.wantClass(bob, "morning", wire.Class4K)
				alice.wantClass(bob, "still morning", wire.Class1K) // confirmed with the receipt
			}
			if got := bob.inbox(alice); !slices.Contains(got, "morning") {
				t.Errorf("%q", got)
			}
			w.nothingDropped()
		})
	}
}

// The last tokens of tomorrow stay for whoever is written to tomorrow.
func TestTokensAreLeft(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	w.evening()
	alice.do(func(k *work) error { // as after as many contacts
		k.touched = true
		for i := 0; ; i++ {
			purse, err := k.tokens()
			if err != nil || purse.Free(k.today+1) <= tokenLow {
				return err
			}
			o, _, err := purse.For(&franking.Target{
				Provider: bob.address.Domain(), Reader: ids.MustParseAddress(fmt.Sprintf("c%d@beta.example", i)),
			}, k.today+1)
			w.must(err)
			w.must(k.storeToken(o))
		}
	})
	had := alice.tomorrowsOffer(bob) != nil
	var epochs []ids.Day
	w.chat(alice, bob, 2)
	alice.do(func(k *work) (err error) { epochs, err = k.wantTokens(); return err })
	if !had && alice.tomorrowsOffer(bob) != nil {
		t.Error("one of the last tokens was taken ahead")
	}
	if len(epochs) != 0 {
		t.Errorf("tokens of %v are asked for", epochs)
	}
}

// A bundle that was made ahead under keys that were replaced over night is made anew.
func TestBundleMadeAheadIsReplaced(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	w.evening()
	w.chat(alice, bob, 3)
	before := alice.tomorrowsOffer(bob)
	var err error
	bob.p.bureau.reviewers, err = franking.ProveReviewers(bob.p.domain, 2, newScalar())
	w.must(err)
	w.nextMorning()
	w.settle()
	alice.wantClass(bob, "under the new key", wire.Class4K)
	after := alice.offerOf(bob, ids.DayOf(w.now))
	if before == nil || after == nil || before.Ref == after.Ref {
		t.Error("not made anew")
	}
	if got := bob.inbox(alice); got[len(got)-1] != "under the new key" {
		t.Errorf("%q", got)
	}
	w.nothingDropped()
}

// bring has a user send a message that brings a bundle whole in one piece, and returns
// its text.
func (u *user) bring(to *user, piece *content.Piece) string {
	u.w.t.Helper()
	text := fmt.Sprintf("with a piece %x", wire.MustMarshal(piece)[:12])
	to.send(u, "go on") // with tickets
	to.push(true)
	u.pull()
	id := u.send(to, text)
	u.sendChanged(to, id, nil, func(d *draft) {
		d.control.Piece = piece
		u.w.must(d.chooseClass())
	})
	to.pull()
	return text
}

// forget loses all rows of a table.
func forget[T any, P state.Record[T]](u *user, t *state.Table[T, P]) {
	u.w.t.Helper()
	u.do(func(k *work) error {
		k.touched = true
		clear(k.bundles)
		return expire(k, t, func(P) bool { return true })
	})
}

// padding counts what came in padding: bundles, what is to be confirmed, and what is
// not whole yet.
func (u *user) padding() [3]int {
	return [3]int{countOf(u, state.Bundles), countOf(u, state.Acquired), countOf(u, state.Pieces)}
}

// wholeOf is what goes ahead for a contact on the next day, as one piece.
func (u *user) wholeOf(to *user) (p *content.Piece) {
	u.w.t.Helper()
	u.do(func(k *work) error {
		f, err := k.tomorrow(k.find(to.address))
		u.w.must(err)
		if f == nil {
			u.w.t.Fatal("nothing to go ahead")
		}
		a, err := f.token.Audience(&f.target)
		u.w.must(err)
		p = pieceOf(a.Salt, f.offer.Bundle)
		return nil
	})
	return p
}

func pieceOf(salt [franking.SaltSize]byte, bundle []byte) *content.Piece {
	ref := franking.RefOf(bundle)
	whole := slices.Concat(salt[:], bundle)
	return content.Cut(content.PieceID(ref[:]), whole, 0, len(whole))
}

// A bundle that is false, of another day, audience, sender or recipient is neither
// kept nor confirmed, and the message that brought it is shown as ever.
func TestFalseBundleAhead(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.friends()
	carol := w.user("carol@beta.example")
	w.befriend(alice, carol)
	w.befriend(carol, bob)
	w.evening()
	good := alice.wholeOf(bob)
	salt := [franking.SaltSize]byte(good.Bytes)
	raw := good.Bytes[franking.SaltSize:]
	forged := func(at int) *content.Piece {
		b := bytes.Clone(raw)
		b[at] ^= 1
		return pieceOf(salt, b)
	}
	today := alice.offerOf(bob, ids.DayOf(w.now))
	if today == nil {
		alice.send(bob, "today")
		w.settle()
		today = alice.offerOf(bob, ids.DayOf(w.now))
	}
	cases := map[string]*content.Piece{
		"another salt":      pieceOf([franking.SaltSize]byte{1}, raw),
		"another recipient": alice.wholeOf(carol),
		"another sender":    carol.wholeOf(bob),
		"another id":        {ID: content.PieceID{1}, Length: good.Length, Bytes: good.Bytes},
		"cut":               pieceOf(salt, raw[:len(raw)-1]),
		"one byte more":     pieceOf(salt, append(bytes.Clone(raw), 0)),
		"no bundle":         pieceOf(salt, nil),
		"too short":         {ID: good.ID, Length: 3, Bytes: []byte{1, 2, 3}},
		"too long":          pieceOf(salt, make([]byte, sealedsender.MaxBundle+1)),
	}
	for at := 0; at < len(raw); at += 53 {
		cases[fmt.Sprintf("byte %d", at)] = forged(at)
	}
	forget(bob, state.Pieces)
	for name, p := range cases {
		before := bob.padding()
		text := alice.bring(bob, p)
		if after := bob.padding(); after != before {
			t.Errorf("%s: bundles, to be confirmed, gathered: %v became %v", name, before, after)
		}
		if got := bob.inbox(alice); got[len(got)-1] != text {
			t.Errorf("%s: %q", name, got[len(got)-1])
		}
	}
	// The true one, twice, is kept once and confirmed.
	before := bob.padding()
	alice.bring(bob, good)
	alice.bring(bob, good)
	if after := bob.padding(); after != [3]int{before[0] + 1, before[1] + 1, before[2]} {
		t.Errorf("%v became %v", before, after)
	}
	// One of a day that is over, which nobody asked for.
	w.nextMorning()
	w.settle()
	bob.do(func(k *work) error {
		k.touched = true
		return state.Bundles.Delete(k.tx, state.OfContact(k.find(alice.address).id, today.Ref[:]))
	})
	before = bob.padding()
	alice.bring(bob, pieceOf(salt, today.Bundle))
	if after := bob.padding(); after != before || bob.hasBundle(alice, today.Ref) {
		t.Errorf("yesterday's: %v became %v", before, after)
	}
	for r := range dropEnd {
		if n := bob.dropped(r); n > 0 {
			t.Errorf("%d dropped: %v", n, r)
		}
	}
}
