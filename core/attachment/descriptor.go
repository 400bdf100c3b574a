package attachment

import (
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"waxwing/core/merkle"
)

// What callers branch on, with errors.Is.
var (
	// ErrDescriptor: name, type or size are not what a descriptor may have.
	ErrDescriptor = errors.New("attachment: not a descriptor")
	// ErrTooLarge: the file is longer than MaxSize.
	ErrTooLarge = errors.New("attachment: file too large")
	// ErrSecret: the secret is not the one that the descriptor commits to.
	ErrSecret = errors.New("attachment: not the descriptor's secret")
	// ErrSealed: the ciphertext is not the one that the descriptor describes.
	ErrSealed = errors.New("attachment: not the descriptor's ciphertext")
	// ErrLeaf: the chunk is not the descriptor's at this place.
	ErrLeaf = errors.New("attachment: not a chunk of the file")
)

// Hash is SHA-256.
type Hash = merkle.Hash

// Descriptor describes a file and commits to it. It stands in F; package content
// has its bytes.
type Descriptor struct {
	Name       string // for people, may be empty; a claim
	Type       string // media type, lower case, without parameters; a claim
	Size       uint64 // bytes of the file
	Root       Hash   // over its chunks
	Sealed     Hash   // of the ciphertext: what a store knows it by
	Commitment Hash   // to the secret
}

// Check returns ErrDescriptor for values that no descriptor has.
func (d *Descriptor) Check() error {
	if d.Size > MaxSize || !validName(d.Name) || !validType(d.Type) {
		return ErrDescriptor
	}
	return nil
}

// validName reports whether a name cannot lead out of a folder or move a terminal's
// cursor. Direction marks and look-alikes are for whoever shows it.
func validName(s string) bool {
	if len(s) > MaxName || !utf8.ValidString(s) || s == "." || s == ".." {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return r == '/' || r == '\\' || unicode.IsControl(r) })
}

// validType reports whether a media type is one (RFC 6838, 4.2), in its one form.
func validType(s string) bool {
	major, minor, ok := strings.Cut(s, "/")
	return ok && len(s) <= MaxType && restricted(major) && restricted(minor)
}

// restricted is RFC 6838's restricted-name, lower case.
func restricted(s string) bool {
	for i, r := range s {
		alnum := 'a' <= r && r <= 'z' || '0' <= r && r <= '9'
		if !alnum && (i == 0 || !strings.ContainsRune("!#$&-^_.+", r)) {
			return false
		}
	}
	return s != ""
}

// Secret is what a file's key and salts are derived from: drawn by Seal for one
// file, and never in a frame or a report. It goes beside the frame, to recipients
// only.
type Secret struct {
	_ [0]func() // not comparable: == is not constant time
	b [SecretSize]byte
}

// SecretFrom copies a secret from its SecretSize bytes, or returns ErrSecret.
func SecretFrom(b []byte) (*Secret, error) {
	if len(b) != SecretSize {
		return nil, ErrSecret
	}
	return &Secret{b: [SecretSize]byte(b)}, nil
}

func newSecret() *Secret {
	s := new(Secret)
	rand.Read(s.b[:])
	return s
}

// Bytes returns the secret itself, not a copy.
func (s *Secret) Bytes() []byte { return s.b[:] }

// Erase overwrites the secret.
func (s *Secret) Erase() { clear(s.b[:]) }

// String returns a redacted form.
func (*Secret) String() string { return "(secret redacted)" }

// Format is for every verb of fmt.
func (*Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, "(secret redacted)") }

// MarshalText is for encoding/json and slog.
func (*Secret) MarshalText() ([]byte, error) { return []byte("(secret redacted)"), nil }

// of reports whether the secret is the descriptor's.
func (s *Secret) of(d *Descriptor) bool {
	c := derive(&s.b, labelCommitment)
	return subtle.ConstantTimeCompare(c[:], d.Commitment[:]) == 1
}
