package relay

import (
	"crypto/subtle"
	"sync"
	"time"

	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/wire"
)

const (
	// rendezvousLife is how long one lasts: two people fetch the other device,
	// scan the code and compare six digits.
	rendezvousLife = 10 * time.Minute
	// maxRendezvous bounds how many are open at the provider: more at once than
	// a hundred thousand users open in an hour.
	maxRendezvous = 1024
	// maxAccountRendezvous bounds those of one account, so that none fills the
	// provider's: one that was given up, and the next. The oldest goes.
	maxAccountRendezvous = 2
	// maxMeetingBytes bounds what the device that is in the account leaves: the
	// largest secrets of package core/linking in parts, and its answer.
	maxMeetingBytes = 4<<20 + 64<<10
	// maxJoinBytes bounds what the new one leaves, whom nobody knows: its
	// message and its confirmation.
	maxJoinBytes = 8 << 10
	// maxRendezvousBytes bounds what all of them hold in memory. When it is
	// reached nobody can be linked for minutes, and nothing else suffers.
	maxRendezvousBytes = 128 << 20
	// maxMet bounds what a connection that is nobody's asks about a rendezvous:
	// four times a second for as long as one lasts, and every part.
	maxMet = 4*600 + wire.MaxRendezvousIndex + 1
)

// place is the name of a rendezvous: 128 random bits that only the two devices
// know, so that finding one by trying is hopeless.
type place [wire.RendezvousSize]byte

// slot is one document's place.
type slot struct {
	side  wire.Side
	index uint8
}

// meeting is one rendezvous.
type meeting struct {
	owner ids.MailboxID // whose device opened it
	until time.Time
	docs  map[slot][]byte // no more than both sides' indices
	bytes [wire.SideNew + 1]int
}

// rendezvous holds the documents by which devices are linked. They are sealed
// to the devices or say nothing, and are only in memory: a restart costs the
// users who are linking a device just then another try.
type rendezvous struct {
	mu    sync.Mutex // guards the rest
	set   map[place]*meeting
	bytes int
}

// meet answers a request about a rendezvous; who is nil for a connection that is
// nobody's.
func (r *Relay) meet(now time.Time, who *directory.Authenticated, m wire.Message) wire.Message {
	t := &r.rendezvous
	t.mu.Lock()
	defer t.mu.Unlock()
	switch m := m.(type) {
	case *wire.RendezvousOpen:
		return t.open(now, m.Rendezvous, who.Mailbox())
	case *wire.RendezvousPut:
		// Only the account's own device speaks for it, whoever has seen the code.
		if k := t.at(now, m.Rendezvous); k != nil && m.Side == wire.SideExisting && (who == nil || who.Mailbox() != k.owner) {
			return refuse(wire.CodeForbidden)
		}
		return t.put(now, m)
	case *wire.RendezvousGet:
		k := t.at(now, m.Rendezvous)
		if k == nil {
			return refuse(wire.CodeNotFound)
		}
		b, ok := k.docs[slot{m.Side, m.Index}]
		return &wire.RendezvousDocument{Present: ok, Document: b}
	}
	return refuse(wire.CodeMalformed)
}

// at returns a rendezvous that is open, or nil.
func (t *rendezvous) at(now time.Time, id place) *meeting {
	k := t.set[id]
	if k != nil && now.After(k.until) {
		t.close(id)
		return nil
	}
	return k
}

func (t *rendezvous) close(id place) {
	for _, n := range t.set[id].bytes {
		t.bytes -= n
	}
	delete(t.set, id)
}

func (t *rendezvous) open(now time.Time, id place, owner ids.MailboxID) wire.Message {
	if k := t.at(now, id); k != nil {
		if k.owner == owner {
			return new(wire.Done) // the answer was lost
		}
		return refuse(wire.CodeExists)
	}
	var own []place
	for at, k := range t.set {
		switch {
		case now.After(k.until):
			t.close(at)
		case k.owner == owner:
			own = append(own, at)
		}
	}
	if len(own) >= maxAccountRendezvous {
		oldest := own[0]
		for _, at := range own {
			if t.set[at].until.Before(t.set[oldest].until) {
				oldest = at
			}
		}
		t.close(oldest)
	}
	if len(t.set) >= maxRendezvous {
		return &wire.Refusal{Code: wire.CodeBusy, RetryAfter: Milliseconds(rendezvousLife)}
	}
	t.set[id] = &meeting{owner: owner, until: now.Add(rendezvousLife), docs: map[slot][]byte{}}
	return new(wire.Done)
}

func (t *rendezvous) put(now time.Time, m *wire.RendezvousPut) wire.Message {
	k := t.at(now, m.Rendezvous)
	if k == nil {
		return refuse(wire.CodeNotFound)
	}
	at := slot{m.Side, m.Index}
	if b, ok := k.docs[at]; ok {
		// Never replaced: whoever knows the place could otherwise put its own
		// message behind one that was answered.
		if subtle.ConstantTimeCompare(b, m.Document) == 1 {
			return new(wire.Done)
		}
		return refuse(wire.CodeExists)
	}
	limit := maxMeetingBytes
	if m.Side == wire.SideNew {
		limit = maxJoinBytes
	}
	n := len(m.Document)
	switch {
	case k.bytes[m.Side]+n > limit:
		return &wire.Refusal{Code: wire.CodeLimit, RetryAfter: Milliseconds(rendezvousLife)}
	case t.bytes+n > maxRendezvousBytes:
		return &wire.Refusal{Code: wire.CodeBusy, RetryAfter: Milliseconds(rendezvousLife)}
	}
	k.docs[at] = append([]byte(nil), m.Document...)
	k.bytes[m.Side] += n
	t.bytes += n
	return new(wire.Done)
}
