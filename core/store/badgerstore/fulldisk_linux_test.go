package badgerstore

import (
	"context"
	"errors"
	"testing"
	"time"

	"waxwing/core/ids"
	"waxwing/core/store"
	"waxwing/core/store/storetest"
)

// Something else takes all of the disk at once, what is kept free included.
func TestDiskIsTakenAway(t *testing.T) {
	storetest.SmallDisk(t, 64<<20, func(t *testing.T, d *storetest.Disk) { storetest.FullDisk(t, d, openNow) })
}

// The engine fills a disk itself. It stops before the end, with its typed error;
// reading and acks go on, nothing acknowledged is lost, and when there is space
// again the same engine takes more.
func TestDiskFull(t *testing.T) {
	storetest.SmallDisk(t, 80<<20+2*journalSegment, func(t *testing.T, d *storetest.Disk) {
		const ballast, box, most = 16 << 20, 1, 20_000
		d.Fill(ballast)
		c := Config{Dir: d.Dir("store"), MinFree: 32 << 20, SweepEvery: 10 * time.Millisecond}
		e, err := Open(c)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if _, err := e.OpenReader(ctx, ids.MailboxID{box}, 1); err != nil {
			t.Fatal(err)
		}
		acked, tried := 0, 0
		next := func() (err error) {
			reqs := make([]store.AppendReq, 32)
			for i := range reqs {
				reqs[i] = testReq(box, tried)
				reqs[i].Body, reqs[i].Quota = make([]byte, 16<<10), store.Quota{Messages: 1 << 30, Bytes: 1 << 50}
				tried++
			}
			for _, res := range e.Append(ctx, reqs) {
				if res.Err == nil {
					acked++
				} else {
					err = res.Err
				}
			}
			return err
		}
		for settled := false; !settled; { // what waits in the journal counts as used
			for err = next(); err == nil; err = next() {
				if settled = false; acked > most {
					t.Fatal("more was taken than there is room for")
				}
			}
			settle(t, e)
			e.checkDisk()
			settled = e.diskLow.Load()
		}
		if !errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrUnknownOutcome) {
			t.Fatalf("on a full disk: %v", err)
		}
		if err := e.Health(ctx); !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, errDiskLow) {
			t.Fatalf("Health: %v", err)
		}
		if n := countStored(t, e, ids.MailboxID{box}); n != acked {
			t.Fatalf("%d messages, %d were acknowledged", n, acked)
		}
		if err := e.Ack(ctx, []store.AckReq{{Mailbox: ids.MailboxID{box}, Reader: 1, UpTo: 1}})[0]; err != nil {
			t.Fatalf("an ack on a full disk: %v", err)
		}
		d.Free()
		for err = next(); err != nil; err = next() {
			if ctx.Err() != nil {
				t.Fatalf("nothing more is taken when there is space again: %v", err)
			}
			time.Sleep(c.SweepEvery)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		d.Fill(0)
		if _, err := Open(c); !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, errDiskLow) {
			t.Fatalf("a start on a full disk: %v", err)
		}
		d.Free()
		if e, err = Open(c); err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		if n := countStored(t, e, ids.MailboxID{box}); n != acked-1 {
			t.Fatalf("%d messages after a restart, %d were acknowledged and one of them read", n, acked)
		}
	})
}
