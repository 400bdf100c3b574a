package node_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/relay"
	"waxwing/relay/client"
	"waxwing/relay/node"
	"waxwing/relay/quicnet"
)

// simTimeouts are ten times the defaults, so that days in which nothing happens
// are mostly that.
var simTimeouts = quicnet.Timeouts{Idle: 5 * time.Minute, KeepAlive: 100 * time.Second}

// simWorld is two providers and their users inside a bubble.
type simWorld struct {
	t         testing.TB
	r         *rand.Rand
	net       *network
	dir       string
	providers []*simProvider
	users     []*simUser
	trace     []string // what was done, shown with a failure: seeds replay nearly, not quite
	failed    bool
}

func (w *simWorld) must(err error) {
	w.t.Helper()
	if err != nil {
		w.fail("%v", err)
	}
}

// fail ends the run with what was done until then.
func (w *simWorld) fail(format string, args ...any) {
	w.t.Helper()
	w.failed = true
	for _, line := range w.trace {
		w.t.Log(line)
	}
	w.t.Fatalf(format, args...)
}

func (w *simWorld) did(format string, args ...any) {
	w.trace = append(w.trace, time.Now().UTC().Format("Jan 02 15:04:05.000 ")+fmt.Sprintf(format, args...))
}

// simProvider is a provider that can be stopped, lost and started again.
type simProvider struct {
	w      *simWorld
	host   netip.Addr
	domain ids.Domain
	conf   node.Config
	pin    keys.Pin

	node   *node.Node
	socket net.PacketConn
	stop   context.CancelFunc
	done   chan error
}

func (w *simWorld) provider(domain string) *simProvider {
	p := &simProvider{w: w, host: simHost(len(w.providers) + 1), domain: ids.MustParseDomain(domain)}
	p.conf = node.Config{
		Dir: filepath.Join(w.dir, domain), Listen: simAddr(p.host), Endpoints: []string{simAddr(p.host)},
		Registration: relay.RegistrationOpen, Store: watch(func(what string) { w.t.Error(what) }),
		Socket:  func() (net.PacketConn, error) { return w.net.socket(p.host, 0) },
		Network: quicnet.Config{Timeouts: simTimeouts},
	}
	var err error
	p.pin, err = node.Init(p.conf.Dir, p.domain, nil)
	w.must(err)
	w.providers = append(w.providers, p)
	return p
}

func (p *simProvider) start() {
	p.w.t.Helper()
	if p.stop != nil {
		return
	}
	var err error
	p.socket, err = p.w.net.socket(p.host, simPort)
	p.w.must(err)
	p.conf.Network.PacketConn = p.socket
	p.node, err = node.Open(p.conf)
	p.w.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	p.stop, p.done = cancel, make(chan error, 1)
	go func(n *node.Node, done chan error) { done <- n.Run(ctx) }(p.node, p.done)
}

// halt stops the provider. Lost means that nothing which it still says is heard:
// to all others it is as if it had been killed at this moment, and what it
// stored without an answer is stored.
func (p *simProvider) halt(lost bool) {
	p.w.t.Helper()
	if p.stop == nil {
		return
	}
	if lost {
		p.w.net.set(func() { p.w.net.dark[p.host] = true })
	}
	p.stop()
	p.w.must(<-p.done)
	_ = p.socket.Close()
	p.stop = nil
	p.w.net.set(func() { delete(p.w.net.dark, p.host) })
}

// simUser is a user with one device, and what the oracle knows about it.
type simUser struct {
	w       *simWorld
	host    netip.Addr
	p       *simProvider
	address ids.Address
	conf    client.Config

	c    *client.Client
	stop context.CancelFunc
	done chan error

	friends  []*simUser
	sent     map[*simUser][]simMessage
	position uint64
	shown    []string                  // everything, in the order of the log
	looks    int                       // how often the log was read
	inOrder  map[*simUser][]simShown   // what was shown of each sender, without what was late
	seen     map[*simUser]map[int]bool // what was shown of each
	blocked  map[*simUser]int          // how many were shown of a sender when it was blocked
	late     int
}

// simMessage is a message that a client has accepted.
type simMessage struct {
	id client.MessageID
	at time.Time
}

// simShown is a message that a user was shown.
type simShown struct {
	n     int
	taken time.Time // when the client took it, which is not when it was shown
	look  int       // in which look: what was shown at once is seen at once
}

// simWait is how long a message that overtook another waits for it at most.
const simWait = 3 * time.Second

// waited says that the wait for message n was over when it was taken: the first of
// those that were shown in its stead had waited. Messages that were shown together
// waited together.
func waited(shown []simShown, n int, taken time.Time) bool {
	i := slices.IndexFunc(shown, func(s simShown) bool { return s.n > n })
	if i < 0 {
		return false
	}
	for i > 0 && shown[i-1].look == shown[i].look {
		i--
	}
	return slices.ContainsFunc(shown[i:], func(s simShown) bool { return !taken.Before(s.taken.Add(simWait)) })
}

func (w *simWorld) user(p *simProvider, local string) *simUser {
	u := &simUser{
		w: w, host: simHost(100 + len(w.users)), p: p, address: ids.MustParseAddress(local + "@" + p.domain.String()),
		sent: make(map[*simUser][]simMessage), inOrder: make(map[*simUser][]simShown),
		seen: make(map[*simUser]map[int]bool), blocked: make(map[*simUser]int),
	}
	u.conf = client.Config{
		Dir: filepath.Join(w.dir, local), Timeouts: simTimeouts, Socket: func() (net.PacketConn, error) { return w.net.socket(u.host, 0) },
	}
	w.users = append(w.users, u)
	return u
}

// begin makes the user's account.
func (u *simUser) begin() {
	u.w.t.Helper()
	c, err := client.Create(u.conf)
	u.w.must(err)
	u.w.must(c.Register(u.w.t.Context(), client.RegisterConfig{
		Address: u.address, Server: simAddr(u.p.host), Pin: u.p.pin,
	}))
	u.run(c)
}

func (u *simUser) run(c *client.Client) {
	ctx, cancel := context.WithCancel(context.Background())
	u.c, u.stop, u.done = c, cancel, make(chan error, 1)
	go func(done chan error) { done <- c.Run(ctx) }(u.done)
}

func (u *simUser) online() {
	u.w.t.Helper()
	if u.c != nil {
		return
	}
	c, err := client.Open(u.conf)
	u.w.must(err)
	u.run(c)
}

// offline ends the client; lost means that the network is gone first, so that
// nobody hears of it.
func (u *simUser) offline(lost bool) {
	u.w.t.Helper()
	if u.c == nil {
		return
	}
	if lost {
		u.w.net.set(func() { u.w.net.dark[u.host] = true })
	}
	u.stop()
	if err := <-u.done; err != nil {
		u.w.fail("client of %v ended with %v", u.address, err)
	}
	u.look()
	u.w.must(u.c.Close())
	u.c = nil
	u.w.net.set(func() { delete(u.w.net.dark, u.host) })
}

// befriend has a add b by a code, and both write a first message.
func (w *simWorld) befriend(a, b *simUser) {
	w.t.Helper()
	code, err := b.c.ContactCode(w.t.Context(), 0)
	w.must(err)
	_, err = a.c.Add(w.t.Context(), code)
	w.must(err)
	a.send(b)
	w.until(time.Hour, func() bool { return b.has(a) })
	b.send(a)
	w.until(time.Hour, func() bool { return a.has(b) })
	a.friends, b.friends = append(a.friends, b), append(b.friends, a)
}

// until lets time pass until something is so.
func (w *simWorld) until(limit time.Duration, so func() bool) {
	w.t.Helper()
	for began := time.Now(); ; {
		w.look()
		if so() {
			return
		}
		if time.Since(began) > limit {
			for _, u := range w.users {
				w.did("%v: %s", u.address, u.missing())
			}
			w.fail("not so after %v", limit)
		}
		time.Sleep(time.Second)
	}
}

func (u *simUser) send(to *simUser) {
	u.w.t.Helper()
	text := fmt.Sprintf("%s %d", u.address.Local(), len(u.sent[to]))
	id, err := u.c.Send(u.w.t.Context(), to.address, text)
	u.w.must(err)
	// Durable at the client: from here on it may not be lost.
	u.sent[to] = append(u.sent[to], simMessage{id, time.Now()})
}

// has reports whether the user was shown everything of another.
func (u *simUser) has(from *simUser) bool {
	_, blocked := u.blocked[from]
	// Who blocks somebody sends it nothing more, what was waiting neither.
	_, blocks := from.blocked[u]
	return blocked || blocks || len(u.seen[from]) == len(from.sent[u])
}

// block blocks a contact. What was shown before is all that is ever shown.
func (u *simUser) block(f *simUser) {
	u.w.t.Helper()
	u.w.did("%s blocks %s", u.address.Local(), f.address.Local())
	ctx, cancel := context.WithTimeout(u.w.t.Context(), time.Minute)
	defer cancel()
	// An error of the network is none of the block's, which is durable here; the
	// provider is told with the next connection.
	if err := u.c.Block(ctx, f.address); err != nil {
		u.w.did("its provider is not told yet: %v", err)
	}
	u.look()
	u.blocked[f] = len(u.seen[f])
}

func (u *simUser) missing() (out string) {
	for _, f := range u.w.users {
		if u.has(f) {
			continue
		}
		out += fmt.Sprintf("of %s:", f.address.Local())
		for i, m := range f.sent[u] {
			if u.seen[f][i] {
				continue
			}
			status := "?"
			if f.c != nil {
				if e, err := f.c.Status(m.id); err == nil {
					status = e.Status.String()
				}
			}
			out += fmt.Sprintf(" %d (%s, written %s)", i, status, m.at.UTC().Format("Jan 02 15:04:05"))
		}
	}
	return out
}

// look asks the oracle about every user that is there.
func (w *simWorld) look() {
	w.t.Helper()
	synctest.Wait()
	for _, u := range w.users {
		u.look()
	}
}

// look reads what is new in the log: every message once, and none of a sender
// who was blocked.
func (u *simUser) look() {
	u.w.t.Helper()
	if u.c == nil || u.w.failed {
		return
	}
	u.looks++
	for {
		batch, err := u.c.Inbox(u.position, 0)
		if errors.Is(err, client.ErrClosed) {
			return
		}
		u.w.must(err)
		if len(batch) == 0 {
			return
		}
		for _, o := range batch {
			if o.Position() <= u.position {
				u.w.fail("%v: the log went back", u.address)
			}
			u.position = o.Position()
			u.shown = append(u.shown, o.Text())
			u.judge(o)
		}
	}
}

func (u *simUser) judge(o *client.Opened) {
	u.w.t.Helper()
	for _, f := range u.w.users {
		if f.address != o.From() {
			continue
		}
		var local string
		var n int
		if _, err := fmt.Sscanf(o.Text(), "%s %d", &local, &n); err != nil || local != f.address.Local() || n >= len(f.sent[u]) {
			u.w.fail("%v was shown %q, which nobody wrote", u.address, o.Text())
		}
		if u.seen[f] == nil {
			u.seen[f] = make(map[int]bool)
		}
		if u.seen[f][n] {
			u.w.fail("%v was shown %q twice", u.address, o.Text())
		}
		if _, ok := u.blocked[f]; ok {
			u.w.fail("%v was shown %q of a blocked sender", u.address, o.Text())
		}
		u.seen[f][n] = true
		u.order(f, n, o)
		return
	}
	u.w.fail("%v was shown a message of a stranger", u.address)
}

// order wants what is not marked late to be in the order in which it was written,
// and what is late to have come when the wait for it was over.
func (u *simUser) order(f *simUser, n int, o *client.Opened) {
	u.w.t.Helper()
	before := u.inOrder[f]
	late := len(before) > 0 && before[len(before)-1].n > n
	if late != o.Late() || o.Sequence() != uint64(n+1) {
		u.w.fail("%v was shown %q, number %d, marked late: %v; is so: %v", u.address, o.Text(), o.Sequence(), o.Late(), late)
	}
	e, err := u.c.Status(client.MessageID(o.Position()))
	u.w.must(err)
	if !late {
		u.inOrder[f] = append(before, simShown{n, e.Time, u.looks})
		return
	}
	u.w.did("LATE %v %q", u.address, o.Text())
	u.late++
	if !waited(before, n, e.Time) {
		u.w.fail("%v was shown %q out of order: what overtook it did not wait", u.address, o.Text())
	}
}

// reread compares the whole log with what was shown: nothing that a user has
// seen is gone or another after a restart.
func (u *simUser) reread() {
	u.w.t.Helper()
	var after uint64
	i := 0
	for {
		batch, err := u.c.Inbox(after, 0)
		u.w.must(err)
		if len(batch) == 0 {
			break
		}
		for _, o := range batch {
			if after = o.Position(); i >= len(u.shown) || u.shown[i] != o.Text() {
				u.w.fail("%v: the log is another after a restart", u.address)
			}
			i++
		}
	}
	if i != len(u.shown) {
		u.w.fail("%v: %d of %d messages are gone after a restart", u.address, len(u.shown)-i, len(u.shown))
	}
}

// federate makes the providers peers of each other.
func (w *simWorld) federate() {
	for _, p := range w.providers {
		for _, q := range w.providers {
			if p != q {
				p.conf.Peers = append(p.conf.Peers, node.Peer{Domain: q.domain, Addr: simAddr(q.host), Pin: q.pin})
			}
		}
	}
}

// end stops everything.
func (w *simWorld) end() {
	for _, u := range w.users {
		if u.c != nil {
			u.stop()
			<-u.done
			_ = u.c.Close()
		}
	}
	for _, p := range w.providers {
		if p.stop != nil {
			p.stop()
			<-p.done
			_ = p.socket.Close()
		}
		_ = p.conf.Store.Close()
	}
}
