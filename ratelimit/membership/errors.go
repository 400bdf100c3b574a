package membership

import "errors"

var (
	// ErrMalformed means bytes that are not the one encoding of a request or
	// answer.
	ErrMalformed = errors.New("membership: malformed")
	// ErrProof means a request or answer that does not verify: wrong secret,
	// credential, key, month, tier, epoch or provider.
	ErrProof = errors.New("membership: proof does not verify")
	// ErrSecret means an account secret or credential that cannot be used.
	ErrSecret = errors.New("membership: unusable secret")
	// ErrTerms means terms that do not exist: a tier, or too many lists.
	ErrTerms = errors.New("membership: no such terms")
	// ErrPeriod means a month or epoch whose time it is not.
	ErrPeriod = errors.New("membership: not its time")
	// ErrSecond means another refill of an epoch than the first.
	ErrSecond = errors.New("membership: refilled already")
)
