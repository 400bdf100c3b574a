package badgerstore

import (
	"bytes"
	"context"
	"time"

	"waxwing/core/ids"
	"waxwing/core/store"
)

// maxArena is how much memory a fetch reserves at once for the messages that it returns:
// above it an allocation for each costs nothing beside the copy.
const maxArena = 64 << 10

// maxMisses is how many chunks in a row may be missing before an iterator looks
// for the next one: iterators are slow, and long holes rare.
const maxMisses = 16

// Fetch implements store.Store.
func (e *Engine) Fetch(ctx context.Context, mailbox ids.MailboxID, after store.Cursor, maxMsgs, maxBytes int) ([]store.Message, error) {
	h, err := e.readHead(ctx, &mailbox)
	for err == nil {
		var out []store.Message
		if out, err = e.fetchFrom(ctx, &h, mailbox, after, maxMsgs, maxBytes); err != nil || len(out) > 0 {
			return out, err
		}
		// What the head tells of may have been acked before it was read, and other
		// messages be there by now.
		was := h
		if h, err = e.readHead(ctx, &mailbox); was.oldest == h.oldest && was.last == h.last {
			return nil, err
		}
	}
	return nil, err
}

func (e *Engine) fetchFrom(ctx context.Context, h *head, mailbox ids.MailboxID, after store.Cursor, maxMsgs, maxBytes int) (_ []store.Message, err error) {
	from := max(after, h.oldest-1) + 1
	if from == 0 || from > h.last || h.messages == 0 {
		return nil, nil
	}
	f := fetch{
		now: e.cfg.Now().Unix(), from: from, to: h.last,
		maxMsgs: store.Limit(maxMsgs, store.MaxFetch), maxBytes: store.Limit(maxBytes, store.MaxFetchBytes),
	}
	f.expect(h)
	next, tables := chunkOf(from), e.tables.now()
	for ; next <= chunkOf(h.last) && !f.full; next++ {
		chunk, _ := tables.chunkInTables(&mailbox, next)
		if chunk == nil {
			break
		}
		if err := f.add(next, chunk); err != nil {
			return nil, err
		}
	}
	if next <= chunkOf(h.last) && !f.full {
		err = e.view(ctx, func(s *snapshot) error { return e.fetchRest(s, &mailbox, next, &f) })
	}
	return f.out, err
}

// fetchRest goes on from a chunk that is not in memory.
func (e *Engine) fetchRest(s *snapshot, mailbox *ids.MailboxID, n uint64, f *fetch) error {
	last := chunkOf(f.to)
	for misses := 0; n <= last && !f.full; n++ {
		chunk, err := s.get(chunkKey(mailbox, n))
		if err != nil {
			return err
		}
		if chunk != nil {
			misses = 0
			if err := f.add(n, chunk); err != nil {
				return err
			}
			continue
		}
		if misses++; misses == maxMisses {
			misses = 0
			next, err := s.nextChunk(mailbox, n+1, last+1)
			if err != nil {
				return err
			}
			n = next - 1
		}
	}
	return nil
}

// fetch collects messages.
type fetch struct {
	now               int64
	from, to          store.Cursor
	maxMsgs, maxBytes int
	out               []store.Message
	bytes             int
	arena             []byte // where bodies are copied to
	reserve           int    // how much of it there is at once, for several bodies
	full              bool
}

// expect reserves memory for what a mailbox can yield that has messages from f.from on:
// for one who takes what comes, of many that are not acked yet, that is the newest few.
func (f *fetch) expect(h *head) {
	want := min(uint64(f.maxMsgs), uint64(h.messages), uint64(f.to-f.from)+1)
	f.out = make([]store.Message, 0, want)
	mean := (h.bytes + int64(h.messages) - 1) / int64(h.messages)
	f.reserve = int(min(int64(f.maxBytes), mean*int64(want), maxArena))
	f.arena = make([]byte, 0, f.reserve)
}

// add takes messages from a chunk.
func (f *fetch) add(n uint64, chunk []byte) error {
	for c := firstCursor(n); len(chunk) > 0; c++ {
		r, rest, err := nextRecord(chunk)
		if err != nil {
			return newFault("read", err)
		}
		chunk = rest
		if c < f.from || c > f.to || r.flags&flagRemoved != 0 || r.expires <= f.now {
			continue
		}
		f.bytes += len(r.body)
		if len(f.out) == f.maxMsgs || len(f.out) > 0 && f.bytes > f.maxBytes {
			f.full = true
			return nil
		}
		f.out = append(f.out, store.Message{
			Cursor: c, ID: *r.id, Body: f.copy(r.body), Expires: time.Unix(r.expires, 0).UTC(),
		})
	}
	f.full = len(f.out) == f.maxMsgs
	return nil
}

// copy returns a copy that belongs to the caller; several share one allocation.
func (f *fetch) copy(body []byte) []byte {
	if cap(f.arena)-len(f.arena) < len(body) {
		f.arena = make([]byte, 0, max(len(body), f.reserve))
	}
	n := len(f.arena)
	f.arena = append(f.arena, body...)
	return f.arena[n:len(f.arena):len(f.arena)]
}

// readHead returns a mailbox's head as of the last commit that was answered, or
// a later one.
func (e *Engine) readHead(ctx context.Context, mailbox *ids.MailboxID) (head, error) {
	if err := ctx.Err(); err != nil {
		return head{}, err
	}
	if err := e.failed(); err != nil {
		return head{}, err
	}
	if e.queue.closed.Load() {
		return head{}, store.ErrUnavailable
	}
	for {
		h, ok, generation := e.cache.head(mailbox)
		if ok {
			return h, nil
		}
		whole := false
		err := e.view(ctx, func(s *snapshot) (err error) {
			var used bool
			h, used, whole, err = wholeHead(s.get, mailbox)
			if err == nil && whole && used {
				e.cache.loaded(mailbox, h, generation)
			}
			return err
		})
		if err != nil || whole {
			return h, err
		}
	}
}

// wholeHead is loadHead beside the committer: whole says that it is of one commit. One
// that changes a chunk, or deletes it, changes the head's row, too. If the row is the same
// before and after, no gap was taken for the end of the chunks; if not, one may have been,
// or a chunk looks as none does that the row does not know of. A torn head is not cached:
// the rows of a commit are there a moment before the cache knows of it.
func wholeHead(get func(key []byte) ([]byte, error), mailbox *ids.MailboxID) (h head, used, whole bool, err error) {
	before, err := get(headKey(mailbox))
	if err != nil {
		return h, false, false, err
	}
	h, used, err = loadHead(get, mailbox)
	after, failed := get(headKey(mailbox))
	if failed != nil {
		return h, false, false, failed
	}
	if !bytes.Equal(before, after) {
		return h, false, false, nil
	}
	return h, used, true, err
}
