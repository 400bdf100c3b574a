package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"

	"waxwing/cmd/waxwing/internal/child"
	"waxwing/core/ids"
)

const (
	// Window is how many messages may be unacknowledged: the knee beyond which
	// more only adds delay.
	Window = 256
	// DefaultMessages and DefaultRounds make a run of well under a minute.
	DefaultMessages = 20_000
	DefaultRounds   = 3
	// MaxMessages bounds the frames of a load, which are made beforehand and
	// held in memory: about 1.2 kB each.
	MaxMessages = 1_000_000
	// MaxRounds bounds a run that somebody has to wait for.
	MaxRounds = 100
	// linkTime is how long the two relays may take to find each other.
	linkTime = 20 * time.Second
)

// ErrConfig says that a Config makes no sense.
var ErrConfig = errors.New("bench: invalid configuration")

// Config says how much to measure. The zero value is the default run.
type Config struct {
	Messages int // of each load; DefaultMessages
	Rounds   int // DefaultRounds
	// Progress is told what runs now, and may be nil.
	Progress func(string)
}

func (c *Config) complete() error {
	if c.Messages == 0 {
		c.Messages = DefaultMessages
	}
	if c.Rounds == 0 {
		c.Rounds = DefaultRounds
	}
	if c.Progress == nil {
		c.Progress = func(string) {}
	}
	if c.Messages < Window || c.Messages > MaxMessages || c.Rounds < 1 || c.Rounds > MaxRounds {
		return fmt.Errorf("%w: want %d to %d messages and 1 to %d rounds", ErrConfig, Window, MaxMessages, MaxRounds)
	}
	return nil
}

// Hops is what was measured for one path, medians over the rounds.
type Hops struct {
	Hops           int     `json:"hops"`
	RelayPerSecond float64 `json:"relay_msgs_per_s"`
	RelayCPU       float64 `json:"relay_cpu_us_per_msg"` // of all relays on the path
	FloorPerSecond float64 `json:"floor_msgs_per_s"`
	FloorCPU       float64 `json:"floor_cpu_us_per_msg"`
	Ratio          float64 `json:"cpu_ratio"` // relay to floor, of the same round
	P50            float64 `json:"p50_ms"`    // from submission to delivery
	P99            float64 `json:"p99_ms"`
}

// Result is a whole run.
type Result struct {
	Messages int    `json:"messages"` // of each load
	Rounds   int    `json:"rounds"`
	Window   int    `json:"window"`
	Envelope int    `json:"envelope_bytes"`
	CPUs     int    `json:"cpus"`
	Go       string `json:"go"`
	Hops     []Hops `json:"hops"`
}

// Run measures. It keeps nothing on disk.
func Run(ctx context.Context, conf Config) (*Result, error) {
	if err := conf.complete(); err != nil {
		return nil, err
	}
	root, err := os.MkdirTemp("", "waxwing-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(root)
	conf.Progress("starting two relays and the floor")
	s, err := newStage(ctx, root)
	if err != nil {
		return nil, err
	}
	defer s.close()
	var rounds [][3]sample // floor, one hop, two hops
	for i := range conf.Rounds {
		r, err := s.round(ctx, conf, i)
		if err != nil {
			return nil, err
		}
		rounds = append(rounds, r)
	}
	return summary(conf, rounds), nil
}

// stage is the processes and accounts of a run.
type stage struct {
	floor    *floor
	servers  []*child.Server
	accounts []*account
	paths    [2]path
}

func (s *stage) close() {
	for _, a := range s.accounts {
		a.close()
	}
	for _, server := range s.servers {
		server.Kill() // the data are deleted anyway
	}
	if s.floor != nil {
		s.floor.proc.Kill()
	}
}

// unlimited lifts the limits that are for users.
func unlimited() (flags []string) {
	for _, name := range []string{
		"account-envelopes", "account-tickets", "account-requests", "mailbox-envelopes", "peer-envelopes", "peer-requests", "registrations",
	} {
		flags = append(flags, "--limit", name+"=1000000/s,100000000")
	}
	return append(flags, "--limit", "peer-bytes=1000000000/s,100000000000", "--log-level", "warn")
}

func newStage(ctx context.Context, root string) (_ *stage, err error) {
	s := new(stage)
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if s.floor, err = startFloor(ctx, root); err != nil {
		return nil, err
	}
	alpha, err := child.NewProvider(ctx, root, "alpha.example")
	if err != nil {
		return nil, err
	}
	beta, err := child.NewProvider(ctx, root, "beta.example")
	if err != nil {
		return nil, err
	}
	alpha.Peer(beta)
	beta.Peer(alpha)
	for _, p := range []*child.Provider{alpha, beta} {
		p.Flags = append(p.Flags, unlimited()...)
		server, err := p.Start(ctx)
		if err != nil {
			return nil, err
		}
		s.servers = append(s.servers, server)
	}
	for i, name := range []string{"alice", "carol", "bob"} {
		a, err := register(ctx, s.servers[i/2], name)
		if err != nil {
			return nil, fmt.Errorf("register: %w", err)
		}
		s.accounts = append(s.accounts, a)
	}
	alice, carol, bob := s.accounts[0], s.accounts[1], s.accounts[2]
	s.paths = [2]path{
		{from: alice, to: carol, dest: ids.MustParseDomain(alpha.Domain), relays: s.servers[:1]},
		{from: alice, to: bob, dest: ids.MustParseDomain(beta.Domain), relays: s.servers},
	}
	return s, s.linked(ctx)
}

// linked waits until alpha has its link to beta.
func (s *stage) linked(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, linkTime)
	defer cancel()
	for {
		m, err := s.servers[0].Metrics(ctx)
		if err != nil {
			return err
		}
		if m.Value("waxwing_peer_links") > 0 {
			return nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("the two relays did not find each other within %s: %w", linkTime, ctx.Err())
		}
	}
}

// round runs the three loads.
func (s *stage) round(ctx context.Context, conf Config, i int) (out [3]sample, err error) {
	name := func(what string) string { return fmt.Sprintf("round %d of %d: %s", i+1, conf.Rounds, what) }
	conf.Progress(name("floor"))
	tickets, err := s.paths[0].to.mint(ctx, conf.Messages)
	if err != nil {
		return out, fmt.Errorf("mint tickets: %w", err)
	}
	frames, err := load(tickets, s.paths[0].dest)
	if err != nil {
		return out, err
	}
	if out[0], err = s.floor.run(ctx, frames); err != nil {
		return out, err
	}
	for hops := range s.paths {
		conf.Progress(name(fmt.Sprintf("%d hop(s)", hops+1)))
		if out[hops+1], err = s.paths[hops].run(ctx, conf.Messages); err != nil {
			return out, fmt.Errorf("%d hop(s): %w", hops+1, err)
		}
	}
	return out, nil
}

func summary(conf Config, rounds [][3]sample) *Result {
	r := &Result{
		Messages: conf.Messages, Rounds: conf.Rounds, Window: Window, Envelope: 1 << 10,
		CPUs: runtime.NumCPU(), Go: runtime.Version(),
	}
	for hops := 1; hops <= 2; hops++ {
		of := func(value func(relay, floor sample) float64) float64 {
			all := make([]float64, len(rounds))
			for i, round := range rounds {
				all[i] = value(round[hops], round[0])
			}
			slices.Sort(all)
			return all[len(all)/2]
		}
		r.Hops = append(r.Hops, Hops{
			Hops:           hops,
			RelayPerSecond: of(func(r, _ sample) float64 { return r.perSecond }),
			RelayCPU:       of(func(r, _ sample) float64 { return r.cpu }),
			FloorPerSecond: of(func(_, f sample) float64 { return f.perSecond }),
			FloorCPU:       of(func(_, f sample) float64 { return f.cpu }),
			Ratio:          of(func(r, f sample) float64 { return r.cpu / f.cpu }),
			P50:            of(func(r, _ sample) float64 { return r.p50 }),
			P99:            of(func(r, _ sample) float64 { return r.p99 }),
		})
	}
	return r
}
