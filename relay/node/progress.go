package node

import (
	"container/list"
	"slices"
	"time"

	"waxwing/core/store"
)

// keptShare bounds what is settled and not removed yet beside rows of the same
// batch that wait: an eighth of these. Each removal rewrites what stays, so that
// a row is rewritten for every eighth part of its batch that goes, and not for
// every row.
const keptShare = 8

// behindBytes bounds the rows of batches that become one, so that one Fetch reads
// them all.
const behindBytes = store.MaxFetchBytes

// progress knows which rows of an outbox are settled, as far as it has been
// fetched.
type progress struct {
	end     store.Cursor // up to where it has been fetched
	batches list.List    // of *batch, from the oldest that is not settled, without gaps
	quiet   []*batch     // in which nothing is under way since removable looked
	behind  []*batch     // with rows left behind and nothing under way; whose turn is first stands first
}

// batch is a part of the outbox: what one fetch brought, and what lay between it
// and the next batch that is kept. There is none without a row that waits: one
// that is parked or under way, or such as were left behind, and neighbours of the
// last kind become one. So there are not many more of them than rows parked and
// under way, however many were left behind.
type batch struct {
	after, last store.Cursor   // its rows have cursors above after, up to last
	left        int            // rows that are not settled
	busy        int            // of these: in flight, or to be sent again
	done        []store.Cursor // settled, and still in the outbox
	place       *list.Element  // nil once it is removed

	lost   int       // of left: left behind, known to the outbox only
	bytes  int       // of these
	due    time.Time // when these may be sent again
	queued bool      // stands in behind
}

// fetched makes a batch of rows up to last that are about to be sent.
func (p *progress) fetched(last store.Cursor, rows int) *batch {
	b := &batch{after: p.end, last: last, left: rows, busy: rows}
	b.place = p.batches.PushBack(b)
	p.end = last
	return b
}

// settled is for a row that was under way.
func (p *progress) settled(b *batch, at store.Cursor) {
	b.left--
	b.done = append(b.done, at)
	p.rests(b)
}

// rests is for a row that was under way.
func (p *progress) rests(b *batch) {
	if b.busy--; b.busy == 0 {
		p.quiet = append(p.quiet, b)
	}
}

// leave leaves a row behind that was under way: only the outbox knows it.
func (p *progress) leave(b *batch, size int, due time.Time) {
	b.lost++
	b.bytes += size
	if due.After(b.due) {
		b.due = due
	}
	p.rests(b)
}

// expired is for rows that the outbox has no more.
func (p *progress) expired(b *batch, rows int) {
	if b.left -= rows; b.busy == 0 {
		p.quiet = append(p.quiet, b)
	}
}

// removable returns what is to be removed: all rows up to a cursor, if it is not
// 0, and single ones behind it.
func (p *progress) removable() (upTo store.Cursor, single []store.Cursor) {
	for e := p.batches.Front(); e != nil && e.Value.(*batch).left == 0; e = p.batches.Front() {
		upTo = e.Value.(*batch).last
		p.drop(e.Value.(*batch))
	}
	for _, b := range p.quiet {
		if b.place == nil || b.busy > 0 {
			continue
		}
		if len(b.done)*keptShare >= b.left {
			single = append(single, b.done...)
			b.done = nil
		}
		switch {
		case b.left == 0:
			// The one before it, which is not settled, takes its place over.
			b.place.Prev().Value.(*batch).last = b.last
			p.drop(b)
		case b.lost > 0 && !b.queued && !p.joined(b):
			b.queued = true
			p.behind = append(p.behind, b)
		}
	}
	clear(p.quiet)
	p.quiet = p.quiet[:0]
	slices.Sort(single)
	return upTo, single
}

func (p *progress) drop(b *batch) {
	p.batches.Remove(b.place)
	b.place = nil
}

// joined makes a batch of which all is left behind part of the one before it, if
// that is one as well: then few batches stand for many rows.
func (p *progress) joined(b *batch) bool {
	e := b.place.Prev()
	if e == nil {
		return false
	}
	to := e.Value.(*batch)
	whole := func(b *batch) bool { return b.left == b.lost && len(b.done) == 0 }
	if !to.queued || !whole(to) || !whole(b) || to.lost+b.lost > forwardBatch || to.bytes+b.bytes > behindBytes {
		return false
	}
	to.last = b.last
	to.left += b.left
	to.lost += b.lost
	to.bytes += b.bytes
	if b.due.After(to.due) {
		to.due = b.due
	}
	p.drop(b)
	return true
}

// nextBehind takes out the batch whose turn it is to have what was left behind
// sent again, or returns how long until then; 0 if nothing was left behind.
func (p *progress) nextBehind(now, notBefore time.Time) (b *batch, wait time.Duration) {
	for len(p.behind) > 0 {
		b = p.behind[0]
		if b.place != nil && b.busy == 0 && b.lost > 0 {
			if wait = max(b.due.Sub(now), notBefore.Sub(now)); wait > 0 {
				return nil, wait
			}
		}
		p.behind[0] = nil
		p.behind = p.behind[1:]
		b.queued = false
		if b.place != nil && b.busy == 0 && b.lost > 0 {
			return b, 0
		}
		// Something of it is under way again; when that is over, its turn comes.
	}
	p.behind = nil
	return nil, 0
}

// found is for what nextBehind took out: so many of its rows are about to be sent,
// and there are no others.
func (p *progress) found(b *batch, rows int) {
	gone := b.lost - rows
	b.busy += rows
	b.lost, b.bytes, b.due = 0, 0, time.Time{}
	p.expired(b, gone)
}
