package sealedsender

import (
	"errors"
	"fmt"
)

// What callers branch on, with errors.Is. What opens but is not well formed is
// wire.ErrMalformed.
var (
	// ErrSeal: the head does not open under this key, mailbox, ticket and com.
	ErrSeal = errors.New("sealedsender: head does not open")
	// ErrBodyHash: the body is not the one that the head was made for.
	ErrBodyHash = errors.New("sealedsender: body does not belong to the head")
	// ErrBody: the body does not open under the key from the session.
	ErrBody = errors.New("sealedsender: body does not open")
	// ErrTag: the deniable tag is not one by the certificate's device to this
	// account over this message.
	ErrTag = errors.New("sealedsender: deniable tag does not verify")
	// ErrSelfSend: the sender is the recipient.
	ErrSelfSend = errors.New("sealedsender: message from the account itself")
	// ErrIdentityMismatch: the certificate's device key is not the session's.
	ErrIdentityMismatch = errors.New("sealedsender: certificate and session have different keys")
	// ErrKind: a group's message or a copy for one's own devices, not expected here.
	ErrKind = errors.New("sealedsender: kind of message not accepted")
	// ErrClass: the length is not that of the size class, or something does not
	// fit into it.
	ErrClass = errors.New("sealedsender: does not fit the size class")
	// ErrHour: the hour inside does not lie in the day outside.
	ErrHour = errors.New("sealedsender: hour and day do not agree")
	// ErrNoEntry: the head has nothing for this device.
	ErrNoEntry = errors.New("sealedsender: nothing for this device")
	// ErrCertificateUnknown: the head refers to a certificate by a hash that
	// the recipient does not know. The message is held, not refused: the
	// certificate may come with another one.
	ErrCertificateUnknown = errors.New("sealedsender: certificate not known yet")

	// ErrCertificate is wrapped by each of the errors below.
	ErrCertificate = errors.New("sealedsender: certificate")
	// ErrCertificateExpired: not valid on this day, or valid for too long.
	ErrCertificateExpired = fmt.Errorf("%w: not valid on this day", ErrCertificate)
	// ErrCertificateSignature: signed by none of the trusted keys.
	ErrCertificateSignature = fmt.Errorf("%w: signature by none of the provider's keys", ErrCertificate)
	// ErrCertificateForeign: for an address of another provider.
	ErrCertificateForeign = fmt.Errorf("%w: address of another provider", ErrCertificate)
	// ErrCertificateKeys: certified keys that are not usable keys.
	ErrCertificateKeys = fmt.Errorf("%w: unusable keys", ErrCertificate)
	// ErrCertificateOther: not the certificate that the head names.
	ErrCertificateOther = fmt.Errorf("%w: not the one in the head", ErrCertificate)
	// ErrTrustedSet: more trusted keys than MaxTrusted.
	ErrTrustedSet = fmt.Errorf("%w: too many trusted keys", ErrCertificate)
)
