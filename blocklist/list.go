package blocklist

import (
	"bytes"
	"errors"
	"slices"

	"waxwing/core/wire"
)

// ErrFull says that a list has MaxEntries entries.
var ErrFull = errors.New("blocklist: list is full")

// List is the blocklist of one mailbox, a small document at its relay. The
// zero value is empty. It is not safe for concurrent use.
type List struct {
	entries []EntryID // ascending
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
	return slices.BinarySearchFunc(l.entries, e, func(a, b EntryID) int { return bytes.Compare(a[:], b[:]) })
}

// Add adds an entry and reports whether it is new. To add one that is there
// changes nothing, also when the list is full. Errors are ErrFull, and one
// that wraps wire.ErrMalformed for the zero id.
func (l *List) Add(e EntryID) (changed bool, err error) {
	if e == (EntryID{}) {
		return false, &wire.FieldError{Field: "entry", Reason: "zero"}
	}
	i, ok := l.find(e)
	switch {
	case ok:
		return false, nil
	case len(l.entries) >= MaxEntries:
		return false, ErrFull
	}
	l.entries = slices.Insert(l.entries, i, e)
	return true, nil
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
