package badgerstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"waxwing/core/ids"
	"waxwing/core/store"
)

func openTestJournal(t testing.TB, dir string) *journal {
	t.Helper()
	j, err := openJournal(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.close() })
	return j
}

// replayed returns the rows of a folder's journal.
func replayed(t testing.TB, dir string) (rows []row, err error) {
	t.Helper()
	j := openTestJournal(t, dir)
	defer j.close()
	err = j.replay(func(r row) { rows = append(rows, r) })
	return rows, err
}

func testRow(n int, value ...byte) row {
	return row{key: string(chunkKey(&ids.MailboxID{1}, uint64(n))), value: value}
}

func sameRows(a, b []row) bool {
	return slices.EqualFunc(a, b, func(a, b row) bool {
		return a.key == b.key && bytes.Equal(a.value, b.value) && (a.value == nil) == (b.value == nil)
	})
}

// What was written is handed out in order, of the last two generations; what is
// older is not.
func TestJournalRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "journal")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		j, err := openJournal(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer j.close()
		var last, current []row
		generations := rapid.IntRange(1, 5).Draw(t, "generations")
		for g := range generations {
			if err := j.begin([saltBytes]byte{byte(g), 1}); err != nil {
				t.Fatal(err)
			}
			last, current = current, nil
			for range rapid.IntRange(0, 4).Draw(t, "records") {
				var rows []row
				for n := range rapid.IntRange(1, 5).Draw(t, "rows") {
					r := testRow(n)
					if size := rapid.SampledFrom([]int{0, 1, 100, journalPage, 3 * journalPage}).Draw(t, "size"); size > 0 {
						r.value = bytes.Repeat([]byte{byte(n)}, size)
					}
					rows = append(rows, r)
				}
				if err := j.write(rows); err != nil {
					t.Fatal(err)
				}
				current = append(current, rows...)
			}
		}
		var got []row
		again, err := openJournal(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer again.close()
		if err := again.replay(func(r row) { got = append(got, r) }); err != nil {
			t.Fatal(err)
		}
		if want := append(last, current...); !sameRows(got, want) {
			t.Fatalf("%d rows, want %d", len(got), len(want))
		}
	})
}

// segmentOf returns a segment with three records, and where each begins and ends.
func segmentOf(t testing.TB) (b []byte, at []int) {
	t.Helper()
	dir := t.TempDir()
	j := openTestJournal(t, dir)
	if err := j.begin([saltBytes]byte{1, 2, 3, 4}); err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		at = append(at, int(j.offset))
		if err := j.write([]row{testRow(n, bytes.Repeat([]byte{byte(n)}, 2*journalPage)...), testRow(n)}); err != nil {
			t.Fatal(err)
		}
	}
	at = append(at, int(j.offset))
	b, err := os.ReadFile(filepath.Join(dir, "1.journal"))
	if err != nil {
		t.Fatal(err)
	}
	return slices.Clone(b[:at[3]+journalPage]), at
}

// The last record may be torn, and then was not acknowledged. Damage before it is
// not taken for the end, so that nothing acknowledged is lost without a word.
func TestJournalDamage(t *testing.T) {
	whole, at := segmentOf(t)
	spoil := func(from, to int) []byte {
		b := bytes.Clone(whole)
		clear(b[from:to])
		return b
	}
	flip := func(i int) []byte {
		b := bytes.Clone(whole)
		b[i] ^= 0x40
		return b
	}
	for name, tt := range map[string]struct {
		segment []byte
		records int
		err     error
	}{
		"whole":                             {whole, 3, nil},
		"never used":                        {make([]byte, len(whole)), 0, nil},
		"last record: first page":           {spoil(at[2], at[2]+journalPage), 2, nil},
		"last record: last page":            {spoil(at[3]-journalPage, at[3]), 2, nil},
		"last record: one bit":              {flip(at[2] + journalPage), 2, nil},
		"last record: its length":           {flip(at[2] + 4), 2, nil},
		"last record: its number":           {flip(at[2] + 19), 2, nil},
		"first record: gone":                {spoil(at[0], at[1]), 0, errCorrupt},
		"first record: one bit":             {flip(at[0] + journalPage), 0, errCorrupt},
		"second record: its length":         {flip(at[1] + 4), 0, errCorrupt},
		"second record: of another time":    {flip(at[1] + 15), 0, errCorrupt},
		"header: gone, with records":        {spoil(0, journalPage), 0, errCorrupt},
		"header: one bit of the sum":        {flip(20), 0, errCorrupt},
		"header: one bit of the salt":       {flip(12), 0, errCorrupt},
		"header: one bit of the magic":      {flip(0), 0, errCorrupt},
		"header: one bit of the generation": {flip(11), 0, errCorrupt},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := parseSegment(tt.segment)
			if !errors.Is(err, tt.err) || err == nil && len(s.records) != tt.records {
				t.Fatalf("%d records, %v; want %d, %v", len(s.records), err, tt.records, tt.err)
			}
		})
	}
}

// Every bit of a record counts.
func TestJournalEveryByte(t *testing.T) {
	whole, at := segmentOf(t)
	salt := [saltBytes]byte(whole[12:])
	record := whole[at[0]:at[1]]
	rows, _, ok := parseRecord(record, salt)
	if !ok {
		t.Fatal("not parsed")
	}
	for i := range journalRecord + len(rows) {
		b := bytes.Clone(record)
		b[i] ^= 1
		if _, _, ok := parseRecord(b, salt); ok {
			t.Fatalf("byte %d changed, and taken", i)
		}
	}
	if _, _, ok := parseRecord(record, [saltBytes]byte{}); ok {
		t.Error("taken under another salt")
	}
}

// Rows that this engine does not write are refused, also where the sum is right.
func TestJournalRows(t *testing.T) {
	for name, b := range map[string][]byte{
		"no key":            {0, 0, 0, 0, 0},
		"cut":               {1, 0, 0, 0},
		"key beyond":        {2, 0, 0, 0, 0, tagHead},
		"value beyond":      {1, 0, 0, 0, 2, tagHead, 1},
		"length overflows":  {1, 255, 255, 255, 255, tagHead, 1},
		"a document's row":  {1, 0, 0, 0, 1, tagDoc, 1},
		"rest after a row":  {1, 0, 0, 0, 1, tagHead, 1, 1},
		"the engine's rows": {2, 0, 0, 0, 1, tagEngine, 'f', 1},
	} {
		if err := eachRow(b, func(row) {}); !errors.Is(err, errCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A segment takes what fits, and the largest group that there is fits into one.
func TestJournalIsFull(t *testing.T) {
	if largest := groupBytes + chunkBytes + store.MaxBody + groupRows*(journalRow+chunkKeySize) + groupInline; largest > journalSegment/2 {
		t.Fatalf("a group may have %d bytes", largest)
	}
	j := openTestJournal(t, t.TempDir())
	if err := j.begin([saltBytes]byte{1}); err != nil {
		t.Fatal(err)
	}
	rows := []row{testRow(1, make([]byte, journalSegment/2)...)}
	for _, fits := range []bool{true, false} {
		if j.fits(rows) != fits {
			t.Errorf("fits: %v", !fits)
		}
		if err := j.write(rows); (err == nil) != fits || err != nil && !errors.Is(err, syscall.EFBIG) {
			t.Errorf("written: %v", err)
		}
	}
}

// Segments that do not follow one another are not of one journal.
func TestJournalGenerations(t *testing.T) {
	dir := t.TempDir()
	j := openTestJournal(t, dir)
	for range 2 {
		if err := j.begin([saltBytes]byte{1}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := replayed(t, dir); err != nil {
		t.Fatal(err)
	}
	j.generation += 3
	if err := j.begin([saltBytes]byte{1}); err != nil {
		t.Fatal(err)
	}
	if _, err := replayed(t, dir); !errors.Is(err, errCorrupt) {
		t.Fatal(err)
	}
}

// A segment that is not there any more is missed, whichever of the two it is: of the
// first generation alone there is no other to be missed.
func TestJournalSegmentIsMissing(t *testing.T) {
	for _, generations := range []int{0, 1, 3, 4} {
		for _, name := range []string{"0.journal", "1.journal"} {
			dir := t.TempDir()
			j := openTestJournal(t, dir)
			for range generations {
				if err := j.begin([saltBytes]byte{1}); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
			if _, err := replayed(t, dir); errors.Is(err, errCorrupt) != (generations > 1) {
				t.Errorf("%s, %d generations: %v", name, generations, err)
			}
		}
	}
}

func FuzzJournal(f *testing.F) {
	var rows []row
	for n := range 3 {
		rows = append(rows, testRow(n, byte(n)), testRow(n))
		dir := f.TempDir()
		j := openTestJournal(f, dir)
		if err := errors.Join(j.begin([saltBytes]byte{1, 2, 3, 4}), j.write(rows)); err != nil {
			f.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(dir, "1.journal"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(slices.Clone(b[:2*journalPage]))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < 2*journalPage || len(b) > 16*journalPage {
			return
		}
		// With the right sums, so that what is behind them is reached.
		binary.BigEndian.PutUint32(b[20:], crc32.Checksum(b[:20], crcTable))
		if n := int64(beUint32(b[journalPage+4:])); n <= int64(len(b)-journalPage-journalRecord) {
			end := journalPage + journalRecord + int(n)
			binary.BigEndian.PutUint32(b[journalPage:], crc32.Checksum(b[journalPage+4:end], crcTable))
		}
		s, err := parseSegment(b)
		if err != nil {
			return
		}
		for _, rows := range s.records {
			size := 0
			if eachRow(rows, func(r row) { size += journalRow + len(r.key) + len(r.value) }) == nil && size != len(rows) {
				t.Fatalf("%d bytes of rows, %d are read", len(rows), size)
			}
		}
	})
}

func settle(t testing.TB, e *Engine) {
	t.Helper()
	if err := e.submit(t.Context(), &settleOp{newCall()}); err != nil {
		t.Fatal(err)
	}
}

// What was acknowledged stays in the journal until it is in Badger: neither a
// drain that fails, nor a crash after it and before its segment is written anew,
// loses or repeats anything.
func TestDrainFails(t *testing.T) {
	dir := t.TempDir()
	var broken atomic.Bool
	e, err := Open(Config{Dir: dir, MinFree: 1, hooks: hooks{journalRows: 8, beforeDrain: func() error {
		if broken.Load() {
			return syscall.EIO
		}
		return nil
	}}})
	if err != nil {
		t.Fatal(err)
	}
	acked := 0
	for ; acked < 50; acked++ {
		if res := appendOne(e, testReq(1, acked)); res.Err != nil {
			t.Fatal(res.Err)
		}
	}
	broken.Store(true)
	for {
		if res := appendOne(e, testReq(1, acked)); res.Err != nil {
			break
		}
		acked++
		if acked > 1000 {
			t.Fatal("the engine goes on without its drain")
		}
	}
	stopped(t, e)
	if err := e.Close(); !errors.Is(err, syscall.EIO) {
		t.Fatalf("Close: %v", err)
	}
	for range 2 { // the second one replays nothing that the first did not
		e = openTest(t, dir, time.Now)
		for n := range acked {
			if res := appendOne(e, testReq(1, n)); res.Outcome != store.Duplicate {
				t.Fatalf("message %d: %+v", n, res)
			}
		}
		if n := countStored(t, e, ids.MailboxID{1}); n < acked || n > acked+1 {
			t.Fatalf("%d messages, %d were acknowledged", n, acked)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// The power goes while rows are drained: of Badger's pages any may be on the disk.
// All of it is in the journal still.
func TestPowerCutInDrain(t *testing.T) {
	const n = 300
	dir := t.TempDir()
	e, err := Open(Config{Dir: dir, MinFree: 1, hooks: hooks{valueLogFile: 2 << 20}})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for i := range n {
		r := testReq(byte(1+i%4), i)
		r.Body = bytes.Repeat([]byte{byte(i)}, 1000)
		if res := appendOne(e, r); res.Err != nil {
			t.Fatal(res.Err)
		}
	}
	before := readFolder(t, dir)
	settle(t, e)
	after := readFolder(t, dir)
	for seed := range uint64(8) {
		cut := t.TempDir()
		writeFolder(t, cut, tornFiles(seed, before, after, ".vlog", ".mem"))
		e, err := Open(Config{Dir: cut, MinFree: 1, hooks: hooks{valueLogFile: 2 << 20}})
		if err != nil {
			t.Fatal(err)
		}
		stored := 0
		for m := range 4 {
			stored += countStored(t, e, ids.MailboxID{byte(1 + m)})
		}
		if stored != n {
			t.Errorf("cut %d: %d messages of %d", seed, stored, n)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A message that is fetched and acked soon never gets into Badger.
func TestShortLived(t *testing.T) {
	e, err := Open(Config{Dir: t.TempDir(), MinFree: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	ctx := t.Context()
	if _, err := e.OpenReader(ctx, ids.MailboxID{1}, 1); err != nil {
		t.Fatal(err)
	}
	for n := range 20 {
		res := appendOne(e, testReq(1, n))
		if res.Err != nil {
			t.Fatal(res.Err)
		}
		if err := e.Ack(ctx, []store.AckReq{{Mailbox: ids.MailboxID{1}, Reader: 1, UpTo: res.Cursor}})[0]; err != nil {
			t.Fatal(err)
		}
	}
	for _, drained := range []bool{false, true} {
		if chunks, known := len(rowsOf(t, e, tagChunk)), len(rowsOf(t, e, tagID)); chunks+known != 0 {
			t.Errorf("drained %v: %d chunks and %d ids are left", drained, chunks, known)
		}
		if e.tables.empty() != drained {
			t.Errorf("drained %v: %d rows in the tables", drained, e.tables.fill())
		}
		settle(t, e)
	}
	if len(rowsOf(t, e, tagHead)) != 1 {
		t.Error("the head is not there")
	}
}

// Whoever reads a mailbox whose head is not in memory, while messages come and go,
// always finds what was there when it began.
func TestFetchBesideCommits(t *testing.T) {
	e, err := Open(Config{Dir: t.TempDir(), MinFree: 1, CacheMailboxes: 1, hooks: hooks{journalRows: 64}})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := e.OpenReader(ctx, ids.MailboxID{1}, 1); err != nil {
		t.Fatal(err)
	}
	appendOne(e, testReq(1, 0))
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for ctx.Err() == nil {
				m, err := e.Fetch(context.Background(), ids.MailboxID{1}, 0, 0, 0)
				if err != nil || len(m) == 0 {
					t.Errorf("%d messages, %v", len(m), err)
					return
				}
			}
		})
	}
	for n := 1; ctx.Err() == nil; n++ {
		res := appendOne(e, testReq(1, n))
		appendOne(e, testReq(2, n)) // the head leaves the memory
		if res.Err != nil {
			t.Error(res.Err)
			break
		}
		if err := e.Ack(context.Background(), []store.AckReq{{Mailbox: ids.MailboxID{1}, Reader: 1, UpTo: res.Cursor - 1}})[0]; err != nil {
			t.Error(err)
			break
		}
	}
	readers.Wait()
}
