package ratchet

import "errors"

// Errors. All refuse without any change of the session or the prekeys.
var (
	// ErrConfig says that a Config has values out of range.
	ErrConfig = errors.New("ratchet: invalid configuration")
	// ErrBundle says that a bundle or prekey has a wrong signature or an
	// unusable key, or was used for a session before.
	ErrBundle = errors.New("ratchet: prekey bundle does not verify")
	// ErrIdentity says that an identity is incomplete, is our own, or is not
	// the one that the other material belongs to.
	ErrIdentity = errors.New("ratchet: identity does not match")
	// ErrSuite says that the two capability lists have no suite in common that
	// is known here, or that the peer did not choose the best of them.
	ErrSuite = errors.New("ratchet: no agreement on a suite")
	// ErrPrekeyUnknown says that a first message names a prekey that is not
	// there: never made, used up or expired.
	ErrPrekeyUnknown = errors.New("ratchet: prekey is not known")
	// ErrLastResortFull says that a last-resort pair has begun as many sessions
	// as it can remember; publish a new one.
	ErrLastResortFull = errors.New("ratchet: last-resort prekey has been used too often")
	// ErrWrongSession says that no header key of this session opens the
	// message's header: it belongs to another session, to a chain that is long
	// past, or to none.
	ErrWrongSession = errors.New("ratchet: message is not of this session")
	// ErrReplay says that the message was decrypted before, that its key was
	// dropped to keep a limit, or that the first message was accepted before.
	ErrReplay = errors.New("ratchet: message key is gone")
	// ErrTooFarAhead says that more messages of its chain are missing before
	// this one than Config.MaxJump. The next chain, after the peer has received
	// something, is readable again; without one a new session is needed.
	ErrTooFarAhead = errors.New("ratchet: too many messages skipped")
	// ErrDecrypt says that a message is not authentic, has other associated
	// data, or breaks the protocol.
	ErrDecrypt = errors.New("ratchet: message does not decrypt")
	// ErrTooLong says that a plaintext is longer than MaxPlaintext.
	ErrTooLong = errors.New("ratchet: plaintext too long")
	// ErrExhausted says that a chain has no message numbers left.
	ErrExhausted = errors.New("ratchet: chain is exhausted")
	// ErrState says that stored bytes are not a state written by Marshal.
	ErrState = errors.New("ratchet: stored state is corrupt")
)
