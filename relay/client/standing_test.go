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

// enter has the provider tell the account's key of stamps.
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
	bigW := p.boxes[asked.Mailbox].bigW(p.w.t)
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

// standing makes two friends whose providers give stamps, in the middle of a week.
func standing(t testing.TB) (w *world, alice, bob *user) {
	w = newWorld(t)
	alice, bob = w.user("alice@alpha.example"), w.user("bob@beta.example")
	alice.enter()
	bob.enter()
	w.befriend(alice, bob)
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
		asked[w.week()] += w.day()
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
		if n > 3 { // the last of one week may be counted to the next
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

// Who says nothing keeps its tickets too: stamps go alone before they are over.
func TestStandingInSilence(t *testing.T) {
	w, alice, bob := standing(t)
	for n := range 34 {
		w.day()
		if alice.tickets(bob) == 0 || bob.tickets(alice) == 0 {
			t.Fatalf("day %d: %d and %d tickets", n, alice.tickets(bob), bob.tickets(alice))
		}
	}
	w.nothingDropped()
}

// The tickets of who gets no stamps any more end: those given before a stamp of its
// last week counts no longer, with what they last. Then nothing arrives. Once it has
// a credential again it introduces itself, and all that waited arrives.
func TestBanEndsTickets(t *testing.T) {
	w, alice, bob := standing(t)
	for range 10 {
		w.day()
	}
	last := 0
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
		if len(bob.inbox(alice)) > before {
			last = n
		}
	}
	if last > within || last < 2 {
		t.Errorf("the last message arrived on day %d", last)
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
	carol.enter()
	bob.enter()
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
	alice2 := alice.link()
	alice2.enter()
	w.settle()
	bob.send(alice, "to both")
	alice2.send(bob, "hello from the second")
	w.settle()
	shares := func(u *user) (out *introduction.Share) {
		u.do(func(k *work) (err error) {
			out, err = state.Standings.Get(k.tx, state.At(k.today/7, bob.p.domain))
			if errors.Is(err, state.ErrNotFound) {
				err = nil
			}
			return err
		})
		return out
	}
	for range 3 {
		w.day()
	}
	if w.week() == before {
		if s := shares(alice2); s != nil && s.Left() != 0 {
			t.Errorf("the new device has %d in its first week", s.Left())
		}
	}
	for range 7 {
		w.day()
	}
	one, two := shares(alice), shares(alice2)
	if one == nil || two == nil || one.End != introduction.StandingLimit/2 || two.End != introduction.StandingLimit || two.Next < one.End {
		t.Fatalf("%+v, %+v", one, two)
	}
	// A third is linked in this week: it has nothing, and changes nothing.
	alice3 := alice.link()
	alice3.credit(bob.p)
	elsewhere := ids.MustParseDomain("gamma.example")
	for u, want := range map[*user]introduction.Share{
		alice:  {Period: uint32(w.week()), Next: 0, End: introduction.StandingLimit / 2},
		alice2: {Period: uint32(w.week()), Next: introduction.StandingLimit / 2, End: introduction.StandingLimit},
		alice3: {Period: uint32(w.week())},
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
