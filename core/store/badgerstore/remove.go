package badgerstore

import (
	"context"
	"slices"

	"waxwing/core/ids"
	"waxwing/core/store"
)

// removeOp is one call of Remove.
type removeOp struct {
	call
	mailbox ids.MailboxID
	cursors []store.Cursor // the caller's; it waits while the committer reads them
	next    int            // elements before it are done
}

// Remove implements store.Store. It is cheapest in the order of cursors: a chunk
// is then rewritten once.
func (e *Engine) Remove(ctx context.Context, mailbox ids.MailboxID, cursors []store.Cursor) error {
	if len(cursors) > store.MaxBatch {
		return store.ErrInvalid
	}
	return e.submit(ctx, &removeOp{call: newCall(), mailbox: mailbox, cursors: cursors})
}

func (o *removeOp) run(g *group) bool {
	for o.next < len(o.cursors) {
		if !g.room(chunkMessages + 2) {
			return false
		}
		b := g.box(&o.mailbox)
		rest := o.cursors[o.next:]
		n := chunkOf(rest[0])
		end := slices.IndexFunc(rest, func(c store.Cursor) bool { return chunkOf(c) != n })
		if end < 0 {
			end = len(rest)
		}
		g.removeSome(b, n, rest[:end])
		o.next += end
	}
	return true
}

// removeSome removes messages of one chunk.
func (g *group) removeSome(b *box, n uint64, cursors []store.Cursor) {
	if len(b.pending) > 0 && b.chunk == n {
		g.flush(b)
	}
	if chunk := g.chunk(b, n); chunk != nil && g.err == nil {
		g.takeOut(b, n, chunk, func(c store.Cursor, _ *record) bool { return slices.Contains(cursors, c) })
	}
}

// takeOut rewrites a chunk without what gone tells, or deletes it if nothing is
// left to be fetched. The times of what stays are known already.
func (g *group) takeOut(b *box, n uint64, chunk []byte, gone func(store.Cursor, *record) bool) {
	out := make([]byte, 0, len(chunk))
	kept, removed := 0, 0
	for c := firstCursor(n); len(chunk) > 0; c++ {
		r, rest, err := nextRecord(chunk)
		if err != nil {
			g.stop(newFault("read", err))
			return
		}
		chunk = rest
		switch {
		case r.flags&flagRemoved != 0 || c < b.head.oldest:
			// Taken out or acked before: counted no more.
			out = appendRecord(out, r.flags|flagRemoved, r.id, r.expires, nil)
		case gone(c, &r):
			g.forget(b, &r)
			out = appendRecord(out, r.flags|flagRemoved, r.id, r.expires, nil)
			removed++
		default:
			out = appendRecord(out, r.flags, r.id, r.expires, r.body)
			kept++
		}
	}
	switch {
	case removed == 0:
		return
	case kept == 0:
		g.setChunk(b, n, nil)
	default:
		g.setChunk(b, n, out)
	}
	if b.head.messages == 0 {
		b.head.emptied()
	}
}
