package tap

import "sync/atomic"

// Stream says what a stream is.
type Stream struct {
	Conn   any    // the same value for all streams of a connection, and only for them
	Peer   string // domain that the other end has proven; empty if it has not
	Opened bool   // this end opened it
	Kind   byte   // a wire.StreamKind
}

// Frames is called with every frame of a stream, in order for each direction;
// both directions at the same time. The body is valid during the call only.
type Frames func(sent bool, frameType byte, body []byte)

// Listener is asked once for each stream; nil means no interest.
type Listener func(Stream) Frames

var listener atomic.Pointer[Listener]

// Set sets the listener, nil for none. Streams that are open keep what they have.
func Set(l Listener) {
	if l == nil {
		listener.Store(nil)
		return
	}
	listener.Store(&l)
}

// Open returns who wants the frames of a stream, or nil.
func Open(s Stream) Frames {
	if l := listener.Load(); l != nil {
		return (*l)(s)
	}
	return nil
}
