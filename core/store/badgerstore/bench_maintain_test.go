//go:build unix

package badgerstore

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"waxwing/core/ids"
	"waxwing/core/store"
)

// benchRows is how many rows a benchmark of maintenance begins with, or
// WAXWING_BENCH_ROWS.
func benchRows(b *testing.B) int {
	rows := 100_000
	if v := os.Getenv("WAXWING_BENCH_ROWS"); v != "" {
		var err error
		if rows, err = strconv.Atoi(v); err != nil {
			b.Fatal(err)
		}
	}
	return rows
}

// BenchmarkAppendAmong is an append to one of so many mailboxes, each of which
// has a message already. More than CacheMailboxes of them do not fit into the
// cache of heads.
func BenchmarkAppendAmong(b *testing.B) {
	for _, mailboxes := range []int{1, 10, 100, 1000, 10_000, 100_000} {
		b.Run(fmt.Sprint(mailboxes), func(b *testing.B) {
			e := openBench(b)
			day, expires := ids.DayOf(time.Now())+3, time.Now().Add(240*time.Hour)
			req := func(i, n int) store.AppendReq {
				return store.AppendReq{
					Mailbox: ids.MailboxID(spentMailbox(i % mailboxes)), ID: benchID(n), Body: make([]byte, 1024), Expires: expires,
					HasSerial: true, Serial: store.Serial{Day: day, N: uint64(n)}, Quota: store.Quota{Messages: 1 << 30, Bytes: 1 << 50},
				}
			}
			appendMany(b, e, mailboxes, func(i int) store.AppendReq { return req(i, i) })
			settled(b, e, func(_, i int) {
				r := req(i*7919, mailboxes+i) // a prime: neighbours in time are not neighbours on the disk
				if res := e.Append(context.Background(), []store.AppendReq{r}); res[0].Outcome != store.Appended {
					b.Error(res[0])
				}
			})
		})
	}
}

// BenchmarkAppendAckAmong is an append to one of so many mailboxes whose owners are
// there and ack it at once.
func BenchmarkAppendAckAmong(b *testing.B) {
	for _, mailboxes := range []int{1, 10, 100, 1000, 10_000, 100_000} {
		b.Run(fmt.Sprint(mailboxes), func(b *testing.B) {
			e := openBench(b)
			ctx := context.Background()
			day, expires, body := ids.DayOf(time.Now())+3, time.Now().Add(240*time.Hour), make([]byte, 1024)
			boxes := make([]ids.MailboxID, mailboxes)
			one := func(box ids.MailboxID, n int) {
				res := e.Append(ctx, []store.AppendReq{{
					Mailbox: box, ID: benchID(n), Body: body, Expires: expires, HasSerial: true, Serial: store.Serial{Day: day, N: uint64(n)},
				}})[0]
				if res.Outcome != store.Appended {
					b.Error(res)
				}
				if err := e.Ack(ctx, []store.AckReq{{Mailbox: box, Reader: 1, UpTo: res.Cursor}})[0]; err != nil {
					b.Error(err)
				}
			}
			drive(mailboxes, func(_, i int) { // each has had a message: its first costs more, once
				boxes[i] = ids.NewMailboxID()
				if _, err := e.OpenReader(ctx, boxes[i], 1); err != nil {
					b.Error(err)
				}
			})
			drive(100_000, func(_, i int) { one(boxes[i%mailboxes], i) })
			settled(b, e, func(_, i int) { one(boxes[i*7919%mailboxes], 100_000+i) })
		})
	}
}

func appendMany(b *testing.B, e *Engine, n int, req func(i int) store.AppendReq) {
	b.Helper()
	for i := 0; i < n; {
		var reqs []store.AppendReq
		for ; i < n && len(reqs) < 1024; i++ {
			reqs = append(reqs, req(i))
		}
		for _, res := range e.Append(context.Background(), reqs) {
			if res.Outcome != store.Appended {
				b.Fatal(res)
			}
		}
	}
}

// BenchmarkDropDays is how long one writer waits while the spent rows of a day
// that is over are dropped, and BenchmarkSweep while expired messages are: the
// longest append, beside the longest before it.
func BenchmarkDropDays(b *testing.B) {
	benchMaintenance(b, func(i int, r *store.AppendReq, start time.Time) {
		r.HasSerial, r.Serial = true, store.Serial{Day: ids.DayOf(start), N: uint64(i)}
	}, (store.SerialMemory+2)*24*time.Hour, func(e *Engine) error { return e.dropEpochs(context.Background()) }, tagSpent)
}

func BenchmarkSweep(b *testing.B) {
	benchMaintenance(b, func(_ int, r *store.AppendReq, start time.Time) {
		r.Expires = start.Add(time.Hour)
	}, 3*time.Hour, func(e *Engine) error { return e.sweepDue(context.Background()) }, tagID)
}

func benchMaintenance(b *testing.B, what func(int, *store.AppendReq, time.Time), later time.Duration, run func(*Engine) error, tag byte) {
	start := time.Now()
	for b.Loop() {
		var ahead atomic.Int64
		e, err := Open(Config{Dir: b.TempDir(), SweepEvery: time.Hour, Now: func() time.Time {
			return start.Add(time.Duration(ahead.Load()))
		}})
		if err != nil {
			b.Fatal(err)
		}
		rows := benchRows(b)
		appendMany(b, e, rows, func(i int) store.AppendReq {
			r := store.AppendReq{
				Mailbox: ids.MailboxID(spentMailbox(i % 1000)), ID: benchID(i), Body: make([]byte, 1024),
				Expires: start.Add(1000 * time.Hour), Quota: store.Quota{Messages: 1 << 30, Bytes: 1 << 50},
			}
			what(i, &r, start)
			return r
		})
		ahead.Store(int64(later))
		w := newPatient(e)
		before := w.longestIn(500 * time.Millisecond)
		began := time.Now()
		if err := run(e); err != nil {
			b.Fatal(err)
		}
		took := time.Since(began)
		during := w.stop()
		if left := len(rowsOf(b, e, tag)); left > w.n {
			b.Fatalf("%d rows are left", left)
		}
		b.ReportMetric(float64(took.Microseconds())/1e3, "ms")
		b.ReportMetric(float64(before.Microseconds())/1e3, "ms-longest-before")
		b.ReportMetric(float64(during.Microseconds())/1e3, "ms-longest-during")
		if err := e.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// patient appends one message after another and knows its longest wait.
type patient struct {
	mu      sync.Mutex
	longest time.Duration
	n       int // messages; valid after stop
	quit    chan struct{}
	done    sync.WaitGroup
}

func newPatient(e *Engine) *patient {
	p := &patient{quit: make(chan struct{})}
	p.done.Go(func() {
		for ; ; p.n++ {
			select {
			case <-p.quit:
				return
			default:
			}
			r := testReq(255, 1<<30+p.n)
			r.Expires, r.Quota = e.cfg.Now().Add(100*time.Hour), store.Quota{Messages: 1 << 30, Bytes: 1 << 50}
			began := time.Now()
			if res := appendOne(e, r); res.Outcome != store.Appended {
				panic(res)
			}
			p.mu.Lock()
			p.longest = max(p.longest, time.Since(began))
			p.mu.Unlock()
		}
	})
	return p
}

// longestIn lets it work for a while, returns the longest wait and forgets it.
func (p *patient) longestIn(d time.Duration) time.Duration {
	time.Sleep(d)
	p.mu.Lock()
	defer p.mu.Unlock()
	longest := p.longest
	p.longest = 0
	return longest
}

func (p *patient) stop() time.Duration {
	close(p.quit)
	p.done.Wait()
	return p.longest
}
