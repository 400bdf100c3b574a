package relay

import (
	"context"
	"sync"
)

// maxKnown is how many mailboxes are remembered to exist, and how many refills to
// have been counted: a hundred thousand active users, at about 40 bytes each. A
// mailbox that is forgotten costs a read, a refill counts again.
const maxKnown = 100_000

// known remembers things that were seen, and never that one was not: mailboxes that
// exist, so that an envelope does not cost a read of the store, and refills.
type known[T comparable] struct {
	mu  sync.Mutex // guards set
	set map[T]struct{}
}

func (k *known[T]) has(m T) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	_, ok := k.set[m]
	return ok
}

func (k *known[T]) add(m T) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.set == nil {
		k.set = map[T]struct{}{}
	}
	if len(k.set) >= maxKnown {
		for old := range k.set { // any one
			delete(k.set, old)
			break
		}
	}
	k.set[m] = struct{}{}
}

// markUnknown turns an admitted envelope to a mailbox that does not exist into
// a disposal. An error means that the store cannot tell.
func (r *Relay) markUnknown(ctx context.Context, a *Admitted) error {
	if a.outbox || a.req.Discard || a.intro.asked || r.known.has(a.req.Mailbox) {
		return nil
	}
	known, err := r.mailboxes.Known(ctx, a.req.Mailbox)
	if err != nil {
		return err
	}
	if known {
		r.known.add(a.req.Mailbox)
		return nil
	}
	a.req.Discard, a.disposal = true, DisposedUnknown
	return nil
}
