package gcra

import (
	"sync"
	"time"
)

// DefaultEntries is how many keys a Table knows at once if not told otherwise:
// a hundred thousand accounts active within one refill time, at about 80 bytes
// each.
const DefaultEntries = 100_000

// sweep is how many entries a new key looks at to find idle ones. Two or more
// keep the table from growing while as many keys become idle as are new.
const sweep = 4

// Key names a bucket. It is the caller's hash of whatever is limited, so that
// no name is kept.
type Key [16]byte

// Table holds the buckets of one limit by key. A bucket that is full again is
// forgotten. It is safe for concurrent use.
type Table struct {
	// Fixed.
	limit   Limit
	entries int

	mu    sync.Mutex // guards the rest; held for one decision
	index map[Key]int
	slots []slot
	hand  int // next slot to look at for idleness
}

type slot struct {
	key Key
	tat time.Time
}

// NewTable returns a table of a limit for at most entries keys at once (0:
// DefaultEntries). The error is ErrLimit.
func NewTable(l Limit, entries int) (*Table, error) {
	if err := l.Validate(); err != nil {
		return nil, err
	}
	if entries <= 0 {
		entries = DefaultEntries
	}
	return &Table{limit: l, entries: entries, index: map[Key]int{}}, nil
}

// Spend decides and remembers. If more keys are active than the table may
// hold, a new key is refused for a second: to forget an active one would give
// it a full bucket.
func (t *Table) Spend(now time.Time, key Key, cost int64) Decision {
	return t.SpendUnder(now, t.limit, key, cost)
}

// SpendUnder is Spend under another limit than the table's, which must be valid.
// What a key has spent stays spent when its limit changes: Decide never makes it
// wait for longer than a full bucket of the new one takes.
func (t *Table) SpendUnder(now time.Time, limit Limit, key Key, cost int64) Decision {
	if limit.IsZero() {
		d, _ := Decide(now, limit, time.Time{}, cost)
		return d
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if i, ok := t.index[key]; ok {
		d, next := Decide(now, limit, t.slots[i].tat, cost)
		t.slots[i].tat = next
		return d
	}
	t.evict(now)
	if len(t.slots) >= t.entries {
		return Decision{RetryAfter: time.Second, Crowded: true}
	}
	d, next := Decide(now, limit, time.Time{}, cost)
	t.index[key] = len(t.slots)
	t.slots = append(t.slots, slot{key, next})
	return d
}

// Refund gives back what Spend spent.
func (t *Table) Refund(now time.Time, key Key, cost int64) { t.RefundUnder(now, t.limit, key, cost) }

// RefundUnder gives back what SpendUnder spent under the same limit.
func (t *Table) RefundUnder(now time.Time, limit Limit, key Key, cost int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if i, ok := t.index[key]; ok {
		t.slots[i].tat = Refund(now, limit, t.slots[i].tat, cost)
	}
}

// Used returns how much of its burst a key has spent and not got back.
func (t *Table) Used(now time.Time, limit Limit, key Key) int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	i, ok := t.index[key]
	if !ok {
		return 0
	}
	return used(now, limit, t.slots[i].tat)
}

// Busiest returns how many keys have not got everything back, and how much the
// busiest of them has spent, each under the limit that of gives. It looks at
// every key.
func (t *Table) Busiest(now time.Time, of func(Key) Limit) (active int, most int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.slots {
		if n := used(now, of(t.slots[i].key), t.slots[i].tat); n > 0 {
			active, most = active+1, max(most, n)
		}
	}
	return active, most
}

func used(now time.Time, limit Limit, tat time.Time) int64 {
	d, _ := Decide(now, limit, tat, 0)
	return limit.Burst - min(d.Remaining, limit.Burst)
}

// Len returns how many keys the table holds.
func (t *Table) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.slots)
}

// evict forgets idle entries among the next few.
func (t *Table) evict(now time.Time) {
	for range sweep {
		if len(t.slots) == 0 {
			return
		}
		if t.hand >= len(t.slots) {
			t.hand = 0
		}
		if t.slots[t.hand].tat.After(now) {
			t.hand++
			continue
		}
		delete(t.index, t.slots[t.hand].key)
		last := len(t.slots) - 1
		if t.hand != last {
			t.slots[t.hand] = t.slots[last]
			t.index[t.slots[t.hand].key] = t.hand
		}
		t.slots = t.slots[:last]
	}
}
