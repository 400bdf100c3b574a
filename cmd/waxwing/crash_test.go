package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"waxwing/cmd/waxwing/internal/child"
	"waxwing/core/ids"
	"waxwing/relay/client"
)

var (
	crashRounds = flag.Int("crash.rounds", 0, "rounds of TestCrash; 0: of WAXWING_CRASH_ROUNDS, or 3")
	crashSeed   = flag.Uint64("crash.seed", 0, "seed of TestCrash's choices; 0: a new one")
)

const (
	// crashSettle bounds a round's wait for what was acked to be shown.
	crashSettle = 90 * time.Second
	// crashPoll is how often it is looked.
	crashPoll = 100 * time.Millisecond
	// crashWait is how long a message that overtook another waits for it at most,
	// crashSpan how far apart messages are at most that wait together: longer than
	// a program is away.
	crashWait = 3 * time.Second
	crashSpan = 5 * time.Minute
)

// TestCrash has two users write to each other while their programs and both
// providers' servers are killed at random moments, and after each round
// compares what was shown with what was acked: everything exactly once, in the
// order in which it was written but for what is marked late, because it came when
// the wait for it was over, and nothing under a block. A ticket that was
// spent twice would show as an envelope disposed of and a message that never
// comes, ratchet state that was used twice as a delivery that does not open.
func TestCrash(t *testing.T) {
	rounds := 3
	if n, err := strconv.Atoi(os.Getenv("WAXWING_CRASH_ROUNDS")); err == nil {
		rounds = n
	}
	if *crashRounds > 0 {
		rounds = *crashRounds
	}
	seed := *crashSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("%d rounds, -crash.seed=%d", rounds, seed)
	c := newCrash(t, rand.New(rand.NewPCG(seed, 0)))
	for i := range rounds {
		c.round()
		if t.Failed() {
			t.Fatalf("round %d", i+1)
		}
	}
}

// crash is a run of TestCrash.
type crash struct {
	t       *testing.T
	r       *rand.Rand
	ctx     context.Context
	servers [2]*child.Server // alpha, beta
	users   [2]*talker       // alice, bob
	mallory *client.Client   // whom bob has blocked
	before  int              // what mallory was shown with before the block
}

// talker is a user whose program is a process of its own.
type talker struct {
	address, peer ids.Address
	dir           string
	proc          *child.Process
	next          int // number of the next message
}

func (c *crash) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

func newCrash(t *testing.T, r *rand.Rand) *crash {
	root := t.TempDir()
	c := &crash{t: t, r: r, ctx: t.Context()}
	var providers [2]*child.Provider
	for i, domain := range []string{"alpha.example", "beta.example"} {
		var err error
		providers[i], err = child.NewProvider(c.ctx, root, domain)
		c.must(err)
	}
	providers[0].Peer(providers[1])
	providers[1].Peer(providers[0])
	t.Cleanup(c.stop)
	for i := range providers {
		var err error
		c.servers[i], err = providers[i].Start(c.ctx)
		c.must(err)
	}
	alice, bob := c.register(root, "alice", 0), c.register(root, "bob", 1)
	c.mallory = c.register(root, "mallory", 0)
	c.befriend(alice, bob, "alice@alpha.example")
	c.befriend(c.mallory, bob, "mallory@alpha.example")
	c.before = 1
	c.must(bob.Block(c.ctx, ids.MustParseAddress("mallory@alpha.example")))
	c.must(errors.Join(alice.Close(), bob.Close()))
	addresses := [2]ids.Address{ids.MustParseAddress("alice@alpha.example"), ids.MustParseAddress("bob@beta.example")}
	for i, local := range []string{"alice", "bob"} {
		c.users[i] = &talker{address: addresses[i], peer: addresses[1-i], dir: filepath.Join(root, local)}
		c.start(c.users[i])
	}
	return c
}

func (c *crash) stop() {
	for _, u := range c.users {
		if u != nil && u.proc != nil {
			u.proc.Kill()
		}
	}
	if c.mallory != nil {
		_ = c.mallory.Close()
	}
	for _, s := range c.servers {
		if s != nil {
			s.Kill()
		}
	}
}

func (c *crash) register(root, local string, at int) *client.Client {
	dir := filepath.Join(root, local)
	c.must(os.MkdirAll(dir, 0o700))
	p, err := client.Create(talkConfig(dir))
	c.must(err)
	s := c.servers[at]
	c.must(p.Register(c.ctx, client.RegisterConfig{
		Address: ids.MustParseAddress(local + "@" + s.Domain), Server: s.Addr, Pin: s.Pin,
	}))
	return p
}

// befriend has one user write to bob under a code of his, and bob answer, so
// that both have tickets.
func (c *crash) befriend(p, bob *client.Client, address string) {
	ctx, cancel := context.WithTimeout(c.ctx, crashSettle)
	defer cancel()
	code, err := bob.ContactCode(ctx, 0)
	c.must(err)
	to, err := p.Add(ctx, code)
	c.must(err)
	_, err = p.Send(ctx, to, "hello")
	c.must(err)
	from := ids.MustParseAddress(address)
	received := func(at *client.Client, with ids.Address) bool {
		c.must(errors.Join(p.Sync(ctx), bob.Sync(ctx)))
		list, err := at.History(with, 0)
		if err != nil && !errors.Is(err, client.ErrUnknownContact) {
			c.t.Fatal(err)
		}
		for _, e := range list {
			if !e.Own {
				return true
			}
		}
		return false
	}
	for !received(bob, from) {
		time.Sleep(crashPoll)
	}
	_, err = bob.Send(ctx, from, "hello back")
	c.must(err)
	for !received(p, to) {
		time.Sleep(crashPoll)
	}
}

func (c *crash) start(u *talker) {
	proc, err := child.Spawn(u.dir+".log", crashTalk, u.dir, u.peer.String())
	c.must(err)
	u.proc = proc
	_, err = proc.Line(c.ctx)
	c.must(err)
}

// round has everybody write, kills some of the four processes, starts them
// again and waits until what was acked is shown.
func (c *crash) round() {
	for _, u := range c.users {
		n := c.r.IntN(12)
		_, err := fmt.Fprintf(u.proc, "send %d %d\n", u.next, u.next+n)
		c.must(err)
		u.next += n
	}
	_, err := c.mallory.Send(c.ctx, c.users[1].address, "under the block")
	c.must(err)
	ctx, cancel := context.WithTimeout(c.ctx, 2*time.Second)
	defer cancel()
	attack := make(chan struct{})
	go func() { defer close(attack); _ = c.mallory.Sync(ctx) }() // her server may be killed
	for range 1 + c.r.IntN(3) {
		time.Sleep(time.Duration(c.r.IntN(200)) * time.Millisecond)
		switch who := c.r.IntN(4); who {
		case 0, 1:
			c.users[who].proc.Kill()
			c.start(c.users[who])
		default:
			s := c.servers[who-2]
			s.Kill()
			time.Sleep(time.Duration(c.r.IntN(100)) * time.Millisecond)
			c.servers[who-2], err = s.Provider.Start(c.ctx)
			c.must(err)
		}
	}
	<-attack
	c.settle()
}

// settle waits until both users were shown everything that was acked, and checks
// what they were shown.
func (c *crash) settle() {
	ctx, cancel := context.WithTimeout(c.ctx, crashSettle)
	defer cancel()
	for i, u := range c.users {
		from := c.users[1-i]
		for {
			missing, r := c.look(u, from)
			if missing == 0 {
				c.check(u, from, r)
				break
			}
			if ctx.Err() != nil {
				c.t.Fatalf("%s was not shown %d messages that were acked; dropped %v, %d held", u.address, missing, r.Dropped, r.Held)
			}
			time.Sleep(crashPoll)
		}
	}
	for _, s := range c.servers {
		m, err := s.Metrics(c.ctx)
		c.must(err)
		for _, from := range []string{"client", "peer"} {
			for _, result := range []string{"disposed_spent", "disposed_binder", "disposed_forged"} {
				if n := m.Envelopes(from, result); n > 0 {
					c.t.Errorf("%s: %d envelopes from a %s: %s", s.Domain, n, from, result)
				}
			}
		}
	}
}

// look asks a user's program what it was shown, and counts what is missing.
func (c *crash) look(u, from *talker) (missing int, r talkReport) {
	_, err := fmt.Fprintln(u.proc, "report")
	c.must(err)
	_, err = u.proc.Line(c.ctx)
	c.must(err)
	b, err := os.ReadFile(u.dir + ".report")
	c.must(err)
	c.must(json.Unmarshal(b, &r))
	want, err := acked(from.dir)
	c.must(err)
	shown := map[string]bool{}
	for _, m := range r.Shown {
		if m.From == from.address.String() {
			shown[m.Text] = true
		}
	}
	for _, n := range want {
		if !shown[strconv.Itoa(n)] {
			missing++
		}
	}
	return missing, r
}

func number(m talkShown) int {
	n, _ := strconv.Atoi(m.Text)
	return n
}

// waited says that the wait for message n was over when it was taken: the first of
// those that were shown in its stead had waited. They waited together with what
// was shown over earlier gaps just before.
func waited(shown []talkShown, n int, taken int64) bool {
	i := slices.IndexFunc(shown, func(m talkShown) bool { return number(m) > n })
	if i < 0 {
		return false
	}
	first := i
	for j := i; j > 0 && shown[i].Taken-shown[j-1].Taken < crashSpan.Milliseconds(); j-- {
		if number(shown[j]) > number(shown[j-1])+1 {
			first = j
		}
	}
	return slices.ContainsFunc(shown[first:], func(m talkShown) bool { return taken >= m.Taken+crashWait.Milliseconds() })
}

// check wants each message once and in order, and nothing dropped that could be
// a message that was lost or state that was used twice.
func (c *crash) check(u, from *talker, r talkReport) {
	seen, blocked := map[int]bool{}, 0
	var inOrder []talkShown
	for _, m := range r.Shown {
		if m.From != from.address.String() {
			blocked++
			continue
		}
		n, err := strconv.Atoi(m.Text)
		if err != nil {
			continue // of the first contact
		}
		if seen[n] || n >= from.next {
			c.t.Errorf("%s was shown message %d twice, or it was never written", u.address, n)
		}
		seen[n] = true
		late := len(inOrder) > 0 && number(inOrder[len(inOrder)-1]) > n
		if late != m.Late {
			c.t.Errorf("%s was shown message %d, marked late: %v; is so: %v", u.address, n, m.Late, late)
		}
		if !late {
			inOrder = append(inOrder, m)
		} else if !waited(inOrder, n, m.Taken) {
			c.t.Errorf("%s was shown message %d out of order: what overtook it did not wait", u.address, n)
		}
	}
	if u == c.users[1] && blocked != c.before {
		c.t.Errorf("%d messages of a blocked contact were shown", blocked-c.before)
	}
	for reason, n := range r.Dropped {
		// What was pushed again because its ack was lost is no fault.
		if n > 0 && reason != "used serial" {
			c.t.Errorf("%s dropped %d deliveries: %s", u.address, n, reason)
		}
	}
	if r.Held > 0 {
		c.t.Errorf("%s holds %d deliveries", u.address, r.Held)
	}
}
