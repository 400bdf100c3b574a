package relay

import (
	"context"
	"sync"

	"waxwing/core/ids"
)

// maxKnown is how many mailboxes are remembered to exist: a hundred thousand
// active users, at about 40 bytes each. One that is forgotten costs a read.
const maxKnown = 100_000

// knownMailboxes remembers mailboxes that exist, so that an envelope does not
// cost a read of the store. It never remembers that one does not exist.
type knownMailboxes struct {
	mu  sync.Mutex // guards set
	set map[ids.MailboxID]struct{}
}

func (k *knownMailboxes) has(m ids.MailboxID) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	_, ok := k.set[m]
	return ok
}

func (k *knownMailboxes) add(m ids.MailboxID) {
	k.mu.Lock()
	defer k.mu.Unlock()
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
