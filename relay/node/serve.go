package node

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"waxwing/core/ids"
	"waxwing/core/store"
	"waxwing/core/wire"
	"waxwing/ratelimit/gcra"
	"waxwing/ratelimit/limits"
	"waxwing/relay"
	"waxwing/relay/quicnet"
)

// accept serves connections until the listener is drained, and returns when
// all of them have ended.
func (n *Node) accept(ctx context.Context) error {
	var conns sync.WaitGroup
	defer conns.Wait()
	for {
		c, err := n.listener.Accept(ctx)
		if err != nil {
			if errors.Is(err, quicnet.ErrClosed) || ctx.Err() != nil {
				return nil
			}
			return err
		}
		conns.Go(func() { n.serveConn(ctx, c) })
	}
}

// serveConn serves the streams of one connection until it ends.
func (n *Node) serveConn(ctx context.Context, c *quicnet.Conn) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(c.Context(), cancel)
	defer stop()
	kind, serve := "client", (*connection).clientStream
	conn := &connection{n: n, c: c, senders: &n.clients}
	defer conn.leave()
	if domain, ok := c.Peer(); ok {
		kind, serve = "peer", (*connection).peerStream
		conn.peer, conn.link = relay.PeerOf(domain), n.peers.link(domain)
		conn.senders = &n.peerSenders
		if conn.link == nil || !conn.link.attach(c) {
			c.Close(wire.CodeForbidden)
			return
		}
		defer conn.link.detach(c)
	} else {
		rand.Read(conn.nonce[:])
		conn.session = relay.NewSession(c.Exporter(), conn.nonce, func() { go c.Close(wire.CodeUnauthenticated) })
		defer n.relay.Leave(conn.session)
	}
	n.metrics.handshakes.WithLabelValues(kind).Inc()
	n.metrics.connections.WithLabelValues(kind).Inc()
	defer n.metrics.connections.WithLabelValues(kind).Dec()

	var streams sync.WaitGroup
	code := wire.CodeBusy
	for {
		s, err := c.AcceptStream(ctx)
		if err != nil {
			if errors.Is(err, quicnet.ErrProtocol) {
				code = wire.CodeMalformed
				n.metrics.protocol.Inc()
			}
			break
		}
		streams.Go(func() {
			err := serve(conn, ctx, s)
			s.Cancel(wire.CodeBusy)
			n.countStalled(err)
			switch {
			case errors.Is(err, quicnet.ErrProtocol):
				n.metrics.protocol.Inc()
				c.Close(wire.CodeMalformed)
			case errors.Is(err, store.ErrUnavailable):
				n.fail(err)
			}
		})
	}
	// Streams end on their own when the server drains: they answer what they
	// have taken. On a connection that is gone they end at once.
	streams.Wait()
	c.Close(code)
}

// countStalled counts a stream's end if it is that the other side was too slow. The
// idle timeout of its connection is none: that is somebody who went away.
func (n *Node) countStalled(err error) {
	if errors.Is(err, quicnet.ErrTimeout) && !errors.Is(err, quicnet.ErrClosed) {
		n.metrics.stalled.Inc()
	}
}

// connection is what the streams of one connection share.
type connection struct {
	// fixed
	n       *Node
	c       *quicnet.Conn
	peer    *relay.Peer    // of a provider's connection
	link    *link          // of that provider
	session *relay.Session // of a client's
	senders *senders       // those of its kind
	nonce   [wire.NonceSize]byte

	joining sync.Once
	sender  *sender // whose connection it is; nil until something comes
	key     gcra.Key

	// told is the time of the newest revocation that a client has asked for the list
	// of keys since.
	told atomic.Uint64
}

// join returns the sender whose connection it is, which does not change.
func (c *connection) join(key gcra.Key) *sender {
	c.joining.Do(func() { c.sender, c.key = c.senders.join(key), key })
	return c.sender
}

// leave is called when no stream is left.
func (c *connection) leave() {
	if c.sender != nil {
		c.senders.leave(c.key)
	}
}

func (c *connection) clientStream(ctx context.Context, s *quicnet.Stream) error {
	if s.Kind() == wire.StreamControl {
		return c.control(ctx, s)
	}
	who := c.session.Device()
	if who == nil {
		return c.bearerStream(ctx, s)
	}
	switch s.Kind() {
	case wire.StreamSubmit:
		var parser wire.SubmitParser
		from := c.session.Sender()
		in := &intake{n: c.n, stream: s, frame: wire.TypeSubmit, counts: &c.n.metrics.submitted, sender: c.join(limits.KeyOf(who.Address().String()))}
		in.parse = func(body []byte) (uint64, ids.Domain, []byte, error) {
			number, dest, token, envelope, err := parser.Parse(body)
			if err == nil && len(token) != 0 { // here it would be the account's
				err = quicnet.ErrProtocol
			}
			return number, dest, envelope, err
		}
		in.admit = func(now time.Time, dest ids.Domain, envelope []byte, a *relay.Admitted) *relay.Refusal {
			if c.told.Load() < c.n.revoked.Load() {
				return relay.Revoked()
			}
			return c.n.relay.AdmitSubmit(now, from, dest, envelope, a)
		}
		return in.run(ctx)
	case wire.StreamDeliver:
		d := &delivery{n: c.n, stream: s, who: who}
		return d.run(ctx)
	}
	return quicnet.ErrProtocol
}

// bearerStream serves a connection that is nobody's: it submits with tokens. Beside
// it such a connection may ask for lists of keys.
func (c *connection) bearerStream(ctx context.Context, s *quicnet.Stream) error {
	if s.Kind() != wire.StreamSubmit {
		return quicnet.ErrProtocol // authenticate first
	}
	prefix := c.c.Prefix().String()
	from := c.session.Bearer(prefix)
	if from == nil {
		return quicnet.ErrProtocol // it recovers an account
	}
	var parser wire.SubmitParser
	var token []byte // of the envelope that is admitted next
	in := &intake{n: c.n, stream: s, frame: wire.TypeSubmit, counts: &c.n.metrics.submitted, sender: c.join(limits.KeyOf(prefix))}
	in.parse = func(body []byte) (number uint64, dest ids.Domain, envelope []byte, err error) {
		if number, dest, token, envelope, err = parser.Parse(body); err == nil && len(token) == 0 {
			err = quicnet.ErrProtocol // authenticate first
		}
		return number, dest, envelope, err
	}
	in.admit = func(now time.Time, dest ids.Domain, envelope []byte, a *relay.Admitted) *relay.Refusal {
		if c.untold() {
			return relay.Revoked()
		}
		return c.n.relay.AdmitToken(now, from, dest, token, envelope, a)
	}
	return in.run(ctx)
}

func (c *connection) peerStream(ctx context.Context, s *quicnet.Stream) error {
	switch s.Kind() {
	case wire.StreamControl:
		return c.control(ctx, s)
	case wire.StreamForward:
		in := &intake{n: c.n, stream: s, frame: wire.TypeForward, counts: &c.n.metrics.forwarded, peer: &c.link.admitted, sender: c.join(limits.PeerKey(c.peer.Domain))}
		in.parse = func(body []byte) (number uint64, _ ids.Domain, envelope []byte, err error) {
			number, envelope, err = wire.ParseForward(body)
			return number, ids.Domain{}, envelope, err
		}
		in.admit = func(now time.Time, _ ids.Domain, envelope []byte, a *relay.Admitted) *relay.Refusal {
			return c.n.relay.AdmitForward(now, c.peer, envelope, a)
		}
		return in.run(ctx)
	}
	return quicnet.ErrProtocol
}

func (c *connection) control(ctx context.Context, s *quicnet.Stream) error {
	hello := &wire.Hello{Domain: c.n.domain, Nonce: c.nonce, Time: uint64(c.n.now().UnixMilli())}
	return quicnet.ServeControl(ctx, s, hello, func(ctx context.Context, m wire.Message) wire.Message {
		ctx, cancel := context.WithTimeout(ctx, relay.SessionTime)
		defer cancel()
		a := c.answer(ctx, m)
		result := "ok"
		if r, ok := a.(*wire.Refusal); ok {
			result = r.Code.String()
		}
		c.n.metrics.requests.WithLabelValues(requestName(m), result).Inc()
		return a
	})
}

func (c *connection) answer(ctx context.Context, m wire.Message) wire.Message {
	if c.peer != nil {
		if a := c.peerReport(ctx, m); a != nil {
			return a
		}
		if a := c.peerAdmission(ctx, m); a != nil {
			return a
		}
		return c.n.relay.HandlePeer(ctx, c.n.now(), c.peer, m)
	}
	if a := c.clientReport(ctx, m); a != nil {
		return a
	}
	if a := c.clientAdmission(ctx, m); a != nil {
		return a
	}
	if a := c.hop(ctx, m); a != nil {
		return a
	}
	if a := c.n.relay.Handle(ctx, c.n.now(), c.session, m); a != nil {
		c.after(m, a)
		return a
	}
	// Admitted, and for another provider.
	return c.n.passOn(ctx, m.(*wire.Query))
}

// after is called after an answer was made: tickets may be running short, and the
// account's devices are told of a batch that was stored.
func (c *connection) after(request, answer wire.Message) {
	if _, minted := answer.(*wire.Minted); minted {
		c.n.minted()
	}
	_, sync := request.(*wire.SyncPut)
	_, done := answer.(*wire.Done)
	if who := c.session.Device(); sync && done && who != nil {
		c.n.notify.wake(who.Mailbox())
	}
}

// requestName is a metric label: one of a closed list.
func requestName(m wire.Message) string {
	switch m.(type) {
	case *wire.Register:
		return "register"
	case *wire.Auth:
		return "auth"
	case *wire.Prekeys:
		return "prekeys"
	case *wire.SealKey:
		return "seal_key"
	case *wire.UpdateManifest:
		return "update_manifest"
	case *wire.Account:
		return "account"
	case *wire.Recover:
		return "recover"
	case *wire.RendezvousOpen:
		return "rendezvous_open"
	case *wire.RendezvousPut:
		return "rendezvous_put"
	case *wire.RendezvousGet:
		return "rendezvous_get"
	case *wire.Certify:
		return "certify"
	case *wire.Mint:
		return "mint"
	case *wire.Block:
		return "block"
	case *wire.Unblock:
		return "unblock"
	case *wire.Query:
		return "query"
	case *wire.Describe:
		return "describe"
	case *wire.SyncPut:
		return "sync_put"
	case *wire.IssueSubmission:
		return "issue_submission"
	case *wire.IssueMembership:
		return "issue_membership"
	case *wire.AdmissionKeys:
		return "admission_keys"
	case *wire.ShareMembershipKey:
		return "share_membership_key"
	case *wire.IssueTokens:
		return "issue_tokens"
	case *wire.Publish:
		return "publish"
	case *wire.Report:
		return "report"
	case *wire.Verdict:
		return "verdict"
	case *wire.Notice:
		return "notice"
	}
	return "other"
}
