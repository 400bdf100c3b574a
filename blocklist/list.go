package blocklist

import (
	"bytes"
	"cmp"
	"crypto/subtle"
	"errors"
	"slices"

	"waxwing/core/wire"
)

// ErrFull says that a list has MaxEntries entries.
var ErrFull = errors.New("blocklist: list is full")

// List is the blocklist of one mailbox, a small document at its relay. The
// zero value is empty. It is not safe for concurrent use.
type List struct {
	entries []entryOf // ascending
}

type entryOf struct {
	id         EntryID
	pseudonyms []Pseudonym // by generation, ascending
}

// ParseList parses a stored list. Errors wrap wire.ErrMalformed.
func ParseList(b []byte) (*List, error) {
	l := new(List)
	if err := wire.Unmarshal(b, l); err != nil {
		return nil, err
	}
	return l, nil
}

// Marshal builds the list for storing.
func (l *List) Marshal() []byte { return wire.MustMarshal(l) }

func (l *List) find(e EntryID) (int, bool) {
	return slices.BinarySearchFunc(l.entries, e, func(a entryOf, b EntryID) int { return bytes.Compare(a.id[:], b[:]) })
}

// Add adds an entry, with a pseudonym unless that is zero, and reports whether
// anything is new. To add what is there changes nothing, also when the list is
// full. Of an entry that has one, the pseudonym of the same generation is
// replaced, and only those of the highest generations are kept. Errors are
// ErrFull, and one that wraps wire.ErrMalformed for the zero id.
func (l *List) Add(e EntryID, p Pseudonym) (changed bool, err error) {
	if e == (EntryID{}) {
		return false, &wire.FieldError{Field: "entry", Reason: "zero"}
	}
	i, ok := l.find(e)
	switch {
	case ok:
	case len(l.entries) >= MaxEntries:
		return false, ErrFull
	default:
		l.entries = slices.Insert(l.entries, i, entryOf{id: e})
	}
	return l.entries[i].add(p) || !ok, nil
}

func (e *entryOf) add(p Pseudonym) (changed bool) {
	if p == (Pseudonym{}) {
		return false
	}
	i, ok := slices.BinarySearchFunc(e.pseudonyms, p.Generation, func(a Pseudonym, g uint32) int { return cmp.Compare(a.Generation, g) })
	switch {
	case ok && e.pseudonyms[i] == p:
		return false
	case ok:
		e.pseudonyms[i] = p
		return true
	case i == 0 && len(e.pseudonyms) == MaxGenerations:
		return false // of a generation that is over
	}
	e.pseudonyms = slices.Insert(e.pseudonyms, i, p)
	if len(e.pseudonyms) > MaxGenerations {
		e.pseudonyms = slices.Delete(e.pseudonyms, 0, 1)
	}
	return true
}

// Renew adds pseudonyms of a new generation to entries that are there; what has
// no entry any more was unblocked meanwhile. It reports whether anything changed.
func (l *List) Renew(all []Renewal) (changed bool) {
	for _, r := range all {
		if i, ok := l.find(r.Entry); ok && l.entries[i].add(r.Pseudonym) {
			changed = true
		}
	}
	return changed
}

// Blocks reports whether a pseudonym is on the list. Its time depends on the
// list's length, not on where in it the pseudonym is.
func (l *List) Blocks(nr [32]byte) bool {
	found := 0
	for i := range l.entries {
		for j := range l.entries[i].pseudonyms {
			found |= subtle.ConstantTimeCompare(l.entries[i].pseudonyms[j].NR[:], nr[:])
		}
	}
	return found == 1
}

// Remove removes an entry and reports whether it was there.
func (l *List) Remove(e EntryID) (changed bool) {
	i, ok := l.find(e)
	if ok {
		l.entries = slices.Delete(l.entries, i, i+1)
	}
	return ok
}

// Contains reports whether an entry is there.
func (l *List) Contains(e EntryID) bool {
	_, ok := l.find(e)
	return ok
}

// Len returns the number of entries.
func (l *List) Len() int { return len(l.entries) }
