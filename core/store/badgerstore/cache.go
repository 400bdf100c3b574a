package badgerstore

import (
	"sync"

	"waxwing/core/ids"
)

// cache holds the heads of mailboxes that were used lately. Only what has been
// committed is in it.
type cache struct {
	maxHeads int // fixed

	mu sync.RWMutex // guards all below; Fetch holds it for a look-up, the committer once per commit
	// generation counts publications. Whoever loads a head from the disk puts
	// it here only if none came between: it could be outdated.
	generation uint64
	heads      map[ids.MailboxID]head
}

func newCache(maxHeads int) *cache {
	return &cache{maxHeads: maxHeads, heads: make(map[ids.MailboxID]head)}
}

func (c *cache) head(mailbox *ids.MailboxID) (h head, ok bool, generation uint64) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	h, ok = c.heads[*mailbox]
	return h, ok, c.generation
}

// loaded adds a head that was read, as of one commit, after generation was taken.
func (c *cache) loaded(mailbox *ids.MailboxID, h head, generation uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.generation == generation {
		c.putHead(mailbox, h)
	}
}

// putHead adds or replaces a head; mu is held. Over the limit another one goes:
// an arbitrary one, because an order of use would cost more than a reload.
func (c *cache) putHead(mailbox *ids.MailboxID, h head) {
	c.heads[*mailbox] = h
	if len(c.heads) > c.maxHeads {
		for m := range c.heads {
			if m != *mailbox {
				delete(c.heads, m)
				return
			}
		}
	}
}
