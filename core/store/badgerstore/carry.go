package badgerstore

import (
	"slices"

	"waxwing/core/ids"
)

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

// lateHeads are the heads that changed lately. They are one after the other in memory,
// as all of them are gone through when a segment begins: among 100,000 mailboxes that
// is four for each message.
type lateHeads struct {
	at    map[ids.MailboxID]int // where in list
	list  []lateHead            // in no order
	bytes int64                 // of keys and values
	ages  [carryFor + 1]struct {
		heads int
		bytes int64 // in a record
	}
}

// lateHead is the row of a mailbox's head.
type lateHead struct {
	mailbox ids.MailboxID
	age     uint8 // segments that began since it changed, up to carryFor
	size    uint8 // of the row in short
	short   [headSize + readerSize]byte
	long    []byte // the row if it is longer; never changed
}

func (h *lateHead) value() []byte {
	if h.long != nil {
		return h.long
	}
	return h.short[:h.size]
}

func (h *lateHead) set(value []byte) {
	if h.long = nil; len(value) > len(h.short) {
		h.long = value
		return
	}
	h.size = uint8(copy(h.short[:], value))
}

func newLateHeads() lateHeads { return lateHeads{at: make(map[ids.MailboxID]int)} }

// put adds or replaces a head, and reports whether it did not change before in this
// segment.
func (l *lateHeads) put(m ids.MailboxID, value []byte) (first bool) {
	i, ok := l.at[m]
	if !ok {
		i, first = len(l.list), true
		l.at[m] = i
		l.list = append(l.list, lateHead{mailbox: m})
		l.bytes += headKeySize
	} else {
		h := &l.list[i]
		first = h.age > 0
		l.count(h, -1)
		h.age = 0
	}
	h := &l.list[i]
	h.set(value)
	l.count(h, 1)
	return first
}

func (l *lateHeads) count(h *lateHead, n int) {
	size := len(h.value())
	l.bytes += int64(n * size)
	a := &l.ages[h.age]
	a.heads += n
	a.bytes += int64(n * (journalRow + headKeySize + size))
}

// get returns a copy of a head's row.
func (l *lateHeads) get(m ids.MailboxID) (value []byte, ok bool) {
	i, ok := l.at[m]
	if !ok {
		return nil, false
	}
	return slices.Clone(l.list[i].value()), true
}

// begin makes all heads a segment older. It returns the rows of the youngest, at most
// budget bytes of them, which are carried; they are good until the next put. All others
// are forgotten, and go to drop.
func (l *lateHeads) begin(budget int64, drop func(row)) (carried []row) {
	limit, n := l.carryAge(budget)
	carried, keys := make([]row, 0, n), make([]byte, 0, n*headKeySize)
	for i := 0; i < len(l.list); {
		h := &l.list[i]
		l.count(h, -1)
		if int(h.age) >= limit {
			drop(row{key: string(headKey(&h.mailbox)), value: slices.Clone(h.value())})
			l.remove(i) // another one is there now
			continue
		}
		h.age++
		l.count(h, 1)
		keys = append(append(keys, tagHead), h.mailbox[:]...)
		carried = append(carried, row{value: h.value()})
		i++
	}
	all := string(keys)
	for i := range carried {
		carried[i].key = all[i*headKeySize:][:headKeySize]
	}
	return carried
}

// remove forgets a head that is not counted any more.
func (l *lateHeads) remove(i int) {
	delete(l.at, l.list[i].mailbox)
	last := len(l.list) - 1
	if i < last {
		l.list[i] = l.list[last]
		l.at[l.list[i].mailbox] = i
	}
	l.list[last] = lateHead{}
	l.list = l.list[:last]
	l.bytes -= headKeySize
}

// carryAge returns the age below which heads are carried, within a budget, and how many
// that are.
func (l *lateHeads) carryAge(budget int64) (age, carried int) {
	for age < carryFor && l.ages[age].bytes <= budget {
		budget -= l.ages[age].bytes
		carried += l.ages[age].heads
		age++
	}
	return age, carried
}

// apply does what a row says, which is committed.
func (t *tables) apply(r row) {
	if r.key[0] != tagHead {
		t.cur.apply(r)
		return
	}
	if t.heads.put(ids.MailboxID([]byte(r.key[1:])), r.value) {
		t.changed++
	}
}

// fill returns the number of rows that changed since the segment began.
func (t *tables) fill() int { return len(t.cur.rows) + t.cur.chunks + t.changed }

// empty reports whether all there is is in Badger; only of what is not in old.
func (t *tables) empty() bool { return len(t.cur.rows)+t.cur.chunks+len(t.heads.list) == 0 }

// rotate begins another table. It returns the last one, and the rows of the heads that
// are carried over, which the journal has to have in its next segment before it writes
// this one's anew: at most budget bytes, and good until the next apply.
func (t *tables) rotate(budget int64) (old *table, carried []row) {
	t.mu.Lock()
	defer t.mu.Unlock()
	next := newTable()
	t.cur.next = next
	t.cur, t.old, t.changed = next, t.cur, 0
	return t.old, t.heads.begin(budget, t.old.apply)
}

// headInTables is inTables for heads. It finds the last row, which may be of after the
// snapshot: one that was carried when it was made may since have gone to Badger with a
// later table, and is not where the snapshot's transaction sees it.
func (s *snapshot) headInTables(key []byte) (value []byte, ok bool) {
	s.tables.mu.RLock()
	defer s.tables.mu.RUnlock()
	if v, ok := s.tables.heads.get(ids.MailboxID(key[1:])); ok {
		return v, true
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
