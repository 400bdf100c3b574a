package node

import (
	"container/heap"
	"context"
	"math/rand/v2"
	"time"

	"waxwing/core/store"
)

// maxParked bounds what is parked of one outbox, at 48 bytes each: several
// mailboxes' worth of what may wait in one. Above it what is refused takes room
// in the window again, and the queue waits for it.
const maxParked = 1 << 16

// parkMax is the longest that an envelope is parked; half as much may be added,
// which makes resendMax.
const parkMax = resendMax * 2 / 3

// parked is an envelope that the peer refused for its mailbox. Only its place in
// the outbox is kept, so that what waits for one mailbox takes neither the window
// nor the memory that others need.
type parked struct {
	at    store.Cursor
	batch *batch
	tries int
	due   time.Time
}

// parking is a heap by due.
type parking []parked

func (p parking) Len() int           { return len(p) }
func (p parking) Less(i, j int) bool { return p[i].due.Before(p[j].due) }
func (p parking) Swap(i, j int)      { p[i], p[j] = p[j], p[i] }

// Push is for container/heap.
func (p *parking) Push(x any) { *p = append(*p, x.(parked)) }

// Pop is for container/heap.
func (p *parking) Pop() any {
	last := len(*p) - 1
	x := (*p)[last]
	(*p)[last] = parked{}
	*p = (*p)[:last]
	return x
}

// park puts an envelope aside for a time that doubles with each refusal, as all
// that wait for one mailbox are told the same time. It does not double in the
// oldest batch, whose rows and all after it stay in the outbox until it is
// settled. The caller holds mu. It reports false if there is no room.
func (f *forwarder) park(r *row, wait time.Duration) bool {
	if len(f.parked) >= maxParked {
		return false
	}
	tries := r.tries
	if len(f.batches) > 0 && r.batch == f.batches[0] {
		tries = 0
	}
	wait = parkTime(wait, tries)
	wait += rand.N(wait/2 + 1) // not all at once
	f.bytes -= len(r.envelope)
	heap.Push(&f.parked, parked{r.at, r.batch, r.tries + 1, time.Now().Add(wait)})
	return true
}

// parkTime is how long an envelope is put aside that was refused tries times
// before.
func parkTime(wait time.Duration, tries int) time.Duration {
	for range tries {
		if wait >= parkMax {
			break
		}
		wait *= 2
	}
	return min(wait, parkMax)
}

// unpark reads what is due from the outbox again, as much as the window has room
// for, and returns how long until the next; 0 if nothing is parked.
func (f *forwarder) unpark(ctx context.Context, now time.Time) (due []row, pause time.Duration, err error) {
	room, bytes := f.room()
	for ; room > 0 && bytes > 0; room-- {
		p, wait, ok := f.nextParked(now)
		if !ok {
			return due, wait, nil
		}
		msgs, err := f.l.n.store.Fetch(ctx, f.l.outbox, p.at-1, 1, 0)
		if err != nil {
			return nil, 0, err
		}
		if len(msgs) == 0 || msgs[0].Cursor != p.at {
			f.mu.Lock()
			p.batch.left-- // it has expired; its rows go with the next ack
			f.mu.Unlock()
			continue
		}
		body := msgs[0].Body
		f.mu.Lock()
		f.bytes += len(body)
		f.mu.Unlock()
		bytes -= len(body)
		due = append(due, row{body, p.batch, p.at, p.tries})
	}
	return due, 0, nil // an answer wakes who waits for room
}

// nextParked takes out what is due.
func (f *forwarder) nextParked(now time.Time) (p parked, wait time.Duration, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.parked) == 0 {
		return p, 0, false
	}
	if wait = f.parked[0].due.Sub(now); wait > 0 {
		return p, wait, false
	}
	return heap.Pop(&f.parked).(parked), 0, true
}
