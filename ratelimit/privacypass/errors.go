package privacypass

import "errors"

var (
	// ErrMalformed means bytes that are not the one encoding of what they should
	// be.
	ErrMalformed = errors.New("privacypass: malformed")
	// ErrBatch means a batch of a size that is not issued.
	ErrBatch = errors.New("privacypass: batch size not offered")
	// ErrKey means a key that is not known, or not (or no longer) in use.
	ErrKey = errors.New("privacypass: unknown key or not its time")
	// ErrIssuance means that an issuer's answer does not verify.
	ErrIssuance = errors.New("privacypass: answer does not verify")
	// ErrToken means that a token was not issued under its key, or for another
	// challenge.
	ErrToken = errors.New("privacypass: token not valid")
)
