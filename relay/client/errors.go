package client

import (
	"errors"
	"fmt"
	"time"

	"waxwing/core/wire"
	"waxwing/relay/client/state"
)

// What callers branch on, with errors.Is.
var (
	// ErrExists: there is a profile in the directory already.
	ErrExists = errors.New("client: there is a profile already")
	// ErrNoProfile: there is no profile in the directory, or none was made.
	ErrNoProfile = errors.New("client: there is no profile")
	// ErrNotRegistered: the profile has no account yet.
	ErrNotRegistered = errors.New("client: not registered")
	// ErrRegistered: the profile has an account, under another address or
	// provider than asked for.
	ErrRegistered = errors.New("client: registered already")
	// ErrUnknownContact: no contact has this address.
	ErrUnknownContact = errors.New("client: not a contact")
	// ErrKnownContact: the contact is known and can be written to, so the code
	// was not used.
	ErrKnownContact = errors.New("client: a contact already")
	// ErrUnknownDevice: the account has no such device.
	ErrUnknownDevice = errors.New("client: the account has no such device")
	// ErrThisDevice: a device does not remove itself.
	ErrThisDevice = errors.New("client: a device does not remove itself")
	// ErrRemoved: another device removed this one from the account. It can do
	// nothing more; what it received before can still be read.
	ErrRemoved = errors.New("client: this device was removed from the account")
	// ErrDevices: the account has as many devices as it may have; remove one.
	ErrDevices = errors.New("client: too many devices")
	// ErrArchive: this is no exported account, or it was cut or changed.
	ErrArchive = errors.New("client: not an exported account, or damaged")
	// ErrLinkCode: the text is not a linking code, or was mistyped.
	ErrLinkCode = errors.New("client: not a linking code")
	// ErrLinkAborted: the digits differ on the two devices, or one of them gave
	// up. Nothing was handed over.
	ErrLinkAborted = errors.New("client: linking was given up")
	// ErrLinkMiddle: what came is not from the device that showed the code:
	// somebody stands between the two. Nothing was handed over.
	ErrLinkMiddle = errors.New("client: somebody stands between the two devices")
	// ErrLinkOver: the time for linking is over; begin again.
	ErrLinkOver = errors.New("client: the time for linking is over")
	// ErrTooMuch: the account has more contacts than can be handed over at once;
	// export and import it.
	ErrTooMuch = errors.New("client: too much to hand over")
	// ErrUnknownMessage: there is no such message.
	ErrUnknownMessage = errors.New("client: no such message")
	// ErrBlocked: the contact is blocked; unblock it first.
	ErrBlocked = errors.New("client: contact is blocked")
	// ErrBadCode: the text is not a contact code, or was mistyped.
	ErrBadCode = errors.New("client: not a contact code")
	// ErrPolicy: there is no such policy about introductions.
	ErrPolicy = errors.New("client: not a policy")
	// ErrOwnCode: the contact code, or the address, is the profile's own.
	ErrOwnCode = errors.New("client: own contact code")
	// ErrCodeExpired: the contact code is too old.
	ErrCodeExpired = errors.New("client: contact code has expired")
	// ErrKeysUnknown: the contact's keys were not looked up yet.
	ErrKeysUnknown = errors.New("client: keys of the contact are not known yet")
	// ErrIdentityChanged: the account has another identity key or X_S than what
	// is pinned.
	ErrIdentityChanged = errors.New("client: identity key changed")
	// ErrBadScan: the text is not what the other side's code says.
	ErrBadScan = errors.New("client: not a safety number's code")
	// ErrMismatch: the two sides have different safety numbers: somebody stands
	// between them, or they compare different accounts.
	ErrMismatch = errors.New("client: safety numbers differ")
	// ErrWaiting: the message waits for tickets from the contact.
	ErrWaiting = errors.New("client: waiting for the contact")
	// ErrTickets: the provider has not minted enough tickets yet.
	ErrTickets = errors.New("client: not enough own tickets yet")
	// ErrTooLong: the text does not fit into the largest envelope.
	ErrTooLong = errors.New("client: text too long")
	// ErrEmpty: the text is empty or not UTF-8.
	ErrEmpty = errors.New("client: text empty or not UTF-8")
	// ErrHop: the own provider is no hop that hides anything from it.
	ErrHop = errors.New("client: the hop is the own provider")
	// ErrInterval: the interval is not between a second and an hour.
	ErrInterval = errors.New("client: interval not between one second and one hour")
	// ErrFull: a limit of the profile is reached (package state).
	ErrFull = state.ErrFull
	// ErrLocked: the profile is under a passphrase, and none was given.
	ErrLocked = state.ErrLocked
	// ErrPassphrase: the profile or file is under another passphrase.
	ErrPassphrase = state.ErrPassphrase
	// ErrInUse: another process has the profile open.
	ErrInUse = state.ErrInUse
	// ErrCorrupt: the profile's file is damaged.
	ErrCorrupt = state.ErrCorrupt
	// ErrClosed: the client was closed.
	ErrClosed = state.ErrClosed
	// ErrServer: the provider or the one asked through it answered something
	// that does not verify.
	ErrServer = errors.New("client: answer of the provider does not verify")
	// ErrProvider: the own provider does not know the contact's provider, or has
	// not reached it yet.
	ErrProvider = errors.New("client: provider of the contact is not known or not reached yet")
	// ErrClock: the own clock and the provider's are more than ids.MaxClockSkew
	// apart. Nothing was sent, taken or acked; once the clock is right, all goes
	// on. It comes as a *ClockError.
	ErrClock = errors.New("client: clock too far from the provider's")
	// ErrNoAccount: the address does not exist at its provider.
	ErrNoAccount = errors.New("client: no such account")
)

// ClockError says how far the clocks are apart; errors.Is takes it for ErrClock.
// Which of the two is wrong nobody can tell by it.
type ClockError struct {
	Ahead time.Duration // of the provider's; negative if behind
}

func (e *ClockError) Error() string {
	if e.Ahead < 0 {
		return fmt.Sprintf("%v: behind by %v", ErrClock, (-e.Ahead).Round(time.Minute))
	}
	return fmt.Sprintf("%v: ahead by %v", ErrClock, e.Ahead.Round(time.Minute))
}

// Is makes it ErrClock.
func (e *ClockError) Is(target error) bool { return target == ErrClock }

// RefusedError is a refusal of the provider.
type RefusedError struct {
	Code       wire.Code
	RetryAfter uint32 // milliseconds; 0 if trying again is no use
}

func (e *RefusedError) Error() string { return "client: refused by the provider: " + e.Code.String() }
