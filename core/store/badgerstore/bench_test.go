package badgerstore

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

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
// the CPU time per call.
func load(b *testing.B, work func(worker, i int)) {
	b.Helper()
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	start := cpuTime()
	for w := range inFlight {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= b.N {
					return
				}
				work(w, i)
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64((cpuTime()-start).Nanoseconds())/1e3/float64(b.N), "cpu-us/op")
}

func benchID(i int) (id ids.EnvelopeID) {
	binary.BigEndian.PutUint64(id[:], uint64(i)*0x9e3779b97f4a7c15)
	binary.BigEndian.PutUint64(id[8:], uint64(i))
	return id
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

// BenchmarkFloor is one write of what inFlight callers bring and one fdatasync,
// by the first caller that finds no sync going on.
func BenchmarkFloor(b *testing.B) {
	f, err := os.Create(filepath.Join(b.TempDir(), "floor"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	body := make([]byte, 1024)
	rand.Read(body)
	type waiter struct{ done chan struct{} }
	queue := make(chan waiter, inFlight)
	stop := make(chan struct{})
	go func() {
		var buf []byte
		var group []waiter
		for {
			select {
			case w := <-queue:
				group = append(group[:0], w)
			case <-stop:
				return
			}
			for more := true; more; {
				select {
				case w := <-queue:
					group = append(group, w)
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
			if err := unix.Fdatasync(int(f.Fd())); err != nil {
				panic(err)
			}
			for _, w := range group {
				w.done <- struct{}{}
			}
		}
	}()
	defer close(stop)
	waiters := make([]waiter, inFlight)
	for i := range waiters {
		waiters[i].done = make(chan struct{}, 1)
	}
	load(b, func(w, _ int) {
		queue <- waiters[w]
		<-waiters[w].done
	})
}
