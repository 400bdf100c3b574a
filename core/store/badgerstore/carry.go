package badgerstore

import "waxwing/core/ids"

// The head of a mailbox changes with each message that its owner acks, and a row costs
// more in Badger than all that the journal does for it. So heads that change again
// and again do not get there: when a segment is full they are carried over to the next
// one, at a copy of some 80 bytes each.
const (
	// carryFor is the number of segments after which a head that does not change goes
	// to Badger: by then its mailbox gets less than one message in 200,000.
	carryFor = 8
	// carryBytes is how much of a segment they may take: those of 100,000 mailboxes. If
	// more change, those go to Badger first that have not changed for longest.
	carryBytes = journalSegment / 4
)

// lateHead is the row of a mailbox's head.
type lateHead struct {
	key   string
	value []byte // never changed
	age   int    // segments that began since it changed
}

// apply does what a row says, which is committed.
func (t *tables) apply(r row) {
	if r.key[0] != tagHead {
		t.cur.apply(r)
		return
	}
	m := ids.MailboxID([]byte(r.key[1:]))
	h := t.heads[m]
	if h == nil {
		h = &lateHead{key: r.key, age: carryFor}
		t.heads[m] = h
		t.headBytes += headKeySize
	}
	if h.age > 0 {
		t.changed++
	}
	t.headBytes += int64(len(r.value) - len(h.value))
	h.value, h.age = r.value, 0
}

// fill returns the number of rows that changed since the segment began.
func (t *tables) fill() int { return len(t.cur.rows) + t.changed }

// empty reports whether all there is is in Badger; only of what is not in old.
func (t *tables) empty() bool { return len(t.cur.rows)+len(t.heads) == 0 }

// rotate begins another table. It returns the last one, and the rows of the heads that
// are carried over, which the journal has to have in its next segment before it writes
// this one's anew: at most budget bytes.
func (t *tables) rotate(budget int64) (old *table, carried []row) {
	t.mu.Lock()
	defer t.mu.Unlock()
	next := newTable()
	t.cur.next = next
	t.cur, t.old, t.changed = next, t.cur, 0
	limit, n := t.carryAge(budget)
	carried = make([]row, 0, n)
	for m, h := range t.heads {
		r := row{key: h.key, value: h.value}
		if h.age++; h.age <= limit {
			carried = append(carried, r)
			continue
		}
		t.old.apply(r)
		delete(t.heads, m)
		t.headBytes -= int64(headKeySize + len(h.value))
	}
	return t.old, carried
}

// carryAge returns the age up to which heads are carried, within a budget, and how many
// that are.
func (t *tables) carryAge(budget int64) (age, carried int) {
	var sizes [carryFor]int64
	var heads [carryFor]int
	for _, h := range t.heads {
		if h.age < carryFor {
			sizes[h.age] += int64(journalRow + len(h.key) + len(h.value))
			heads[h.age]++
		}
	}
	for age < carryFor && sizes[age] <= budget {
		budget -= sizes[age]
		carried += heads[age]
		age++
	}
	return age, carried
}

// headInTables is inTables for heads. It finds the last row, which may be of after the
// snapshot: one that was carried when it was made may since have gone to Badger with a
// later table, and is not where the snapshot's transaction sees it.
func (s *snapshot) headInTables(key []byte) (value []byte, ok bool) {
	s.tables.mu.RLock()
	defer s.tables.mu.RUnlock()
	if h := s.tables.heads[ids.MailboxID(key[1:])]; h != nil {
		return h.value, true
	}
	if s.old != nil {
		if e, found := s.old.rows[string(key)]; found {
			value, ok = e.value, true
		}
	}
	for t := s.cur; t != nil; t = t.next {
		if e, found := t.rows[string(key)]; found {
			value, ok = e.value, true // of the newest
		}
	}
	return value, ok
}
