package node_test

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/quic-go/quic-go/testutils/simnet"
)

// simPort is where a provider listens; clients' ports begin above it.
const simPort = 4433

// network carries packets between hosts inside a bubble: late, not always, and
// not at all between hosts that are cut off. It is a router of simnet's, whose
// links do the waiting.
type network struct {
	simnet.PerfectRouter

	mu    sync.Mutex // guards the rest
	r     *rand.Rand
	loss  float64                // of every packet, on its way
	delay time.Duration          // one way; the jitter is as much again
	cut   map[[2]netip.Addr]bool // pairs, the lower address first
	dark  map[netip.Addr]bool    // hosts that nobody reaches
	port  uint16                 // the last one given out
}

func newNetwork(r *rand.Rand) *network {
	return &network{
		r: r, delay: 5 * time.Millisecond, port: simPort,
		cut: make(map[[2]netip.Addr]bool), dark: make(map[netip.Addr]bool),
	}
}

func hostOf(a net.Addr) netip.Addr { return a.(*net.UDPAddr).AddrPort().Addr() }

func pairOf(a, b netip.Addr) [2]netip.Addr {
	if b.Less(a) {
		a, b = b, a
	}
	return [2]netip.Addr{a, b}
}

// SendPacket implements simnet.Router. A packet that is lost is no error: who
// sent it does not learn of it.
func (n *network) SendPacket(p simnet.Packet) error {
	from, to := hostOf(p.From), hostOf(p.To)
	n.mu.Lock()
	lost := n.dark[from] || n.dark[to] || n.cut[pairOf(from, to)] || n.r.Float64() < n.loss
	n.mu.Unlock()
	if !lost {
		_ = n.PerfectRouter.SendPacket(p) // nobody may be there any more
	}
	return nil
}

func (n *network) latency(simnet.Packet) time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.delay + rand.N(n.delay)
}

func (n *network) set(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
}

// heal undoes every cut and loss.
func (n *network) heal() {
	n.set(func() {
		clear(n.cut)
		n.loss = 0
	})
}

// socket makes a socket of a host; port 0 means a new one.
func (n *network) socket(host netip.Addr, port uint16) (net.PacketConn, error) {
	if port == 0 {
		n.set(func() {
			if n.port++; n.port < simPort {
				n.port = simPort + 1
			}
			port = n.port
		})
	}
	addr := net.UDPAddrFromAddrPort(netip.AddrPortFrom(host, port))
	link := &simnet.SimulatedLink{UploadPacket: n, LatencyFunc: n.latency}
	s := &simSocket{SimConn: simnet.NewBlockingSimConn(addr, link), net: n, link: link}
	link.Start()
	n.AddNode(addr, link)
	return s, nil
}

// simSocket is a socket that leaves nothing behind when it is closed.
type simSocket struct {
	*simnet.SimConn
	net  *network
	link *simnet.SimulatedLink
	once sync.Once
}

func (s *simSocket) Close() error {
	s.once.Do(func() {
		s.net.RemoveNode(s.LocalAddr())
		_ = s.SimConn.Close() // before the link, which may wait to hand a packet over
		_ = s.link.Close()
	})
	return nil
}

func simHost(i int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf("10.0.0.%d", i)) }

func simAddr(host netip.Addr) string { return netip.AddrPortFrom(host, simPort).String() }
