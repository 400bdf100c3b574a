package quicnet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/quic-go/quic-go"

	"waxwing/core/ids"
	"waxwing/core/keys"
)

// DialConfig says whom to connect to. Addr, Domain and Pin are required.
type DialConfig struct {
	Addr     string           // UDP address, "host:port"
	Domain   ids.Domain       // who must answer
	Pin      keys.Pin         // the root of who must answer
	Identity *Identity        // of a provider that connects to a peer; nil for clients
	Now      func() time.Time // time.Now
	// PacketConn is used instead of a new socket. It serves one connection, and
	// is left open.
	PacketConn net.PacketConn
	// Socket makes the socket of the connection, which is closed with it. Default:
	// a UDP socket of the system.
	Socket   func() (net.PacketConn, error)
	Timeouts Timeouts
}

// Dial connects to a provider. It returns when the provider has proven to be
// Domain with Pin; a provider that refuses the identity shown to it says so
// afterwards, by closing the connection, because that is the order of TLS 1.3.
//
// Errors are ErrPin, ErrCertificate, ErrExpired, ErrHandshake, ErrBusy,
// ErrTimeout (nobody answered), ErrUnreachable, ErrConfig, or ctx's.
func Dial(ctx context.Context, conf DialConfig) (*Conn, error) {
	if conf.Domain.IsZero() || conf.Pin == (keys.Pin{}) {
		return nil, fmt.Errorf("%w: no domain or no pin to connect to", ErrConfig)
	}
	if conf.Now == nil {
		conf.Now = time.Now
	}
	conf.Timeouts.defaults()
	addr, err := resolve(ctx, conf.Addr)
	if err != nil {
		return nil, err
	}
	tlsConf := clientTLS(conf.Domain, conf.Pin, conf.Identity, conf.Now)
	qconf := baseQUIC(conf.Timeouts)
	// The connecting side keeps the connection alive: it knows whether it still
	// wants it, and the NAT is on its side.
	qconf.KeepAlivePeriod = conf.Timeouts.KeepAlive

	socket, closeSocket := conf.PacketConn, func() {}
	if socket == nil {
		var err error
		if socket, closeSocket, err = conf.socket(); err != nil {
			return nil, ErrUnreachable
		}
	}
	q, err := quic.Dial(ctx, socket, addr, tlsConf, qconf)
	if err != nil {
		closeSocket()
		return nil, dialError(ctx, err)
	}
	context.AfterFunc(q.Context(), closeSocket)
	c, err := newConn(q, conf.Timeouts)
	if err != nil {
		closeQUIC(q, CodeNone)
		return nil, err
	}
	return c, nil
}

// socket makes the socket of one connection.
func (conf *DialConfig) socket() (_ net.PacketConn, closeSocket func(), _ error) {
	if conf.Socket != nil {
		s, err := conf.Socket()
		if err != nil {
			return nil, nil, err
		}
		return s, func() { _ = s.Close() }, nil
	}
	udp, err := net.ListenUDP("udp", nil)
	if err != nil {
		return nil, nil, err
	}
	return receiveJoined(udp, dialReads), func() { _ = udp.Close() }, nil
}

// dialError is mapError, with what only happens before there is a connection.
func dialError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return ErrUnreachable // its text holds the address
	}
	err = mapError(err)
	var closed *CloseError
	if errors.As(err, &closed) && !closed.Remote {
		return ErrUnreachable // the socket failed before there was a connection
	}
	return err
}

// resolve turns "host:port" into an address. IPv4 comes first, if there is
// both: it is what more networks carry.
func resolve(ctx context.Context, hostport string) (*net.UDPAddr, error) {
	host, portText, err := net.SplitHostPort(hostport)
	if err != nil {
		return nil, fmt.Errorf("%w: want host:port", ErrConfig)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil || port == 0 {
		return nil, fmt.Errorf("%w: port out of range", ErrConfig)
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return net.UDPAddrFromAddrPort(netip.AddrPortFrom(ip.Unmap(), uint16(port))), nil
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil || len(addrs) == 0 {
		return nil, ErrUnreachable
	}
	best := addrs[0].Unmap()
	for _, a := range addrs {
		if a.Unmap().Is4() {
			best = a.Unmap()
			break
		}
	}
	return net.UDPAddrFromAddrPort(netip.AddrPortFrom(best, uint16(port))), nil
}
