package client

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"waxwing/core/ids"
	"waxwing/core/wire"
	"waxwing/relay/client/state"
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
	flying  []flown    // what was sent and not acked, in order
	acked   uint64     // the stream's number of the one before flying[0]
	scanned uint64     // the outbox was sent up to this number
	refused map[uint64]bool
	resume  time.Time // sending rests until then, after a refusal that is about all of it
	turn    uint64    // of the rests of lanes that are over
}

// unread is the turn of one who has to go through the outbox from the start.
const unread = ^uint64(0)

// flown is an envelope whose answer is to come.
type flown struct {
	number  uint64 // in the outbox
	contact state.ContactID
	dest    ids.Domain
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

// next is when there is something to send again, after any refusal; zero if none
// is in force.
func (s *submitter) next() time.Time {
	_, at := s.state()
	now := time.Now()
	if lane := s.c.e.rests.next(now); !at.After(now) || !lane.IsZero() && lane.Before(at) {
		at = lane
	}
	return at
}

// wake goes through the outbox from the start if a lane has rested.
func (s *submitter) wake() error {
	s.mu.Lock()
	if s.c.e.rests.idle(s.turn) {
		s.mu.Unlock()
		return nil
	}
	flying := make(map[uint64]bool, len(s.flying))
	for _, f := range s.flying {
		flying[f.number] = true
	}
	s.mu.Unlock()
	return s.c.view(func(w *work) error {
		turn := w.wakeRests(func(number uint64) bool { return flying[number] })
		s.mu.Lock()
		defer s.mu.Unlock()
		if turn != s.turn {
			s.turn, s.scanned = turn, 0
		}
		return nil
	})
}

// write sends envelopes of the outbox, in order. They are durable, and so is what
// pays for them: whatever happens from here on, the same bytes are sent again
// until they are acked.
func (s *submitter) write(room int) (int, error) {
	if err := s.wake(); err != nil {
		return 0, err
	}
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
		number, fresh := s.fly(&r)
		if !fresh {
			continue
		}
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

// fly numbers an envelope, unless its answer is still to come.
func (s *submitter) fly(r *outgoing) (number uint64, fresh bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scanned = r.number
	if slices.ContainsFunc(s.flying, func(f flown) bool { return f.number == r.number }) {
		return 0, false
	}
	s.flying = append(s.flying, flown{r.number, r.contact, r.dest})
	return s.acked + uint64(len(s.flying)), true
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
	f := s.flying[i]
	number := f.number
	s.refused[number] = true
	token := s.paid && m.Code == wire.CodeToken
	later := token || retryable(m.Code, m.RetryAfter)
	revoked := m.Code == wire.CodeRevoked
	lane, apart := laneOf(m.Code, f.contact, f.dest)
	until := time.Now().Add(max(time.Duration(m.RetryAfter)*time.Millisecond, minBackoff))
	switch {
	case revoked:
		s.revoked.Store(true) // what is sealed may be under a token that is void
		s.resume = time.Now() // from the start, when the keys have been asked for
	case later && apart:
		s.c.e.rests.refused(lane, number, until)
	case later:
		s.resume = until
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
	err := s.c.update(func(w *work) error { return w.refused(number, m.Code) })
	if err == nil {
		s.c.e.rests.settled(number)
	}
	return err
}

func (s *submitter) takeAck(upTo uint64) error {
	s.mu.Lock()
	n := upTo - s.acked
	if upTo < s.acked || n > uint64(len(s.flying)) {
		s.mu.Unlock()
		return quicnet.ErrProtocol
	}
	var settled []uint64
	for _, f := range s.flying[:n] {
		if !s.refused[f.number] {
			settled = append(settled, f.number)
		}
		delete(s.refused, f.number)
	}
	s.mu.Unlock()
	// Removed from the outbox before the window moves on. A crash before it
	// sends the same bytes again, which the provider knows by their hash.
	if err := s.c.update(func(w *work) error { return w.accepted(settled) }); err != nil {
		return err
	}
	for _, number := range settled {
		s.c.e.rests.settled(number)
	}
	s.mu.Lock()
	if uint64(len(settled)) < n {
		s.turn = unread // what was refused was left out while its ack was to come
	}
	s.flying, s.acked = s.flying[n:], upTo
	s.mu.Unlock()
	s.poke()
	return nil
}
