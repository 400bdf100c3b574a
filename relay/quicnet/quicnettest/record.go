package quicnettest

import (
	"sync"

	"waxwing/core/wire"
	"waxwing/relay/quicnet/internal/tap"
)

// Frame is one frame of one stream.
type Frame struct {
	Conn   uint32 // numbers the connections of this process, from 1
	Peer   string // domain of the provider at the other end; empty for a client, or from a client's end
	Opened bool   // this end opened the stream, and so the connection
	Kind   wire.StreamKind
	Sent   bool // by this end
	Type   wire.FrameType
	Body   []byte // valid during the call only
}

// Record calls f for every frame of every stream that is opened from now on, one
// at a time, until stop is called. There is one recorder at a time.
func Record(f func(Frame)) (stop func()) {
	var mu sync.Mutex
	conns := map[any]uint32{}
	tap.Set(func(s tap.Stream) tap.Frames {
		mu.Lock()
		defer mu.Unlock()
		if conns[s.Conn] == 0 {
			conns[s.Conn] = uint32(len(conns) + 1)
		}
		fr := Frame{Conn: conns[s.Conn], Peer: s.Peer, Opened: s.Opened, Kind: wire.StreamKind(s.Kind)}
		return func(sent bool, t byte, body []byte) {
			mu.Lock()
			defer mu.Unlock()
			fr := fr
			fr.Sent, fr.Type, fr.Body = sent, wire.FrameType(t), body
			f(fr)
		}
	})
	return func() { tap.Set(nil) }
}
