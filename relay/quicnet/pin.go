package quicnet

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"

	"waxwing/core/keys"
)

// Pin is the SHA-256 of a provider root key's SubjectPublicKeyInfo in DER
// (RFC 7469 section 2.4). The zero value is no pin and matches nothing.
type Pin [sha256.Size]byte

// ErrPinText says that a text is not a pin.
var ErrPinText = errors.New("quicnet: not a pin")

// PinOf returns the pin of a root key.
func PinOf(root keys.VerifyKey) Pin {
	return sha256.Sum256(append(append([]byte(nil), ed25519SPKI...), root[:]...))
}

// ed25519SPKI is what stands before the 32 bytes of an Ed25519 key in its
// SubjectPublicKeyInfo (RFC 8410 section 4).
var ed25519SPKI = []byte{0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00}

// ParsePin parses the text form: 43 characters of base64url without padding.
// Anything else is ErrPinText.
func ParsePin(s string) (p Pin, err error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	// The decoder skips line breaks; a pin has one form.
	if err != nil || len(b) != len(p) || len(s) != base64.RawURLEncoding.EncodedLen(len(p)) {
		return p, ErrPinText
	}
	return Pin(b), nil
}

// String returns the text form.
func (p Pin) String() string { return base64.RawURLEncoding.EncodeToString(p[:]) }

// MarshalText returns the text form, for encoding/json.
func (p Pin) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText parses the text form.
func (p *Pin) UnmarshalText(b []byte) (err error) {
	*p, err = ParsePin(string(b))
	return err
}

// matches reports whether the pin is the certificate's key's.
func (p Pin) matches(c *x509.Certificate) bool {
	return p != Pin{} && p == sha256.Sum256(c.RawSubjectPublicKeyInfo)
}
