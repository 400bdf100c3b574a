package node

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"waxwing/core/store"
	"waxwing/core/wire"
	"waxwing/relay"
	"waxwing/relay/quicnet"
)

// weighed is a hole that knows how much waits at its gate.
type weighed struct {
	hole
	waiting, most atomic.Int64
}

func (w *weighed) Append(ctx context.Context, reqs []store.AppendReq) []store.AppendRes {
	n := int64(0)
	for i := range reqs {
		n += int64(len(reqs[i].Body))
	}
	now := w.waiting.Add(n)
	for was := w.most.Load(); now > was && !w.most.CompareAndSwap(was, now); was = w.most.Load() {
	}
	defer w.waiting.Add(-n)
	return w.hole.Append(ctx, reqs)
}

// TestSettlesInTurn stops a server's disk under a peer that floods on several
// connections: far more of it is taken than waits for the disk, which is one turn,
// and what another peer sends comes next.
func TestSettlesInTurn(t *testing.T) {
	disk := &weighed{hole: hole{Store: store.NewMemory(store.MemoryConfig{}), gate: make(chan struct{})}}
	alpha, beta, gamma := threeProviders(t, func(beta *server) { beta.conf.Store, beta.conf.Limits = disk, unlimited() })
	t.Cleanup(disk.open) // or a server could not stop
	minted := newDevice(t, beta, "bob@beta.example").mint(2)
	big, small := envelope(&minted.Tickets[0], wire.Class64K), envelope(&minted.Tickets[1], wire.Class1K)
	var all sync.WaitGroup
	send := func(c *quicnet.Conn, n int, e []byte) {
		s, err := c.OpenStream(testContext(t), wire.StreamForward)
		must(t, err)
		all.Go(func() {
			submitAll(t, s, n, func(number uint64) (wire.FrameType, wire.Schema) {
				return wire.TypeForward, &wire.Forward{Number: number, Envelope: e}
			})
		})
	}
	const conns, streams, few = 2, 16, 8
	for range conns {
		c := alpha.asPeerTo(beta)
		for range streams {
			send(c, few, big)
		}
	}
	held := func() int64 { return int64(beta.node.fromPeers.load()) }
	until(t, "two turns of one peer are held, and one waits for the disk", func() bool {
		return held() > 2*senderTurn && disk.waiting.Load() > 0
	})
	flooded := disk.waiting.Load()
	send(gamma.asPeerTo(beta), 1, small)
	until(t, "the other peer's waits for the disk, too", func() bool { return disk.waiting.Load() >= flooded+int64(wire.Class1K.Size())/2 })
	if most := disk.most.Load(); most > senderTurn+int64(wire.Class1K.Size()) {
		t.Errorf("%d bytes of one sender waited for the disk", most)
	}
	disk.open()
	all.Wait()
	if n := beta.fromPeer(alpha.domain, relay.Delivered); n != conns*streams*few {
		t.Errorf("%d of the flood were settled", n)
	}
}
