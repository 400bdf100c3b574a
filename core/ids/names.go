package ids

import (
	"crypto/rand"
	"encoding/hex"
)

// MailboxID names a mailbox inside its provider: 16 random bytes, chosen by
// the provider. Only the provider, the owner and the owner's contacts know it.
type MailboxID [16]byte

// NewMailboxID draws a mailbox id.
func NewMailboxID() (m MailboxID) {
	rand.Read(m[:])
	return m
}

// String returns a redacted form: a mailbox must not reach a log or an error.
func (MailboxID) String() string { return "mailbox(redacted)" }

// DeviceID numbers the devices of one account, from 1. It is never reused.
type DeviceID uint32

// EnvelopeID is the hash of a whole envelope, computed by whoever receives it
// and never chosen by a sender or forwarder.
type EnvelopeID [32]byte

// Short returns eight hexadecimal digits for tests and local tools.
func (e EnvelopeID) Short() string { return hex.EncodeToString(e[:4]) }
