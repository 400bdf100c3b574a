package quicnet

import (
	"github.com/quic-go/quic-go"

	"waxwing/core/wire"
)

// StopReading makes the other side send no more on this stream and ReadFrame
// return, while frames can still be written: what was taken can be answered
// before the stream is closed.
func (s *Stream) StopReading(code wire.Code) { s.q.CancelRead(quic.StreamErrorCode(code)) }
