package client

import (
	"sync"
	"sync/atomic"
	"time"

	"waxwing/core/wire"
	"waxwing/relay/quicnet"
)

// submitter hands the outbox in on one stream, in order. What was not acked when
// the stream ends is handed in again on the next one, with the same bytes.
type submitter struct {
	// fixed
	c      *Client
	stream *quicnet.Stream
	paid   bool   // with a token for each envelope: the connection is nobody's
	poke   func() // something was settled
	// revoked holds everything back until the list of token-signing keys was asked
	// for, of which the provider revoked one; ask has that done.
	revoked *atomic.Bool
	ask     func()

	mu      sync.Mutex // guards the fields below
	flying  []uint64   // outbox numbers that were sent and not acked, in order
	acked   uint64     // the stream's number of the one before flying[0]
	scanned uint64     // the outbox was sent up to this number
	refused map[uint64]bool
	resume  time.Time // sending rests until then, after a refusal
}

func newSubmitter(c *Client, stream *quicnet.Stream, poke func()) *submitter {
	return &submitter{c: c, stream: stream, poke: poke, refused: make(map[uint64]bool)}
}

// room is how many envelopes may be sent before the next ack.
func (s *submitter) room() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return submitWindow - len(s.flying)
}

// state returns how many envelopes are not acked, and until when sending rests.
func (s *submitter) state() (flying int, resume time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.flying), s.resume
}

// write sends envelopes of the outbox, in order. They are durable, and so is what
// pays for them: whatever happens from here on, the same bytes are sent again
// until they are acked.
func (s *submitter) write(room int) (int, error) {
	s.mu.Lock()
	scanned, resting := s.scanned, time.Now().Before(s.resume)
	if !resting && !s.resume.IsZero() && len(s.flying) == 0 {
		scanned, s.resume = 0, time.Time{} // from the start: what is left was refused
	}
	resting = resting || !s.resume.IsZero() || s.revoked.Load()
	s.mu.Unlock()
	if room <= 0 || resting {
		return 0, nil
	}
	rows, err := s.rows(scanned, min(batchSize, room))
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	for _, r := range rows {
		s.mu.Lock()
		s.flying = append(s.flying, r.number)
		number := s.acked + uint64(len(s.flying))
		s.scanned = r.number
		s.mu.Unlock()
		m := &wire.Submit{Number: number, Dest: r.dest, Auth: wire.AuthConnection, Envelope: r.bytes}
		if s.paid {
			m.Auth, m.Token = wire.AuthToken, r.token
		}
		if err := s.stream.WriteFrame(wire.TypeSubmit, m); err != nil {
			return 0, err
		}
	}
	return len(rows), s.stream.Flush()
}

func (s *submitter) rows(after uint64, limit int) (rows []outgoing, err error) {
	if s.paid {
		return s.c.pay(after, limit)
	}
	err = s.c.view(func(w *work) error {
		rows, err = w.outbox(after, limit)
		return err
	})
	return rows, err
}

// takeAcks reads what became of submissions.
func (s *submitter) takeAcks() error {
	for {
		t, body, err := s.stream.ReadFrame()
		if err != nil {
			return err
		}
		switch t {
		case wire.TypeRefused:
			var m wire.Refused
			if wire.Unmarshal(body, &m) != nil {
				return quicnet.ErrProtocol
			}
			err = s.takeRefusal(&m)
		case wire.TypeAck:
			var m wire.Ack
			if wire.Unmarshal(body, &m) != nil {
				return quicnet.ErrProtocol
			}
			err = s.takeAck(m.UpTo)
		default:
			return quicnet.ErrProtocol
		}
		if err != nil {
			return err
		}
	}
}

func (s *submitter) takeRefusal(m *wire.Refused) error {
	s.mu.Lock()
	i := m.Number - s.acked - 1
	if i >= uint64(len(s.flying)) {
		s.mu.Unlock()
		return quicnet.ErrProtocol
	}
	number := s.flying[i]
	s.refused[number] = true
	token := s.paid && m.Code == wire.CodeToken
	later := token || retryable(m.Code, m.RetryAfter)
	revoked := m.Code == wire.CodeRevoked
	switch {
	case revoked:
		s.revoked.Store(true) // what is sealed may be under a token that is void
		s.resume = time.Now() // from the start, when the keys have been asked for
	case later:
		s.resume = time.Now().Add(max(time.Duration(m.RetryAfter)*time.Millisecond, minBackoff))
	}
	s.mu.Unlock()
	if revoked {
		s.ask()
	}
	switch {
	case token:
		return s.c.update(func(w *work) error { return w.unpay(number) })
	case later:
		return nil
	}
	return s.c.update(func(w *work) error { return w.refused(number, m.Code) })
}

func (s *submitter) takeAck(upTo uint64) error {
	s.mu.Lock()
	n := upTo - s.acked
	if upTo < s.acked || n > uint64(len(s.flying)) {
		s.mu.Unlock()
		return quicnet.ErrProtocol
	}
	var settled []uint64
	for _, number := range s.flying[:n] {
		if !s.refused[number] {
			settled = append(settled, number)
		}
		delete(s.refused, number)
	}
	s.mu.Unlock()
	// Removed from the outbox before the window moves on. A crash before it
	// sends the same bytes again, which the provider knows by their hash.
	if err := s.c.update(func(w *work) error { return w.accepted(settled) }); err != nil {
		return err
	}
	s.mu.Lock()
	s.flying, s.acked = s.flying[n:], upTo
	s.mu.Unlock()
	s.poke()
	return nil
}
