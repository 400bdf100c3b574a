package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"waxwing/cmd/waxwing/internal/child"
	"waxwing/relay/client"
)

const (
	// DefaultMessages is the size of the load: enough for the kill to fall into
	// the middle of it.
	DefaultMessages = 3000
	// MinMessages and MaxMessages bound it: below, the load is over before
	// anything can be killed; above, nobody waits for the end, and a provider's
	// default limits per account would hold it up.
	MinMessages = 200
	MaxMessages = 4000
	// stepTime bounds each wait for something that has to happen.
	stepTime = 60 * time.Second
	// textSize is the length of the load's texts: the envelope of the smallest
	// class has room for it.
	textSize = 160
)

// ErrConfig says that a Config makes no sense.
var ErrConfig = errors.New("demo: invalid configuration")

// Config says how to show the demo. The zero value is the default one, without
// output.
type Config struct {
	Messages int         // of the load; DefaultMessages
	Keep     bool        // leave the data on disk
	Text     io.Writer   // for people; none if nil
	TTY      io.Writer   // progress that is overwritten; none if nil
	Event    func(*Step) // called at the end of each step; may be nil
}

func (c *Config) complete() error {
	if c.Messages == 0 {
		c.Messages = DefaultMessages
	}
	if c.Messages < MinMessages || c.Messages > MaxMessages {
		return fmt.Errorf("%w: want %d to %d messages", ErrConfig, MinMessages, MaxMessages)
	}
	if c.Text == nil {
		c.Text = io.Discard
	}
	if c.TTY == nil {
		c.TTY = io.Discard
	}
	if c.Event == nil {
		c.Event = func(*Step) {}
	}
	return nil
}

// demo is a run.
type demo struct {
	stage
	conf Config
	root string // directory of everything

	alpha, beta *child.Server
	alice, bob  *user
	code        string   // bob's contact code
	texts       []string // what was written before the load
}

// Run shows the demo. The report is never nil; it is OK exactly if the error is
// nil. A *FailedError says that a claim did not hold.
func Run(ctx context.Context, conf Config) (*Report, error) {
	report := &Report{Steps: []*Step{}}
	began := time.Now()
	err := conf.complete()
	if err == nil {
		err = run(ctx, conf, report)
	}
	report.OK, report.Seconds = err == nil, time.Since(began).Seconds()
	if err != nil {
		report.Error = err.Error()
	}
	return report, err
}

func run(ctx context.Context, conf Config, report *Report) (err error) {
	root, err := os.MkdirTemp("", "waxwing-demo-")
	if err != nil {
		return err
	}
	if conf.Keep {
		report.Data = root
	} else {
		defer func() { err = errors.Join(err, os.RemoveAll(root)) }()
	}
	d := &demo{
		stage: stage{text: conf.Text, tty: conf.TTY, event: conf.Event, report: report},
		conf:  conf, root: root,
	}
	// Whatever happens, no child and no goroutine stays.
	defer d.cleanUp()
	for _, s := range []struct {
		name, title string
		run         func(context.Context) error
	}{
		{"providers", "Two providers start", d.providers},
		{"accounts", "Alice and Bob register, each at a provider of their own", d.accounts},
		{"contact", "Bob gives Alice a contact code", d.contact},
		{"messages", "They write to each other", d.messages},
		{"seen", "What each relay saw and stored", d.seen},
		{"kill", fmt.Sprintf("%d messages, and beta.example is killed in the middle", conf.Messages), d.kill},
		{"block", "Bob blocks Alice", d.block},
		{"introduce", "Carol, whom Bob does not know, introduces herself", d.introduce},
		{"report", "Bob reports two of Alice's messages", d.reportMessages},
		{"stop", "Both providers drain and stop", d.shutDown},
	} {
		d.begin(s.name, s.title)
		if err := d.end(s.run(ctx)); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

// cleanUp ends what a failure left running.
func (d *demo) cleanUp() {
	for _, u := range []*user{d.alice, d.bob} {
		if u != nil {
			_ = u.close()
		}
	}
	for _, s := range []*child.Server{d.alpha, d.beta} {
		if s != nil && s.Running() {
			s.Kill()
		}
	}
}

// within bounds a wait.
func within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, stepTime, fmt.Errorf("nothing more within %s: %w", stepTime, context.DeadlineExceeded))
}

func (d *demo) providers(ctx context.Context) error {
	ctx, cancel := within(ctx)
	defer cancel()
	alpha, err := child.NewProvider(ctx, d.root, "alpha.example")
	if err != nil {
		return err
	}
	beta, err := child.NewProvider(ctx, d.root, "beta.example")
	if err != nil {
		return err
	}
	alpha.Peer(beta)
	beta.Peer(alpha)
	if d.alpha, err = alpha.Start(ctx); err != nil {
		return err
	}
	if d.beta, err = beta.Start(ctx); err != nil {
		return err
	}
	for _, s := range []*child.Server{d.alpha, d.beta} {
		d.say("%s  pin %s", s.Domain, s.Pin)
		d.say("%*s  process of its own on %s, data in %s", len(s.Domain), "", s.Addr, s.Dir)
		if err := linked(ctx, s); err != nil {
			return err
		}
		if err := d.check(true, "", "%s serves and has a link to the other, whose root key it has pinned", s.Domain); err != nil {
			return err
		}
	}
	return nil
}

// linked waits until a server has its link to the other.
func linked(ctx context.Context, s *child.Server) error {
	for {
		m, err := s.Metrics(ctx)
		if err != nil || m.Value("waxwing_peer_links") == 1 {
			return err
		}
		if err := pause(ctx, poll); err != nil {
			return fmt.Errorf("%s has no link to the other provider: %w", s.Domain, err)
		}
	}
}

func (d *demo) accounts(ctx context.Context) (err error) {
	bounded, cancel := within(ctx)
	defer cancel()
	if d.alice, err = newUser(bounded, d.root, d.alpha.Provider, "alice"); err != nil {
		return err
	}
	if d.bob, err = newUser(bounded, d.root, d.beta.Provider, "bob"); err != nil {
		return err
	}
	for _, u := range []*user{d.alice, d.bob} {
		p, err := u.c.Profile()
		if err != nil {
			return err
		}
		err = d.check(p.Registered && p.Address == u.address, fmt.Sprintf("registered %v, as %s", p.Registered, p.Address),
			"%s is registered, with keys that were made on the user's side", u.address)
		if err != nil {
			return err
		}
		u.run(ctx)
	}
	return d.taken(bounded)
}

// taken checks that nobody else gets Alice's address.
func (d *demo) taken(ctx context.Context) error {
	dir, err := os.MkdirTemp(d.root, "mallory-")
	if err != nil {
		return err
	}
	c, err := client.Create(client.Config{Dir: dir})
	if err != nil {
		return err
	}
	err = c.Register(ctx, client.RegisterConfig{
		Address: d.alice.address, Server: d.alpha.Addr, Pin: pinOf(d.alpha.Provider),
	})
	refused, ok := errors.AsType[*client.RefusedError](err)
	return errors.Join(c.Close(), d.check(ok && refused.Code == codeExists, fmt.Sprint("the answer was: ", err),
		"another registration of %s is refused: the address is taken", d.alice.address))
}

func (d *demo) shutDown(context.Context) error {
	for _, u := range []**user{&d.alice, &d.bob} {
		err := (*u).close()
		*u = nil
		if err != nil {
			return err
		}
	}
	for _, s := range []*child.Server{d.alpha, d.beta} {
		err := s.Stop()
		if err := d.check(err == nil, fmt.Sprint(err), "%s drained when its input was closed, and ended with exit code 0", s.Domain); err != nil {
			return err
		}
	}
	if d.conf.Keep {
		d.say("data are kept in %s", d.root)
	}
	return nil
}
