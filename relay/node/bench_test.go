//go:build unix

package node

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"waxwing/core/ids"
	"waxwing/core/store"
	"waxwing/core/wire"
	"waxwing/ratelimit/ticket"
	"waxwing/relay/quicnet"
)

// BenchmarkOneHop takes 1 KiB envelopes from a client over the server and its
// disk to another client, 256 at a time, all in one process. The command
// "waxwing bench" measures the server's part alone, beside a floor.
func BenchmarkOneHop(b *testing.B) {
	b.Run("badger", func(b *testing.B) { benchOneHop(b, nil) })
	// The same without a disk: what is left is what another engine could save.
	b.Run("memory", func(b *testing.B) { benchOneHop(b, store.NewMemory(store.MemoryConfig{})) })
}

func benchOneHop(b *testing.B, engine store.Store) {
	const window, supply = 256, 512
	beta := newServer(b, "beta.example")
	beta.conf.Store = engine
	beta.conf.Limits = unlimited()
	beta.start()
	alice, bob := newDevice(b, beta, "alice@beta.example"), newDevice(b, beta, "bob@beta.example")
	in := make(chan struct{}, window)
	out := bob.stream(wire.StreamDeliver)
	must(b, out.WriteFrame(wire.TypeSubscribe, &wire.Subscribe{}))
	must(b, out.Flush())
	go func() {
		for {
			typ, body, err := out.ReadFrame()
			if err != nil {
				return
			}
			if typ != wire.TypeDelivery {
				continue
			}
			seq, _, _ := wire.ParseDelivered(body)
			<-in
			if !out.Buffered() {
				_ = out.WriteFrame(wire.TypeAck, &wire.Ack{UpTo: seq})
				_ = out.Flush()
			}
		}
	}()
	s := alice.stream(wire.StreamSubmit)
	go func() {
		for {
			if _, _, err := s.ReadFrame(); err != nil {
				return
			}
		}
	}()
	b.SetBytes(1024)
	b.ReportAllocs()
	var minted *wire.Minted
	var used time.Duration // by the whole process, both clients included
	b.StopTimer()
	began := cpuTime(b)
	for i := range b.N {
		if i%supply == 0 {
			b.StopTimer()
			used += cpuTime(b) - began
			minted = bob.mint(supply)
			began = cpuTime(b)
			b.StartTimer()
		}
		in <- struct{}{}
		e := envelope(&minted.Tickets[i%supply], wire.Class1K)
		must(b, s.WriteFrame(wire.TypeSubmit, &wire.Submit{
			Number: uint64(i + 1), Dest: beta.domain, Auth: wire.AuthConnection, Envelope: e,
		}))
		if len(in) == window || i%64 == 63 {
			must(b, s.Flush())
		}
	}
	must(b, s.Flush())
	for range window { // until all have arrived
		in <- struct{}{}
	}
	used += cpuTime(b) - began
	b.StopTimer()
	b.ReportMetric(float64(used.Nanoseconds())/1e3/float64(b.N), "cpu-us/op")
	s.Cancel(quicnet.CodeNone)
	out.Cancel(quicnet.CodeNone)
}

// strangersTicket is a ticket of any mailbox, as if its owner had asked for one.
func strangersTicket(b *testing.B, s *server, box *ids.MailboxID, serial uint64) wire.MintedTicket {
	b.Helper()
	for {
		m, err := s.node.keyring.tickets.Mint(today(), box, serial, 1, today()+1)
		if errors.Is(err, ticket.ErrNotReady) {
			time.Sleep(time.Millisecond) // the server reserves more
			continue
		}
		must(b, err)
		return wire.MintedTicket{Ticket: m[0].Ticket, Key: *m[0].Key.Bytes()}
	}
}

func cpuTime(b *testing.B) time.Duration {
	var r syscall.Rusage
	must(b, syscall.Getrusage(syscall.RUSAGE_SELF, &r))
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
