package node

import (
	"testing"

	"waxwing/core/wire"
	"waxwing/ratelimit/gcra"
	"waxwing/ratelimit/limits"
	"waxwing/relay/quicnet"
)

// BenchmarkOneHop takes 1 KiB envelopes from a client over the server and its
// disk to another client, 256 at a time, all in one process. The command
// "waxwing bench" measures the server's part alone, beside a floor.
func BenchmarkOneHop(b *testing.B) {
	const window, supply = 256, 512
	beta := newServer(b, "beta.example")
	beta.conf.Limits = limits.Settings{
		{Name: limits.AccountEnvelopes}: gcra.PerSecond(1<<40, 1<<40), {Name: limits.AccountTickets}: gcra.PerSecond(1<<40, 1<<40),
	}
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
	b.StopTimer()
	for i := range b.N {
		if i%supply == 0 {
			b.StopTimer()
			minted = bob.mint(supply)
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
	b.StopTimer()
	s.Cancel(quicnet.CodeNone)
	out.Cancel(quicnet.CodeNone)
}
