package badgerstore

import (
	"sync"

	"waxwing/core/ids"
)

// cache holds the heads of mailboxes that were used lately and the chunks that
// were appended lately, so that a push right after an append reads no disk.
// Only what has been committed is in it.
type cache struct {
	maxHeads int   // fixed
	maxBytes int64 // fixed

	mu sync.RWMutex // guards all below; Fetch holds it for a look-up, the committer once per commit
	// generation counts publications. Whoever loads a head from the disk puts
	// it here only if none came between: it could be outdated.
	generation uint64
	heads      map[ids.MailboxID]head
	chunks     map[chunkID][]byte
	bytes      int64
	order      []chunkID // oldest first; holds ids of chunks that are gone, too
}

type chunkID struct {
	mailbox ids.MailboxID
	n       uint64
}

func newCache(maxHeads int, maxBytes int64) *cache {
	return &cache{
		maxHeads: maxHeads, maxBytes: maxBytes,
		heads: make(map[ids.MailboxID]head), chunks: make(map[chunkID][]byte),
	}
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

func (c *cache) chunk(id chunkID) []byte {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.chunks[id]
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

// putChunk adds or replaces a chunk; mu is held.
func (c *cache) putChunk(id chunkID, chunk []byte) {
	old, had := c.chunks[id]
	c.chunks[id] = chunk
	c.bytes += int64(len(chunk) - len(old))
	if !had {
		c.order = append(c.order, id)
	}
	for len(c.order) > 0 {
		first := c.order[0]
		if _, ok := c.chunks[first]; ok {
			if c.bytes <= c.maxBytes {
				break
			}
			c.dropChunk(first)
		}
		c.order = c.order[1:]
	}
	// One chunk that stays must not keep the ids of all that went after it.
	if len(c.order) > 2*len(c.chunks)+1024 {
		kept := make([]chunkID, 0, len(c.chunks)+1024)
		for _, id := range c.order {
			if _, ok := c.chunks[id]; ok {
				kept = append(kept, id)
			}
		}
		c.order = kept
	}
}

// dropChunk removes a chunk, if it is there; mu is held.
func (c *cache) dropChunk(id chunkID) {
	if chunk, ok := c.chunks[id]; ok {
		c.bytes -= int64(len(chunk))
		delete(c.chunks, id)
	}
}
