package node_test

import (
	"flag"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

var (
	simSeed  = flag.Uint64("sim.seed", 0, "seed of the only run of TestSimulation; 0: new ones")
	simRuns  = flag.Int("sim.runs", 1, "how many seeds TestSimulation draws")
	simSteps = flag.Int("sim.steps", 40, "steps of each run of TestSimulation")
	// In three weeks every key of a provider and of a client is replaced, and
	// what nobody fetched is over.
	simDays = flag.Int("sim.days", 21, "days that pass in each run of TestSimulation")
)

// TestSimulation has users of two providers write to each other for weeks, in
// seconds, over a network that loses and delays packets and is cut now and then,
// while providers and clients are stopped, lost and started again. The oracle
// looks after every step: what a client took is shown exactly once, no ticket is
// spent twice, no block undone, and no log changed by a restart; and in the end
// nothing is missing. What is shown of a sender is in the order in which it was
// written, but for what came when the wait for it was over, as a message that is
// sent anew days later does: that is marked late, and nothing else is.
//
// A seed gives the same steps, and nearly the same run: the order of goroutines
// and the keys are not seeded. A failure shows its trace. What a machine does
// to its disk is not simulated: a provider that is lost keeps what it stored.
func TestSimulation(t *testing.T) {
	seeds := []uint64{*simSeed}
	if *simSeed == 0 {
		seeds = nil
		for range *simRuns {
			seeds = append(seeds, rand.Uint64())
		}
	}
	for _, seed := range seeds {
		t.Logf("seed %d", seed)
		dir := t.TempDir()
		synctest.Test(t, func(t *testing.T) { simulate(t, seed, dir) })
	}
}

func simulate(t *testing.T, seed uint64, dir string) {
	w := &simWorld{
		t: t, dir: dir, r: rand.New(rand.NewPCG(seed, 0)), net: newNetwork(rand.New(rand.NewPCG(seed, 1))),
	}
	defer w.end()
	alpha, beta := w.provider("alpha.example"), w.provider("beta.example")
	w.federate()
	alpha.start()
	beta.start()
	alice, carol, mallory := w.user(alpha, "alice"), w.user(alpha, "carol"), w.user(alpha, "mallory")
	bob := w.user(beta, "bob")
	for _, u := range w.users {
		u.begin()
	}
	w.befriend(alice, bob)
	w.befriend(carol, alice) // of one provider
	w.befriend(bob, carol)
	w.befriend(mallory, bob)

	began, days := time.Now(), 0
	for i := range *simSteps {
		if i == *simSteps/3 {
			bob.online()
			bob.block(mallory)
		}
		if i == *simSteps/2 {
			w.rotate()
		}
		w.step()
		w.look()
		// The days are spread over the steps.
		for due := *simDays * (i + 1) / *simSteps; days < due; {
			n := 1 + w.r.IntN(min(3, due-days))
			w.sleep(n)
			days += n
		}
	}
	w.settle()
	w.did("settled after %v", time.Since(began))
	for _, u := range w.users {
		t.Logf("%s: %d shown, %d of them late", u.address.Local(), len(u.shown), u.late)
	}
}

// rotate draws new keys at both providers while messages are under way, in every run.
func (w *simWorld) rotate() {
	w.t.Helper()
	for _, p := range w.providers {
		w.did("%v rotates its keys", p.domain)
		_, err := p.node.RotateKeys() // what was drawn today already is not drawn again
		w.must(err)
	}
}

// step does one thing.
func (w *simWorld) step() {
	u := w.users[w.r.IntN(len(w.users))]
	p := w.providers[w.r.IntN(len(w.providers))]
	switch w.r.IntN(16) {
	case 0, 1, 2, 3, 4, 5:
		u.online()
		to := u.friends[w.r.IntN(len(u.friends))]
		if _, blocked := u.blocked[to]; blocked {
			return
		}
		n := 1 + w.r.IntN(4)
		w.did("%s writes %d to %s", u.address.Local(), n, to.address.Local())
		for range n {
			u.send(to)
		}
	case 6:
		loss := [...]float64{0, 0.02, 0.1, 0.3}[w.r.IntN(4)]
		w.did("loss %v", loss)
		w.net.set(func() { w.net.loss = loss })
	case 7:
		w.did("cut between the providers")
		w.net.set(func() { w.net.cut[pairOf(w.providers[0].host, w.providers[1].host)] = true })
	case 8:
		w.did("cut between %s and its provider", u.address.Local())
		w.net.set(func() { w.net.cut[pairOf(u.host, u.p.host)] = true })
	case 9:
		w.did("healed")
		w.net.heal()
	case 10, 11:
		lost := w.r.IntN(2) == 0
		w.did("%v stops, lost %v", p.domain, lost)
		p.halt(lost)
		w.pause()
		p.start()
	case 12:
		lost := w.r.IntN(2) == 0
		w.did("%s stops, lost %v", u.address.Local(), lost)
		u.offline(lost)
		w.pause()
		u.online()
		u.reread()
	case 13:
		w.did("%s stays away", u.address.Local())
		u.offline(false)
	case 14:
		w.did("%v rotates its keys", p.domain)
		_, err := p.node.RotateKeys()
		w.must(err)
	case 15:
		w.did("all are there")
		for _, u := range w.users {
			u.online()
		}
	}
	w.pause()
}

// pause lets up to half a minute pass, mostly much less.
func (w *simWorld) pause() {
	time.Sleep(time.Duration(w.r.ExpFloat64()*float64(3*time.Second)) % (30 * time.Second))
}

// sleep lets days pass without anybody, and starts the providers and some of
// the users again.
func (w *simWorld) sleep(days int) {
	w.did("%d days pass", days)
	for _, u := range w.users {
		u.offline(w.r.IntN(2) == 0)
	}
	for _, p := range w.providers {
		p.halt(w.r.IntN(2) == 0)
	}
	time.Sleep(time.Duration(days)*24*time.Hour + time.Duration(w.r.IntN(3600))*time.Second)
	for _, p := range w.providers {
		p.start()
	}
	for _, u := range w.users {
		if w.r.IntN(4) > 0 {
			u.online()
			u.reread()
		}
	}
	if w.r.IntN(2) == 0 {
		w.net.heal()
	}
	time.Sleep(time.Minute)
	w.look()
}

// settle ends every fault and waits until everybody was shown everything. What
// was lost with a provider's outbox is sent anew on a later day.
func (w *simWorld) settle() {
	w.t.Helper()
	for range settleDays {
		w.net.heal()
		for _, u := range w.users {
			u.online()
		}
		for range 20 {
			time.Sleep(15 * time.Second)
			if w.look(); w.complete() {
				return
			}
		}
		w.sleep(1)
	}
	for _, u := range w.users {
		u.online()
	}
	for _, u := range w.users {
		counts, err := u.c.Counts()
		w.must(err)
		w.did("%s lacks %s; %+v", u.address.Local(), u.missing(), counts)
	}
	w.fail("something that was taken is not shown")
}

// settleDays is more than a client waits for a receipt before it sends anew.
const settleDays = 9

func (w *simWorld) complete() bool {
	for _, u := range w.users {
		for _, f := range w.users {
			if !u.has(f) {
				return false
			}
		}
	}
	return true
}
