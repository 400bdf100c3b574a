package quicnet

import (
	"time"

	"waxwing/core/wire"
)

// Sizes of buffers and windows, in bytes.
const (
	// flushSize is how much a write buffer holds before it is sent without
	// being asked. Writing in pieces of 64 KiB instead of one packet each
	// costs 2.4 times less CPU per frame; more than that gains nothing.
	flushSize = 64 << 10
	// bufferSize is the size of every read and write buffer: a write buffer
	// just below flushSize still takes the largest frame, and a read buffer
	// holds the largest frame and many small ones.
	bufferSize = flushSize + wire.FrameHeaderSize + wire.MaxFrame
	// streamWindow and maxStreamWindow bound what a peer may send on a stream
	// before it is read. 256 KiB is a window of 256 frames of 1 KiB; quic-go
	// doubles it on paths with a longer round trip.
	streamWindow    = 256 << 10
	maxStreamWindow = 4 << 20
	// connWindow and maxConnWindow bound the same for all streams of a
	// connection together. What an accepted connection gets above connWindow
	// comes from its listener's windowBudget.
	connWindow    = 512 << 10
	maxConnWindow = 8 << 20
	// windowBudget bounds how far the windows of all accepted connections
	// together may grow above connWindow: 64 connections at full size. Without
	// it maxConns connections could make the server hold maxConnWindow each.
	windowBudget = 64 * maxConnWindow
	// listenReads and dialReads are how many joined packets of up to 64 KiB one
	// system call reads (receiveJoined). Each costs a buffer of that size per
	// socket; a listener has one socket for all its connections.
	listenReads = 4
	dialReads   = 1
)

// Numbers of things.
const (
	// maxStreams is how many streams a peer may have open on one connection:
	// it needs one of each kind, and a few while it replaces them.
	maxStreams = 16
	// defaultRetryAbove is how many handshakes from addresses that are not
	// validated may be under way before newcomers must validate theirs by a
	// Retry (RFC 9000 section 8.1.2). It also bounds what a sender of spoofed
	// addresses can make the server work.
	defaultRetryAbove = 64
	// maxCalls bounds the requests that a Caller has under way. It is above
	// maxServed, so that the server always has the next one at hand.
	maxCalls = 32
	// maxServed bounds the requests of one control stream that the server
	// works on at once; beyond it the stream is not read.
	maxServed = 8
)

// Times.
const (
	// defaultHandshakeTimeout is how long the other side of a handshake may be
	// silent; the whole handshake may take twice as long.
	defaultHandshakeTimeout = 5 * time.Second
	// defaultIdleTimeout ends a connection on which nothing arrives; three
	// keep-alives have to be lost. It is also how long the connecting side takes
	// to notice a server that was killed, if it has nothing to send: a stateless
	// reset comes at once, but only for packets of more than 42 bytes (RFC 9000
	// section 10.3), and keep-alives are smaller.
	defaultIdleTimeout = 30 * time.Second
	// defaultKeepAlive is how often the connecting side sends something. UDP
	// bindings of NATs last 30 seconds and more (RFC 4787 section 4.3 asks for
	// two minutes; many give less).
	defaultKeepAlive = 10 * time.Second
	// defaultKindTimeout is how long a new stream may keep its kind to itself.
	defaultKindTimeout = 5 * time.Second
	// defaultFrameTimeout is how long a frame that has begun may take to
	// arrive: the largest one needs 4.4 kB/s. It ends senders that drip bytes
	// to hold buffers.
	defaultFrameTimeout = 15 * time.Second
	// defaultWriteTimeout is how long sending one buffer (at most bufferSize)
	// may take: readers slower than 4.4 kB/s are cut off, because what they do
	// not read is held here.
	defaultWriteTimeout = 30 * time.Second
	// tokenAge is how long an address stays validated by a token from an
	// earlier connection. Waxwing's clients store none; the default of a day
	// would let others share theirs for long.
	tokenAge = time.Hour
)

// Timeouts bounds how long the other side may take. The zero value of a field
// means its default.
type Timeouts struct {
	Handshake time.Duration // silence during the handshake; 5 s
	Idle      time.Duration // silence on a connection; 30 s
	KeepAlive time.Duration // between keep-alives of the connecting side; 10 s
	Kind      time.Duration // a new stream's first byte; 5 s
	Frame     time.Duration // the rest of a frame that has begun; 15 s
	Write     time.Duration // sending one buffer; 30 s
}

func (t *Timeouts) defaults() {
	for _, f := range []struct {
		p *time.Duration
		d time.Duration
	}{
		{&t.Handshake, defaultHandshakeTimeout},
		{&t.Idle, defaultIdleTimeout},
		{&t.KeepAlive, defaultKeepAlive},
		{&t.Kind, defaultKindTimeout},
		{&t.Frame, defaultFrameTimeout},
		{&t.Write, defaultWriteTimeout},
	} {
		if *f.p <= 0 {
			*f.p = f.d
		}
	}
}
