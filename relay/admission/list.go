package admission

import (
	"bytes"
	"context"
	"errors"
	"math"
	"time"

	"waxwing/core/ids"
	"waxwing/core/store"
	"waxwing/ratelimit/keylist"
)

// publish signs the own list anew if it says something else than the one before,
// or if again says that a term begins. The caller holds changing.
func (a *Admission) publish(ctx context.Context, now time.Time, tokens []keylist.TokenKey, again bool) error {
	f := keylist.Fields{Provider: a.conf.Domain, Tokens: tokens}
	a.keyring.describe(&f, ids.DayOf(now))
	known := a.own.Load()
	// By the clock, so that a number that was used after a copy was made is not
	// used again when the copy is put back; and always above the last.
	clock := uint32(min(max(now.Unix(), 1), math.MaxUint32/2))
	f.Number = clock
	if known != nil {
		f.Number, f.Term = known.Number(), known.Term()
		if same, err := keylist.Sign(f, a.conf.Root); err == nil && bytes.Equal(same, known.Bytes()) && !again {
			return nil
		}
		f.Number = max(known.Number()+1, clock)
	}
	if a.above != nil {
		f.Number, f.Term = max(f.Number, a.above.Number()+1), max(f.Term, a.above.Term())
	}
	if again {
		f.Term = max(f.Term+1, clock)
	}
	l, err := a.sign(f)
	if err != nil {
		return err
	}
	// Keys are missing that were listed, and others were drawn in their place.
	if errors.Is(l.Follows(known), keylist.ErrForked) {
		f.Term = max(f.Term+1, clock)
		if l, err = a.sign(f); err != nil {
			return err
		}
	}
	if err := a.audit.add(ctx, listEntry(l)); err != nil {
		return err
	}
	if err := a.put(ctx, listKey(a.conf.Domain), l.Bytes()); err != nil {
		return err
	}
	// Durable, before anybody was shown it: no other list will have this number.
	a.own.Store(l)
	return nil
}

func (a *Admission) sign(f keylist.Fields) (*keylist.List, error) {
	b, err := keylist.Sign(f, a.conf.Root)
	if err != nil {
		return nil, err
	}
	return keylist.Parse(b, a.conf.Domain, a.conf.Root.Public())
}

// List returns the newest list of a provider: the own one, or a peer's that
// verified and contradicts none before. Errors are ErrUnknown, ErrState and the
// store's.
func (a *Admission) List(ctx context.Context, d ids.Domain) (*keylist.List, error) {
	if d == a.conf.Domain {
		if own := a.own.Load(); own != nil {
			return own, nil
		}
		return nil, ErrUnknown
	}
	a.learning.Lock()
	defer a.learning.Unlock()
	l, err := a.kept(ctx, d)
	if err == nil && l == nil {
		err = ErrUnknown
	}
	return l, err
}

// kept returns the list of a peer that is kept, nil if there is none. The caller
// holds learning.
func (a *Admission) kept(ctx context.Context, d ids.Domain) (*keylist.List, error) {
	root, ok := a.conf.Roots(d)
	if !ok {
		return nil, nil
	}
	l := a.known[d]
	if l == nil {
		doc, err := a.conf.Store.Get(ctx, listKey(d))
		if errors.Is(err, store.ErrNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		l, err = keylist.Parse(doc.Value, d, root)
		if errors.Is(err, keylist.ErrSignature) {
			return nil, nil // the operator pinned another root: start anew
		}
		if err != nil {
			return nil, ErrState
		}
		a.known[d] = l
		return l, nil
	}
	// The pin may be another one by now.
	if _, err := keylist.Parse(l.Bytes(), d, root); err != nil {
		delete(a.known, d)
		return nil, nil
	}
	return l, nil
}

// Learned says what became of a peer's list.
type Learned int

// What becomes of a list.
const (
	// Same: it is the kept one.
	Same Learned = iota
	// Newer: it is kept from now on.
	Newer
	// NewTerm: it is kept, and its provider says that it lost state.
	NewTerm
)

// Learn keeps a peer's list if it can come after the kept one. Errors are
// ErrUnknown, those of keylist.Parse and List.Follows, and the store's. After
// keylist.ErrForked the kept one stays.
func (a *Admission) Learn(ctx context.Context, d ids.Domain, b []byte) (Learned, error) {
	root, ok := a.conf.Roots(d)
	if !ok {
		return Same, ErrUnknown
	}
	l, err := keylist.Parse(b, d, root)
	if err != nil {
		return Same, err
	}
	a.learning.Lock()
	defer a.learning.Unlock()
	known, err := a.kept(ctx, d)
	if err != nil {
		return Same, err
	}
	if err := l.Follows(known); err != nil {
		return Same, err
	}
	if known != nil && bytes.Equal(known.Bytes(), b) {
		return Same, nil
	}
	if err := a.put(ctx, listKey(d), b); err != nil {
		return Same, err
	}
	// Durable, before any client is shown it.
	a.known[d] = l
	if known != nil && known.Term() != l.Term() {
		return NewTerm, nil
	}
	return Newer, nil
}
