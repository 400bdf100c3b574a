package keys

import (
	"crypto/rand"
	"crypto/subtle"
	"fmt"
)

// NotComparable, as a first field, makes a struct incomparable: == on a secret is not constant
// time.
type NotComparable [0]func()

// Redacted, embedded, makes every way of printing a value that holds secrets
// (fmt, slog, encoding/json) print a fixed text instead.
type Redacted struct{}

const redactedText = "(secret redacted)"

// String returns the fixed text.
func (Redacted) String() string { return redactedText }

// GoString is for %#v.
func (Redacted) GoString() string { return redactedText }

// Format is for every verb of fmt.
func (Redacted) Format(f fmt.State, _ rune) { fmt.Fprint(f, redactedText) }

// MarshalText is for encoding/json and slog.
func (Redacted) MarshalText() ([]byte, error) { return []byte(redactedText), nil }

// SecretSize is the size of a symmetric secret, in bytes.
const SecretSize = 32

// Secret is a symmetric key of 32 bytes.
type Secret struct {
	_ NotComparable
	b [SecretSize]byte
	Redacted
}

// NewSecret draws a secret.
func NewSecret() *Secret {
	s := new(Secret)
	rand.Read(s.b[:])
	return s
}

// SecretFrom copies a secret from its 32 bytes, or returns ErrKey.
func SecretFrom(b []byte) (*Secret, error) {
	if len(b) != SecretSize {
		return nil, ErrKey
	}
	s := new(Secret)
	copy(s.b[:], b)
	return s, nil
}

// Bytes returns the secret itself, not a copy.
func (s *Secret) Bytes() []byte { return s.b[:] }

// Equal compares in constant time.
func (s *Secret) Equal(o *Secret) bool { return subtle.ConstantTimeCompare(s.b[:], o.b[:]) == 1 }

// Erase overwrites the secret.
func (s *Secret) Erase() { clear(s.b[:]) }
