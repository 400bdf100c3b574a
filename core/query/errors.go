package query

import (
	"errors"
	"fmt"
)

// What callers branch on, with errors.Is. What opens but is not well formed is
// wire.ErrMalformed.
var (
	// ErrKind: no such kind, or one that this version does not speak.
	ErrKind = errors.New("query: unknown kind")
	// ErrSealed: question or answer does not open: not sealed for whoever opens
	// it, for another kind, or changed.
	ErrSealed = errors.New("query: does not open")
	// ErrKeyID: sealed to a relay key that is not held (any more). The asker's
	// descriptor is out of date. It is also ErrSealed.
	ErrKeyID = fmt.Errorf("%w: no such relay key", ErrSealed)
	// ErrStale: sealed more than MaxAge ago or MaxAhead in the future. The
	// asker's clock is wrong or the question was held back.
	ErrStale = errors.New("query: outside its time")
	// ErrBusy: too many questions are remembered. It may be sent again later.
	ErrBusy = errors.New("query: too many questions")
	// ErrTooLong: a payload above the limit of the kind.
	ErrTooLong = errors.New("query: payload too long for the kind")
)
