package bench

import (
	"fmt"
	"testing"

	"waxwing/cmd/waxwing/internal/child"
	"waxwing/core/wire"
)

// BenchmarkIdleClients is what a thousand idle clients cost a relay, a process
// of its own: each has authenticated and waits for messages. Of the memory in
// use the heap's garbage is a part; how much is up to the collector.
func BenchmarkIdleClients(b *testing.B) {
	const clients = 1000
	ctx := b.Context()
	alpha, err := child.NewProvider(ctx, b.TempDir(), "alpha.example")
	if err != nil {
		b.Fatal(err)
	}
	alpha.Flags = append(alpha.Flags, unlimited()...)
	server, err := alpha.Start(ctx)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(server.Kill)
	use := func() (resident, inUse float64) {
		m, err := server.Metrics(ctx)
		if err != nil {
			b.Fatal(err)
		}
		return m.Value("process_resident_memory_bytes"), m.Value("go_memstats_heap_alloc_bytes") + m.Value("go_memstats_stack_inuse_bytes")
	}
	connect := func(name string) {
		a, err := register(ctx, server, name)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(a.close)
		s, err := a.conn.OpenStream(ctx, wire.StreamDeliver)
		if err != nil {
			b.Fatal(err)
		}
		if err := s.WriteFrame(wire.TypeSubscribe, &wire.Subscribe{}); err != nil || s.Flush() != nil {
			b.Fatal("not subscribed")
		}
		if t, _, err := s.ReadFrame(); err != nil || t != wire.TypeCaughtUp {
			b.Fatal(t, err)
		}
	}
	for i := range 20 { // so that what is made once is there
		connect(fmt.Sprintf("warm%d", i))
	}
	resident, inUse := use()
	for i := range clients {
		connect(fmt.Sprintf("idle%d", i))
	}
	r, u := use()
	for b.Loop() { // so that the time is not what is measured
	}
	b.ReportMetric((r-resident)/clients/1024, "KiB-resident/client")
	b.ReportMetric((u-inUse)/clients/1024, "KiB-in-use/client")
}
