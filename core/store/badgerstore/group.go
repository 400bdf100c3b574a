package badgerstore

import (
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"

	"waxwing/core/ids"
	"waxwing/core/store"
)

// Limits of one group, below those of Badger for one transaction (see
// memTableSize).
const (
	groupRows   = 8192
	groupInline = 900 << 10
	groupBytes  = 4 << 20
	// A mailbox that a group has touched may yet write a chunk, a mark, a head
	// and a chunk of noise: so many rows and bytes are kept for each.
	boxRows   = 4
	boxInline = 640
	// stepRows is the largest single step of an operation: a whole pool. It
	// begins with an empty group. So does a log of 1024 rows, the largest in
	// bytes: half of groupInline.
	stepRows = 1500
)

// group is one commit in the making; owned by the committer.
type group struct {
	c   *committer
	txn *badger.Txn // nil until something is looked up in Badger, or written to it
	now time.Time
	// err is an error of a read; the engine stops, and nothing is written.
	err error

	rows, inline, bytes int // rows, and bytes for the tree and the value log

	seen    snapshot          // the tables when it began; without a transaction
	hot     []row             // for the journal, in the order in which they were written
	pending map[string][]byte // the same, the last of each key, but those in a box's fresh
	cold    bool              // txn has something to write

	boxes       map[ids.MailboxID]*box
	order       []*box      // boxes in the order in which they were loaded
	free        []*box      // for use again
	after       []func()    // run once the commit has succeeded
	answered    []operation // only its memory is kept
	versionUsed bool
}

// box is a mailbox that the group works on. Its head becomes visible to
// readers when the commit has succeeded.
type box struct {
	id      ids.MailboxID
	head    head
	dirty   bool  // the head's row has to be written
	changed bool  // the head has changed, but its row need not be written
	scratch []int // sizes of records that are disposed of, see scratch.go

	pending      []pendingMsg // appended in this group, not yet in a chunk
	pendingBytes int
	chunk        uint64 // the number that the chunk will have

	fresh freshChunks // written in this group
}

type pendingMsg struct {
	req     *store.AppendReq
	expires int64
}

func (g *group) begin() {
	g.c.e.reading.RLock() // until commit
	g.txn, g.now, g.err = nil, g.c.e.cfg.Now(), nil
	g.seen = g.c.e.tables.now()
	clear(g.hot)
	g.hot, g.cold = g.hot[:0], false
	clear(g.pending)
	g.rows, g.inline, g.bytes, g.versionUsed = 0, 0, 0, false
	g.c.beginScratch()
	clear(g.boxes)
	for _, b := range g.order {
		clear(b.fresh[:cap(b.fresh)])
		*b = box{pending: b.pending[:0], scratch: b.scratch[:0], fresh: b.fresh[:0]}
	}
	g.free = append(g.free, g.order...)
	g.order = g.order[:0]
	clear(g.after)
	g.after = g.after[:0]
}

// room reports whether rows more rows of a usual size, and one more mailbox,
// fit into the group. An empty group has room for stepRows.
func (g *group) room(rows int) bool {
	boxes := len(g.order) + 1
	return g.rows+rows+boxes*boxRows <= groupRows &&
		g.inline+rows*64+boxes*boxInline <= groupInline && g.bytes <= groupBytes
}

// roomForStep reports whether a step of stepRows rows fits: only at the
// beginning, when the whole transaction is free for it.
func (g *group) roomForStep() bool { return g.rows == 0 }

func (g *group) isFull() bool { return !g.room(1) }

// stop records an error of a read.
func (g *group) stop(err error) {
	if g.err == nil {
		g.err = err
	}
}

// tx returns the group's transaction of Badger.
func (g *group) tx() *badger.Txn {
	if g.txn == nil {
		g.txn = g.c.e.db.NewTransaction(true)
	}
	return g.txn
}

// snapshot returns what was committed before this group.
func (g *group) snapshot() snapshot {
	s := g.seen
	s.txn = g.tx()
	return s
}

// get returns a row's value as of this group, nil if there is none. It must not be
// changed.
func (g *group) get(key []byte) []byte {
	v, err := g.find(key)
	if err != nil {
		g.stop(err)
	}
	return v
}

func (g *group) find(key []byte) ([]byte, error) {
	if journalled(key[0]) {
		if v, ok := g.pending[string(key)]; ok {
			return v, nil
		}
		if v, ok := g.seen.inTables(key); ok {
			return v, nil
		}
	}
	return valueOf(g.tx(), key)
}

// putChunk writes a chunk that Badger does not have.
func (g *group) putChunk(b *box, n uint64, chunk []byte) {
	g.count(chunkKeySize, len(chunk))
	b.fresh = append(b.fresh, chunkRow{n, chunk})
	g.hot = append(g.hot, row{chunkKeyString(&b.id, n), chunk, true})
}

// put writes a row. Neither slice may be changed afterwards.
func (g *group) put(key, value []byte) { g.write(key, value, false) }

// putFresh is put for a row that Badger does not have, see row.
func (g *group) putFresh(key, value []byte) { g.write(key, value, true) }

func (g *group) del(key []byte) { g.write(key, nil, false) }

func (g *group) write(key, value []byte, fresh bool) {
	g.count(len(key), len(value))
	if journalled(key[0]) {
		r := row{string(key), value, fresh}
		g.hot = append(g.hot, r)
		g.pending[r.key] = value
		return
	}
	g.cold = true
	var err error
	if value != nil {
		err = g.tx().Set(key, value)
	} else {
		err = g.tx().Delete(key)
	}
	if err != nil {
		g.stop(newFault("write", err))
	}
}

func (g *group) count(key, value int) {
	g.rows++
	if value < valueThreshold {
		g.inline += key + value + 16
	} else {
		g.inline += key + 32
	}
	g.bytes += key + value
}

// box returns a mailbox to work on.
func (g *group) box(id *ids.MailboxID) *box {
	if b := g.boxes[*id]; b != nil {
		return b
	}
	h, ok, generation := g.c.e.cache.head(id)
	var err error
	if !ok {
		var used bool
		if h, used, err = loadHead(g.find, id); used {
			g.c.e.cache.loaded(id, h, generation)
		}
	}
	if err != nil {
		g.stop(err)
	}
	b := new(box)
	if n := len(g.free); n > 0 {
		b, g.free = g.free[n-1], g.free[:n-1]
	}
	b.id, b.head = *id, h
	g.boxes[*id] = b
	g.order = append(g.order, b)
	return b
}

// commit writes the group and publishes what it did. After an error the engine
// has stopped; the error says which outcome the group's calls have.
func (g *group) commit() error {
	for _, b := range g.order {
		g.flush(b)
		g.flushScratch(b)
		if b.dirty {
			b.head.written = b.head.nextChunk()
			g.put(headKey(&b.id), b.head.appendTo(make([]byte, 0, headSize+len(b.head.readers)*readerSize)))
		}
	}
	if g.versionUsed {
		g.put(keyVersion, u64(g.c.version))
	}
	e := g.c.e
	e.reading.RUnlock()
	if g.err != nil {
		// Nothing was written; what was read cannot be trusted.
		g.discard()
		e.fail(g.err)
		return e.failed()
	}
	if g.rows > 0 {
		if err := g.sync(); err != nil {
			e.fail(err)
			return fmt.Errorf("%w: %w", store.ErrUnknownOutcome, e.fault.Load())
		}
	} else {
		g.discard()
	}
	// Everything decided in this group is on stable storage: a crash from here
	// on loses answers, never their effects, and a repeated call finds them.
	g.publish()
	e.spaceUsed(int64(g.bytes))
	return nil
}

func (g *group) discard() {
	if g.txn != nil {
		g.txn.Discard()
	}
}

// sync makes the group durable: what goes to Badger at once, whose logs are synced
// when Commit returns, then what goes into the journal. No operation has both, so
// that a crash between the two loses or keeps each of them as a whole.
func (g *group) sync() error {
	e := g.c.e
	if h := e.cfg.hooks.beforeCommit; h != nil {
		if err := h(); err != nil {
			g.discard()
			return err
		}
	}
	if !g.cold {
		g.discard()
	} else if err := g.txn.Commit(); err != nil {
		return newFault("commit", err)
	}
	if len(g.hot) > 0 {
		if err := g.c.persist(g.hot); err != nil {
			return err
		}
	}
	if h := e.cfg.hooks.afterCommit; h != nil {
		if err := h(); err != nil {
			return err
		}
	}
	// A failed sync of the value log is logged by Badger and not returned.
	if f := e.fault.Load(); f != nil {
		return f
	}
	return nil
}

// publish makes the group visible to readers, all at once.
func (g *group) publish() {
	t := &g.c.e.tables
	t.mu.Lock()
	for _, r := range g.hot {
		t.apply(r)
	}
	t.mu.Unlock()
	c := g.c.e.cache
	c.mu.Lock()
	c.generation++
	for _, b := range g.order {
		if b.dirty || b.changed {
			c.putHead(&b.id, b.head)
		}
	}
	c.mu.Unlock()
	for _, f := range g.after {
		f()
	}
}

// loadHead reads a mailbox's head from the disk, and reports whether it was ever
// used.
func loadHead(get func(key []byte) ([]byte, error), id *ids.MailboxID) (head, bool, error) {
	row, err := get(headKey(id))
	if err != nil {
		return newHead(), false, err
	}
	h, known := newHead(), row != nil
	if known {
		if h, err = parseHead(row); err != nil {
			return newHead(), false, newFault("read", err)
		}
	}
	for {
		chunk, err := get(chunkKey(id, h.nextChunk()))
		if err != nil {
			return newHead(), false, err
		}
		if chunk == nil {
			break
		}
		if err := h.rollForward(chunk); err != nil {
			return newHead(), false, newFault("read", err)
		}
		known = true
	}
	return h, known, nil
}
