package introduction

import "errors"

var (
	// ErrMalformed means bytes that are not the one encoding of what they should
	// be.
	ErrMalformed = errors.New("introduction: malformed")
	// ErrSealed means an address that does not open: sealed to another key, or
	// not with this envelope.
	ErrSealed = errors.New("introduction: does not open")
	// ErrProof means a presentation that does not verify.
	ErrProof = errors.New("introduction: proof does not verify")
	// ErrTerms means a tier, limit or share that does not exist.
	ErrTerms = errors.New("introduction: no such terms")
	// ErrSpent means that a device has no nonce left in this period.
	ErrSpent = errors.New("introduction: nothing left of the limit")
)
