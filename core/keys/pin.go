package keys

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
)

// Pin identifies a provider's root key: SHA-256 of its SubjectPublicKeyInfo in
// DER, the same for a TLS certificate of that key (RFC 7469 section 2.4). The zero
// value is no pin and matches nothing.
type Pin [sha256.Size]byte

// ErrPinText says that a text is not a pin.
var ErrPinText = errors.New("keys: not a pin")

// ed25519SPKI is what stands before the 32 bytes of an Ed25519 key in its
// SubjectPublicKeyInfo (RFC 8410 section 4).
var ed25519SPKI = []byte{0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00}

// PinOf returns the pin of a root key.
func PinOf(root VerifyKey) Pin {
	return sha256.Sum256(append(append([]byte(nil), ed25519SPKI...), root[:]...))
}

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

// Matches reports whether the pin is that of a key with this SubjectPublicKeyInfo.
func (p Pin) Matches(spki []byte) bool { return p != Pin{} && p == sha256.Sum256(spki) }
