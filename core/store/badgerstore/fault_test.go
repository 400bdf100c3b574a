package badgerstore

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"waxwing/core/ids"
	"waxwing/core/store"
)

func testReq(mailbox byte, n int) store.AppendReq {
	return store.AppendReq{
		Mailbox: ids.MailboxID{mailbox}, ID: benchID(n), Body: []byte("body"),
		Expires: time.Now().Add(time.Hour),
	}
}

func appendOne(e *Engine, r store.AppendReq) store.AppendRes {
	return e.Append(context.Background(), []store.AppendReq{r})[0]
}

// A failed commit, whether it persisted or not, stops the engine for good: no
// later call is acknowledged, and what was is there after a restart.
func TestSyncErrorIsFinal(t *testing.T) {
	for _, tt := range []struct {
		name      string
		persisted bool
		hook      func(h *hooks, fail func() error)
	}{
		{"not persisted", false, func(h *hooks, fail func() error) { h.beforeCommit = fail }},
		{"persisted", true, func(h *hooks, fail func() error) { h.afterCommit = fail }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			var broken atomic.Bool
			c := Config{Dir: dir, MinFree: 1}
			tt.hook(&c.hooks, func() error {
				if broken.Load() {
					return &fs.PathError{Op: "msync", Path: "a-secret-path", Err: syscall.EIO}
				}
				return nil
			})
			e, err := Open(c)
			if err != nil {
				t.Fatal(err)
			}
			if res := appendOne(e, testReq(1, 1)); res.Outcome != store.Appended {
				t.Fatalf("%+v", res)
			}
			broken.Store(true)
			res := appendOne(e, testReq(1, 2))
			if !errors.Is(res.Err, store.ErrUnknownOutcome) || errors.Is(res.Err, store.ErrUnavailable) {
				t.Fatalf("the failed commit answers %v", res.Err)
			}
			broken.Store(false) // the next sync would succeed, and prove nothing
			stopped(t, e)
			if err := e.Close(); !errors.Is(err, syscall.EIO) {
				t.Fatalf("Close: %v", err)
			}

			e = openTest(t, dir, time.Now)
			if res := appendOne(e, testReq(1, 1)); res.Outcome != store.Duplicate {
				t.Fatalf("an acknowledged message is lost: %+v", res)
			}
			want := store.Appended
			if tt.persisted {
				want = store.Duplicate
			}
			if res := appendOne(e, testReq(1, 2)); res.Outcome != want {
				t.Fatalf("the unknown one, sent again: %+v, want %v", res, want)
			}
			m, err := e.Fetch(context.Background(), ids.MailboxID{1}, 0, 0, 0)
			if err != nil || len(m) != 2 {
				t.Fatalf("%d messages, %v", len(m), err)
			}
		})
	}
}

// stopped checks that every call is refused and Health says why, without a
// path or key.
func stopped(t *testing.T, e *Engine) {
	t.Helper()
	ctx := context.Background()
	err := e.Health(ctx)
	if !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, syscall.EIO) || strings.Contains(err.Error(), "secret") {
		t.Fatalf("Health: %v", err)
	}
	_, fetchErr := e.Fetch(ctx, ids.MailboxID{1}, 0, 0, 0)
	_, getErr := e.Get(ctx, "k")
	_, casErr := e.CAS(ctx, "k", 0, []byte{1})
	_, sizeErr := e.LogSize(ctx, "k")
	_, watchErr := e.Watch(ctx, "")
	for name, err := range map[string]error{
		"Append": appendOne(e, testReq(1, 3)).Err,
		"Ack":    e.Ack(ctx, []store.AckReq{{}})[0],
		"Spend":  e.Spend(ctx, store.SetID{}, make([]store.Claim, 1))[0].Err,
		"Drop":   e.Drop(ctx, ids.MailboxID{1}),
		"Fetch":  fetchErr, "Get": getErr, "CAS": casErr, "LogSize": sizeErr, "Watch": watchErr,
	} {
		if !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s after a failed sync: %v", name, err)
		}
	}
}

// Under load: no call is acknowledged after the first failure, and everything
// acknowledged before it is found again.
func TestSyncErrorUnderLoad(t *testing.T) {
	dir := t.TempDir()
	var commits atomic.Int64
	e, err := Open(Config{Dir: dir, MinFree: 1, hooks: hooks{beforeCommit: func() error {
		if commits.Add(1) == 20 { // this one only
			return syscall.EIO
		}
		return nil
	}}})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var acked []int
	var wg sync.WaitGroup
	for w := range 32 {
		wg.Go(func() {
			for i := 0; ; i++ {
				n := w*1_000_000 + i
				res := appendOne(e, testReq(byte(w%5), n))
				if res.Err != nil {
					if !errors.Is(res.Err, store.ErrUnavailable) && !errors.Is(res.Err, store.ErrUnknownOutcome) {
						t.Errorf("%v", res.Err)
					}
					break
				}
				mu.Lock()
				acked = append(acked, n)
				mu.Unlock()
			}
			if res := appendOne(e, testReq(1, w)); !errors.Is(res.Err, store.ErrUnavailable) {
				t.Errorf("after the failure: %+v", res)
			}
		})
	}
	wg.Wait()
	if n := commits.Load(); n != 20 {
		t.Fatalf("%d commits, want none after the 20th", n)
	}
	_ = e.Close()
	e = openTest(t, dir, time.Now)
	for _, n := range acked {
		if res := appendOne(e, testReq(byte(n/1_000_000%5), n)); res.Outcome != store.Duplicate {
			t.Fatalf("an acknowledged message is lost: %+v", res)
		}
	}
}

// Badger reports a failed sync of its value log to the logger only.
func TestLoggedErrorIsFinal(t *testing.T) {
	e := openTest(t, t.TempDir(), time.Now)
	if res := appendOne(e, testReq(1, 1)); res.Err != nil {
		t.Fatal(res.Err)
	}
	(&badgerLog{fail: e.fail}).Errorf("Error while curlf sync: %v\n", syscall.EIO)
	stopped(t, e)
	if err := e.Close(); err == nil {
		t.Fatal("Close forgot the error")
	}
}

// If it says so during a commit, that commit is not acknowledged.
func TestErrorLoggedInCommit(t *testing.T) {
	var e *Engine
	var broken atomic.Bool
	c := Config{Dir: t.TempDir(), MinFree: 1, hooks: hooks{afterCommit: func() error {
		if broken.Load() {
			(&badgerLog{fail: e.fail}).Errorf("Error while curlf sync: %v\n", syscall.EIO)
		}
		return nil
	}}}
	e, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	broken.Store(true)
	if res := appendOne(e, testReq(1, 1)); !errors.Is(res.Err, store.ErrUnknownOutcome) {
		t.Fatalf("%+v", res)
	}
	stopped(t, e)
}

// Operations that take several commits and fail between them.
func TestPartlyDone(t *testing.T) {
	dir := t.TempDir()
	var commits, limit atomic.Int64
	limit.Store(1 << 40)
	e, err := Open(Config{Dir: dir, MinFree: 1, hooks: hooks{beforeCommit: func() error {
		if commits.Add(1) > limit.Load() {
			return syscall.EIO
		}
		return nil
	}}})
	if err != nil {
		t.Fatal(err)
	}
	limit.Store(commits.Load() + 1)
	reqs := make([]store.AppendReq, store.MaxBatch)
	for i := range reqs {
		reqs[i] = testReq(1, i)
		reqs[i].Body = make([]byte, 4000)
	}
	res := e.Append(context.Background(), reqs)
	done := 0
	for i, r := range res {
		switch {
		case r.Outcome == store.Appended && done == i:
			done++
		case !errors.Is(r.Err, store.ErrUnknownOutcome):
			t.Fatalf("element %d: %+v", i, r)
		}
	}
	if done == 0 || done == len(res) {
		t.Fatalf("%d elements of %d were done; the test wants some", done, len(res))
	}
	_ = e.Close()
	e = openTest(t, dir, time.Now)
	st, err := e.Stat(context.Background(), ids.MailboxID{1})
	if err != nil || st.Messages != done {
		t.Fatalf("%+v, %v; want the %d that were acknowledged", st, err, done)
	}
}

// A disk that is nearly full takes nothing new and still lets go of the old.
func TestDiskLow(t *testing.T) {
	e := openTest(t, t.TempDir(), time.Now)
	ctx := context.Background()
	if _, err := e.OpenReader(ctx, ids.MailboxID{1}, 1); err != nil {
		t.Fatal(err)
	}
	appendOne(e, testReq(1, 1))
	e.cfg.MinFree = 1 << 62 // no other goroutine reads it before the next sweep
	e.checkDisk()
	if res := appendOne(e, testReq(1, 2)); !errors.Is(res.Err, store.ErrUnavailable) {
		t.Fatalf("%+v", res)
	}
	if err := e.Health(ctx); !errors.Is(err, errDiskLow) || !errors.Is(err, store.ErrUnavailable) {
		t.Fatalf("Health: %v", err)
	}
	if err := e.Ack(ctx, []store.AckReq{{Mailbox: ids.MailboxID{1}, Reader: 1, UpTo: 1}})[0]; err != nil {
		t.Fatal(err)
	}
	if m, err := e.Fetch(ctx, ids.MailboxID{1}, 0, 0, 0); err != nil || len(m) != 0 {
		t.Fatalf("%d messages, %v", len(m), err)
	}
}

func TestConfig(t *testing.T) {
	for _, c := range []Config{{}, {Dir: "x", CacheMailboxes: -1}, {Dir: "x", SweepEvery: -1}} {
		if _, err := Open(c); !errors.Is(err, errConfig) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	dir := t.TempDir()
	e := openTest(t, dir, time.Now)
	if _, err := Open(Config{Dir: dir}); err == nil {
		t.Error("two engines in one folder")
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}
