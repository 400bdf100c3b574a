package badgerstore

import (
	"context"

	"waxwing/core/ids"
	"waxwing/core/store"
)

const (
	// sweepChunks is the number of chunks that one sweep operation changes.
	sweepChunks = 64
	// sweepRounds is how often a sweep follows messages appended meanwhile,
	// before it leaves the rest to the next hour.
	sweepRounds = 4
)

// sweepMailbox removes the expired messages of a mailbox. It looks for them
// here, outside the committer, which then removes them, and the mark.
func (e *Engine) sweepMailbox(ctx context.Context, m mark) error {
	soonest := int64(never)
	from := uint64(0)
	for round := 0; ; round++ {
		h, err := e.readHead(ctx, &m.mailbox)
		if err != nil {
			return err
		}
		if h.messages > 0 {
			from = max(from, chunkOf(h.oldest))
			s, err := e.sweepChunks(ctx, &m.mailbox, from, h.nextChunk())
			if err != nil {
				return err
			}
			soonest, from = min(soonest, s), h.nextChunk()
		}
		o := &sweepEndOp{call: newCall(), mark: m, last: h.last, soonest: soonest, force: round == sweepRounds}
		if err := e.submit(ctx, o); err != nil || !o.again {
			return err
		}
	}
}

// sweepChunks looks through the chunks from from up to to, has what is expired
// removed, and returns when the first of the others expires.
func (e *Engine) sweepChunks(ctx context.Context, id *ids.MailboxID, from, to uint64) (soonest int64, err error) {
	soonest = never
	for from < to {
		var expired []uint64
		err := e.view(ctx, func(s *snapshot) error {
			now, n, next := e.cfg.Now().Unix(), 0, to
			err := s.chunks(id, from, to, func(c chunkRow) (bool, error) {
				if n++; n > sweepChunks {
					next = c.n
					return false, nil
				}
				first, rest, err := expiries(c.value, now)
				if first <= now {
					expired = append(expired, c.n)
				}
				soonest = min(soonest, rest)
				return true, err
			})
			from = next
			return err
		})
		if err != nil {
			return soonest, err
		}
		if len(expired) > 0 {
			if err := e.submit(ctx, &sweepOp{call: newCall(), mailbox: *id, chunks: expired}); err != nil {
				return soonest, err
			}
		}
	}
	return soonest, nil
}

// expiries returns when the first message of a chunk expires, and the first of
// those that have not expired yet.
func expiries(chunk []byte, now int64) (first, rest int64, err error) {
	first, rest = never, never
	for len(chunk) > 0 {
		r, tail, err := nextRecord(chunk)
		if err != nil {
			return first, rest, newFault("read", err)
		}
		chunk = tail
		if r.flags&flagRemoved != 0 {
			continue
		}
		first = min(first, r.expires)
		if r.expires > now {
			rest = min(rest, r.expires)
		}
	}
	return first, rest, nil
}

// sweepOp removes what has expired from chunks of a mailbox.
type sweepOp struct {
	call
	mailbox ids.MailboxID
	chunks  []uint64
	next    int
}

func (o *sweepOp) run(g *group) bool {
	for ; o.next < len(o.chunks); o.next++ {
		if !g.room(chunkMessages + 2) {
			return false
		}
		b := g.box(&o.mailbox)
		n := o.chunks[o.next]
		if chunk := g.chunk(b, n); chunk != nil && g.err == nil {
			now := g.now.Unix()
			g.takeOut(b, n, chunk, func(_ store.Cursor, r *record) bool { return r.expires <= now })
		}
	}
	return true
}

// sweepEndOp ends a sweep: it notes when the next message expires, and for
// which hour the mailbox is to be swept next.
type sweepEndOp struct {
	call
	mark    mark
	last    store.Cursor // up to where the sweep has looked
	soonest int64
	force   bool // end it even if there are newer messages
	again   bool // there are newer messages to look through
}

func (o *sweepEndOp) run(g *group) bool {
	if !g.room(4) {
		return false
	}
	b := g.box(&o.mark.mailbox)
	g.flush(b)
	h := &b.head
	if h.last != o.last && !o.force {
		o.again = true
		return true
	}
	switch {
	case h.messages == 0:
		h.soonest = never
	case h.last == o.last:
		h.soonest = o.soonest
	default:
		// Newer ones may expire sooner, but are looked at within the hour.
		h.soonest = min(o.soonest, g.now.Unix()+3600)
	}
	for _, hour := range []ids.Hour{h.mark, o.mark.hour} {
		if hour != 0 {
			g.del(markKey(hour, &b.id))
		}
	}
	h.mark = 0
	b.dirty = true
	g.mark(b)
	return true
}
