package keys

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/subtle"
	"errors"

	"filippo.io/edwards25519"
)

// Context says what a signature is for. The table is closed: a new kind of
// signature is a new constant here, and numbers and labels are never reused.
type Context uint8

// The signing contexts.
const (
	ContextInvalid     Context = iota
	ContextManifest            // identity key over a device manifest
	ContextPrekey              // device key over a signed prekey
	ContextKEMPrekey           // device key over a one-time or last-resort prekey pair
	ContextMailboxKey          // identity key over a mailbox's weekly seal key
	ContextCertificate         // provider's certificate key over a sender certificate
	ContextDescriptor          // provider's root key over its descriptor
	ContextAuth                // device key over TLS exporter and nonce
	ContextRegister            // identity key over TLS exporter and nonce
	ContextRecover             // identity key over TLS exporter and nonce, to add a device
	ContextToken               // provider's epoch key over a franking token
	ContextTokenKey            // token key over the request for its token
	ContextAuthor              // token key over what it franks
	ContextEpochKeys           // provider's root key over its token-signing keys
	ContextSnapshot            // provider's root key over a snapshot of another's keys
	ContextDesk                // provider's root key over the keys that reports go to
	ContextVerdict             // reviewers' key over a verdict
	ContextAnswer              // provider's answering key over what it did on a verdict
	ContextExport              // reviewers' key over the manifest of exported evidence
	ContextLogHead             // provider's answering key over the head of its log of openings or trail
	ContextAdmission           // provider's root key over the keys of anonymous admission
	contextEnd
)

var contextLabels = [contextEnd]string{
	ContextManifest:    "waxwing manifest v1",
	ContextPrekey:      "waxwing signed prekey v1",
	ContextKEMPrekey:   "waxwing one-time prekey v1",
	ContextMailboxKey:  "waxwing mailbox key v1",
	ContextCertificate: "waxwing sender certificate v1",
	ContextDescriptor:  "waxwing provider descriptor v1",
	ContextAuth:        "waxwing device auth v1",
	ContextRegister:    "waxwing registration v1",
	ContextRecover:     "waxwing recovery v1",
	ContextToken:       "waxwing franking token v1",
	ContextTokenKey:    "waxwing franking token key v1",
	ContextAuthor:      "waxwing author v1",
	ContextEpochKeys:   "waxwing epoch keys v1",
	ContextSnapshot:    "waxwing key snapshot v1",
	ContextDesk:        "waxwing report desk v1",
	ContextVerdict:     "waxwing verdict v1",
	ContextAnswer:      "waxwing verdict answer v1",
	ContextExport:      "waxwing evidence export v1",
	ContextLogHead:     "waxwing log head v1",
	ContextAdmission:   "waxwing admission keys v1",
}

// SignatureSize is the size of a signature, in bytes.
const SignatureSize = ed25519.SignatureSize

// ErrSignature says that a signature does not verify under the key and context.
var ErrSignature = errors.New("keys: signature does not verify")

// ErrKey says that bytes are not a usable key.
var ErrKey = errors.New("keys: not a valid key")

// ErrSealed says that a seal cannot be opened with the key, info and aad given.
var ErrSealed = errors.New("keys: seal does not open")

func signed(c Context, msg []byte) []byte {
	if c == ContextInvalid || c >= contextEnd {
		panic("keys: unknown signing context")
	}
	label := contextLabels[c]
	b := make([]byte, 0, 1+len(label)+len(msg))
	b = append(b, byte(len(label)))
	b = append(b, label...)
	return append(b, msg...)
}

// VerifyKey is an Ed25519 public key: canonical and not of small order. The
// zero value is no key and verifies nothing.
type VerifyKey [ed25519.PublicKeySize]byte

// ParseVerifyKey refuses encodings that are not canonical or of small order,
// because a key of small order verifies signatures nobody made. Errors are ErrKey.
func ParseVerifyKey(b []byte) (k VerifyKey, err error) {
	if len(b) != len(k) {
		return k, ErrKey
	}
	p, err := new(edwards25519.Point).SetBytes(b)
	if err != nil || subtle.ConstantTimeCompare(p.Bytes(), b) != 1 {
		return k, ErrKey
	}
	if p.MultByCofactor(p).Equal(edwards25519.NewIdentityPoint()) == 1 {
		return k, ErrKey
	}
	return VerifyKey(b), nil
}

// Verify returns nil if sig is a signature of msg in this context, else
// ErrSignature.
func (k VerifyKey) Verify(c Context, msg, sig []byte) error {
	if k == (VerifyKey{}) || !ed25519.Verify(k[:], signed(c, msg), sig) {
		return ErrSignature
	}
	return nil
}

// SigningKey is an Ed25519 private key.
type SigningKey struct {
	_    NotComparable
	priv ed25519.PrivateKey
	Redacted
}

// NewSigningKey draws a key.
func NewSigningKey() *SigningKey {
	var seed [ed25519.SeedSize]byte
	rand.Read(seed[:])
	defer clear(seed[:])
	k, _ := SigningKeyFromSeed(seed[:])
	return k
}

// SigningKeyFromSeed returns the key of a 32-byte seed (RFC 8032 5.1.5), or ErrKey.
func SigningKeyFromSeed(seed []byte) (*SigningKey, error) {
	if len(seed) != ed25519.SeedSize {
		return nil, ErrKey
	}
	return &SigningKey{priv: ed25519.NewKeyFromSeed(seed)}, nil
}

// Seed returns a copy of the 32-byte seed, for storing.
func (k *SigningKey) Seed() []byte { return k.priv.Seed() }

// Public returns the verification key.
func (k *SigningKey) Public() VerifyKey { return VerifyKey(k.priv[ed25519.SeedSize:]) }

// Sign signs msg in the context.
func (k *SigningKey) Sign(c Context, msg []byte) []byte {
	return ed25519.Sign(k.priv, signed(c, msg))
}

// Ed25519 returns the key for use with crypto/x509 and crypto/tls, which have
// contexts of their own.
func (k *SigningKey) Ed25519() ed25519.PrivateKey { return k.priv }

// Erase overwrites the key, which is unusable afterwards.
func (k *SigningKey) Erase() { clear(k.priv) }
