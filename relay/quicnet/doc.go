// Package quicnet turns QUIC streams into frames: it is the only package that
// speaks QUIC (RFC 9000) and TLS (RFC 8446), and it knows nothing of what the
// frames mean.
//
// # Who is at the other end
//
// A provider has one root key (Ed25519). Its pin is the SHA-256 of the root's
// SubjectPublicKeyInfo, as in RFC 7469 section 2.4. The root signs short-lived
// leaf certificates (RFC 5280) for the provider's domain; whoever connects
// checks the leaf against the pin that it has for the domain. There is no web
// PKI: no authority beside the provider's own root is ever asked. A provider
// that connects to another presents a leaf of its own and is checked against
// the pin that the other has for it; a client presents none and shows who it
// is inside the connection, by a signature over the TLS exporter (RFC 9266).
//
// The domain is not sent in clear text (no SNI), the certificates travel
// encrypted, and nothing links two connections of a client: no session tickets,
// no stored address validation tokens.
//
// TLS 1.3 with the hybrid X25519MLKEM768 group only, so that what is recorded
// today is not opened by a quantum computer later. Signatures are Ed25519 only:
// forging one needs the quantum computer during the handshake. 0-RTT is
// refused, because what it carries can be replayed.
//
// # Frames
//
// A stream is bidirectional, opened by the connecting side, and begins with
// one byte, its kind. Then each side sends frames (core/wire): length, type,
// body. Writers append to a buffer that is sent when it holds 64 KiB or on
// Flush; readers get slices of a read buffer. Both buffers belong to a stream
// only while it carries data, so that an idle connection costs what quic-go
// and crypto/tls cost. On Linux the kernel hands over received packets joined,
// which takes 15 to 30 % off the CPU of a full stream.
//
// A Caller and ServeControl are the two ends of a control stream: requests and
// answers, several under way at once.
//
// # What it does not protect against
//
// Whoever watches the network sees both addresses, the sizes and the times of
// packets; there is no cover traffic and no padding beyond QUIC's, so traffic
// analysis works. A provider's root key is needed online, to renew leaves:
// whoever takes it over can pose as the provider until its pin is replaced
// everywhere. A flood of validated addresses is bounded, not told apart from
// users. Streams share one congestion controller, so a full submit stream
// delays a control stream's answers.
//
// QUIC is not chosen for speed: TCP with TLS does the same work on full pipes
// for about a third of the CPU. It is chosen for streams that do not block one
// another on loss, one-round-trip handshakes and connections that survive a
// change of address.
package quicnet
