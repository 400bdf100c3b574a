package badgerstore

import (
	"bytes"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"waxwing/core/ids"
)

// Whatever comes, changes and goes, in whatever order: each chunk is found as it was
// last, and goes to Badger, but those do not that Badger never had and that are gone.
func TestTableOfChunks(t *testing.T) {
	type chunk struct {
		mailbox byte
		n       uint64
	}
	rapid.Check(t, func(t *rapid.T) {
		table, last, fresh := newTable(), make(map[chunk][]byte), make(map[chunk]bool)
		const older = 6 // numbers below it were in Badger before
		next := map[byte]uint64{}
		for i := range rapid.IntRange(1, 60).Draw(t, "changes") {
			c := chunk{mailbox: rapid.Byte().Draw(t, "mailbox") % 3}
			end := older + next[c.mailbox]
			value := bytes.Repeat([]byte{byte(i)}, rapid.IntRange(1, 9).Draw(t, "size"))
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0, 1: // appended
				c.n = end + rapid.Uint64Range(0, 1).Draw(t, "skipped")
				next[c.mailbox] = c.n + 1 - older
				fresh[c] = true
			case 2: // acked, or taken out
				value = nil
				fallthrough
			default: // rewritten
				c.n = rapid.Uint64Range(0, end-1).Draw(t, "n")
				if v, ok := last[c]; ok && v == nil || !ok && c.n >= older {
					continue // there is none
				}
			}
			_, had := last[c]
			m := ids.MailboxID{c.mailbox}
			table.apply(row{chunkKeyString(&m, c.n), value, fresh[c] && !had})
			last[c] = value
		}
		var want []row
		size := int64(0)
		for c, v := range last {
			m := ids.MailboxID{c.mailbox}
			if got, ok := table.chunk(&m, c.n); !bytes.Equal(got, v) || !ok && !fresh[c] {
				t.Fatalf("chunk %v is %v, %v; want %v", c, got, ok, v)
			}
			if v != nil || !fresh[c] {
				want = append(want, row{key: chunkKeyString(&m, c.n), value: v})
				size += int64(chunkKeySize + len(v))
			}
		}
		got := table.sorted()
		if !slices.IsSortedFunc(got, func(a, b row) int { return bytes.Compare([]byte(a.key), []byte(b.key)) }) {
			t.Fatal("not in order")
		}
		if len(got) != len(want) || len(table.rows)+table.chunks != len(want) || table.bytes != size {
			t.Fatalf("%d rows of %d bytes, want %d of %d", len(got), table.bytes, len(want), size)
		}
		for _, w := range want {
			if !slices.ContainsFunc(got, func(r row) bool { return r.key == w.key && bytes.Equal(r.value, w.value) }) {
				t.Fatalf("row %x is not written", w.key)
			}
		}
		from := rapid.Uint64Range(0, 20).Draw(t, "from")
		to := from + rapid.Uint64Range(0, 20).Draw(t, "length")
		for mailbox := range byte(3) {
			found := map[uint64][]byte{}
			for _, c := range table.chunksOf(&ids.MailboxID{mailbox}, from, to) {
				if c.n < from || c.n >= to {
					t.Fatalf("chunk %d is not from %d on and below %d", c.n, from, to)
				}
				found[c.n] = c.value
			}
			for c, v := range last {
				if c.mailbox == mailbox && c.n >= from && c.n < to && !bytes.Equal(found[c.n], v) {
					t.Fatalf("chunk %v is visited as %v; want %v", c, found[c.n], v)
				}
			}
		}
	})
}

// Where somebody fetches each message as it comes, the place of one is used again.
func TestPlaceOfAChunkIsUsedAgain(t *testing.T) {
	table, m := newTable(), ids.MailboxID{1}
	for n := range uint64(1000) {
		table.apply(row{chunkKeyString(&m, n), []byte{1}, true})
		table.apply(row{key: chunkKeyString(&m, n)})
	}
	if f := table.fresh[m]; len(f) != 0 || cap(f) > 2 || len(table.rows)+table.chunks != 0 || table.bytes != 0 {
		t.Errorf("room for %d, %d rows, %d chunks, %d bytes", cap(f), len(table.rows), table.chunks, table.bytes)
	}
}
