package node

import (
	"context"
	"errors"
	"time"

	"waxwing/core/wire"
	"waxwing/relay"
	"waxwing/relay/quicnet"
)

const (
	// maxHops bounds the questions of nobody's that are under way to one peer: half
	// of what it serves at once on one connection, so that however slow it is, those
	// of the own accounts go beside them.
	maxHops = 4
	// hopQueue is how long one waits for its turn, and hopBusy when to try again that
	// had none.
	hopQueue = time.Second
	hopBusy  = 5 * time.Second
)

// hop passes a question on that comes on a connection of nobody's; nil if it is
// something else.
func (c *connection) hop(ctx context.Context, m wire.Message) wire.Message {
	q, ok := m.(*wire.Query)
	if !ok || c.session.Device() != nil {
		return nil
	}
	result, refusal := c.n.relay.AdmitHop(c.n.now(), c.session, c.c.Prefix().String(), q)
	if refusal != nil {
		c.n.metrics.hop[result].Inc()
		return refusal
	}
	a, result := c.n.passOnFor(ctx, q)
	c.n.metrics.hop[result].Inc()
	return a
}

// passOnFor is passOn for nobody, who has less of the link than accounts have.
func (n *Node) passOnFor(ctx context.Context, q *wire.Query) (wire.Message, relay.HopResult) {
	if l := n.peers.link(q.Dest); l != nil {
		wait := time.NewTimer(hopQueue)
		defer wait.Stop()
		select {
		case l.hops <- struct{}{}:
			defer func() { <-l.hops }()
		case <-wait.C:
			return &wire.Refusal{Code: wire.CodeBusy, RetryAfter: uint32(hopBusy / time.Millisecond)}, relay.HopBusy
		case <-ctx.Done():
			return unreachable(), relay.HopBusy
		}
	}
	a := n.passOn(ctx, q)
	if r, ok := a.(*wire.Refusal); ok {
		if r.Code == wire.CodeUnreachable {
			return a, relay.HopUnreachable
		}
		return a, relay.HopRefused
	}
	return a, relay.HopAnswered
}

// passOn asks a peer a client's question. Nothing of the client goes along.
func (n *Node) passOn(ctx context.Context, m *wire.Query) wire.Message {
	l := n.peers.link(m.Dest)
	if l == nil {
		return &wire.Refusal{Code: wire.CodeUnknownProvider}
	}
	caller := l.caller.Load()
	if caller == nil {
		return unreachable()
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	a, err := quicnet.Ask[*wire.Answer](ctx, caller, &wire.Query{Dest: m.Dest, Kind: m.Kind, Sealed: m.Sealed})
	var refused *quicnet.RefusedError
	switch {
	case err == nil:
		return &wire.Answer{Sealed: a.Sealed}
	case errors.As(err, &refused):
		if refused.Code == wire.CodeStale {
			l.outdated() // the client asks again under the keys of the new one
		}
		return &wire.Refusal{Code: refused.Code, RetryAfter: relay.Milliseconds(refused.RetryAfter)}
	}
	return unreachable()
}

func unreachable() *wire.Refusal {
	return &wire.Refusal{Code: wire.CodeUnreachable, RetryAfter: uint32(retryMax / time.Millisecond)}
}
