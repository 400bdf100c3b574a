package quicnet

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/quic-go/quic-go"

	"waxwing/core/ids"
	"waxwing/core/keys"
)

const (
	// leafLifetime is how long a leaf is valid after it was made. Peers pin
	// the root, so it may be short without anybody noticing; it bounds how long
	// a stolen leaf key is of use.
	leafLifetime = 90 * 24 * time.Hour
	// leafBackdate is how far before its making a leaf's validity begins, for
	// clients whose clock is behind.
	leafBackdate = ids.MaxClockSkew
	// leafRenew is how long before its end a leaf is replaced.
	leafRenew = leafLifetime / 3
	// maxLeafLifetime is the longest validity that peers accept, so that a root
	// used for a moment cannot make leaves for ever.
	maxLeafLifetime = leafLifetime + leafBackdate
)

// Identity is what a provider shows of itself: a root certificate and a leaf
// that is renewed as time passes, during handshakes, without a restart. It is
// safe for concurrent use.
type Identity struct {
	_ keys.NotComparable

	// fixed
	domain ids.Domain
	root   *keys.SigningKey
	pin    keys.Pin
	reset  quic.StatelessResetKey

	mu   sync.Mutex       // guards leaf
	leaf *tls.Certificate // replaced, never changed

	keys.Redacted
}

// NewIdentity makes a provider's identity with a first leaf that is valid at
// now. It keeps the root key, to renew the leaf. Errors are ErrConfig.
func NewIdentity(domain ids.Domain, root *keys.SigningKey, now time.Time) (*Identity, error) {
	if domain.IsZero() || root == nil {
		return nil, fmt.Errorf("%w: identity without domain or root key", ErrConfig)
	}
	seed := root.Seed()
	defer clear(seed)
	// Derived from the root, so that it outlives a restart: only then can the
	// server tell peers that send something of connections that it has forgotten
	// (RFC 9000 section 10.3), and they need not wait for a timeout.
	reset, err := hkdf.Key(sha256.New, seed, nil, "waxwing quic stateless reset v1", len(quic.StatelessResetKey{}))
	if err != nil {
		return nil, fmt.Errorf("%w: reset key", ErrConfig)
	}
	id := &Identity{domain: domain, root: root, pin: keys.PinOf(root.Public()), reset: quic.StatelessResetKey(reset)}
	if _, err := id.certificate(now); err != nil {
		return nil, err
	}
	return id, nil
}

// Domain returns the provider's domain.
func (id *Identity) Domain() ids.Domain { return id.domain }

// Pin returns the pin of the root, for peers' and clients' configurations.
func (id *Identity) Pin() keys.Pin { return id.pin }

// Renew makes a new leaf, with a new key, for all handshakes from now on.
// Connections that there are go on. The error is ErrConfig.
func (id *Identity) Renew(now time.Time) error {
	id.mu.Lock()
	defer id.mu.Unlock()
	return id.renew(now)
}

// Leaf returns the DER encoding of the leaf that handshakes show at now. The
// error is ErrConfig.
func (id *Identity) Leaf(now time.Time) ([]byte, error) {
	c, err := id.certificate(now)
	if err != nil {
		return nil, err
	}
	return slices.Clone(c.Certificate[0]), nil
}

// certificate returns a chain that is valid at now, making a new one if the
// last one nears its end or has not begun (the clock was set back).
func (id *Identity) certificate(now time.Time) (*tls.Certificate, error) {
	id.mu.Lock()
	defer id.mu.Unlock()
	if c := id.leaf; c != nil && now.Before(c.Leaf.NotAfter.Add(-leafRenew)) && !now.Before(c.Leaf.NotBefore) {
		return c, nil
	}
	if err := id.renew(now); err != nil {
		return nil, err
	}
	return id.leaf, nil
}

// renew replaces the leaf. The caller holds mu.
func (id *Identity) renew(now time.Time) error {
	c, err := newLeaf(id.domain, id.root, now.Add(-leafBackdate), now.Add(leafLifetime))
	if err != nil {
		return fmt.Errorf("%w: certificate cannot be made", ErrConfig)
	}
	id.leaf = c
	return nil
}

// newLeaf makes a leaf with a key of its own and the root certificate that
// signs it, both valid from notBefore to notAfter. The root certificate is
// only an envelope for the root key: peers look at nothing else in it.
func newLeaf(domain ids.Domain, root *keys.SigningKey, notBefore, notAfter time.Time) (*tls.Certificate, error) {
	rootKey := root.Ed25519()
	rootTemplate := &x509.Certificate{
		Subject:   pkix.Name{CommonName: "waxwing provider root"},
		NotBefore: notBefore, NotAfter: notAfter,
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign,
	}
	rootDER, err := x509.CreateCertificate(rand.Reader, rootTemplate, rootTemplate, rootKey.Public(), rootKey)
	if err != nil {
		return nil, err
	}
	rootCert, err := x509.ParseCertificate(rootDER)
	if err != nil {
		return nil, err
	}
	leafPublic, leafKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	leafTemplate := &x509.Certificate{
		DNSNames:  []string{domain.String()},
		NotBefore: notBefore, NotAfter: notAfter,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		// The same leaf answers clients and connects to peers.
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leafTemplate, rootCert, leafPublic, rootKey)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(leafDER)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{leafDER, rootDER}, PrivateKey: leafKey, Leaf: leaf}, nil
}
