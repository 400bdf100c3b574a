package directory

import "errors"

// What callers branch on, with errors.Is. Malformed bytes are
// wire.ErrMalformed, a signature that does not verify keys.ErrSignature.
var (
	// ErrExists: the address belongs to another account.
	ErrExists = errors.New("directory: address is taken")
	// ErrAccountKeyTaken: the account key X_S is another account's of this
	// provider, or of a registration that was not finished.
	ErrAccountKeyTaken = errors.New("directory: account key is another account's")
	// ErrAccountKeyChanged: X_S is not that of the manifest before.
	ErrAccountKeyChanged = errors.New("directory: account key may not change")
	// ErrPossession: it is not proven that the maker of X_S, W or Z knew the
	// secret to it.
	ErrPossession = errors.New("directory: proof of possession does not verify")
	// ErrUnknown: no such account or device.
	ErrUnknown = errors.New("directory: no such account or device")
	// ErrForeign: the address belongs to another provider.
	ErrForeign = errors.New("directory: address of another provider")
	// ErrUnauthenticated: the proof is wrong, or there is no such device.
	ErrUnauthenticated = errors.New("directory: not authenticated")
	// ErrConflict: something newer is stored, or it does not follow what is.
	ErrConflict = errors.New("directory: does not follow what is stored")
	// ErrFull: the stock of one-time prekeys would exceed PoolCapacity.
	ErrFull = errors.New("directory: enough prekeys")
	// ErrExpired: past its last day.
	ErrExpired = errors.New("directory: expired")
	// ErrEarly: before its first day.
	ErrEarly = errors.New("directory: not valid yet")
	// ErrPin: the provider's root key is not the pinned one.
	ErrPin = errors.New("directory: root key is not the pinned one")
	// ErrRolledBack: older than what was seen before.
	ErrRolledBack = errors.New("directory: older than what was seen before")
	// ErrForked: signed, but it contradicts what was seen before.
	ErrForked = errors.New("directory: contradicts what was seen before")
	// ErrState: what is stored is not what this package wrote.
	ErrState = errors.New("directory: stored record is corrupt")
	// ErrInviteText: not an invite, or mistyped.
	ErrInviteText = errors.New("directory: not an invite, or mistyped")
	// ErrInvite: no such invite, or it is used up, expired or revoked.
	ErrInvite = errors.New("directory: invite is unknown, used up, expired or revoked")
	// ErrInviteLimits: its number of uses or its expiry is out of range.
	ErrInviteLimits = errors.New("directory: uses or expiry of the invite out of range")
	// ErrMismatch: it is about another account, mailbox or provider than asked.
	ErrMismatch = errors.New("directory: about something else than asked for")
)
