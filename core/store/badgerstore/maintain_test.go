package badgerstore

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"waxwing/core/ids"
	"waxwing/core/store"
	"waxwing/core/store/storetest"
)

// work is what a commit writes.
type work struct{ rows, inline, bytes int }

// A disposal writes rows of the same number and sizes as a delivery.
func TestDisposalIsEqualWork(t *testing.T) {
	var got work
	var c *committer
	cfg := Config{Dir: t.TempDir(), MinFree: 1, hooks: hooks{beforeCommit: func() error {
		if c != nil {
			got = work{c.group.rows, c.group.inline, c.group.bytes}
		}
		return nil
	}}}
	e, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	c = &e.committer
	day := ids.DayOf(time.Now())
	n := 0
	batch := func(size int, change func(*store.AppendReq)) []store.AppendReq {
		reqs := make([]store.AppendReq, size)
		for i := range reqs {
			n++
			reqs[i] = store.AppendReq{
				Mailbox: ids.MailboxID{byte(i % 3)}, ID: benchID(n), Body: make([]byte, 1000),
				Expires: time.Now().Add(time.Hour), HasSerial: true, Serial: store.Serial{Day: day, N: uint64(n)},
			}
			if change != nil {
				change(&reqs[i])
			}
		}
		return reqs
	}
	for _, size := range []int{1, 3, 300} {
		// The first one writes marks; heads come with every 16th chunk.
		e.Append(context.Background(), batch(3, nil))
		sum := func(name string, want store.AppendOutcome, wantErr error, change func(*store.AppendReq)) work {
			var all work
			for range headEvery { // over which heads even out
				for _, r := range e.Append(context.Background(), batch(size, change)) {
					if r.Outcome != want || wantErr == nil && r.Err != nil {
						t.Fatalf("%s: %+v", name, r)
					}
				}
				all.rows += got.rows
				all.inline += got.inline
				all.bytes += got.bytes
			}
			return all
		}
		delivered := sum("delivered", store.Appended, nil, nil)
		if _, err := e.Strike(context.Background(), ids.MailboxID{0}, []store.Serial{{Day: day, N: 1 << 40}}); err != nil {
			t.Fatal(err)
		}
		e.Append(context.Background(), []store.AppendReq{{
			Mailbox: ids.MailboxID{0}, ID: benchID(1 << 40), Body: []byte{1}, Expires: time.Now().Add(time.Hour), HasSerial: true, Serial: store.Serial{Day: day, N: 1<<40 + 1},
		}})
		for name, tt := range map[string]struct {
			want   store.AppendOutcome
			err    error
			change func(*store.AppendReq)
		}{
			"discarded": {store.Discarded, nil, func(r *store.AppendReq) { r.Discard = true }},
			"unknown":   {store.Discarded, nil, func(r *store.AppendReq) { r.Discard = true; r.Mailbox = ids.NewMailboxID() }},
			"struck":    {store.Struck, nil, func(r *store.AppendReq) { r.Mailbox, r.Serial.N = ids.MailboxID{0}, 1<<40 }},
			"spent":     {store.Spent, nil, func(r *store.AppendReq) { r.Mailbox, r.Serial.N = ids.MailboxID{0}, 1<<40+1 }},
			"duplicate": {store.Duplicate, nil, func(r *store.AppendReq) {
				r.Mailbox, r.Serial.N, r.ID = ids.MailboxID{0}, 1<<40+1, benchID(1<<40)
			}},
			"over":       {store.Spent, nil, func(r *store.AppendReq) { r.Serial.Day = day - 100 }},
			"full":       {store.AppendNone, store.ErrFull, func(r *store.AppendReq) { r.Quota.Bytes = 1 }},
			"full, free": {store.AppendNone, store.ErrFull, func(r *store.AppendReq) { r.HasSerial, r.Quota.Bytes = false, 1 }},
		} {
			if size > 1 && (name != "discarded" && name != "full") {
				continue // Those go to one mailbox or to many: other chunks.
			}
			got := sum(name, tt.want, tt.err, tt.change)
			if d := got.rows - delivered.rows; d < -size || d > size {
				t.Errorf("%d %s: %d rows, delivered %d", size, name, got.rows, delivered.rows)
			}
			if d := got.bytes - delivered.bytes; d < -delivered.bytes/50 || d > delivered.bytes/50 {
				t.Errorf("%d %s: %d bytes, delivered %d", size, name, got.bytes, delivered.bytes)
			}
		}
	}
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for range 1000 {
		if holds() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("not within ten seconds: %s", what)
}

// Spent rows of days that are over leave the disk; all others stay. A clock
// that goes back does not make their serials unspent.
func TestEpochsAreDropped(t *testing.T) {
	start := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	clock := storetest.NewClock(start)
	dir := t.TempDir()
	e := openTest(t, dir, clock.Now)
	today := ids.DayOf(start)
	const perDay = 100
	spend := func(e *Engine, day ids.Day, n int) store.AppendOutcome {
		r := testReq(1, int(day)*1000+n)
		r.Serial, r.HasSerial = store.Serial{Day: day, N: uint64(n)}, true
		r.Expires = start.Add(1000 * time.Hour)
		return appendOne(e, r).Outcome
	}
	for d := range ids.Day(4) {
		for n := range perDay {
			if o := spend(e, today+d, n); o != store.Appended {
				t.Fatal(o)
			}
		}
	}
	clock.Advance((store.SerialMemory + 2) * 24 * time.Hour) // two days are over
	eventually(t, "two days are dropped", func() bool { return len(rowsOf(t, e, tagSpent)) == 2*perDay })
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	clock.Advance(-(store.SerialMemory + 2) * 24 * time.Hour)
	e = openTest(t, dir, clock.Now)
	for d, want := range []store.AppendOutcome{store.Spent, store.Spent, store.Duplicate, store.Duplicate} {
		if o := spend(e, today+ids.Day(d), 5); o != want {
			t.Errorf("day %d: %v, want %v", d, o, want)
		}
	}
	if o := spend(e, today, perDay+1); o != store.Spent {
		t.Errorf("a serial of a dropped day: %v", o)
	}
	if m, err := e.Fetch(context.Background(), ids.MailboxID{1}, 0, 0, 0); err != nil || len(m) != 4*perDay {
		t.Fatalf("%d messages, %v", len(m), err)
	}
}

// Nothing of a mailbox that was emptied by expiry stays behind but its head.
func TestSweepLeavesNothing(t *testing.T) {
	clock := storetest.NewClock(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC))
	e := openTest(t, t.TempDir(), clock.Now)
	for box := range byte(20) {
		for n := range 30 {
			r := testReq(box, int(box)*1000+n)
			r.Expires = clock.Now().Add(time.Duration(30-n) * 20 * time.Minute)
			if res := appendOne(e, r); res.Err != nil {
				t.Fatal(res.Err)
			}
		}
	}
	// Nobody asks: the marks must do, also those of messages that came later
	// and expire sooner.
	clock.Advance(3*time.Hour + 20*time.Minute)
	eventually(t, "a quarter is gone", func() bool { return len(rowsOf(t, e, tagChunk)) < 20*22 })
	clock.Advance(8 * time.Hour) // also past the mark of the first message
	eventually(t, "all rows are gone", func() bool {
		return len(rowsOf(t, e, tagChunk))+len(rowsOf(t, e, tagID))+len(rowsOf(t, e, tagMark)) == 0
	})
	for box := range byte(20) {
		if st, err := e.Stat(context.Background(), ids.MailboxID{box}); err != nil || st.Messages != 0 || st.Bytes != 0 {
			t.Fatalf("%+v, %v", st, err)
		}
	}
}

// A chunk of which some messages expired and the others were acked is gone.
func TestChunkIsDeleted(t *testing.T) {
	clock := storetest.NewClock(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC))
	e := openTest(t, t.TempDir(), clock.Now)
	ctx := context.Background()
	mailbox := ids.MailboxID{1}
	if _, err := e.OpenReader(ctx, mailbox, 1); err != nil {
		t.Fatal(err)
	}
	first, second := testReq(1, 1), testReq(1, 2)
	first.Expires, second.Expires = clock.Now().Add(100*time.Hour), clock.Now().Add(time.Hour)
	res := e.Append(ctx, []store.AppendReq{first, second})
	clock.Advance(2 * time.Hour)
	eventually(t, "the second is swept", func() bool {
		st, err := e.Stat(ctx, mailbox)
		return err == nil && st.Messages == 1
	})
	if err := e.Ack(ctx, []store.AckReq{{Mailbox: mailbox, Reader: 1, UpTo: res[0].Cursor}})[0]; err != nil {
		t.Fatal(err)
	}
	if n := len(rowsOf(t, e, tagChunk)) + len(rowsOf(t, e, tagID)); n != 0 {
		t.Fatalf("%d rows are left", n)
	}
}

// A head's row is never far behind, so that loading it stays cheap, and what
// is loaded is what was known.
func TestRollForward(t *testing.T) {
	e := openTest(t, t.TempDir(), time.Now)
	for n := range 5*headEvery + 3 {
		if res := appendOne(e, testReq(1, n)); res.Err != nil {
			t.Fatal(res.Err)
		}
		var row, loaded head
		known, _, _ := e.cache.head(&ids.MailboxID{1})
		err := e.view(t.Context(), func(s *snapshot) error {
			row = newHead()
			v, err := s.get(headKey(&ids.MailboxID{1}))
			if err != nil {
				return err
			}
			if v != nil {
				if row, err = parseHead(v); err != nil {
					return err
				}
			}
			loaded, _, err = loadHead(s.get, &ids.MailboxID{1})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if behind := known.nextChunk() - row.nextChunk(); behind >= headEvery {
			t.Fatalf("the row is %d chunks behind", behind)
		}
		if !reflect.DeepEqual(loaded, known) {
			t.Fatalf("loaded %+v, known %+v", loaded, known)
		}
	}
}

// A head that was read before a commit does not replace what the commit made.
func TestOutdatedHeadIsNotCached(t *testing.T) {
	c := newCache(10)
	id := ids.MailboxID{1}
	_, _, generation := c.head(&id)
	c.generation++ // a commit
	c.loaded(&id, newHead(), generation)
	if _, ok, _ := c.head(&id); ok {
		t.Fatal("an outdated head is in the cache")
	}
	_, _, generation = c.head(&id)
	c.loaded(&id, newHead(), generation)
	if _, ok, _ := c.head(&id); !ok {
		t.Fatal("a current head is not in the cache")
	}
}

// The cache stays within its limit, whatever comes.
func TestCacheLimit(t *testing.T) {
	c := newCache(10)
	for n := range 1000 {
		c.putHead(&ids.MailboxID{byte(n), byte(n >> 8)}, newHead())
		if len(c.heads) > 10 {
			t.Fatalf("%d heads", len(c.heads))
		}
	}
}

func valueLogBytes(t *testing.T, dir string) (sum int64) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.vlog"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if st, err := os.Stat(f); err == nil {
			sum += st.Size()
		}
	}
	return sum
}

// The space of acked messages comes back, and nobody who reads meanwhile
// misses a message whose file went away.
func TestCollect(t *testing.T) {
	dir := t.TempDir()
	open := func() *Engine {
		e, err := Open(Config{Dir: dir, MinFree: 1, hooks: hooks{valueLogFile: 1 << 20}})
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	e := open()
	ctx := context.Background()
	const boxes, each = 40, 100
	body := bytes.Repeat([]byte{7}, 4000)
	kept, gone := ids.MailboxID{200}, func(i int) ids.MailboxID { return ids.MailboxID{byte(i)} }
	for i := range boxes {
		if _, err := e.OpenReader(ctx, gone(i), 1); err != nil {
			t.Fatal(err)
		}
		var reqs []store.AppendReq
		for n := range each {
			reqs = append(reqs, store.AppendReq{Mailbox: gone(i), ID: benchID(i*each + n), Body: body, Expires: time.Now().Add(time.Hour)})
		}
		reqs = append(reqs, store.AppendReq{Mailbox: kept, ID: benchID(1e6 + i), Body: body, Expires: time.Now().Add(time.Hour)})
		for _, r := range e.Append(ctx, reqs) {
			if r.Err != nil {
				t.Fatal(r.Err)
			}
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	e = open() // all of it is in the value log now
	full := valueLogBytes(t, dir)
	for i := range boxes {
		if err := e.Ack(ctx, []store.AckReq{{Mailbox: gone(i), Reader: 1, UpTo: 1 << 40}})[0]; err != nil {
			t.Fatal(err)
		}
	}
	// Every restart makes a table, and enough of them a compaction, which is
	// where Badger counts garbage.
	for v := range uint64(6) {
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		e = open()
		if err := e.LogAppend(ctx, "l", v, [][]byte{{1}}); err != nil {
			t.Fatal(err)
		}
	}
	defer func() { _ = e.Close() }()
	var stop atomic.Bool
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for !stop.Load() {
				m, err := e.Fetch(ctx, kept, 0, 0, 0)
				if err != nil || len(m) != boxes {
					t.Errorf("%d messages, %v", len(m), err)
					return
				}
			}
		})
	}
	eventually(t, "the value log shrinks", func() bool {
		e.collect(ctx)
		return valueLogBytes(t, dir) < full/2
	})
	stop.Store(true)
	readers.Wait()
	if err := e.Health(ctx); err != nil {
		t.Fatal(err)
	}
}
