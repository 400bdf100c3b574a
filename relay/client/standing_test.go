package client

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/query"
	"waxwing/core/wire"
	"waxwing/ratelimit"
	"waxwing/ratelimit/introduction"
	"waxwing/relay/client/state"
)

// enter is a connection that is the account's: the provider tells its key of stamps.
func (u *user) enter() {
	u.w.t.Helper()
	key := introduction.StandingKey(u.p.door().stand, u.box.id)
	u.do(func(k *work) error {
		return k.entered(&wire.Session{Mailbox: u.box.id, Standing: [32]byte(key.Bytes())})
	})
}

// stamp is what the provider answers to a question.
func (p *provider) stamp(enc, payload []byte) (out [introduction.StampSize]byte) {
	p.w.t.Helper()
	a := p.door()
	var m query.Standing
	p.w.must(wire.Unmarshal(payload, &m))
	asked, err := introduction.ParseStanding(enc, m.Standing[:])
	p.w.must(err)
	bigW := p.boxes[asked.Mailbox].bigW(p.w.t, asked.Generation)
	w, err := group.Ristretto255().DecodeElement(bigW[:])
	p.w.must(err)
	v, err := introduction.NewVerifier(a.day, p.domain, m.Epoch, introduction.DefaultLimits)
	p.w.must(err)
	shown, err := v.Verify(introduction.Asked{Home: m.Home, W: w, In: &asked.Introduction, Standing: true})
	p.w.must(err)
	if a.asked[shown.Tag] {
		p.w.t.Error("a nonce was used twice")
	}
	a.asked[shown.Tag] = true
	if a.useless != nil && a.useless(asked.Mailbox) {
		return out
	}
	return introduction.Stamp(introduction.StandingKey(a.stand, asked.Mailbox), asked.NR, ratelimit.WeekOf(ids.DayOf(p.w.now)))
}

// begin is the first step of asking; nil if nothing is due.
func (u *user) begin() (a *asking) {
	u.w.t.Helper()
	u.do(func(k *work) (err error) { a, err = k.askStanding(); return err })
	return a
}

// finish is the other one.
func (u *user) finish(a *asking) {
	u.w.t.Helper()
	enc := make([]byte, keys.SealEncSize)
	payload, err := a.payload(enc)
	u.w.must(err)
	stamp := u.w.providers[a.provider].stamp(enc, payload)
	u.do(func(k *work) error { return k.takeStamp(a, stamp) })
}

// asks has all stamps asked for that are due.
func (u *user) asks() (n int) {
	u.w.t.Helper()
	for a := u.begin(); a != nil; a = u.begin() {
		u.finish(a)
		n++
	}
	return n
}

// stands says for which week, plus one, a contact is in standing.
func (u *user) stands(of *user) uint32 { return u.contact(of).Standing }

func (u *user) contact(of *user) (c *contact) {
	u.do(func(k *work) error { c = k.find(of.address); return nil })
	return c
}

// standing makes two friends in the middle of a week.
func standing(t testing.TB) (w *world, alice, bob *user) {
	w = newWorld(t)
	alice, bob = w.friends()
	return w, alice, bob
}

// day goes on to the next day, on which everybody is supplied; those in out get no
// credential.
func (w *world) day(out ...*user) (asked int) {
	w.t.Helper()
	w.advance(24 * time.Hour)
	for _, u := range w.users {
		u.supply()
		if !slices.Contains(out, u) {
			for _, p := range w.providers {
				if p != u.p {
					u.credit(p)
				}
			}
			asked += u.asks()
		}
	}
	w.settle()
	return asked
}

func (w *world) week() ratelimit.Week { return ratelimit.WeekOf(ids.DayOf(w.now)) }

// Friends ask once a week each, show it to each other and never run out; no nonce
// is used twice.
func TestStanding(t *testing.T) {
	w, alice, bob := standing(t)
	asked := map[ratelimit.Week]int{}
	for n := range 24 {
		today := w.day()
		asked[w.week()] += today
		text := fmt.Sprint("day ", n)
		alice.send(bob, text)
		w.settle()
		if got := bob.inbox(alice); got[len(got)-1] != text {
			t.Fatalf("day %d: did not arrive; %d tickets", n, alice.tickets(bob))
		}
	}
	w.nothingDropped()
	full := 0
	for _, n := range asked {
		if n > 2 {
			t.Errorf("asked %d times in a week", n)
		}
		if n > 0 {
			full++
		}
	}
	if full < 3 {
		t.Errorf("%v", asked)
	}
	if this := uint32(w.week()) + 1; bob.stands(alice) < this-1 || alice.stands(bob) < this-1 {
		t.Errorf("in week %d bob knows of %d, alice of %d", this, bob.stands(alice), alice.stands(bob))
	}
	if alice.classes[wire.ClassIntroduction] != 0 {
		t.Error("had to introduce itself")
	}
}

// Over weeks in which devices stay away for days, answers are lost, credentials do
// not come, the network reorders and repeats and clients crash, everything arrives, once, and no nonce is used twice.
func TestStandingAtRandom(t *testing.T) {
	w, alice, bob := standing(t)
	c := &chaos{w: w}
	want := map[*user][]string{alice: {"hello"}, bob: {"hello back"}}
	for n := range 42 {
		w.advance(time.Duration(20+w.r.IntN(8)) * time.Hour)
		var online []*user
		for _, u := range w.users {
			if w.r.IntN(3) > 0 {
				online = append(online, u)
				w.someDay(u)
			}
		}
		for i, u := range online {
			to := bob
			if u == bob {
				to = alice
			}
			for k := range w.r.IntN(6) {
				text := fmt.Sprint(n, " ", i, " ", k)
				want[u] = append(want[u], text)
				u.send(to, text)
			}
		}
		for range 4 {
			for _, u := range online {
				c.seal(u)
				c.carry()
				c.pull(u)
			}
		}
	}
	c.calm = true
	c.carry()
	for range 14 {
		w.day()
		w.advance(introduceAfter)
	}
	for _, p := range [][2]*user{{alice, bob}, {bob, alice}} {
		got := slices.Sorted(slices.Values(p[1].inbox(p[0])))
		slices.Sort(want[p[0]])
		if !slices.Equal(got, want[p[0]]) {
			t.Errorf("%d of %d shown, or not once each", len(got), len(want[p[0]]))
		}
	}
	w.nothingDropped()
}

// someDay is what a device does on a day on which little goes well.
func (w *world) someDay(u *user) {
	u.supply()
	if w.r.IntN(5) == 0 {
		return
	}
	for _, p := range w.providers {
		if p != u.p {
			u.credit(p)
		}
	}
	for a := u.begin(); a != nil; a = u.begin() {
		if w.r.IntN(3) > 0 {
			u.finish(a)
		}
		if w.r.IntN(2) == 0 {
			u.reopen()
		}
	}
}

// after advances until a stamp of alice's is due, in a week that is not the first.
func (u *user) after(t testing.TB) *asking {
	t.Helper()
	if u.begin() != nil { // notes that the contact is new
		t.Fatal("asked about a new contact")
	}
	for range 14 * 6 {
		u.w.advance(4 * time.Hour)
		for _, p := range u.w.providers {
			u.credit(p)
		}
		if u.w.week() == ratelimit.WeekOf(20513) {
			continue
		}
		var undone *asking
		is(t, u.try(func(k *work) (err error) {
			if undone, err = k.askStanding(); err != nil {
				return err
			}
			return errUndo
		}), errUndo)
		if undone == nil {
			continue
		}
		a := u.begin() // a transaction that fails takes no nonce
		if a == nil || a.nonce != undone.nonce {
			t.Fatalf("%v after %v", a, undone)
		}
		return a
	}
	t.Fatal("nothing was due")
	return nil
}

// A crash after any step: no nonce is used again, and a stamp is there or asked for
// again, later, with another nonce; not for ever.
func TestStandingAfterCrash(t *testing.T) {
	w, alice, bob := standing(t)
	a := alice.after(t)
	alice.reopen()
	if alice.begin() != nil {
		t.Fatal("asked again at once")
	}
	nonces := []uint32{a.nonce}
	for range standingTries - 1 {
		w.advance(standingRetry)
		alice.credit(bob.p)
		b := alice.begin()
		if b == nil || slices.Contains(nonces, b.nonce) {
			t.Fatalf("%v after %v", b, nonces)
		}
		nonces = append(nonces, b.nonce)
		a = b
		is(t, alice.try(func(k *work) error { return errors.Join(k.takeStamp(b, [32]byte{1}), errUndo) }), errUndo)
		alice.reopen()
	}
	w.advance(standingRetry)
	alice.credit(bob.p)
	if alice.begin() != nil {
		t.Fatal("asked for ever")
	}
	alice.finish(a)
	alice.reopen()
	alice.send(bob, "hello")
	alice.seal(true)
	alice.reopen()
	w.settle()
	if bob.stands(alice) != uint32(w.week())+1 {
		t.Error("the stamp did not arrive")
	}
}

// The devices of an account ask each for itself, with nonces of its own; one that is
// new, and those that learned of it, have none before the next week.
func TestStandingOfDevices(t *testing.T) {
	w, alice, bob := standing(t)
	alice.after(t) // the first device's share is stored
	before := w.week()
	whole := alice.weekAt(bob.p.domain)
	alice2 := alice.link()
	if one, two := alice.weekAt(bob.p.domain), alice2.weekAt(bob.p.domain); one.Next != whole.Next || one.End != two.Next || two.End != whole.End || two.Left() != whole.Left()/2 {
		t.Fatalf("of %+v: %+v and %+v", whole, one, two)
	}
	alice2.reopen()
	w.settle()
	bob.send(alice, "to both")
	alice2.send(bob, "hello from the second")
	w.settle()
	for w.week() == before { // each of its own
		if one, two := alice.weekAt(bob.p.domain), alice2.weekAt(bob.p.domain); one.End != two.Next || one.Next > one.End || two.Next > two.End {
			break // the second has used one
		}
		w.day()
	}
	for w.week() == before {
		w.day()
	}
	var one, two introduction.Share
	for range 6 { // both have asked by the fifth day
		w.day()
		one, two = alice.weekAt(bob.p.domain), alice2.weekAt(bob.p.domain)
	}
	if one.End != introduction.StandingLimit/2 || two.End != introduction.StandingLimit || two.Next < one.End {
		t.Fatalf("%+v, %+v", one, two)
	}
	// A third is linked in this week, and has half of what the first had.
	alice3 := alice.link()
	alice3.credit(bob.p)
	elsewhere := ids.MustParseDomain("gamma.example")
	for u, want := range map[*user]introduction.Share{
		alice:  {Period: uint32(w.week()), Next: 0, End: introduction.StandingLimit / 4},
		alice2: {Period: uint32(w.week()), Next: introduction.StandingLimit / 2, End: introduction.StandingLimit},
		alice3: {Period: uint32(w.week()), Next: introduction.StandingLimit / 4, End: introduction.StandingLimit / 2},
	} {
		u.do(func(k *work) error {
			if err := k.shareStanding(elsewhere, w.week()); err != nil {
				return err
			}
			s, err := state.Standings.Get(k.tx, state.At(w.week(), elsewhere))
			if err == nil && *s != want {
				t.Errorf("device %d has %+v, not %+v", u.device, *s, want)
			}
			return err
		})
	}
}

// weekAt is what a device has of the week's nonces at a provider.
func (u *user) weekAt(d ids.Domain) (s introduction.Share) {
	u.w.t.Helper()
	u.do(func(k *work) error {
		row, err := state.Standings.Get(k.tx, state.At(u.w.week(), d))
		if errors.Is(err, state.ErrNotFound) {
			return nil
		}
		if err == nil {
			s = *row
		}
		return err
	})
	return s
}

// Times are in their part of the week, and say nothing of each other.
func TestStandingTimes(t *testing.T) {
	k, other := [32]byte{1}, [32]byte{2}
	bob, dave := ids.MustParseAddress("bob@beta.example"), ids.MustParseAddress("dave@beta.example")
	start := ids.Day(2930 * 7).Start()
	all := map[time.Time]bool{}
	for n := range 50 {
		week := ratelimit.Week(2930 + n)
		begin := (ids.Day(week) * 7).Start()
		for _, c := range []struct {
			k      *[32]byte
			device ids.DeviceID
			to     ids.Address
		}{{&k, 1, bob}, {&other, 1, bob}, {&k, 2, bob}, {&k, 1, dave}} {
			at := standingAt(c.k, c.device, c.to, week, start)
			if at.Before(begin.Add(standingMargin)) || at.After(begin.Add(standingMargin+standingSpread)) || all[at] || at != standingAt(c.k, c.device, c.to, week, start) {
				t.Errorf("week %d: %v", week, at)
			}
			all[at] = true
			late := at.Add(time.Hour)
			if fresh := standingAt(c.k, c.device, c.to, week, late); fresh.Before(late.Add(standingMargin)) || fresh.After(late.Add(standingMargin+freshSpread)) {
				t.Errorf("week %d, new since %v: %v", week, late, fresh)
			}
		}
	}
}
