package quicnet

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/quic-go/quic-go"

	"waxwing/core/wire"
)

// The errors of this package. None holds an address, a name or a text of the
// other side's.
var (
	// ErrClosed says that the connection, stream or listener has ended. A
	// *CloseError, which wraps it, says who ended it and why.
	ErrClosed = errors.New("quicnet: closed")
	// ErrTimeout says that the other side took too long. If it is the idle
	// timeout of the connection, errors.Is(err, ErrClosed) holds too.
	ErrTimeout = errors.New("quicnet: timed out")
	// ErrProtocol says that the other side broke the protocol: a malformed
	// frame, an unknown kind of stream, an answer to nothing. The stream is
	// unusable; close the connection with wire.CodeMalformed.
	ErrProtocol = errors.New("quicnet: protocol violated")
	// ErrPin says that the certificate's root is not the pinned one, or that
	// no pin is known for the domain that it names.
	ErrPin = errors.New("quicnet: certificate is not of the pinned root")
	// ErrCertificate says that the certificate is of the pinned root and not
	// one for this use: another domain, lifetime, algorithm or shape.
	ErrCertificate = errors.New("quicnet: certificate is not valid for the provider")
	// ErrExpired says that the certificate's validity does not include now; a
	// clock that is wrong by more than a day does the same.
	ErrExpired = errors.New("quicnet: certificate is outside its validity")
	// ErrHandshake says that there is no common ground (TLS version, key
	// exchange, protocol), or that the other side refused the handshake.
	ErrHandshake = errors.New("quicnet: handshake failed")
	// ErrBusy says that the listener takes no more connections now.
	ErrBusy = errors.New("quicnet: connection refused, busy")
	// ErrUnreachable says that the address cannot be resolved or used.
	ErrUnreachable = errors.New("quicnet: unreachable")
	// ErrConfig says that a configuration cannot be used.
	ErrConfig = errors.New("quicnet: invalid configuration")
)

// CodeNone closes without a reason: all is well, or it is nobody's concern.
const CodeNone wire.Code = 0

// CloseError says why a connection or stream was ended. It wraps ErrClosed.
type CloseError struct {
	Code   wire.Code // CodeNone, or a code of core/wire; others are shown as CodeNone
	Remote bool      // the other side ended it
}

func (e *CloseError) Error() string {
	who := "here"
	if e.Remote {
		who = "by the other side"
	}
	if e.Code == CodeNone {
		return "quicnet: closed " + who
	}
	return "quicnet: closed " + who + ": " + e.Code.String()
}

// Unwrap makes errors.Is(err, ErrClosed) true.
func (e *CloseError) Unwrap() error { return ErrClosed }

// idleError is the end of a connection on which nothing arrived.
type idleError struct{}

func (idleError) Error() string   { return "quicnet: connection timed out" }
func (idleError) Unwrap() []error { return []error{ErrClosed, ErrTimeout} }

func closeError(code uint64, remote bool) error {
	e := &CloseError{Remote: remote}
	if code <= 0xffff && wire.Code(code).Valid() {
		e.Code = wire.Code(code)
	}
	return e
}

// own are the errors that are returned as they are, whatever wraps them.
var own = []error{
	ErrTimeout, ErrProtocol, ErrPin, ErrCertificate, ErrExpired, ErrHandshake, ErrBusy,
	context.Canceled, context.DeadlineExceeded,
}

// mapError turns an error of quic-go or crypto/tls into one of this package.
// Their texts are dropped: they hold addresses, stream numbers and text that
// the other side chose.
func mapError(err error) error {
	if err == nil {
		return nil
	}
	var closed *CloseError
	if errors.As(err, &closed) {
		return closed
	}
	for _, e := range own {
		if errors.Is(err, e) {
			return e
		}
	}
	var (
		stream    *quic.StreamError
		app       *quic.ApplicationError
		transport *quic.TransportError
		idle      *quic.IdleTimeoutError
		handshake *quic.HandshakeTimeoutError
		version   *quic.VersionNegotiationError
	)
	switch {
	case errors.As(err, &stream):
		return closeError(uint64(stream.ErrorCode), stream.Remote)
	case errors.As(err, &app):
		return closeError(uint64(app.ErrorCode), app.Remote)
	case errors.As(err, &idle):
		return idleError{}
	case errors.As(err, &handshake), errors.Is(err, os.ErrDeadlineExceeded):
		return ErrTimeout
	case errors.As(err, &version):
		return ErrHandshake
	case errors.As(err, &transport):
		switch {
		case transport.ErrorCode.IsCryptoError():
			return ErrHandshake
		case transport.ErrorCode == quic.ConnectionRefused:
			return ErrBusy
		}
		return &CloseError{Remote: transport.Remote}
	case errors.Is(err, io.EOF):
		return &CloseError{Remote: true}
	}
	return &CloseError{}
}
