package node

import (
	"sync"

	"waxwing/relay"
)

const (
	// clientBacklog and peerBacklog bound, in bytes, the envelopes of all clients
	// and of all peers that were taken and are not settled yet. They are apart, so
	// that neither side's flood keeps the other's out: 16 streams at their own
	// bound (two batches of maxSettleBytes) each.
	clientBacklog = 16 * intakeJobs * maxSettleBytes
	peerBacklog   = 16 * intakeJobs * maxSettleBytes
	// connBacklog bounds the same of one connection: one stream at its bound and
	// as much for another one, which a peer or a client may open while the first
	// ends. A sender with more streams is refused what is above.
	connBacklog = 2 * intakeJobs * maxSettleBytes
)

// backlog counts bytes that were taken and are not settled yet. A connection's
// has all connections' of its kind above it.
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

// give returns room.
func (b *backlog) give(n int) {
	b.mu.Lock()
	b.held -= n
	b.mu.Unlock()
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
