package quicnet

import (
	"context"
	"crypto/sha256"
	"net/netip"
	"time"

	"github.com/quic-go/quic-go"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
	"waxwing/relay/quicnet/internal/tap"
)

// exporterLabel names what device signatures bind to (RFC 8446 section 7.5).
const exporterLabel = "EXPORTER-waxwing-auth"

// Conn is a connection whose handshake is complete. Its methods may be called
// concurrently.
type Conn struct {
	// fixed
	q        *quic.Conn
	t        Timeouts
	peer     ids.Domain // zero if the other side showed no certificate
	pin      keys.Pin   // of the root that it showed; zero as well
	exporter [32]byte
}

func newConn(q *quic.Conn, t Timeouts) (*Conn, error) {
	c := &Conn{q: q, t: t}
	cs := q.ConnectionState().TLS
	material, err := cs.ExportKeyingMaterial(exporterLabel, nil, len(c.exporter))
	if err != nil {
		return nil, ErrHandshake
	}
	copy(c.exporter[:], material)
	if len(cs.PeerCertificates) > 0 {
		// The handshake has checked the certificate against the pin.
		if c.peer, err = leafDomain(cs.PeerCertificates[0]); err != nil {
			return nil, err
		}
		root := cs.PeerCertificates[len(cs.PeerCertificates)-1]
		c.pin = sha256.Sum256(root.RawSubjectPublicKeyInfo)
	}
	return c, nil
}

// PeerPin returns the pin of the root that the provider at the other end has
// shown, which was the pinned one during the handshake.
func (c *Conn) PeerPin() keys.Pin { return c.pin }

// Peer returns the provider at the other end. On an accepted connection it is
// false for a client, which has shown nothing yet.
func (c *Conn) Peer() (ids.Domain, bool) { return c.peer, !c.peer.IsZero() }

// Prefix returns what counts as one place at the other end: an IPv4 address or an
// IPv6 /64; the zero prefix for anything else.
func (c *Conn) Prefix() netip.Prefix { return prefixOf(c.q.RemoteAddr()) }

// Exporter returns 32 bytes that both ends of this connection have and nobody
// else, different for every connection.
func (c *Conn) Exporter() [32]byte { return c.exporter }

// Context ends with the connection.
func (c *Conn) Context() context.Context { return c.q.Context() }

// Err returns why the connection has ended, or nil if it has not.
func (c *Conn) Err() error {
	if c.q.Context().Err() == nil {
		return nil
	}
	return mapError(context.Cause(c.q.Context()))
}

// Close ends the connection and everything on it, at once: what was not
// flushed and delivered is lost. The other side learns the code.
func (c *Conn) Close(code wire.Code) { closeQUIC(c.q, code) }

func closeQUIC(q *quic.Conn, code wire.Code) {
	// The only error is that of a connection that was closed before.
	_ = q.CloseWithError(quic.ApplicationErrorCode(code), "")
}

// stream makes a Stream of the connection.
func (c *Conn) stream(q *quic.Stream, kind wire.StreamKind, opened bool) *Stream {
	s := newStream(q, kind, c.t)
	s.tap = tap.Open(tap.Stream{Conn: c, Peer: c.peer.String(), Opened: opened, Kind: byte(kind)})
	return s
}

// OpenStream opens a stream of the kind. It waits, until ctx is done, while
// the other side allows no more streams.
func (c *Conn) OpenStream(ctx context.Context, kind wire.StreamKind) (*Stream, error) {
	q, err := c.q.OpenStreamSync(ctx)
	if err != nil {
		return nil, mapError(err)
	}
	s := c.stream(q, kind, true)
	// At once: the first frame of a control stream is the other side's.
	err = s.Append(func(b []byte) ([]byte, error) { return append(b, byte(kind)), nil })
	if err == nil {
		err = s.Flush()
	}
	if err != nil {
		s.Cancel(CodeNone)
		return nil, err
	}
	return s, nil
}

// AcceptStream returns the next stream that the other side opens. Streams that
// do not tell their kind in time are cancelled and passed over; they delay
// only their own connection's. An unknown kind is ErrProtocol.
func (c *Conn) AcceptStream(ctx context.Context) (*Stream, error) {
	for {
		q, err := c.q.AcceptStream(ctx)
		if err != nil {
			return nil, mapError(err)
		}
		var kind [1]byte
		_ = q.SetReadDeadline(time.Now().Add(c.t.Kind)) // never fails
		n, err := q.Read(kind[:])
		if n == 0 {
			q.CancelRead(quic.StreamErrorCode(wire.CodeMalformed))
			q.CancelWrite(quic.StreamErrorCode(wire.CodeMalformed))
			if c.q.Context().Err() != nil {
				return nil, mapError(err)
			}
			continue
		}
		_ = q.SetReadDeadline(time.Time{})
		switch k := wire.StreamKind(kind[0]); k {
		case wire.StreamControl, wire.StreamSubmit, wire.StreamForward, wire.StreamDeliver:
			return c.stream(q, k, false), nil
		}
		return nil, ErrProtocol
	}
}
