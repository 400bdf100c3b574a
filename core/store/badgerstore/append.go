package badgerstore

import (
	"context"
	"sync"

	"waxwing/core/store"
)

// appendOp is one call of Append.
type appendOp struct {
	call
	reqs []store.AppendReq // the caller's; it waits while the committer reads them
	keys [][]byte          // per element: the serial's spent row, or the id's row
	res  []store.AppendRes
	next int // elements before it have been decided
	done int // elements before it are durable
}

var appendOps = sync.Pool{New: func() any { return &appendOp{call: newCall()} }}

// Append implements store.Store.
func (e *Engine) Append(ctx context.Context, reqs []store.AppendReq) []store.AppendRes {
	res := make([]store.AppendRes, len(reqs))
	if len(reqs) == 0 {
		return res
	}
	if len(reqs) > store.MaxBatch {
		return failAppends(res, store.ErrInvalid)
	}
	if e.diskLow.Load() {
		return failAppends(res, store.ErrUnavailable)
	}
	o := appendOps.Get().(*appendOp)
	o.reqs, o.res, o.keys, o.next, o.done = reqs, res, o.keys[:0], 0, 0
	o.state.Store(callQueued)
	for i := range reqs {
		r := &reqs[i]
		if r.HasSerial {
			o.keys = append(o.keys, e.salts.serialKey(&r.Mailbox, r.Serial))
		} else {
			o.keys = append(o.keys, e.salts.idKey(&r.Mailbox, &r.ID))
		}
	}
	err := e.submit(ctx, o)
	if err != nil {
		failAppends(res[o.done:], err)
	}
	o.reqs, o.res = nil, nil
	clear(o.keys)
	if o.state.Load() != callAbandoned {
		appendOps.Put(o)
	}
	return res
}

func failAppends(res []store.AppendRes, err error) []store.AppendRes {
	for i := range res {
		res[i] = store.AppendRes{Err: err}
	}
	return res
}

func (o *appendOp) settle() { o.done = o.next }

func (o *appendOp) run(g *group) bool {
	for ; o.next < len(o.reqs); o.next++ {
		if !g.room(4) {
			return false
		}
		o.res[o.next] = g.append(&o.reqs[o.next], o.keys[o.next])
	}
	return true
}

// append decides about one message. Every way out that is not Appended or
// ErrInvalid leaves as much to write as Appended does.
func (g *group) append(r *store.AppendReq, key []byte) store.AppendRes {
	if err := r.Check(); err != nil {
		return store.AppendRes{Err: err}
	}
	b := g.box(&r.Mailbox)
	// Also where the answer does not depend on it: it takes time.
	var found []byte
	if r.HasSerial {
		found = g.spentRow(key)
	} else {
		found = g.idRow(b, key)
	}
	res := g.decide(r, b, found)
	if res.Outcome != store.Appended {
		g.dispose(b, r, key)
		return res
	}
	if r.HasSerial {
		f := g.c.e.salts.claimantOf((*[32]byte)(&r.ID))
		g.putSpent(key, f[:])
	} else {
		g.putID(b, key, res.Cursor)
	}
	return res
}

func (g *group) decide(r *store.AppendReq, b *box, found []byte) store.AppendRes {
	if r.Discard {
		return store.AppendRes{Outcome: store.Discarded}
	}
	if r.HasSerial {
		if !r.Serial.Alive(g.c.day()) {
			return store.AppendRes{Outcome: store.Spent}
		}
		if found != nil {
			return store.AppendRes{Outcome: g.fate(found, (*[32]byte)(&r.ID))}
		}
	} else if found != nil && g.isKept(b, found) {
		return store.AppendRes{Outcome: store.Duplicate}
	}
	h, quota := &b.head, r.Quota.OrDefault()
	if h.messages+1 > quota.Messages || h.bytes+int64(len(r.Body)) > quota.Bytes {
		if h.soonest <= g.now.Unix() {
			g.c.e.kick(b.id)
		}
		return store.AppendRes{Err: store.ErrFull}
	}
	return store.AppendRes{Outcome: store.Appended, Cursor: g.enqueue(b, r)}
}

// fate reads a spent row for a claimant.
func (g *group) fate(row []byte, claimant *[32]byte) store.AppendOutcome {
	switch {
	case len(row) == 1 && row[0] == struckRow[0]:
		return store.Struck
	case len(row) != claimantSize:
		g.stop(newFault("read", errCorrupt))
		return store.AppendNone
	}
	if g.c.e.salts.claimantOf(claimant) == [claimantSize]byte(row) {
		return store.Duplicate
	}
	return store.Spent
}

// isKept reports whether the message that an id's row names is still kept. The
// row of one that was dropped with its mailbox may remain.
func (g *group) isKept(b *box, row []byte) bool {
	if len(row) != 8 {
		g.stop(newFault("read", errCorrupt))
		return false
	}
	c := store.Cursor(beUint64(row))
	return c >= b.head.oldest && c <= b.head.last
}

// enqueue gives a message its cursor and puts it into the chunk that the commit
// will write.
func (g *group) enqueue(b *box, r *store.AppendReq) store.Cursor {
	if len(b.pending) == chunkMessages || b.pendingBytes > chunkBytes {
		g.flush(b)
	}
	h := &b.head
	if len(b.pending) == 0 {
		b.chunk = h.nextChunk()
	}
	c := firstCursor(b.chunk) + store.Cursor(len(b.pending))
	expires := store.ExpirySecond(r.Expires)
	h.add(c, expires, len(r.Body))
	b.pending = append(b.pending, pendingMsg{r, expires})
	b.pendingBytes += recordHeader + len(r.Body)
	g.bytes += recordHeader + len(r.Body)
	return c
}

// flush writes what is pending for a mailbox as a chunk.
func (g *group) flush(b *box) {
	if len(b.pending) == 0 {
		return
	}
	chunk := make([]byte, 0, b.pendingBytes)
	for _, p := range b.pending {
		flags := byte(flagPlain)
		if p.req.HasSerial {
			flags = 0
		}
		chunk = appendRecord(chunk, flags, &p.req.ID, p.expires, p.req.Body)
	}
	g.bytes -= len(chunk) // counted when they were enqueued
	// Numbers are never given twice, so that there is no such row yet.
	g.putChunk(b, b.chunk, chunk)
	clear(b.pending)
	b.pending, b.pendingBytes = b.pending[:0], 0
	b.changed = true
	if b.head.nextChunk()-b.head.written >= headEvery {
		b.dirty = true
	}
	g.mark(b)
}

// mark sees to it that the mailbox is swept when its first message has expired.
func (g *group) mark(b *box) {
	h := &b.head
	if h.soonest == never {
		return
	}
	if hour := sweepHour(h.soonest); h.mark == 0 || hour < h.mark {
		h.mark = hour
		b.dirty = true
		g.put(markKey(hour, &b.id), []byte{1})
	}
}

// setChunk changes a chunk; nil deletes it.
func (g *group) setChunk(b *box, n uint64, chunk []byte) {
	if i, ok := b.fresh.find(n); ok {
		b.fresh[i].value = chunk
	}
	if chunk == nil {
		g.del(chunkKey(&b.id, n))
	} else {
		g.put(chunkKey(&b.id, n), chunk)
	}
}

// chunk returns a chunk as of this group, nil if there is none.
func (g *group) chunk(b *box, n uint64) []byte {
	if i, ok := b.fresh.find(n); ok {
		return b.fresh[i].value
	}
	return g.get(chunkKey(&b.id, n))
}
