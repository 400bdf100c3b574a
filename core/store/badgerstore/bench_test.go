//go:build unix

package badgerstore

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"waxwing/core/ids"
	"waxwing/core/store"
)

const inFlight = 256

func openBench(b *testing.B) *Engine {
	b.Helper()
	e, err := Open(Config{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := e.Close(); err != nil {
			b.Error(err)
		}
	})
	return e
}

func cpuTime() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		panic(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// load runs work from inFlight goroutines until b.N calls are done, and reports
// the CPU time per call, and how many times that of the floor it is.
func load(b *testing.B, work func(worker, i int)) {
	b.Helper()
	loadThen(b, work, func() {})
}

// settled is load from a journal that is drained to one that is: what the calls cost,
// and all of that.
func settled(b *testing.B, e *Engine, work func(worker, i int)) {
	b.Helper()
	settle := func() {
		if err := e.submit(context.Background(), &settleOp{newCall()}); err != nil {
			b.Fatal(err)
		}
	}
	settle()
	loadThen(b, work, settle)
}

func loadThen(b *testing.B, work func(worker, i int), after func()) {
	b.Helper()
	floor := floorCPU()
	b.ResetTimer()
	start := cpuTime()
	drive(b.N, work)
	after()
	cpu := cpuTime() - start
	b.StopTimer()
	b.ReportMetric(anonMB(), "anon-MB")
	perOp := float64(cpu.Nanoseconds()) / 1e3 / float64(b.N)
	b.ReportMetric(perOp, "cpu-us/op")
	b.ReportMetric(perOp/floor, "x-floor")
}

// anonMB is the process's memory without mapped files, 0 if not known.
func anonMB() float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, rest, _ := bytes.Cut(status, []byte("RssAnon:"))
	fields := bytes.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kb, _ := strconv.Atoi(string(fields[0]))
	return float64(kb) / 1024
}

// drive makes n calls from inFlight goroutines and returns the CPU time that
// the process spent.
func drive(n int, work func(worker, i int)) time.Duration {
	var next atomic.Int64
	var wg sync.WaitGroup
	start := cpuTime()
	for w := range inFlight {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				work(w, i)
			}
		})
	}
	wg.Wait()
	return cpuTime() - start
}

func benchAppend(b *testing.B, mailboxes int, serial bool) {
	e := openBench(b)
	body := make([]byte, 1024)
	rand.Read(body)
	boxes := make([]ids.MailboxID, mailboxes)
	for i := range boxes {
		boxes[i] = ids.NewMailboxID()
	}
	expires := time.Now().Add(time.Hour * 240)
	day := ids.DayOf(time.Now()) + 3
	load(b, func(w, i int) {
		r := store.AppendReq{
			Mailbox: boxes[i%mailboxes], ID: benchID(i), Body: body, Expires: expires,
			Serial: store.Serial{Day: day, N: uint64(i)}, HasSerial: serial, Quota: store.Quota{Messages: 1 << 30, Bytes: 1 << 50},
		}
		if res := e.Append(context.Background(), []store.AppendReq{r}); res[0].Outcome != store.Appended {
			b.Error(res[0])
		}
	})
}

func BenchmarkAppendOneMailbox(b *testing.B)    { benchAppend(b, 1, true) }
func BenchmarkAppendManyMailboxes(b *testing.B) { benchAppend(b, 10000, true) }
func BenchmarkAppendOutbox(b *testing.B)        { benchAppend(b, 1, false) }

// BenchmarkAppendFetchAck is the whole life of a message: appended by one of
// inFlight callers, fetched and acked by one reader per mailbox that follows.
func BenchmarkAppendFetchAck(b *testing.B) {
	e := openBench(b)
	ctx := context.Background()
	body := make([]byte, 1024)
	rand.Read(body)
	const mailboxes = 4
	expires, day := time.Now().Add(240*time.Hour), ids.DayOf(time.Now())+3
	var readers sync.WaitGroup
	var appended atomic.Int64
	notify := make([]chan struct{}, mailboxes)
	for m := range mailboxes {
		box := ids.MailboxID{byte(m)}
		if _, err := e.OpenReader(ctx, box, 1); err != nil {
			b.Fatal(err)
		}
		notify[m] = make(chan struct{}, 1)
		readers.Go(func() {
			var after store.Cursor
			for range notify[m] {
				for {
					got, err := e.Fetch(ctx, box, after, 256, 0)
					if err != nil {
						b.Error(err)
						return
					}
					if len(got) == 0 {
						break
					}
					after = got[len(got)-1].Cursor
					if err := e.Ack(ctx, []store.AckReq{{Mailbox: box, Reader: 1, UpTo: after}})[0]; err != nil {
						b.Error(err)
					}
				}
			}
		})
	}
	load(b, func(_, i int) {
		m := i % mailboxes
		res := e.Append(ctx, []store.AppendReq{{
			Mailbox: ids.MailboxID{byte(m)}, ID: benchID(i), Body: body, Expires: expires,
			HasSerial: true, Serial: store.Serial{Day: day, N: uint64(i)}, Quota: store.Quota{Messages: 1 << 30, Bytes: 1 << 50},
		}})
		if res[0].Outcome != store.Appended {
			b.Error(res[0])
		}
		appended.Add(1)
		select {
		case notify[m] <- struct{}{}:
		default:
		}
	})
	for m := range notify {
		close(notify[m])
	}
	readers.Wait()
}

func BenchmarkSpend(b *testing.B) {
	e := openBench(b)
	ctx := context.Background()
	if err := e.OpenSet(ctx, store.SetID{1}, time.Now().Add(24*time.Hour)); err != nil {
		b.Fatal(err)
	}
	load(b, func(_, i int) {
		id := benchID(i)
		res := e.Spend(ctx, store.SetID{1}, []store.Claim{{Token: [32]byte(id), Claimant: store.Claimant(id)}})
		if res[0].Err != nil || !res[0].Won {
			b.Error(res[0])
		}
	})
}

// BenchmarkOpen is a restart with a million queued messages, or as many as
// WAXWING_BENCH_QUEUED says: heads are loaded when they are needed.
func BenchmarkOpen(b *testing.B) {
	queued := 20_000
	if v := os.Getenv("WAXWING_BENCH_QUEUED"); v != "" {
		var err error
		if queued, err = strconv.Atoi(v); err != nil {
			b.Fatal(err)
		}
	}
	dir := b.TempDir()
	e, err := Open(Config{Dir: dir})
	if err != nil {
		b.Fatal(err)
	}
	body := make([]byte, 1024)
	expires := time.Now().Add(240 * time.Hour)
	box := func(i int) ids.MailboxID { return ids.MailboxID(spentMailbox(i % (queued/20 + 1))) }
	for i := 0; i < queued; {
		var reqs []store.AppendReq
		for range store.MaxBatch {
			if i++; i > queued {
				break
			}
			reqs = append(reqs, store.AppendReq{Mailbox: box(i), ID: benchID(i), Body: body, Expires: expires})
		}
		for _, r := range e.Append(context.Background(), reqs) {
			if r.Err != nil {
				b.Fatal(r.Err)
			}
		}
	}
	for b.Loop() {
		if err := e.Close(); err != nil {
			b.Fatal(err)
		}
		start := time.Now()
		if e, err = Open(Config{Dir: dir}); err != nil {
			b.Fatal(err)
		}
		for i := range 1000 { // serving, not only open
			if m, err := e.Fetch(context.Background(), box(i+1), 0, 0, 0); err != nil || len(m) == 0 {
				b.Fatal(len(m), err)
			}
		}
		b.ReportMetric(float64(time.Since(start).Milliseconds()), "ms-to-1000-fetches")
	}
	if err := e.Close(); err != nil {
		b.Fatal(err)
	}
}

func spentMailbox(n int) (m ids.MailboxID) {
	h := sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(n)))
	return ids.MailboxID(h[:])
}

// BenchmarkSpentRow reports the bytes on the disk per spent serial, which are
// to stay under 40: one serial each in b.N mailboxes, the worst case.
func BenchmarkSpentRow(b *testing.B) {
	const rows = 200_000
	for b.Loop() {
		dir := b.TempDir()
		e, err := Open(Config{Dir: dir})
		if err != nil {
			b.Fatal(err)
		}
		day := ids.DayOf(time.Now())
		for i := 0; i < rows; {
			// As many share a commit, and so a version, as under load.
			txn := e.db.NewTransaction(true)
			for range inFlight {
				m, id := spentMailbox(i), benchID(i)
				f := e.salts.claimantOf((*[32]byte)(&id))
				if err := txn.Set(e.salts.serialKey(&m, store.Serial{Day: day + ids.Day(i%3), N: 1}), f[:]); err != nil {
					b.Fatal(err)
				}
				i++
			}
			if err := txn.Commit(); err != nil {
				b.Fatal(err)
			}
		}
		if err := e.Close(); err != nil {
			b.Fatal(err)
		}
		files, err := filepath.Glob(filepath.Join(dir, "*.sst"))
		if err != nil || len(files) == 0 {
			b.Fatal("no tables", err)
		}
		sum := int64(0)
		for _, f := range files {
			st, err := os.Stat(f)
			if err != nil {
				b.Fatal(err)
			}
			sum += st.Size()
		}
		b.ReportMetric(float64(sum)/rows, "B/row")
	}
}

// floorCPU is the CPU time in microseconds of one 1 KiB write that shares one
// fdatasync with all that wait at the time.
var floorCPU = sync.OnceValue(func() float64 {
	dir, err := os.MkdirTemp("", "floor")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	const n = 100_000
	return float64(driveFloor(dir, n).Nanoseconds()) / 1e3 / n
})

// BenchmarkFloor is the floor by itself.
func BenchmarkFloor(b *testing.B) {
	cpu := driveFloor(b.TempDir(), b.N)
	b.ReportMetric(float64(cpu.Nanoseconds())/1e3/float64(b.N), "cpu-us/op")
}

func driveFloor(dir string, n int) time.Duration {
	f, err := os.Create(filepath.Join(dir, "floor"))
	if err != nil {
		panic(err)
	}
	defer f.Close()
	body := make([]byte, 1024)
	rand.Read(body)
	queue := make(chan chan struct{}, inFlight)
	go func() {
		var buf []byte
		var group []chan struct{}
		for first := range queue {
			group = append(group[:0], first)
			for more := true; more; {
				select {
				case c, ok := <-queue:
					if more = ok; ok {
						group = append(group, c)
					}
				default:
					more = false
				}
			}
			buf = buf[:0]
			for range group {
				buf = append(buf, body...)
			}
			if _, err := f.Write(buf); err != nil {
				panic(err)
			}
			if err := datasync(f); err != nil {
				panic(err)
			}
			for _, c := range group {
				c <- struct{}{}
			}
		}
	}()
	defer close(queue)
	answers := make([]chan struct{}, inFlight)
	for i := range answers {
		answers[i] = make(chan struct{}, 1)
	}
	return drive(n, func(w, _ int) {
		queue <- answers[w]
		<-answers[w]
	})
}
