package node_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"waxwing/core/mailbox"
	"waxwing/core/store"
	"waxwing/relay/client/state"
)

// outboxRetry is what the provider says to who finds an outbox full.
const outboxRetry = 30 * time.Second

// tightOutbox is a store with a small quota of one outbox. It notes when that was
// full.
type tightOutbox struct {
	store.Store
	quota store.AppendReq // its Mailbox and Quota

	mu   sync.Mutex // guards full
	full []time.Time
}

// Append is the store's.
func (s *tightOutbox) Append(ctx context.Context, reqs []store.AppendReq) []store.AppendRes {
	for i := range reqs {
		if reqs[i].Mailbox == s.quota.Mailbox {
			reqs[i].Quota = s.quota.Quota
		}
	}
	out := s.Store.Append(ctx, reqs)
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range out {
		if reqs[i].Mailbox == s.quota.Mailbox && errors.Is(out[i].Err, store.ErrFull) {
			s.full = append(s.full, time.Now())
		}
	}
	return out
}

// rounds are the times at which senders came that found the outbox full.
func (s *tightOutbox) rounds() (began []time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, at := range s.full {
		if i == 0 || at.Sub(s.full[i-1]) > time.Second {
			began = append(began, at)
		}
	}
	return began
}

// TestFullOutboxOfRunningProviders has a user write more to another provider than
// the outbox to it holds while it is away: the client keeps what is refused, shows
// it as such, asks again when it was told to and writes to others meanwhile, also
// after a restart; when the other provider is back all is shown, once and in order.
func TestFullOutboxOfRunningProviders(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := &simWorld{t: t, dir: dir, r: rand.New(rand.NewPCG(1, 0)), net: newNetwork(rand.New(rand.NewPCG(1, 1)))}
		defer w.end()
		fullOutbox(w)
	})
}

func fullOutbox(w *simWorld) {
	const room, written = 3, 12
	alpha, beta := w.provider("alpha.example"), w.provider("beta.example")
	box := mailbox.Outbox(beta.domain)
	tight := &tightOutbox{Store: alpha.conf.Store, quota: store.AppendReq{Mailbox: box, Quota: store.Quota{Messages: room}}}
	alpha.conf.Store = tight
	w.federate()
	alpha.start()
	beta.start()
	alice, carol, bob := w.user(alpha, "alice"), w.user(alpha, "carol"), w.user(beta, "bob")
	for _, u := range w.users {
		u.begin()
	}
	w.befriend(alice, bob)
	w.befriend(alice, carol)
	waiting := func() int {
		stat, err := tight.Stat(context.Background(), box)
		w.must(err)
		return stat.Messages
	}
	w.until(time.Hour, func() bool { return waiting() == 0 })

	beta.halt(false)
	before := len(alice.sent[bob])
	for range written {
		alice.send(bob)
	}
	w.until(time.Minute, func() bool { return len(tight.rounds()) > 0 })
	alice.kept(bob, before, room)
	alice.send(carol)
	w.until(outboxRetry/2, func() bool { return carol.has(alice) })
	w.until(time.Hour, func() bool { return len(tight.rounds()) > 3 })
	for i, at := range tight.rounds()[1:] {
		if pause := at.Sub(tight.rounds()[i]); pause < outboxRetry {
			w.fail("asked again after %v", pause)
		}
	}
	alice.offline(false)
	alice.online()
	n := len(tight.rounds())
	w.until(time.Hour, func() bool { return len(tight.rounds()) > n })
	alice.kept(bob, before, room)
	if n := waiting(); n != room || bob.has(alice) {
		w.fail("%d wait in the outbox", n)
	}

	beta.start()
	w.until(time.Hour, func() bool { return bob.has(alice) && waiting() == 0 })
	if bob.late > 0 {
		w.fail("%d were shown out of order", bob.late)
	}
	w.until(time.Hour, func() bool { return alice.in(bob, before, state.StatusDelivered) == written })
	if counts, err := alice.c.Counts(); err != nil || counts.Outbox > 0 {
		w.fail("%d envelopes are left, %v", counts.Outbox, err)
	}
}

// in is how many messages to another from a number on have a status.
func (u *simUser) in(to *simUser, from int, s state.Status) (n int) {
	u.w.t.Helper()
	for _, m := range u.sent[to][from:] {
		e, err := u.c.Status(m.id)
		u.w.must(err)
		if e.Status == s {
			n++
		}
	}
	return n
}

// kept wants so many messages from a number on to be with the provider, and the
// client to say of all others that they are not.
func (u *simUser) kept(to *simUser, from, accepted int) {
	u.w.t.Helper()
	here := u.in(to, from, state.StatusSealed) + u.in(to, from, state.StatusWaiting)
	all := len(u.sent[to]) - from
	if n := u.in(to, from, state.StatusAccepted); n > accepted || n == 0 || here != all-n {
		u.w.fail("of %d messages %d are with the provider, %d are kept", all, n, here)
	}
	counts, err := u.c.Counts()
	u.w.must(err)
	if counts.Outbox == 0 || here == 0 {
		u.w.fail("the client says that nothing is left")
	}
}
