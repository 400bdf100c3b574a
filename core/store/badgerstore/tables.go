package badgerstore

import (
	"cmp"
	"slices"
	"sync"

	"github.com/dgraph-io/badger/v4"

	"waxwing/core/ids"
)

// journalled reports whether rows of a kind go through the journal: those of
// mailboxes and what is spent, which change with every message. All others are
// written to Badger at once.
func journalled(tag byte) bool {
	switch tag {
	case tagHead, tagChunk, tagID, tagMark, tagSpent, tagScratch:
		return true
	}
	return false
}

// table holds the rows of one segment of the journal, as of its last record.
type table struct {
	// rows are all but the heads that are in tables.heads and the chunks that are
	// in fresh.
	rows map[string]entry
	// fresh are the chunks that Badger does not have (fresh.go), chunks how many.
	fresh  map[ids.MailboxID]freshChunks
	chunks int
	// others are the numbers of a mailbox's chunks in rows, and of some that were
	// there, in the order in which they came.
	others map[ids.MailboxID][]uint64
	bytes  int64 // of keys and values
	// next belongs to the segment after this one. A snapshot may be older than the time
	// when a head stopped being carried.
	next *table
}

type entry struct {
	value []byte // nil: deleted. Never changed
	fresh bool   // see row
}

func newTable() *table {
	return &table{
		rows: make(map[string]entry), fresh: make(map[ids.MailboxID]freshChunks), others: make(map[ids.MailboxID][]uint64),
	}
}

func (t *table) apply(r row) {
	if r.key[0] == tagChunk && t.applyFresh(r) {
		return
	}
	had, ok := t.rows[r.key]
	t.bytes += int64(len(r.value)) - int64(len(had.value))
	switch {
	case ok && had.fresh && r.value == nil:
		delete(t.rows, r.key)
		t.bytes -= int64(len(r.key))
		return
	case ok:
		r.fresh = had.fresh
	default:
		t.bytes += int64(len(r.key))
	}
	if !ok && r.key[0] == tagChunk {
		m, n := chunkOfKey(r.key)
		t.others[m] = append(t.others[m], n)
	}
	t.rows[r.key] = entry{r.value, r.fresh && r.value != nil}
}

// tables hold the rows that are not, or not known to be, in Badger.
type tables struct {
	mu sync.RWMutex // guards all below, and what is in cur
	// cur belongs to the segment that is written.
	cur *table
	// old belongs to the other one, and does not change; nil once it is in Badger.
	old *table
	// heads are those that changed lately, and are in the segment that is written.
	heads   lateHeads
	changed int // heads that changed since the segment began
}

// snapshot is what a reader sees: all that was committed when it was made, and perhaps
// what was since: of two rows that one commit changes, one may be read from before it and
// the other from after it. The tables are taken before Badger's
// transaction begins, so that a row that is drained meanwhile is in one of them.
type snapshot struct {
	tables   *tables
	cur, old *table
	txn      *badger.Txn
}

// now returns the tables, without a transaction.
func (t *tables) now() snapshot {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return snapshot{tables: t, cur: t.cur, old: t.old}
}

// size returns how many bytes are still to be written to Badger.
func (t *tables) size() int64 {
	t.mu.RLock()
	defer t.mu.RUnlock()
	n := t.cur.bytes + t.heads.bytes
	if t.old != nil {
		n += t.old.bytes
	}
	return n
}

// dropOld forgets what is in Badger.
func (t *tables) dropOld() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.old = nil
}

// get returns a row's value, nil if there is none. It must not be changed.
func (s *snapshot) get(key []byte) ([]byte, error) {
	if v, ok := s.inTables(key); ok {
		return v, nil
	}
	return valueOf(s.txn, key)
}

// inTables is get for what is in a table; ok says that one knows of the row.
func (s *snapshot) inTables(key []byte) (value []byte, ok bool) {
	switch key[0] {
	case tagHead:
		return s.headInTables(key)
	case tagChunk:
		m := ids.MailboxID(key[1:headKeySize])
		return s.chunkInTables(&m, beUint64(key[headKeySize:]))
	}
	s.tables.mu.RLock()
	e, ok := s.cur.rows[string(key)]
	s.tables.mu.RUnlock()
	if !ok && s.old != nil {
		e, ok = s.old.rows[string(key)]
	}
	return e.value, ok
}

// chunkInTables is inTables for chunks. It needs no transaction.
func (s *snapshot) chunkInTables(mailbox *ids.MailboxID, n uint64) (value []byte, ok bool) {
	s.tables.mu.RLock()
	value, ok = s.cur.chunk(mailbox, n)
	s.tables.mu.RUnlock()
	if !ok && s.old != nil {
		value, ok = s.old.chunk(mailbox, n)
	}
	return value, ok
}

// marks returns the marks up to an hour that are in the tables.
func (s *snapshot) marks(hour ids.Hour) (due []mark, err error) {
	add := func(t *table, newer *table) {
		for k, e := range t.rows {
			if k[0] != tagMark || e.value == nil {
				continue
			}
			if newer != nil {
				if _, ok := newer.rows[k]; ok {
					continue
				}
			}
			m, bad := parseMark([]byte(k))
			err = cmp.Or(err, bad)
			if m.hour <= hour {
				due = append(due, m)
			}
		}
	}
	s.tables.mu.RLock()
	defer s.tables.mu.RUnlock()
	add(s.cur, nil)
	if s.old != nil {
		add(s.old, s.cur)
	}
	return due, err
}

// spentDays returns the days before today of spent rows in the tables, at most
// dropDays.
func (s *snapshot) spentDays(today ids.Day) (days []ids.Day) {
	add := func(t *table) {
		for k := range t.rows {
			if k[0] != tagSpent {
				continue
			}
			d := ids.Day(beUint32([]byte(k[1:5])))
			if d < today && len(days) < dropDays && !slices.Contains(days, d) {
				days = append(days, d)
			}
		}
	}
	s.tables.mu.RLock()
	defer s.tables.mu.RUnlock()
	add(s.cur)
	if s.old != nil {
		add(s.old)
	}
	return days
}

// chunks calls visit with the chunks of a mailbox from from on and below to, in
// order, until it returns false.
func (s *snapshot) chunks(mailbox *ids.MailboxID, from, to uint64, visit func(chunkRow) (bool, error)) error {
	s.tables.mu.RLock()
	newer := s.cur.chunksOf(mailbox, from, to)
	s.tables.mu.RUnlock()
	if s.old != nil {
		newer = append(newer, s.old.chunksOf(mailbox, from, to)...)
	}
	// Stable, so that of two with one number the newer one stays.
	slices.SortStableFunc(newer, func(a, b chunkRow) int { return cmp.Compare(a.n, b.n) })
	newer = slices.CompactFunc(newer, func(a, b chunkRow) bool { return a.n == b.n })

	o := badger.DefaultIteratorOptions
	o.PrefetchValues = false // they are in the value log, and not all are visited
	o.Prefix = chunkKey(mailbox, 0)[:headKeySize]
	it := s.txn.NewIterator(o)
	defer it.Close()
	for it.Seek(chunkKey(mailbox, from)); ; {
		n := to
		if it.Valid() {
			k := it.Item().Key()
			if len(k) != chunkKeySize {
				return newFault("read", errCorrupt)
			}
			n = min(beUint64(k[headKeySize:]), to)
		}
		var c chunkRow
		switch {
		case len(newer) > 0 && newer[0].n <= n:
			c, newer = newer[0], newer[1:]
		case n == to:
			return nil
		default:
			c = chunkRow{n: n}
			var err error
			if c.value, err = it.Item().ValueCopy(nil); err != nil || len(c.value) == 0 {
				return newFault("read", cmp.Or(err, errCorrupt))
			}
		}
		if c.n == n {
			it.Next()
		}
		if c.value == nil {
			continue
		}
		if more, err := visit(c); err != nil || !more {
			return err
		}
	}
}

// nextChunk returns the number of the first chunk from from on, or limit if none
// comes before it.
func (s *snapshot) nextChunk(mailbox *ids.MailboxID, from, limit uint64) (uint64, error) {
	next := limit
	err := s.chunks(mailbox, from, limit, func(c chunkRow) (bool, error) {
		next = c.n
		return false, nil
	})
	return next, err
}
