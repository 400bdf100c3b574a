package node_test

import (
	"context"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"waxwing/core/ids"
	"waxwing/core/store"
	"waxwing/core/wire"
	"waxwing/relay/client/state"
)

// scale is a store that knows how long what it is given is, and that loses it when it
// is told to: its provider says that it has it.
type scale struct {
	*watchedStore

	mu      sync.Mutex // guards the rest
	lose    bool
	lost    int
	classes []wire.Class // of what came, in its order
}

func (s *scale) Append(ctx context.Context, reqs []store.AppendReq) []store.AppendRes {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range reqs {
		if !reqs[i].HasSerial {
			continue // not into a user's mailbox
		}
		s.classes = append(s.classes, classOf(len(reqs[i].Body)))
		if s.lose {
			reqs[i].Discard = true
			s.lost++
		}
	}
	return s.watchedStore.Append(ctx, reqs)
}

// classOf is the class of an envelope, with which a few bytes of the provider's are stored.
func classOf(n int) wire.Class {
	for c := wire.Class64K; c > wire.Class1K; c-- {
		if n >= c.Size() {
			return c
		}
	}
	return wire.Class1K
}

// take returns what came since the last call.
func (s *scale) take() []wire.Class {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.classes
	s.classes = nil
	return out
}

func (s *scale) losing(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lose = on
}

// aheadWorld is alice and bob, who know each other, in the evening of a day for which
// both have tokens, and what their providers store.
type aheadWorld struct {
	*simWorld
	alice, bob   *simUser
	toAlice, toB *scale
	off          time.Duration // of the clock of alice's provider
}

func (w *aheadWorld) begin() {
	w.t.Helper()
	alpha, beta := w.provider("alpha.example"), w.provider("beta.example")
	w.toAlice, w.toB = &scale{watchedStore: alpha.conf.Store.(*watchedStore)}, &scale{watchedStore: beta.conf.Store.(*watchedStore)}
	alpha.conf.Store, beta.conf.Store = w.toAlice, w.toB
	w.federate()
	w.alice, w.bob = w.user(alpha, "alice"), w.user(beta, "bob")
	alpha.conf.Now = func() time.Time { return time.Now().Add(w.off) }
	alpha.start()
	beta.start()
	w.alice.begin()
	w.bob.begin()
	w.befriend(w.alice, w.bob)
}

// at lets time pass until an hour of the day by alice's provider, with nobody there.
func (w *aheadWorld) at(hour int) {
	w.t.Helper()
	w.alice.offline(false)
	w.bob.offline(false)
	for _, p := range w.providers {
		p.halt(false)
	}
	now := w.alice.p.now()
	until := now.Truncate(24 * time.Hour).Add(time.Duration(hour) * time.Hour)
	if !until.After(now) {
		until = until.Add(24 * time.Hour)
	}
	time.Sleep(until.Sub(now))
	for _, p := range w.providers {
		p.start()
	}
	w.alice.online()
	w.bob.online()
	time.Sleep(2 * time.Minute) // for whatever the clients ask for
	w.look()
}

// step sets the clocks of alice's provider and of bob's device.
func (w *aheadWorld) step(provider, user time.Duration) {
	w.t.Helper()
	if provider == 0 && user == 0 {
		return
	}
	w.alice.offline(false)
	w.alice.p.halt(false)
	w.bob.offline(false)
	w.off = provider
	w.bob.conf.Now = func() time.Time { return time.Now().Add(user) }
	w.alice.p.start()
	w.alice.online()
	w.bob.online()
	time.Sleep(time.Minute)
}

// now is the time by a provider's clock.
func (p *simProvider) now() time.Time {
	if p.conf.Now == nil {
		return time.Now()
	}
	return p.conf.Now()
}

// writes has one user write to another, and waits until it is shown and everything
// that follows is done.
func (w *aheadWorld) writes(from, to *simUser) {
	w.t.Helper()
	from.send(to)
	w.until(time.Hour, func() bool { return to.has(from) })
	time.Sleep(15 * time.Second) // longer than receipts wait
	w.look()
}

// first is the class of alice's next message.
func (w *aheadWorld) first() wire.Class {
	w.t.Helper()
	w.toB.take()
	w.alice.send(w.bob)
	w.until(time.Hour, func() bool { return w.bob.has(w.alice) })
	got := w.toB.take()
	if len(got) == 0 {
		w.fail("nothing came to bob's provider")
	}
	return got[0]
}

// acquired reports whether bob has a bundle of alice's for a day, and whether he
// still has to confirm it.
func (w *aheadWorld) acquired(day ids.Day) (has, unconfirmed bool) {
	w.t.Helper()
	w.bob.offline(false)
	profile, err := state.Open(filepath.Join(w.bob.conf.Dir, "profile.db"), state.Options{})
	w.must(err)
	w.must(profile.View(func(tx *state.Tx) error {
		rows, err := state.Bundles.Rows(tx, nil, nil, 0)
		for _, row := range rows {
			has = has || row.Record.Epoch == day
		}
		unconfirmed = state.Acquired.Count(tx) > 0
		return err
	}))
	profile.Close()
	w.bob.online()
	time.Sleep(time.Minute)
	return has, unconfirmed
}

// aheadRounds is enough for seven pieces, two in each, and the confirmation.
const aheadRounds = 6

func (w *aheadWorld) chat(rounds int) {
	w.t.Helper()
	for range rounds {
		w.writes(w.alice, w.bob)
		w.writes(w.bob, w.alice)
	}
}

// chatOverRestarts has a provider and a user stopped between all messages, every
// other time without anybody hearing of it.
func (w *aheadWorld) chatOverRestarts() {
	w.t.Helper()
	for i := range aheadRounds {
		w.writes(w.alice, w.bob)
		p, u := w.providers[i%2], w.users[i/2%2]
		p.halt(i%2 == 0)
		u.offline(i%3 == 0)
		w.pause()
		p.start()
		u.online()
		w.writes(w.bob, w.alice)
	}
}

// chatWithoutAnswer has alice's provider lose all that comes for her.
func (w *aheadWorld) chatWithoutAnswer() {
	w.t.Helper()
	w.toAlice.losing(true)
	for range aheadRounds {
		w.writes(w.alice, w.bob)
	}
	w.toAlice.losing(false)
}

// chatUntilConfirmationIsLost goes on after the envelope with the confirmation was lost.
func (w *aheadWorld) chatUntilConfirmationIsLost() {
	w.t.Helper()
	day := ids.DayOf(w.alice.p.now()) + 1
	w.chat(2) // four of the pieces
	if has, _ := w.acquired(day); has {
		w.fail("the bundle is there before anything was lost")
	}
	w.toAlice.losing(true)
	for range aheadRounds {
		w.writes(w.alice, w.bob)
		if has, unconfirmed := w.acquired(day); has && !unconfirmed {
			w.toAlice.losing(false)
			w.chat(aheadRounds)
			return
		}
	}
	w.fail("bob has confirmed nothing")
}

// A day's first message is as long as any other if its bundle went ahead the day
// before, whatever is restarted or lost meanwhile and however far the clocks are
// apart; in the other case it brings the bundle. Shown it is in all of them.
func TestBundlesAheadOfRunningProviders(t *testing.T) {
	chat := func(w *aheadWorld) { w.chat(aheadRounds) }
	for name, c := range map[string]struct {
		step    time.Duration // of the clock of alice's provider, in the evening
		user    time.Duration // how far bob's own clock is off from then on
		evening func(*aheadWorld)
		want    wire.Class
	}{
		"nothing is written":        {0, 0, func(*aheadWorld) {}, wire.Class4K},
		"nothing happens":           {0, 0, chat, wire.Class1K},
		"alpha is two hours ahead":  {2 * time.Hour, 0, chat, wire.Class1K},
		"alpha is a day ahead":      {5 * time.Hour, 0, chat, wire.Class1K},
		"alpha is behind":           {-5 * time.Hour, 0, chat, wire.Class1K},
		"bob's own clock is ahead":  {0, 20 * time.Hour, chat, wire.Class1K},
		"bob's own clock is behind": {0, -20 * time.Hour, chat, wire.Class1K},
		"restarts":                  {0, 0, (*aheadWorld).chatOverRestarts, wire.Class1K},
		"the confirmation is lost":  {0, 0, (*aheadWorld).chatUntilConfirmationIsLost, wire.Class1K},
		"each confirmation is lost": {0, 0, (*aheadWorld).chatWithoutAnswer, wire.Class4K},
	} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && name != "restarts" {
				t.Skip("no goroutines that the restarts do not have")
			}
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				w := &aheadWorld{simWorld: &simWorld{
					t: t, dir: dir, r: rand.New(rand.NewPCG(1, 0)), net: newNetwork(rand.New(rand.NewPCG(1, 1))),
				}}
				defer w.end()
				w.begin()
				w.at(21)
				w.step(c.step, c.user)
				day := ids.DayOf(w.alice.p.now())
				c.evening(w)
				if ids.DayOf(w.alice.p.now()) != day {
					t.Fatal("the evening was too long")
				}
				w.at(7)
				if got := w.first(); got != c.want {
					t.Errorf("the day's first message is of class %d, want %d", got, c.want)
				}
				w.writes(w.bob, w.alice)
				if got := w.first(); got != wire.Class1K {
					t.Errorf("the second is of class %d", got)
				}
			})
		})
	}
}
