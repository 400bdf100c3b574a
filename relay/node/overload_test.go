package node

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"waxwing/core/ids"
	"waxwing/core/store"
	"waxwing/core/wire"
	"waxwing/ratelimit/gcra"
	"waxwing/ratelimit/limits"
	"waxwing/relay"
	"waxwing/relay/quicnet"
)

// hole is a store whose appends keep nothing, wait for a gate, and are counted.
type hole struct {
	store.Store
	gate     chan struct{} // closed to let appends through
	opening  sync.Once
	appended atomic.Int64
	load     func() int // sampled at each append
	most     atomic.Int64
}

func (h *hole) Append(_ context.Context, reqs []store.AppendReq) []store.AppendRes {
	<-h.gate
	h.sample()
	h.appended.Add(int64(len(reqs)))
	out := make([]store.AppendRes, len(reqs))
	for i := range out {
		out[i].Outcome = store.Appended
	}
	return out
}

// open lets appends through.
func (h *hole) open() { h.opening.Do(func() { close(h.gate) }) }

func (h *hole) sample() {
	if h.load != nil {
		h.most.Store(max(h.most.Load(), int64(h.load())))
	}
}

// exactly lets many through and gives back next to nothing during a test, so that
// what is used is how often it was asked.
var exactly = gcra.Limit{Burst: 100_000, Count: 100_000, Period: 365 * 24 * time.Hour}

// submitAll sends one envelope n times on a stream and returns how many of them
// were refused.
func submitAll(t *testing.T, s *quicnet.Stream, n int, m func(number uint64) (wire.FrameType, wire.Schema)) int {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range uint64(n) {
			typ, frame := m(i + 1)
			if s.WriteFrame(typ, frame) != nil {
				return
			}
		}
		_ = s.Flush()
	}()
	refused, code := answers(s, uint64(n))
	<-done
	if refused > 0 && code != wire.CodeBusy {
		t.Errorf("refused with %v", code)
	}
	return refused
}

const (
	// floodHeap bounds the heap after a flood beside what it was before: what
	// the connections' buffers grew to.
	floodHeap = 16 << 20
	floodEach = 30 // envelopes of 64 KiB on each stream
)

func heapInUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestOverloadCostsNothing floods a server from one account on several
// connections while its disk stands still, far beyond what it may hold. A refused
// envelope has cost no allowance, ticket, key or write; what is held stays within
// the budget of one sender; and afterwards no memory is in use that was not.
func TestOverloadCostsNothing(t *testing.T) {
	beta := newServer(t, "beta.example")
	disk := &hole{Store: store.NewMemory(store.MemoryConfig{}), gate: make(chan struct{})}
	beta.conf.Store, beta.conf.senderBacklog = disk, 256<<10
	beta.conf.Limits = limits.Settings{
		{Name: limits.AccountEnvelopes}: exactly, {Name: limits.MailboxEnvelopes}: exactly,
	}
	beta.start()
	t.Cleanup(disk.open) // or a server could not stop
	disk.load = beta.node.fromClients.load
	mallory := newDevice(t, beta, "mallory@beta.example")
	e := envelope(&mallory.mint(1).Tickets[0], wire.Class64K)
	frame := func(number uint64) (wire.FrameType, wire.Schema) {
		return wire.TypeSubmit, &wire.Submit{Number: number, Dest: beta.domain, Auth: wire.AuthConnection, Envelope: e}
	}
	before := heapInUse()
	var all sync.WaitGroup
	var refused atomic.Int64
	var conns []*quicnet.Conn
	const perConn = 4
	for range 2 {
		for range perConn {
			s := mallory.stream(wire.StreamSubmit)
			all.Go(func() { refused.Add(int64(submitAll(t, s, floodEach, frame))) })
		}
		conns = append(conns, mallory.conn)
		mallory.dial(beta) // the first connection stays
		mallory.enter(mallory.auth(beta))
	}
	until(t, "what one sender may have is full", func() bool {
		disk.sample()
		return beta.count(relay.RefusedBusy, "client") > 0
	})
	if held := beta.node.fromClients.load(); held == 0 {
		t.Error("nothing is held")
	}
	disk.open()
	all.Wait()
	until(t, "nothing is held", func() bool { return beta.node.fromClients.load() == 0 })
	const offered = 2 * perConn * floodEach
	taken := offered - refused.Load()
	if refused.Load() == 0 || taken == 0 {
		t.Fatalf("%d of %d refused", refused.Load(), offered)
	}
	asked := beta.node.Limit(limits.AccountEnvelopes, ids.Domain{}).Used
	if asked != taken || disk.appended.Load() != taken {
		t.Errorf("%d of %d were refused: %d admissions and %d writes for %d", refused.Load(), offered, asked, disk.appended.Load(), taken)
	}
	if n := beta.node.Limit(limits.MailboxEnvelopes, ids.Domain{}).Used; n != 1 {
		t.Errorf("one ticket was counted %d times", n)
	}
	if most := disk.most.Load(); most > int64(beta.conf.senderBacklog) {
		t.Errorf("%d bytes were held", most)
	}
	for _, c := range conns {
		c.Close(quicnet.CodeNone)
	}
	mallory.conn.Close(quicnet.CodeNone)
	var grown int64
	until(t, "the memory that there was", func() bool {
		grown = heapInUse() - before
		return grown < floodHeap
	})
	t.Logf("%d of %d refused; most held %d bytes, heap %d KiB more", refused.Load(), offered, disk.most.Load(), grown>>10)
}

// asPeerTo dials a server as another one, beside the connections that this one
// has itself.
func (s *server) asPeerTo(to *server) *quicnet.Conn {
	s.t.Helper()
	c, err := quicnet.Dial(testContext(s.t), quicnet.DialConfig{
		Addr: to.conf.Listen, Domain: to.domain, Pin: to.pin, Identity: s.node.identity,
	})
	must(s.t, err)
	s.t.Cleanup(func() { c.Close(quicnet.CodeNone) })
	return c
}

// threeProviders starts alpha and gamma, which beta knows, and has beta learn
// their keys.
func threeProviders(t testing.TB, prepare func(beta *server)) (alpha, beta, gamma *server) {
	alpha, beta, gamma = newServer(t, "alpha.example"), newServer(t, "beta.example"), newServer(t, "gamma.example")
	for _, s := range []*server{alpha, beta, gamma} {
		s.conf.Listen = freeAddr(t)
		s.conf.Store = store.NewMemory(store.MemoryConfig{})
	}
	alpha.conf.Peers, gamma.conf.Peers = []Peer{beta.asPeer()}, []Peer{beta.asPeer()}
	beta.conf.Peers = []Peer{alpha.asPeer(), gamma.asPeer()}
	prepare(beta)
	for _, s := range []*server{alpha, beta, gamma} {
		s.start()
	}
	for _, s := range []*server{alpha, gamma} {
		until(t, "keys of the peers", func() bool {
			return beta.node.reports.SnapshotID(s.domain, uint64(time.Now().UnixMilli())) != [32]byte{}
		})
	}
	return alpha, beta, gamma
}

func (s *server) fromPeer(d ids.Domain, r relay.Reason) uint64 {
	return s.node.peers.link(d).admitted[r].Load()
}

// TestFloodingPeerDoesNotStopAnother stops a server's disk under a peer that
// floods on several connections: what it may have is full, and another peer, whose
// envelopes come later, has all of them taken.
func TestFloodingPeerDoesNotStopAnother(t *testing.T) {
	disk := &hole{Store: store.NewMemory(store.MemoryConfig{}), gate: make(chan struct{})}
	const each, few = 256 << 10, 50
	alpha, beta, gamma := threeProviders(t, func(beta *server) {
		beta.conf.Store, beta.conf.senderBacklog = disk, each
		beta.conf.Limits = unlimited()
	})
	t.Cleanup(disk.open) // or a server could not stop
	disk.load = beta.node.fromPeers.load
	bob := newDevice(t, beta, "bob@beta.example")
	minted := bob.mint(2)
	big, small := envelope(&minted.Tickets[0], wire.Class64K), envelope(&minted.Tickets[1], wire.Class1K)
	forward := func(e []byte) func(uint64) (wire.FrameType, wire.Schema) {
		return func(number uint64) (wire.FrameType, wire.Schema) {
			return wire.TypeForward, &wire.Forward{Number: number, Envelope: e}
		}
	}
	stream := func(c *quicnet.Conn) *quicnet.Stream {
		s, err := c.OpenStream(testContext(t), wire.StreamForward)
		must(t, err)
		return s
	}
	var all sync.WaitGroup
	for range 2 {
		c := alpha.asPeerTo(beta)
		for range 4 {
			s := stream(c)
			all.Go(func() { submitAll(t, s, floodEach, forward(big)) })
		}
	}
	until(t, "what one peer may have is full", func() bool {
		disk.sample()
		return beta.fromPeer(alpha.domain, relay.RefusedBusy) > 0
	})
	flooded := beta.node.fromPeers.load()
	if flooded > each {
		t.Errorf("one peer holds %d bytes", flooded)
	}
	var refused int
	quiet := stream(gamma.asPeerTo(beta))
	all.Go(func() { refused = submitAll(t, quiet, few, forward(small)) })
	until(t, "the other peer's are taken", func() bool { return beta.node.fromPeers.load() > flooded })
	disk.open()
	all.Wait()
	if refused != 0 || beta.fromPeer(gamma.domain, relay.RefusedBusy) != 0 {
		t.Errorf("%d of the other peer's were refused", refused)
	}
	if n := beta.fromPeer(gamma.domain, relay.Delivered); n != few {
		t.Errorf("%d of %d of the other peer's were settled", n, few)
	}
	if most := disk.most.Load(); most > 2*each {
		t.Errorf("%d bytes of two peers were held", most)
	}
	until(t, "nothing is held", func() bool { return beta.node.fromPeers.load() == 0 })
}
