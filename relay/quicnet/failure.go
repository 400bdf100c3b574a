package quicnet

import "errors"

// Failure is why a handshake with a listener was not completed.
type Failure uint8

// The reasons.
const (
	// FailedHandshake: the other side offered what is not spoken here, sent what is
	// no handshake, or went on with it too late or not at all.
	FailedHandshake Failure = iota
	// FailedPin: a certificate of a provider that is no peer, or under another root
	// than the pinned one.
	FailedPin
	// FailedExpired: a peer's certificate that is not valid now. One of the two
	// clocks may be wrong.
	FailedExpired
	// FailedCertificate: a peer's certificate that breaks the rules.
	FailedCertificate
	// FailureEnd is their number.
	FailureEnd
)

// String names the reason, as metrics do.
func (f Failure) String() string {
	return [...]string{"handshake", "pin", "expired", "certificate"}[f]
}

// failureOf maps why a connection ended before its handshake was complete.
func failureOf(cause error) Failure {
	switch {
	case errors.Is(cause, ErrPin):
		return FailedPin
	case errors.Is(cause, ErrExpired):
		return FailedExpired
	case errors.Is(cause, ErrCertificate):
		return FailedCertificate
	}
	return FailedHandshake
}
