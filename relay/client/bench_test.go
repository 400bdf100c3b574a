package client

import (
	"syscall"
	"testing"
	"time"

	"waxwing/core/keys"
	"waxwing/core/wire"
)

// The benchmarks measure a message of the smallest class in the steady state,
// all layers, with the state on disk, 64 in one transaction.
func BenchmarkSend(b *testing.B) {
	w := newWorld(b)
	alice, bob := w.friends()
	const batch = batchSize
	var used time.Duration
	sent := 0
	for i := 0; i < b.N; i += batch {
		b.StopTimer()
		benchSupply(w, alice, bob)
		b.StartTimer()
		used -= cpu(b)
		alice.write(bob)
		n := 0
		alice.do(func(k *work) (err error) { n, err = k.pump(batch, false); return err })
		if n != batch {
			b.Fatalf("%d sealed", n)
		}
		used += cpu(b)
		sent += n
	}
	b.StopTimer()
	b.ReportMetric(float64(used.Microseconds())/float64(sent), "cpu-us/msg")
	if len(alice.classes) > 0 && alice.classes[wire.Class1K] == 0 {
		b.Fatal("not in the smallest class")
	}
}

// cpu is the CPU time of the process so far: wall time on a busy machine tells
// little.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// benchSupply sends what is there and fills alice's wallet.
func benchSupply(w *world, alice, bob *user) {
	for {
		alice.supply()
		bob.supply()
		alice.push(false)
		bob.pull()
		bob.push(true)
		alice.pull()
		if alice.tickets(bob) >= batchSize+reserveTickets {
			return
		}
		bob.do(func(k *work) error { // a contact of a fast pace
			c := k.find(alice.address)
			k.attention[c.id] = true
			p := c.peers[1]
			p.Marks.High = 512
			k.dirtyPeer(c, p)
			return nil
		})
		w.advance(time.Second)
	}
}

func BenchmarkReceive(b *testing.B) {
	w := newWorld(b)
	alice, bob := w.friends()
	var used time.Duration
	n := 0
	for i := 0; i < b.N; i += batchSize {
		b.StopTimer()
		benchSupply(w, alice, bob)
		alice.write(bob)
		alice.push(false)
		if len(bob.queue) != batchSize {
			b.Fatalf("%d deliveries", len(bob.queue))
		}
		b.StartTimer()
		used -= cpu(b)
		bob.pull()
		used += cpu(b)
		n += batchSize
	}
	b.ReportMetric(float64(used.Microseconds())/float64(n), "cpu-us/msg")
}

// write queues one batch of messages.
func (u *user) write(to *user) {
	u.do(func(k *work) error {
		for range batchSize {
			if _, err := k.enqueue(to.address, "a message of a usual length, some forty bytes"); err != nil {
				return err
			}
		}
		return nil
	})
}

// BenchmarkFloor is the one public-key operation that a message needs on each
// side: the X25519 of its deniable tag.
func BenchmarkFloor(b *testing.B) {
	k, p := keys.NewDHKey(), keys.NewDHKey().Public()
	for b.Loop() {
		if _, err := k.DH(p); err != nil {
			b.Fatal(err)
		}
	}
}
