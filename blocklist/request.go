package blocklist

import (
	"cmp"
	"crypto/rand"
	"slices"

	"waxwing/core/ids"
	"waxwing/core/wire"
)

// EntryID names one entry of a mailbox's list. It is random, so that it says
// nothing about whom it blocks; the client remembers that.
type EntryID [EntrySize]byte

// NewEntryID draws an id.
func NewEntryID() (e EntryID) {
	rand.Read(e[:])
	return e
}

// Serial is the serial of a ticket. Day is the last day on which it may be
// spent.
type Serial struct {
	Day ids.Day
	N   uint64
}

func compareSerials(a, b Serial) int { return cmp.Or(cmp.Compare(a.Day, b.Day), cmp.Compare(a.N, b.N)) }

// Pseudonym is that of the blocked account at the mailbox: N_R = k*W, for the W
// of a generation. The zero value is none.
type Pseudonym struct {
	Generation uint32
	NR         [32]byte
}

// Renewal is an entry's pseudonym of a new generation of W.
type Renewal struct {
	Entry EntryID
	Pseudonym
}

// Request asks a relay to block in one call: to strike the serials and to add
// the entry to the mailbox's list. To send it again changes nothing.
type Request struct {
	Entry     EntryID
	Pseudonym Pseudonym
	Serials   []Serial // at most MaxSerials, by day and number, each once
}

// NewRequests returns the request that blocks the pseudonym (zero: none is known)
// under the entry and strikes the serials, which come in any order: unspent ones of the blocked contact, and
// only those. Above MaxSerials, or MaxDays, there are several requests of the
// same entry; there is always one.
func NewRequests(entry EntryID, p Pseudonym, serials []Serial) []*Request {
	sorted := slices.Clone(serials)
	slices.SortFunc(sorted, compareSerials)
	sorted = slices.Compact(sorted)
	out := []*Request{{Entry: entry, Pseudonym: p}}
	days := 0
	for i, s := range sorted {
		last := out[len(out)-1]
		newDay := i == 0 || sorted[i-1].Day != s.Day
		if len(last.Serials) == MaxSerials || newDay && days == MaxDays {
			last = &Request{Entry: entry, Pseudonym: p}
			out = append(out, last)
			days, newDay = 0, true
		}
		if newDay {
			days++
		}
		last.Serials = append(last.Serials, s)
	}
	return out
}

// ParseRequest parses a request. Errors wrap wire.ErrMalformed.
func ParseRequest(b []byte) (*Request, error) {
	r := new(Request)
	if err := wire.Unmarshal(b, r); err != nil {
		return nil, err
	}
	return r, nil
}

// Marshal builds the request. It fails, wrapping wire.ErrMalformed, only for
// one that was not made by NewRequests or ParseRequest.
func (r *Request) Marshal() ([]byte, error) { return wire.Marshal(r) }
