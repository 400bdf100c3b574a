package client

import (
	"sync"
	"time"

	"waxwing/core/ids"
	"waxwing/core/wire"
	"waxwing/relay/client/state"
)

// lane is what goes to one place: to a contact, whose mailbox may get more than
// it takes, or to a provider that is not reached. One of the two is zero.
type lane struct {
	contact state.ContactID
	dest    ids.Domain
}

// laneOf is what a refusal of an envelope is about; false if it is about the
// account, the connection or the provider, and so about everything that is sent.
func laneOf(code wire.Code, contact state.ContactID, dest ids.Domain) (lane, bool) {
	switch code {
	case wire.CodeMailbox:
		return lane{contact: contact}, true
	case wire.CodeUnreachable:
		return lane{dest: dest}, true
	}
	return lane{}, false
}

// rests are the lanes in which an envelope was refused for a while. While one
// rests nothing of it is handed in, and until all that waited in it is settled
// nothing more is sealed for it: so it takes no more of the outbox than a window
// and keeps its order, and the others go on. It is not stored: after a restart
// the envelopes are tried once more.
type rests struct {
	mu    sync.Mutex     // guards the fields below
	lanes map[lane]*rest // each with a row of the outbox, so at most state.MaxOutbox
	of    map[uint64]lane
	turn  uint64 // counts the times that one was over, and the outbox is to be read from the start
}

type rest struct {
	until time.Time
	over  bool
	rows  int // of the outbox that wait in it
}

// refused has a lane rest for which an envelope was refused.
func (r *rests) refused(l lane, number uint64, until time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lanes == nil {
		r.lanes, r.of = make(map[lane]*rest), make(map[uint64]lane)
	}
	r.leave(number)
	if r.lanes[l] == nil {
		r.lanes[l] = new(rest)
	}
	x := r.lanes[l]
	if x.until.Before(until) {
		x.until = until
	}
	x.over = false
	x.rows++
	r.of[number] = l
}

// waits reports whether an envelope has to wait, and notes that it does.
func (r *rests) waits(o *outgoing) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range []lane{{contact: o.contact}, {dest: o.dest}} {
		x := r.lanes[l]
		if x == nil || x.over {
			continue
		}
		if _, ok := r.of[o.number]; !ok {
			r.of[o.number] = l
			x.rows++
		}
		return true
	}
	return false
}

// holds reports whether nothing is sealed for a contact.
func (r *rests) holds(c state.ContactID, dest ids.Domain) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lanes[lane{contact: c}] != nil || r.lanes[lane{dest: dest}] != nil
}

// settled forgets an envelope that is no longer in the outbox.
func (r *rests) settled(number uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.leave(number)
}

// leave takes an envelope out of its lane. The caller holds mu.
func (r *rests) leave(number uint64) {
	l, ok := r.of[number]
	if !ok {
		return
	}
	delete(r.of, number)
	if r.lanes[l].rows--; r.lanes[l].rows == 0 {
		delete(r.lanes, l)
	}
}

// waiting is how many envelopes of the outbox wait in lanes.
func (r *rests) waiting() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.of)
}

// idle reports whether no lane rests or has rested since a turn.
func (r *rests) idle(turn uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.lanes) == 0 && r.turn == turn
}

// wake ends the rests that are over, but of lanes with an envelope that flies
// reports: its answer is still to be taken. there says which envelopes are in the
// outbox; others are forgotten, as they expired. It returns the turn.
func (r *rests) wake(now time.Time, flies, there func(uint64) bool) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	var stays map[lane]bool
	for number, l := range r.of {
		x := r.lanes[l]
		switch {
		case x.over || now.Before(x.until):
		case !there(number):
			r.leave(number)
		case flies(number):
			if stays == nil {
				stays = make(map[lane]bool)
			}
			stays[l] = true
		}
	}
	for l, x := range r.lanes {
		if !x.over && !now.Before(x.until) && !stays[l] {
			x.over = true
			r.turn++
		}
	}
	return r.turn
}

// next is when the next lane has rested; zero without one.
func (r *rests) next(now time.Time) (at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, x := range r.lanes {
		if x.until.After(now) && (at.IsZero() || x.until.Before(at)) {
			at = x.until
		}
	}
	return at
}

// wakeRests has lanes go on whose time has come.
func (w *work) wakeRests(flies func(uint64) bool) uint64 {
	return w.e.rests.wake(time.Now(), flies, func(number uint64) bool { return state.Outbox.Has(w.tx, state.U64(number)) })
}
