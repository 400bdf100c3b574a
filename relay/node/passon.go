package node

import (
	"context"
	"errors"
	"time"

	"waxwing/core/wire"
	"waxwing/relay"
	"waxwing/relay/quicnet"
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
	a := c.n.passOn(ctx, q)
	switch a := a.(type) {
	case *wire.Answer:
		result = relay.HopAnswered
	case *wire.Refusal:
		if result = relay.HopRefused; a.Code == wire.CodeUnreachable {
			result = relay.HopUnreachable
		}
	}
	c.n.metrics.hop[result].Inc()
	return a
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
