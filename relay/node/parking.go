package node

import (
	"container/heap"
	"context"
	"math/rand/v2"
	"time"

	"waxwing/core/store"
)

// maxParked bounds what is parked of one outbox, at 48 bytes each: several
// mailboxes' worth of what may wait in one. Above it what is refused is left
// behind: nothing of it is kept but in which batch it was, and the batches take
// turns in being read and sent again.
const maxParked = 1 << 16

// lookPause is the pause between two such batches, as long as more than half of
// what may be parked is: with half a million left behind, each is sent about once
// in half an hour, and what reaches the peer for nothing is little beside what a
// link carries.
const lookPause = time.Second

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

// putAside makes an envelope wait that was refused for its mailbox: parked, or
// left behind. The caller holds mu.
func (f *forwarder) putAside(r *row, wait time.Duration) {
	f.bytes -= len(r.envelope)
	if !f.park(r, wait) {
		f.progress.leave(r.batch, len(r.envelope), time.Now().Add(min(wait, parkMax)))
	}
}

// park parks an envelope for a time that doubles with each refusal, as all that
// wait for one mailbox are told the same time. It reports false if there is no
// room.
func (f *forwarder) park(r *row, wait time.Duration) bool {
	if len(f.parked) >= f.room {
		return false
	}
	wait = parkTime(wait, r.tries)
	wait += rand.N(wait/2 + 1) // not all at once
	heap.Push(&f.parked, parked{r.at, r.batch, r.tries + 1, time.Now().Add(wait)})
	f.progress.rests(r.batch)
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
	room, bytes := f.window()
	for ; room > 0 && bytes > 0; room-- {
		p, wait, ok := f.nextParked(now)
		if !ok {
			return due, wait, nil
		}
		msgs, err := f.l.n.store.Fetch(ctx, f.l.outbox, p.at-1, 1, 0)
		if err != nil {
			return nil, 0, err
		}
		f.mu.Lock()
		if len(msgs) == 0 || msgs[0].Cursor != p.at {
			f.progress.settled(p.batch, p.at)
			f.mu.Unlock()
			f.expired = true
			continue
		}
		body := msgs[0].Body
		f.bytes += len(body)
		f.mu.Unlock()
		bytes -= len(body)
		due = append(due, row{body, p.batch, p.at, p.tries})
	}
	return due, 0, nil // an answer wakes who waits for room
}

// nextParked takes out what is due, to be sent.
func (f *forwarder) nextParked(now time.Time) (p parked, wait time.Duration, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.parked) == 0 {
		return p, 0, false
	}
	if wait = f.parked[0].due.Sub(now); wait > 0 {
		return p, wait, false
	}
	p = heap.Pop(&f.parked).(parked)
	p.batch.busy++
	return p, 0, true
}

// lookBehind reads the rows of a batch that were left behind from the outbox
// again, and returns how long until the next one's turn; 0 if there is none. It
// may go over the window by one batch: else those that are sent for the first time
// would always come before.
func (f *forwarder) lookBehind(ctx context.Context, now time.Time) (due []row, pause time.Duration, err error) {
	f.mu.Lock()
	none := len(f.progress.behind) == 0
	f.mu.Unlock()
	if room, bytes := f.window(); none || room <= 0 || bytes <= 0 {
		return nil, 0, nil
	}
	f.removing.Lock()
	defer f.removing.Unlock()
	f.mu.Lock()
	b, pause, known := f.takeBehind(now)
	f.mu.Unlock()
	if b == nil {
		return nil, pause, nil
	}
	msgs, err := f.l.n.store.Fetch(ctx, f.l.outbox, b.after, b.lost+len(known), 0)
	if err != nil {
		return nil, 0, err
	}
	f.mu.Lock()
	for _, m := range msgs {
		if _, ok := known[m.Cursor]; ok || m.Cursor > b.last {
			continue
		}
		due = append(due, row{envelope: m.Body, batch: b, at: m.Cursor})
		f.bytes += len(m.Body)
	}
	f.expired = f.expired || len(due) < b.lost
	f.progress.found(b, len(due))
	f.mu.Unlock()
	rand.Shuffle(len(due), func(i, j int) { due[i], due[j] = due[j], due[i] })
	return due, lookPause, nil
}

// takeBehind takes out the batch whose turn it is, and returns which of its rows
// are not among those that were left behind: none of them is under way, so that
// they stay what they are until it has been read. The caller holds mu.
func (f *forwarder) takeBehind(now time.Time) (b *batch, wait time.Duration, known map[store.Cursor]struct{}) {
	var from time.Time
	if len(f.parked) >= f.room/2 {
		from = f.looked.Add(lookPause)
	}
	if b, wait = f.progress.nextBehind(now, from); b == nil {
		return nil, wait, nil
	}
	f.looked = now
	known = make(map[store.Cursor]struct{}, b.left-b.lost+len(b.done))
	for _, at := range b.done {
		known[at] = struct{}{}
	}
	if b.left == b.lost {
		return b, 0, known
	}
	for i := range f.parked {
		if p := &f.parked[i]; p.batch == b {
			known[p.at] = struct{}{}
		}
	}
	return b, 0, known
}
