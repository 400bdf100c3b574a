package limits

import (
	"cmp"
	"slices"
	"time"

	"waxwing/core/ids"
	"waxwing/ratelimit/gcra"
)

// Value is a value in force.
type Value struct {
	Limit  gcra.Limit // zero for none
	Origin Origin
	Until  time.Time // when the command ends that it comes from; zero for never
}

// Status is what an operator is told of a limit. Counts are since the Book was
// made.
type Status struct {
	Name   Name
	Value  Value
	DryRun Value // zero if there is none
	// Active is how many buckets are not full, and Used how much is spent of the
	// fullest; of one peer: whether its own is not full, and of that. Of a limit
	// at once both are the caller's to fill in.
	Active  int
	Used    int64
	Refused [CauseEnd]uint64
	Dried   uint64       // let through, and over the value of the dry run
	Peers   []ids.Domain // those with values of their own
}

// Status tells of a limit. With a peer, it is about that one alone; then the
// limit's scope must be Peer.
func (b *Book) Status(now time.Time, n Name, peer ids.Domain) Status {
	s := Status{Name: n}
	r := &b.rows[n]
	counted := &r.counts
	if All[n].AtOnce() {
		// The caller knows how many there are.
	} else if peer.IsZero() {
		v := r.values.Load()
		s.Active, s.Used = r.buckets.Busiest(now, func(k gcra.Key) gcra.Limit { return pick(now, &v.value, v.peerValues, k) })
	} else if counted = b.countsOf(n, PeerKey(peer)); counted == nil {
		counted = new(counts)
	}
	for c := range CauseEnd {
		s.Refused[c] = counted.over[c].Load()
	}
	s.Dried = counted.dried.Load()

	b.mu.Lock()
	defer b.mu.Unlock()
	s.Value, s.DryRun = b.value(now, Target{n, peer, false}), b.value(now, Target{n, peer, true})
	if !peer.IsZero() {
		if s.Used = r.buckets.Used(now, s.Value.Limit, PeerKey(peer)); s.Used > 0 {
			s.Active = 1
		}
		return s
	}
	for t := range b.targets(n) {
		if l := b.layers(t); !t.Peer.IsZero() && !slices.Contains(s.Peers, t.Peer) {
			if v, _ := l.at(now); !v.IsZero() {
				s.Peers = append(s.Peers, t.Peer)
			}
		}
	}
	slices.SortFunc(s.Peers, func(a, b ids.Domain) int { return cmp.Compare(a.String(), b.String()) })
	return s
}

// value returns what is in force for a target: its own, or that for all. The
// caller holds mu.
func (b *Book) value(now time.Time, t Target) Value {
	l := b.layers(t)
	limit, origin := l.at(now)
	if limit.IsZero() && !t.Peer.IsZero() {
		t.Peer = ids.Domain{}
		l = b.layers(t)
		limit, origin = l.at(now)
	}
	v := Value{Limit: limit, Origin: origin}
	if origin == FromCommand {
		v.Until = l.command.Until
	}
	return v
}

// Refused returns how often a limit was not within, by cause.
func (b *Book) Refused(n Name, c Cause) uint64 { return b.rows[n].over[c].Load() }

// Dried returns how often the value of a dry run was not within.
func (b *Book) Dried(n Name) uint64 { return b.rows[n].dried.Load() }
