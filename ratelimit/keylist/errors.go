package keylist

import "errors"

var (
	// ErrMalformed means bytes that are not the one encoding of a list, or values
	// that a list cannot have.
	ErrMalformed = errors.New("keylist: malformed")
	// ErrSignature means a list that is not the provider's.
	ErrSignature = errors.New("keylist: not signed by this provider")
	// ErrForked means two lists of one provider that contradict each other: it
	// treats somebody otherwise than others. Nothing is asked under either.
	ErrForked = errors.New("keylist: two lists contradict each other")
	// ErrOld means a list with a lower number than one that is known.
	ErrOld = errors.New("keylist: older than the known one")
)
