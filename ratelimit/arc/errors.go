package arc

import "errors"

var (
	// ErrMalformed means bytes that are not the one encoding of what they should
	// be: wrong length, an element that is no element or the identity, a scalar
	// that is not reduced.
	ErrMalformed = errors.New("arc: malformed")
	// ErrProof means that a request, response or presentation does not verify,
	// for whatever reason.
	ErrProof = errors.New("arc: proof does not verify")
	// ErrLimit means a presentation limit outside MinLimit..MaxLimit, or a nonce
	// that is not below the limit.
	ErrLimit = errors.New("arc: limit or nonce out of range")
	// ErrSecret means a client secret that cannot be used: zero, of another
	// group, or the negative of a nonce.
	ErrSecret = errors.New("arc: unusable client secret")
)
