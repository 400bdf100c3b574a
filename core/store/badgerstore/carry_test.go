package badgerstore

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"
	"pgregory.net/rapid"

	"waxwing/core/ids"
	"waxwing/core/store"
)

func newTables() *tables {
	return &tables{cur: newTable(), heads: newLateHeads()}
}

// Whatever changes and whenever segments begin: each head is carried or goes to Badger
// as it was last, the youngest are carried, no more than the budget of them, and none
// that has not changed for carryFor segments.
func TestCarry(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tables := newTables()
		last, age := make(map[ids.MailboxID][]byte), make(map[ids.MailboxID]int) // of heads that are not in Badger
		for range rapid.IntRange(1, 40).Draw(t, "segments") {
			for range rapid.IntRange(0, 20).Draw(t, "changes") {
				m := ids.MailboxID{rapid.Byte().Draw(t, "mailbox") % 32}
				last[m] = make([]byte, rapid.IntRange(headSize, headSize+3*readerSize).Draw(t, "size"))
				last[m][0] = rapid.Byte().Draw(t, "version")
				age[m] = 0
				tables.apply(row{key: string(headKey(&m)), value: last[m]})
			}
			if changed := countIf(age, 0); tables.fill() != changed {
				t.Fatalf("fill is %d, %d heads changed", tables.fill(), changed)
			}
			budget := rapid.SampledFrom([]int64{0, 100, 1000, carryBytes}).Draw(t, "budget")
			old, carried := tables.rotate(budget)
			youngest := carryFor + 1
			for k, e := range old.rows {
				m := ids.MailboxID([]byte(k[1:]))
				if !bytes.Equal(e.value, last[m]) || last[m] == nil {
					t.Fatalf("mailbox %d goes to Badger as it was not last", m[0])
				}
				youngest = min(youngest, age[m])
				delete(last, m)
				delete(age, m)
			}
			if len(carried) != len(last) || len(tables.heads.list) != len(last) {
				t.Fatalf("%d are carried, %d known, %d are not in Badger", len(carried), len(tables.heads.list), len(last))
			}
			for m, want := range last {
				if v, ok := tables.heads.get(m); !ok || !bytes.Equal(v, want) {
					t.Fatalf("mailbox %d is not found as it was last", m[0])
				}
			}
			bytesCarried, known := int64(0), int64(0)
			for _, r := range carried {
				m := ids.MailboxID([]byte(r.key[1:]))
				if !bytes.Equal(r.value, last[m]) || age[m] >= youngest || age[m] >= carryFor {
					t.Fatalf("mailbox %d, of age %d, is carried; one of %d is not", m[0], age[m], youngest)
				}
				bytesCarried += int64(journalRow + len(r.key) + len(r.value))
				known += int64(len(r.key) + len(r.value))
				age[m]++
			}
			if bytesCarried > budget || tables.heads.bytes != known {
				t.Fatalf("%d bytes are carried of %d; %d are counted of %d", bytesCarried, budget, tables.heads.bytes, known)
			}
		}
		if tables.rotate(0); len(tables.heads.list) != 0 || tables.heads.bytes != 0 || !tables.empty() {
			t.Fatal("heads are left where none may be carried")
		}
	})
}

func countIf(ages map[ids.MailboxID]int, age int) (n int) {
	for a := range maps.Values(ages) {
		if a == age {
			n++
		}
	}
	return n
}

// A reader that is slow finds the last row of a head, however many segments begin
// meanwhile, and whether it went to Badger before or after.
func TestSnapshotOutlivesCarrying(t *testing.T) {
	m := ids.MailboxID{1}
	tables := newTables()
	tables.apply(row{key: string(headKey(&m)), value: []byte{0}})
	s := tables.now()
	for n := range byte(4 * carryFor) {
		if n%16 == 0 { // carried, and then not any more
			tables.apply(row{key: string(headKey(&m)), value: []byte{n}})
		}
		if v, ok := s.inTables(headKey(&m)); !ok || v[0] != n&^15 {
			t.Fatalf("after %d segments: %v, %v", n, v, ok)
		}
		tables.rotate(carryBytes)
		tables.dropOld()
	}
}

// inBadger returns a head's row there, nil if there is none.
func inBadger(t *testing.T, e *Engine, m ids.MailboxID) (row []byte) {
	t.Helper()
	err := e.db.View(func(txn *badger.Txn) (err error) {
		row, err = valueOf(txn, headKey(&m))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return row
}

// Of a mailbox whose owner is there, and one that is left alone, only the head of the
// second goes to Badger. After a crash both are as they were.
func TestHeadsOfOwnersWhoAreThere(t *testing.T) {
	dir := t.TempDir()
	e, err := Open(Config{Dir: dir, MinFree: 1, hooks: hooks{journalRows: 4}})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	there, left := ids.MailboxID{1}, ids.MailboxID{2}
	for _, m := range []ids.MailboxID{left, there} {
		if _, err := e.OpenReader(t.Context(), m, 7); err != nil {
			t.Fatal(err)
		}
	}
	var acked store.Cursor
	for n := range 20 * carryFor {
		res := appendOne(e, testReq(1, n))
		if res.Err != nil {
			t.Fatal(res.Err)
		}
		if err := e.Ack(t.Context(), []store.AckReq{{Mailbox: there, Reader: 7, UpTo: res.Cursor}})[0]; err != nil {
			t.Fatal(err)
		}
		acked = res.Cursor
	}
	if inBadger(t, e, left) == nil {
		t.Error("the head of a mailbox that is left alone is carried for ever")
	}
	if inBadger(t, e, there) != nil {
		t.Error("the head of an owner who is there went to Badger")
	}
	crashed := t.TempDir()
	writeFolder(t, crashed, readFolder(t, dir))
	again := openTest(t, crashed, time.Now)
	for m, want := range map[ids.MailboxID]store.Cursor{there: acked, left: 0} {
		if got, err := again.OpenReader(t.Context(), m, 7); err != nil || got != want {
			t.Errorf("mailbox %d: acked up to %d, %v; want %d", m[0], got, err, want)
		}
	}
}

// The power goes while heads are written into the next segment: of those pages any may
// be on the disk. All of it is in the other segment still.
func TestPowerCutWhileHeadsAreCarried(t *testing.T) {
	const mailboxes = 200
	dir := t.TempDir()
	e, err := Open(Config{Dir: dir, MinFree: 1, hooks: hooks{journalRows: 3 * mailboxes, valueLogFile: 2 << 20}})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	acked := make(map[ids.MailboxID]store.Cursor)
	for n := 0; e.tables.fill() < 3*mailboxes; n++ {
		r := testReq(byte(n%mailboxes), n)
		if n < mailboxes {
			if _, err := e.OpenReader(t.Context(), r.Mailbox, 7); err != nil {
				t.Fatal(err)
			}
		}
		res := appendOne(e, r)
		if res.Err != nil {
			t.Fatal(res.Err)
		}
		if n%2 == 0 {
			if err := e.Ack(t.Context(), []store.AckReq{{Mailbox: r.Mailbox, Reader: 7, UpTo: res.Cursor}})[0]; err != nil {
				t.Fatal(err)
			}
			acked[r.Mailbox] = res.Cursor
		}
	}
	before := readFolder(t, dir)
	if res := appendOne(e, testReq(255, 1<<20)); res.Err != nil { // begins a segment
		t.Fatal(res.Err)
	}
	after := readFolder(t, dir)
	name := filepath.Base(e.committer.journal.files[e.committer.journal.at].Name())
	s, err := parseSegment(after[name])
	if err != nil || len(s.records) != 2 {
		t.Fatalf("%d records, %v; want the heads and a message", len(s.records), err)
	}
	end := page + pages(journalRecord+len(s.records[0]))
	if end < 4*page {
		t.Fatal("too few heads to be torn")
	}
	r := rand.New(rand.NewPCG(1, 2))
	for cut := range 8 {
		t.Run(fmt.Sprint(cut), func(t *testing.T) {
			files := maps.Clone(before)
			files[name] = append(append([]byte(nil), after[name][:page]...), torn(r, before[name][page:end], after[name][page:end])...)
			files[name] = append(files[name], before[name][end:]...)
			folder := t.TempDir()
			writeFolder(t, folder, files)
			e := openTest(t, folder, time.Now)
			for m := range mailboxes {
				id := ids.MailboxID{byte(m)}
				if got, err := e.OpenReader(t.Context(), id, 7); err != nil || got != acked[id] {
					t.Fatalf("mailbox %d: acked up to %d, %v; want %d", m, got, err, acked[id])
				}
			}
		})
	}
}
