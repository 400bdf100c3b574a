package query

import (
	"container/list"
	"sync"
	"time"

	"waxwing/core/ids"
)

const (
	// maxRemembered is how much memory the remembered answers take at most, in
	// bytes: some 15000 lookups within keep, twenty a second all the time.
	maxRemembered = 64 << 20
	// maxOfOne is the share of the questions that one provider passed on, so
	// that a flood from one leaves room for the others'.
	maxOfOne = maxRemembered / 8
	// keep is how long a question is remembered after it was first seen. It was
	// then MaxAhead early at most, and is stale MaxAge later: it is never
	// forgotten while it is fresh.
	keep = MaxAge + MaxAhead
	// entryCost is what an entry takes beside its answer's payload: keys,
	// nonces, list element, map slots, allocation overhead.
	entryCost = 1024
)

// ReplayCache remembers answers for as long as their questions are fresh. It is
// safe for concurrent use. It starts empty with the process: doc.go says what
// a repeat can take then.
type ReplayCache struct {
	mu sync.Mutex // not held while an answer is made
	// guarded by mu
	entries map[[IDSize]byte]*list.Element // of *entry
	order   *list.List                     // by when they were first seen
	bytes   int
	of      map[ids.Domain]int // bytes of each provider that has entries
}

type entry struct {
	id   [IDSize]byte
	from ids.Domain

	// guarded by ReplayCache.mu
	expires int64 // Unix, milliseconds: the last one in which it is remembered
	cost    int

	making  sync.Mutex // held while the answer is made
	answer  *answer    // guarded by making; nil until made
	dropped bool       // guarded by making; no answer was made, look again
}

// NewReplayCache returns an empty cache.
func NewReplayCache() *ReplayCache {
	return &ReplayCache{entries: map[[IDSize]byte]*list.Element{}, order: list.New(), of: map[ids.Domain]int{}}
}

// Answer returns the sealed answer to a question that a provider passed on: the
// one given before, or a new one with the payload that find returns. Of two calls
// for one question at the same time the second waits for the first. An error of
// find is returned and not remembered. ErrBusy: too much is remembered, in all
// or for that provider; what was asked before is still answered. ErrTooLong: the
// payload is above the kind's limit.
func (c *ReplayCache) Answer(now time.Time, from ids.Domain, q *Question, find func() ([]byte, error)) ([]byte, error) {
	for {
		el, err := c.entry(now, from, q)
		if err != nil {
			return nil, err
		}
		if sealed, done, err := c.make(el, q, find); done {
			return sealed, err
		}
	}
}

// make makes the answer unless there is one. done is false if the entry was
// dropped in between by another call that failed.
func (c *ReplayCache) make(el *list.Element, q *Question, find func() ([]byte, error)) (sealed []byte, done bool, err error) {
	e := el.Value.(*entry)
	e.making.Lock()
	defer e.making.Unlock()
	if e.dropped {
		return nil, false, nil
	}
	if e.answer != nil {
		return e.answer.seal(), true, nil
	}
	payload, err := find()
	if err == nil {
		e.answer, err = q.answer(payload)
	}
	if err != nil {
		e.dropped = true
		c.drop(el)
		return nil, true, err
	}
	c.settle(el)
	return e.answer.seal(), true, nil
}

// entry returns the entry of a question, a new one if there is none.
func (c *ReplayCache) entry(now time.Time, from ids.Domain, q *Question) (*list.Element, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forget(now)
	if el, ok := c.entries[q.id]; ok {
		return el, nil
	}
	// The largest answer counts until the real one is known.
	cost := entryCost + q.kind.MaxAnswerPayload()
	if c.bytes+cost > maxRemembered || c.of[from]+cost > maxOfOne {
		return nil, ErrBusy
	}
	e := &entry{id: q.id, from: from, expires: now.UnixMilli() + keep.Milliseconds()}
	c.charge(e, cost)
	el := c.order.PushBack(e)
	c.entries[q.id] = el
	return el, nil
}

// forget removes what has expired. Entries are in the order of their coming; if
// the clock was set back, some stay longer than they need to.
func (c *ReplayCache) forget(now time.Time) {
	for el := c.order.Front(); el != nil && now.UnixMilli() > el.Value.(*entry).expires; el = c.order.Front() {
		c.remove(el)
	}
}

// remove takes an entry out. The caller holds mu.
func (c *ReplayCache) remove(el *list.Element) {
	e := c.order.Remove(el).(*entry)
	delete(c.entries, e.id)
	c.charge(e, -e.cost)
}

func (c *ReplayCache) charge(e *entry, cost int) {
	e.cost += cost
	c.bytes += cost
	if c.of[e.from] += cost; c.of[e.from] == 0 {
		delete(c.of, e.from)
	}
}

// drop forgets a question that was not answered, unless it has expired.
func (c *ReplayCache) drop(el *list.Element) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.entries[el.Value.(*entry).id] == el {
		c.remove(el)
	}
}

// settle charges what an answer really takes.
func (c *ReplayCache) settle(el *list.Element) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := el.Value.(*entry); c.entries[e.id] == el {
		c.charge(e, entryCost+len(e.answer.payload)-e.cost)
	}
}

// Len returns how many questions are remembered.
func (c *ReplayCache) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.entries)
}
