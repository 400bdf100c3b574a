package node

import (
	"context"
	"sync"

	"golang.org/x/sync/semaphore"

	"waxwing/ratelimit/gcra"
	"waxwing/relay"
)

const (
	// clientBacklog and peerBacklog bound, in bytes, the envelopes of all clients
	// and of all peers that were taken and are not settled yet. They are apart, so
	// that neither side's flood keeps the other's out: 128 streams at their own
	// bound (two batches of maxSettleBytes) each.
	clientBacklog = 128 * intakeJobs * maxSettleBytes
	peerBacklog   = 128 * intakeJobs * maxSettleBytes
	// senderBacklog bounds the same of one sender: 16 streams at their bound, what
	// goes over a network of 100 ms at 80 MB/s. A sender with more streams, on
	// however many connections, is refused what is above, so that it takes an
	// eighth of what there is and leaves the rest to others.
	senderBacklog = 16 * intakeJobs * maxSettleBytes
	// senderTurn bounds, in bytes, what of one sender is settled at a time, on all
	// its streams: the largest batch, or several small ones, as those are that
	// hold introductions. What others send waits for so much of it at most, and
	// for what comes into the same commit, however much of it is held. Twice as
	// much made the wait of others two and a half times as long.
	senderTurn = maxSettleBytes
)

// backlog counts bytes that were taken and are not settled yet. A sender's has
// all senders' of its kind above it.
type backlog struct {
	// fixed
	limit int
	above *backlog // nil at the top

	mu   sync.Mutex // guards held
	held int
}

// take reserves room, or returns the refusal of whoever needs it. It is asked
// before an envelope is looked at, so that an overload costs no public-key
// operation, no spent allowance and no memory.
func (b *backlog) take(n int) *relay.Refusal {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.held+n > b.limit {
		return relay.Busy()
	}
	if b.above != nil {
		if ref := b.above.take(n); ref != nil {
			return ref
		}
	}
	b.held += n
	return nil
}

// give returns room: here and above at once, so that what all hold is never more
// than what each does.
func (b *backlog) give(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held -= n
	if b.above != nil {
		b.above.give(n)
	}
}

// load returns how much is held.
func (b *backlog) load() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.held
}

// senders holds the backlogs of those who send now: a peer, an account, or an
// address prefix of connections that are nobody's. There are at most as many as
// connections.
type senders struct {
	limit int      // fixed; of each
	above *backlog // fixed; of all

	mu sync.Mutex // guards of
	of map[gcra.Key]*sender
}

type sender struct {
	backlog
	turn  *semaphore.Weighted // fixed; bytes of senderTurn, first come, first served
	conns int                 // guarded by senders.mu
}

// settling waits until n bytes of the sender's may be settled. The caller gives
// them back with settled. The error is the context's.
func (x *sender) settling(ctx context.Context, n int) error {
	return x.turn.Acquire(ctx, int64(min(n, senderTurn)))
}

func (x *sender) settled(n int) { x.turn.Release(int64(min(n, senderTurn))) }

// join returns a sender for one more of its connections.
func (s *senders) join(key gcra.Key) *sender {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.of[key]
	if x == nil {
		if s.of == nil {
			s.of = map[gcra.Key]*sender{}
		}
		x = &sender{backlog: backlog{limit: s.limit, above: s.above}, turn: semaphore.NewWeighted(senderTurn)}
		s.of[key] = x
	}
	x.conns++
	return x
}

// leave is for a connection that joined and holds nothing any more.
func (s *senders) leave(key gcra.Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.of[key]
	if x.conns--; x.conns == 0 {
		delete(s.of, key)
	}
}
