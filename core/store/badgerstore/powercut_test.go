package badgerstore

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"waxwing/core/ids"
	"waxwing/core/store"
)

const page = 4096

// readFolder returns the files of a folder.
func readFolder(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := make(map[string][]byte)
	for _, e := range entries {
		if files[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// writeFolder writes files, with holes where there are zeros.
func writeFolder(t *testing.T, dir string, files map[string][]byte) {
	t.Helper()
	zeros := make([]byte, page)
	for name, data := range files {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Truncate(int64(len(data))); err != nil {
			t.Fatal(err)
		}
		for at := 0; at < len(data); at += page {
			p := data[at:min(at+page, len(data))]
			if bytes.Equal(p, zeros[:len(p)]) {
				continue
			}
			if _, err := f.WriteAt(p, int64(at)); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// torn is a file of which only some of the pages that were written between two
// moments have reached the disk.
func torn(r *rand.Rand, before, after []byte) []byte {
	out := bytes.Clone(after)
	keep := r.Float64()
	for at := 0; at < len(out); at += page {
		end := min(at+page, len(out))
		if r.Float64() > keep {
			clear(out[at:end])
			copy(out[at:end], before[min(at, len(before)):min(end, len(before))])
		}
	}
	return out
}

// tornFiles is a folder in which files of some kinds are torn between two moments;
// for seed 0 all was written. The others are as before.
func tornFiles(seed uint64, before, after map[string][]byte, kinds ...string) map[string][]byte {
	r := rand.New(rand.NewPCG(seed, 0))
	files := maps.Clone(before)
	for _, name := range slices.Sorted(maps.Keys(before)) {
		switch {
		case !slices.Contains(kinds, filepath.Ext(name)):
		case seed == 0:
			files[name] = after[name]
		default:
			files[name] = torn(r, before[name], after[name])
		}
	}
	return files
}

// The power goes while a commit is written to the journal: of its pages any may be
// on the disk and any other not. Everything before it is there, and it itself as a
// whole or not at all; sent again it is there once.
func TestPowerCutInCommit(t *testing.T) {
	const first, batch, mailboxes = 30, 500, 4
	ctx, expires := context.Background(), time.Now().Add(time.Hour)
	req := func(i int) store.AppendReq {
		r := store.AppendReq{
			Mailbox: ids.MailboxID{byte(1 + i%mailboxes)}, ID: benchID(i), Body: bytes.Repeat([]byte{byte(i), byte(i >> 8), 1}, 300), Expires: expires,
		}
		if i%3 > 0 {
			r.Serial, r.HasSerial = store.Serial{Day: ids.DayOf(time.Now()) + 2, N: uint64(i)}, true
		}
		return r
	}
	var group []store.AppendReq
	for i := range batch {
		group = append(group, req(first+i))
	}
	dir := t.TempDir()
	e, err := Open(Config{Dir: dir, MinFree: 1, hooks: hooks{valueLogFile: 2 << 20}})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for i := range first {
		if res := appendOne(e, req(i)); res.Outcome != store.Appended {
			t.Fatal(res)
		}
	}
	before := readFolder(t, dir)
	for _, res := range e.Append(ctx, group) {
		if res.Outcome != store.Appended {
			t.Fatal(res)
		}
	}
	after := readFolder(t, dir)
	seen := map[store.AppendOutcome]int{}
	for seed := range uint64(16) {
		files := tornFiles(seed, before, after, ".journal")
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			cut := t.TempDir()
			writeFolder(t, cut, files)
			checkCut(t, cut, first, batch, mailboxes, req, seen)
		})
	}
	if seen[store.Appended] == 0 || seen[store.Duplicate] == 0 {
		t.Errorf("%v: the cuts are all of one kind", seen)
	}
}

func checkCut(t *testing.T, dir string, first, batch, mailboxes int, req func(int) store.AppendReq, seen map[store.AppendOutcome]int) {
	t.Helper()
	e, err := Open(Config{Dir: dir, MinFree: 1, hooks: hooks{valueLogFile: 2 << 20}})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	held := func() map[ids.EnvelopeID]int {
		all := make(map[ids.EnvelopeID]int)
		for m := range mailboxes {
			for after := store.Cursor(0); ; {
				got, err := e.Fetch(context.Background(), ids.MailboxID{byte(1 + m)}, after, 0, 0)
				if err != nil {
					t.Fatal(err)
				}
				if len(got) == 0 {
					break
				}
				for _, g := range got {
					all[g.ID]++
					after = g.Cursor
				}
			}
		}
		return all
	}
	if n := len(held()); n != first && n != first+batch {
		t.Fatalf("%d messages: neither those before the commit nor all", n)
	}
	all := make([]store.AppendReq, first+batch)
	for i := range all {
		all[i] = req(i)
	}
	res := e.Append(context.Background(), all)
	want := res[first].Outcome
	seen[want]++
	for i, r := range res {
		switch {
		case i < first && r.Outcome != store.Duplicate:
			t.Fatalf("message %d, which was acknowledged: %+v", i, r)
		case i >= first && (r.Outcome != want || want != store.Appended && want != store.Duplicate):
			t.Fatalf("message %d of the commit: %+v, the first one %v", i, r, want)
		}
	}
	once := held()
	for i := range first + batch {
		if once[req(i).ID] != 1 {
			t.Fatalf("message %d is there %d times", i, once[req(i).ID])
		}
	}
}

// A log file that was being made when the power went has a name and no bytes.
func TestUnbornLogFile(t *testing.T) {
	for _, name := range []string{"000001.vlog", "000002.vlog", "00001.mem", "00002.mem", "00007.mem"} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			e := openTest(t, dir, time.Now)
			if res := appendOne(e, testReq(1, 1)); res.Outcome != store.Appended {
				t.Fatal(res)
			}
			files := readFolder(t, dir)
			cut := t.TempDir()
			if len(files[name]) > 0 { // the first of its kind: then nothing was acknowledged
				cut = filepath.Join(cut, "new")
				if err := os.Mkdir(cut, 0o700); err != nil {
					t.Fatal(err)
				}
				files = map[string][]byte{}
			}
			files[name] = nil
			writeFolder(t, cut, files)
			want := store.Duplicate
			if len(files) == 1 {
				want = store.Appended
			}
			for range 2 {
				e := openTest(t, cut, time.Now)
				if res := appendOne(e, testReq(1, 1)); res.Outcome != want {
					t.Fatalf("%+v, want %v", res, want)
				}
				want = store.Duplicate
				if err := e.Close(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
