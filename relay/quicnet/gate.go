package quicnet

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/quic-go/quic-go"

	"waxwing/ratelimit/limits"
)

// gate counts the connections of a listener and says which may begin. It runs
// before any public-key operation is spent on a newcomer.
type gate struct {
	// fixed
	limits     *limits.Book
	now        func() time.Time
	retryAbove int
	failed     func(Failure)

	mu          sync.Mutex // guards the fields below; held for a few instructions
	total       int
	handshakes  int                  // not complete, address validated
	unvalidated int                  // not complete, address not validated
	perPrefix   map[netip.Prefix]int // validated or complete; at most total entries
	window      uint64               // granted out of windowBudget
	refused     uint64
}

// slot is one connection's place in the gate; its fields are guarded by the
// gate's mutex.
type slot struct {
	prefix   netip.Prefix
	window   uint64
	phase    phase
	verified bool // counted in perPrefix
}

type phase uint8

const (
	shaking phase = iota
	established
	released
)

type slotKey struct{}

func slotOf(ctx context.Context) *slot {
	s, _ := ctx.Value(slotKey{}).(*slot)
	return s
}

// mustValidate is quic.Transport.VerifySourceAddress: with too many handshakes
// from unproven addresses under way, the next one must prove its own first.
func (g *gate) mustValidate(net.Addr) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.unvalidated >= g.retryAbove
}

// begin is quic.Transport.ConnContext: it takes a slot for a new handshake or
// refuses it, and gives the slot back when ctx, which ends with the
// connection, is done.
func (g *gate) begin(ctx context.Context, info *quic.ClientInfo) (context.Context, error) {
	s := &slot{prefix: prefixOf(info.RemoteAddr)}
	g.mu.Lock()
	defer g.mu.Unlock()
	// An address that is not validated may be forged, so it neither counts
	// against the limit of whoever really has it nor is refused by it.
	now := g.now()
	if !g.limits.AtOnce(now, limits.Connections, g.total) ||
		info.AddrVerified && (!g.limits.AtOnce(now, limits.Handshakes, g.handshakes) ||
			!g.limits.AtOnce(now, limits.PrefixConnections, g.perPrefix[s.prefix])) {
		g.refused++
		return nil, ErrBusy
	}
	g.total++
	if info.AddrVerified {
		g.handshakes++
		g.count(s)
	} else {
		g.unvalidated++
	}
	context.AfterFunc(ctx, func() {
		if !g.release(s) {
			g.failed(failureOf(context.Cause(ctx)))
		}
	})
	return context.WithValue(ctx, slotKey{}, s), nil
}

func (g *gate) count(s *slot) {
	s.verified = true
	g.perPrefix[s.prefix]++
}

// establish notes that the handshake is complete, which proves the address.
// False if there are too many from there.
func (g *gate) establish(s *slot) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if s.phase != shaking {
		return s.phase == established
	}
	g.endHandshake(s)
	s.phase = established
	if s.verified {
		return true
	}
	if !g.limits.AtOnce(g.now(), limits.PrefixConnections, g.perPrefix[s.prefix]) {
		g.refused++
		return false
	}
	g.count(s)
	return true
}

func (g *gate) endHandshake(s *slot) {
	if s.verified {
		g.handshakes--
	} else {
		g.unvalidated--
	}
}

// release gives a slot back. False if its handshake was not complete.
func (g *gate) release(s *slot) (complete bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if s.phase == released {
		return true
	}
	if complete = s.phase != shaking; !complete {
		g.endHandshake(s)
	}
	s.phase = released
	g.total--
	g.window -= s.window
	if s.verified {
		if g.perPrefix[s.prefix]--; g.perPrefix[s.prefix] == 0 {
			delete(g.perPrefix, s.prefix)
		}
	}
	return complete
}

// grow is quic.Config.AllowConnectionWindowIncrease. It takes nothing of the
// connection but its context, as quic-go holds locks meanwhile.
func (g *gate) grow(c *quic.Conn, delta uint64) bool {
	s := slotOf(c.Context())
	if s == nil {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if s.phase == released || g.window+delta > windowBudget {
		return false
	}
	g.window += delta
	s.window += delta
	return true
}

// prefixOf is what counts as one place: an IPv4 address or an IPv6 /64, the
// smallest network that is assigned to a site (RFC 6177).
func prefixOf(a net.Addr) netip.Prefix {
	var addr netip.Addr
	if u, ok := a.(*net.UDPAddr); ok {
		addr = u.AddrPort().Addr()
	} else if ap, err := netip.ParseAddrPort(a.String()); err == nil {
		addr = ap.Addr()
	}
	addr = addr.Unmap().WithZone("")
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	p, _ := addr.Prefix(bits) // the zero prefix, shared, for anything else
	return p
}
