package badgerstore

import (
	"context"

	"github.com/dgraph-io/badger/v4"

	"waxwing/core/ids"
	"waxwing/core/store"
)

// Nearly every append asks for a row that is not there: its serial is unspent,
// its id unknown. Badger answers from memory, too, but goes through every table
// in memory and the filters of all others, which is a tenth of what a relay
// spends on a message. Sieves answer for a twentieth of that. They only ever
// save a look-up: what passes is looked up, and nothing of them is on the disk.
//
// What a sender could learn from it: a commit with a spent or struck serial in
// it takes a look-up longer, one or two microseconds, as it did by the read of
// the row that is there. The ack waits for the sync of the disk, whose time
// varies by a hundred times that.

// sieveBytes bounds the sieves of all spent rows, 16 million of them; half for
// those found at start and half for those that came later. Rows beyond it are
// looked up.
const sieveBytes = 32 << 20

// sieveDays is the largest number of days that have a sieve: twice as many as
// tickets live. Rows of others are looked up.
const sieveDays = 256

// spentSieve knows the spent rows of some days.
type spentSieve struct {
	days  map[ids.Day]*sieve // nil: not all rows of the day are known
	bytes int
	full  bool // there are days that are not in days
}

func newSpentSieve() *spentSieve { return &spentSieve{days: make(map[ids.Day]*sieve)} }

// spentHash returns the day of a spent row, and its hash.
func spentHash(key []byte) (ids.Day, hashed) {
	return ids.Day(beUint32(key[1:])), hashOf(key, beUint32(key[5:]))
}

func (s *spentSieve) add(key []byte) {
	day, h := spentHash(key)
	d, ok := s.days[day]
	switch {
	case !ok && (s.full || len(s.days) >= sieveDays):
		s.full = true
		return
	case !ok:
		d = new(sieve)
		s.days[day] = d
	case d == nil:
		return
	}
	before := d.bytes
	if !d.add(h, d.bytes+sieveBytes/2-s.bytes) {
		s.bytes -= before
		s.days[day] = nil
		return
	}
	s.bytes += d.bytes - before
}

// absent reports that a row was never added. False may be chance.
func (s *spentSieve) absent(key []byte) bool {
	day, h := spentHash(key)
	d, ok := s.days[day]
	if !ok {
		return !s.full
	}
	return d != nil && !d.has(h)
}

func (s *spentSieve) drop(day ids.Day) {
	if d := s.days[day]; d != nil {
		s.bytes -= d.bytes
	}
	delete(s.days, day)
}

// scanRows is the number of rows that are read at a time: while they are,
// nothing else of maintenance happens.
const scanRows = 1 << 14

// loadSieve reads the keys of all spent rows that were there at start. Until it
// is done every serial is looked up.
func (e *Engine) loadSieve(ctx context.Context) error {
	s := newSpentSieve()
	from := []byte{tagSpent}
	for from != nil {
		err := e.view(ctx, func(snap *snapshot) error {
			o := badger.DefaultIteratorOptions
			o.PrefetchValues = false
			o.Prefix = []byte{tagSpent}
			it := snap.txn.NewIterator(o)
			defer it.Close()
			it.Seek(from)
			for range scanRows {
				if !it.Valid() {
					from = nil
					return nil
				}
				k := it.Item().Key()
				if len(k) != spentKeySize {
					return newFault("read", errCorrupt)
				}
				s.add(k)
				from = append(from[:0], k...)
				it.Next()
			}
			from = append(from, 0) // the first key after it
			return nil
		})
		if err != nil {
			return err
		}
	}
	return e.submit(ctx, &sieveOp{call: newCall(), spent: s})
}

// sieveOp hands the committer what was found at start. What was spent since is
// in its own sieve, which it has kept from the beginning.
type sieveOp struct {
	call
	spent *spentSieve
}

func (o *sieveOp) run(g *group) bool {
	g.c.found = o.spent
	return true
}

// spentRow returns a spent row as of this group, nil if there is none.
func (g *group) spentRow(key []byte) []byte {
	if g.c.found != nil && g.c.found.absent(key) && g.c.spent.absent(key) {
		return nil
	}
	return g.get(key)
}

// putSpent writes a spent row.
func (g *group) putSpent(key, value []byte) {
	g.c.spent.add(key)
	g.put(key, value)
}

// forgetSpent forgets days whose spent rows are dropped.
func (c *committer) forgetSpent(days []ids.Day) {
	for _, d := range days {
		c.spent.drop(d)
		if c.found != nil {
			c.found.drop(d)
		}
	}
}

// maxIDSieves is the number of mailboxes that get messages without serials and
// have a sieve: outboxes, one per peer. Those of others are looked up.
const maxIDSieves = 256

// maxIDLayers bounds the layers of one: 5 million messages that wait, 11 MiB.
const maxIDLayers = 6

// idSieve knows the ids of a mailbox's messages without serials. Most leave in the
// order in which they came, so layers go as a whole; behind one that stays they do not,
// and when there are too many the sieve begins anew and what it knew is looked up.
type idSieve struct {
	after  store.Cursor // ids of messages up to it are not known
	layers []layer
	last   []store.Cursor // of each layer: its last message
}

// idRow returns an id's row, nil if the row is not there or names a message
// that is not kept.
func (g *group) idRow(b *box, key []byte) []byte {
	s := g.c.ids[b.id]
	if b.head.messages == 0 || s != nil && s.absent(b.head.oldest, hashOf(key, 0)) {
		return nil
	}
	return g.get(key)
}

// putID writes an id's row. The message is already in the head.
func (g *group) putID(b *box, key []byte, c store.Cursor) {
	s := g.c.ids[b.id]
	if s == nil {
		if len(g.c.ids) >= maxIDSieves {
			for other := range g.c.ids { // an arbitrary one: it is looked up until it is empty
				delete(g.c.ids, other)
				break
			}
		}
		s = &idSieve{after: c - 1}
		g.c.ids[b.id] = s
	}
	s.add(b.head.oldest, c, hashOf(key, 0))
	g.putFresh(key, u64(uint64(c)))
}

func (s *idSieve) add(oldest, c store.Cursor, h hashed) {
	for len(s.layers) > 1 && s.last[0] < oldest {
		s.layers, s.last = s.layers[1:], s.last[1:]
	}
	n := len(s.layers)
	if n == 0 || s.layers[n-1].room == 0 {
		if n == maxIDLayers {
			*s = idSieve{after: c - 1}
			n = 0
		}
		keys := firstLayer
		for range n {
			keys = min(keys*layerGrowth, maxLayer)
		}
		s.layers, s.last = append(s.layers, newLayer(keys)), append(s.last, 0)
		n++
	}
	s.layers[n-1].add(h)
	s.last[n-1] = c
}

// absent reports that no kept message has the id. False may be chance.
func (s *idSieve) absent(oldest store.Cursor, h hashed) bool {
	if oldest <= s.after {
		return false
	}
	for i := len(s.layers) - 1; i >= 0 && s.last[i] >= oldest; i-- {
		if s.layers[i].has(h) {
			return false
		}
	}
	return true
}
