package relay

import (
	"sync"
	"time"

	"waxwing/core/ids"
	"waxwing/ratelimit/gcra"
	"waxwing/ratelimit/limits"
	"waxwing/ratelimit/ticket"
)

// maxCounted is how many tickets are remembered to have been counted for their
// mailbox, at some 60 bytes each: several seconds of what a relay settles, which
// is when lost acks are made up for.
const maxCounted = 1 << 16

// countedTickets remembers the tickets that were counted last, in two halves of
// which the older is forgotten at once. A ticket is good for one envelope, so it
// counts once: its resends are free, and who sends many envelopes under one ticket
// uses up nobody's share. What the store says of the ticket must not matter here,
// or whether a resend is counted would tell a blocked sender that it is.
type countedTickets struct {
	mu       sync.Mutex // guards the rest
	now, old map[countedTicket]struct{}
}

type countedTicket struct {
	mailbox ids.MailboxID
	day     ids.Day
	n       uint64
}

// has and add are called with mu held.
func (c *countedTickets) has(t countedTicket) bool {
	if _, ok := c.now[t]; ok {
		return true
	}
	_, ok := c.old[t]
	return ok
}

func (c *countedTickets) add(t countedTicket) {
	if c.now == nil {
		c.now, c.old = map[countedTicket]struct{}{}, map[countedTicket]struct{}{}
	}
	if len(c.now) >= maxCounted/2 {
		c.now, c.old = c.old, c.now
		clear(c.now)
	}
	c.now[t] = struct{}{}
}

// limitMailbox counts a ticket that may be used for its envelope, once.
func (r *Relay) limitMailbox(now time.Time, o *ticket.Opened) *Refusal {
	t := countedTicket{o.Mailbox, o.Expiry, o.Serial}
	// Held until the ticket is remembered, or of two streams with the same ticket at
	// the same moment both would be counted. Buckets have one lock for all anyway.
	r.counted.mu.Lock()
	defer r.counted.mu.Unlock()
	if r.counted.has(t) {
		return nil
	}
	// A mailbox's id is random and as long as a key.
	if d := r.limits.Spend(now, limits.MailboxEnvelopes, gcra.Key(o.Mailbox), 1); !d.Allowed {
		if d.RetryAfter <= mailboxRetry {
			return refusedMailbox
		}
		return &Refusal{RefusedMailbox, d.RetryAfter}
	}
	r.counted.add(t)
	return nil
}
