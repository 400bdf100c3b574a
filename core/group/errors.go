package group

import "errors"

var (
	// ErrDecode means that bytes are not the one encoding of an acceptable
	// element or scalar.
	ErrDecode = errors.New("group: not a valid encoding")
	// ErrStatement means that a statement, a session or the number of witnesses
	// is malformed: a mistake of the caller, or an element that a statement may
	// not contain (the identity).
	ErrStatement = errors.New("group: malformed statement")
	// ErrWitness means that the given scalars do not satisfy the statement.
	ErrWitness = errors.New("group: witness does not satisfy the statement")
	// ErrProof means that a proof does not verify, for whatever reason.
	ErrProof = errors.New("group: proof does not verify")
	// ErrZero means that zero has no inverse.
	ErrZero = errors.New("group: zero has no inverse")
)
