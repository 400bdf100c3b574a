package badgerstore

import (
	"context"
	"slices"
	"sync"

	"waxwing/core/ids"
	"waxwing/core/store"
)

// ackOp is one call of Ack.
type ackOp struct {
	call
	reqs []store.AckReq
	res  []error
	next int // elements before it are done
	done int // elements before it are durable
}

var ackOps = sync.Pool{New: func() any { return &ackOp{call: newCall()} }}

// Ack implements store.Store.
func (e *Engine) Ack(ctx context.Context, reqs []store.AckReq) []error {
	res := make([]error, len(reqs))
	if len(reqs) == 0 {
		return res
	}
	if len(reqs) > store.MaxBatch {
		return fill(res, store.ErrInvalid)
	}
	o := ackOps.Get().(*ackOp)
	o.reqs, o.res, o.next, o.done = reqs, res, 0, 0
	o.state.Store(callQueued)
	if err := e.submit(ctx, o); err != nil {
		fill(res[o.done:], err)
	}
	o.reqs, o.res = nil, nil
	if o.state.Load() != callAbandoned {
		ackOps.Put(o)
	}
	return res
}

func fill(res []error, err error) []error {
	for i := range res {
		res[i] = err
	}
	return res
}

func (o *ackOp) settle() { o.done = o.next }

func (o *ackOp) run(g *group) bool {
	for ; o.next < len(o.reqs); o.next++ {
		r := &o.reqs[o.next]
		if !g.room(2) {
			return false
		}
		b := g.box(&r.Mailbox)
		i, ok := b.head.find(r.Reader)
		if !ok {
			o.res[o.next] = store.ErrNotFound
			continue
		}
		if to := min(r.UpTo, b.head.last); to > b.head.readers[i].acked {
			b.setReaders(slices.Clone(b.head.readers))
			b.head.readers[i].acked = to
		}
		if !g.removeUpTo(b, b.head.acked()) {
			return false
		}
	}
	return true
}

// setReaders replaces the readers, which published heads share.
func (b *box) setReaders(r []reader) {
	b.head.readers = r
	b.dirty = true
}

// removeUpTo removes all messages up to a cursor and reports whether it could
// do it all in this group.
func (g *group) removeUpTo(b *box, low store.Cursor) bool {
	h := &b.head
	low = min(low, h.last)
	if h.oldest > low {
		return true
	}
	g.flush(b)
	for h.messages > 0 && h.oldest <= low {
		if !g.room(chunkMessages + 2) {
			return false
		}
		b.dirty = true
		n := chunkOf(h.oldest)
		chunk := g.chunk(b, n)
		if g.err != nil {
			return true
		}
		if chunk == nil {
			// A hole: everything in it had expired.
			h.oldest = firstCursor(g.chunkAfter(b, n))
			continue
		}
		g.removeFrom(b, n, chunk, low)
	}
	if h.messages == 0 {
		h.emptied()
	}
	b.dirty = true
	return true
}

// removeFrom removes the messages of one chunk up to a cursor.
func (g *group) removeFrom(b *box, n uint64, chunk []byte, low store.Cursor) {
	h := &b.head
	c := firstCursor(n)
	for ; len(chunk) > 0 && c <= low; c++ {
		r, rest, err := nextRecord(chunk)
		if err != nil {
			g.stop(newFault("read", err))
			return
		}
		chunk = rest
		if c >= h.oldest && r.flags&flagRemoved == 0 {
			g.forget(b, &r)
		}
	}
	if len(chunk) > 0 && h.messages > 0 {
		h.oldest = c
	} else {
		g.setChunk(b, n, nil)
		h.oldest = firstCursor(n + 1)
	}
}

// forget takes one message out of the counts and removes its id's row.
func (g *group) forget(b *box, r *record) {
	h := &b.head
	h.messages--
	h.bytes -= int64(len(r.body))
	if h.messages < 0 || h.bytes < 0 {
		g.stop(newFault("count", errCorrupt))
	}
	if r.flags&flagPlain != 0 {
		g.del(g.c.e.salts.idKey(&b.id, r.id))
	}
	b.dirty = true
}

// chunkAfter returns the number of the first chunk after n that exists, or that
// of the next one to be written.
func (g *group) chunkAfter(b *box, n uint64) uint64 {
	next := b.head.nextChunk()
	for _, c := range b.fresh {
		if c.n > n && c.value != nil {
			next = min(next, c.n)
		}
	}
	s := g.snapshot()
	err := s.chunks(&b.id, n+1, next, func(c chunkRow) (bool, error) {
		if v, changed := g.pending[chunkKeyString(&b.id, c.n)]; changed && v == nil {
			return true, nil
		}
		next = c.n
		return false, nil
	})
	if err != nil {
		g.stop(err)
	}
	return next
}

// readerOp opens or closes a reader, or drops a mailbox.
type readerOp struct {
	call
	mailbox ids.MailboxID
	what    readerAction
	reader  store.ReaderID
	cursor  store.Cursor // of the opened reader
	err     error
}

type readerAction uint8

const (
	openReader readerAction = iota
	closeReader
	dropMailbox
)

// OpenReader implements store.Store.
func (e *Engine) OpenReader(ctx context.Context, mailbox ids.MailboxID, r store.ReaderID) (store.Cursor, error) {
	o := &readerOp{call: newCall(), mailbox: mailbox, reader: r, what: openReader}
	if err := e.submit(ctx, o); err != nil {
		return 0, err
	}
	return o.cursor, o.err
}

// CloseReader implements store.Store.
func (e *Engine) CloseReader(ctx context.Context, mailbox ids.MailboxID, r store.ReaderID) error {
	return e.submit(ctx, &readerOp{call: newCall(), mailbox: mailbox, reader: r, what: closeReader})
}

// Drop implements store.Store. The head stays, so that no cursor is used twice.
func (e *Engine) Drop(ctx context.Context, mailbox ids.MailboxID) error {
	return e.submit(ctx, &readerOp{call: newCall(), mailbox: mailbox, what: dropMailbox})
}

func (o *readerOp) run(g *group) bool {
	if !g.room(2) {
		return false
	}
	b := g.box(&o.mailbox)
	h := &b.head
	i, open := h.find(o.reader)
	switch o.what {
	case openReader:
		switch {
		case open:
			o.cursor = h.readers[i].acked
		case len(h.readers) >= store.MaxReaders:
			o.err = store.ErrFull
		default:
			o.cursor = h.oldest - 1
			if h.messages == 0 {
				o.cursor = h.last
			}
			b.setReaders(slices.Insert(slices.Clone(h.readers), i, reader{o.reader, o.cursor}))
		}
		return true
	case closeReader:
		if open {
			b.setReaders(slices.Delete(slices.Clone(h.readers), i, i+1))
		}
		return g.removeUpTo(b, h.acked())
	case dropMailbox:
		if len(h.readers) > 0 {
			b.setReaders(nil)
		}
		return g.removeUpTo(b, h.last)
	}
	return true
}

// Stat implements store.Store.
func (e *Engine) Stat(ctx context.Context, mailbox ids.MailboxID) (store.MailboxStat, error) {
	h, err := e.readHead(ctx, &mailbox)
	if err != nil {
		return store.MailboxStat{}, err
	}
	if h.soonest <= e.cfg.Now().Unix() {
		e.kick(mailbox)
	}
	return store.MailboxStat{Messages: h.messages, Bytes: h.bytes, Last: h.last}, nil
}
