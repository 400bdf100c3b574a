package badgerstore

import (
	"cmp"
	"slices"

	"waxwing/core/ids"
)

// Chunks that a segment of the journal has and Badger does not are kept by mailbox,
// in the order of their numbers, which are given in order: a message that comes and goes
// touches one place in memory for it, not one for its key and one for its mailbox.
// Among 100,000 mailboxes none of these are in the processor's caches.

// chunkRow is a mailbox's chunk and its number.
type chunkRow struct {
	n     uint64
	value []byte // nil: deleted
}

// freshChunks are those of one mailbox, by number. In a table the first one is not deleted.
type freshChunks []chunkRow

func (f freshChunks) find(n uint64) (int, bool) {
	if last := len(f) - 1; last < 0 || f[last].n < n {
		return len(f), false
	}
	return slices.BinarySearchFunc(f, n, func(c chunkRow, n uint64) int { return cmp.Compare(c.n, n) })
}

// trim forgets those that are deleted before all others. The memory of one that is
// alone stays: where somebody fetches what comes, the next one has its place.
func (f freshChunks) trim() freshChunks {
	for len(f) > 0 && f[0].value == nil {
		if len(f) == 1 {
			return f[:0]
		}
		f = f[1:]
	}
	return f
}

// applyFresh is apply for chunks that are fresh, and for what becomes of them; false
// for all others.
func (t *table) applyFresh(r row) bool {
	m, n := chunkOfKey(r.key)
	f := t.fresh[m]
	i, ok := f.find(n)
	switch {
	case ok && f[i].value == nil: // numbers are never given twice
		return false
	case ok:
		t.bytes += int64(len(r.value) - len(f[i].value))
		if f[i].value = r.value; r.value == nil {
			t.bytes -= chunkKeySize
			t.chunks--
			t.fresh[m] = f.trim()
		}
	case r.fresh && i == len(f) && r.value != nil:
		t.bytes += int64(chunkKeySize + len(r.value))
		t.chunks++
		t.fresh[m] = append(f, chunkRow{n, r.value})
	default:
		return false
	}
	return true
}

// chunk returns a chunk as the table has it; ok says that it knows of it.
func (t *table) chunk(mailbox *ids.MailboxID, n uint64) (value []byte, ok bool) {
	f := t.fresh[*mailbox]
	if i, ok := f.find(n); ok {
		return f[i].value, true
	}
	if len(t.others) == 0 {
		return nil, false
	}
	e, ok := t.rows[chunkKeyString(mailbox, n)]
	return e.value, ok
}

// chunksOf returns the chunks of a mailbox from from on and below to of which the table
// knows, in no order.
func (t *table) chunksOf(mailbox *ids.MailboxID, from, to uint64) (found []chunkRow) {
	f := t.fresh[*mailbox]
	first, _ := f.find(from)
	end, _ := f.find(to)
	if first < end {
		found = slices.Clone(f[first:end])
	}
	for _, n := range t.others[*mailbox] {
		if n < from || n >= to {
			continue
		}
		if e, ok := t.rows[chunkKeyString(mailbox, n)]; ok {
			found = append(found, chunkRow{n, e.value})
		}
	}
	return found
}

// sorted returns what has to be written to Badger, in the order of keys: it finds each
// row's place beside the last one's.
func (t *table) sorted() []row {
	rows := make([]row, 0, len(t.rows)+t.chunks)
	for k, e := range t.rows {
		rows = append(rows, row{key: k, value: e.value})
	}
	for m, f := range t.fresh {
		for _, c := range f {
			if c.value != nil {
				rows = append(rows, row{key: chunkKeyString(&m, c.n), value: c.value})
			}
		}
	}
	slices.SortFunc(rows, func(a, b row) int { return cmp.Compare(a.key, b.key) })
	return rows
}
