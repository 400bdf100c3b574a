package client

import (
	"time"

	"waxwing/core/wire"
	"waxwing/relay/quicnet"
)

// takeAcks reads what became of submissions.
func (x *exchange) takeAcks() error {
	for {
		t, body, err := x.submit.ReadFrame()
		if err != nil {
			return err
		}
		switch t {
		case wire.TypeRefused:
			var m wire.Refused
			if wire.Unmarshal(body, &m) != nil {
				return quicnet.ErrProtocol
			}
			err = x.takeRefusal(&m)
		case wire.TypeAck:
			var m wire.Ack
			if wire.Unmarshal(body, &m) != nil {
				return quicnet.ErrProtocol
			}
			err = x.takeAck(m.UpTo)
		default:
			return quicnet.ErrProtocol
		}
		if err != nil {
			return err
		}
	}
}

func (x *exchange) takeRefusal(m *wire.Refused) error {
	x.mu.Lock()
	i := m.Number - x.acked - 1
	if i >= uint64(len(x.flying)) {
		x.mu.Unlock()
		return quicnet.ErrProtocol
	}
	number := x.flying[i]
	x.refused[number] = true
	later := retryable(m.Code, m.RetryAfter)
	switch {
	case m.Code == wire.CodeRevoked:
		x.revoked.Store(true) // what is sealed may be under a token that is void
		x.received = true     // the main loop looks once more
		x.resume = time.Now() // from the start, when the keys have been asked for
	case later:
		x.resume = time.Now().Add(max(time.Duration(m.RetryAfter)*time.Millisecond, minBackoff))
	}
	x.mu.Unlock()
	if later {
		return nil
	}
	return x.c.update(func(w *work) error { return w.refused(number, m.Code) })
}

func (x *exchange) takeAck(upTo uint64) error {
	x.mu.Lock()
	n := upTo - x.acked
	if upTo < x.acked || n > uint64(len(x.flying)) {
		x.mu.Unlock()
		return quicnet.ErrProtocol
	}
	var settled []uint64
	for _, number := range x.flying[:n] {
		if !x.refused[number] {
			settled = append(settled, number)
		}
		delete(x.refused, number)
	}
	x.mu.Unlock()
	// Removed from the outbox before the window moves on. A crash before it
	// sends the same bytes again, which the provider knows by their hash.
	if err := x.c.update(func(w *work) error { return w.accepted(settled) }); err != nil {
		return err
	}
	x.mu.Lock()
	x.flying, x.acked = x.flying[n:], upTo
	x.mu.Unlock()
	x.poke()
	return nil
}
