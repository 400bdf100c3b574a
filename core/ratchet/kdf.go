package ratchet

import (
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/subtle"

	"waxwing/core/keys"
)

// Labels of the derivations and hashes. They are never reused for other bytes.
const (
	labelTranscript   = "waxwing ratchet transcript v1"
	labelCapabilities = "waxwing ratchet capabilities v1"
	labelHandshake    = "waxwing PQXDH X25519 ML-KEM-1024 SHA-256 v1"
	labelRoot         = "waxwing ratchet root v1"
	labelMessage      = "waxwing ratchet message v1"
)

// Inputs of the chain step (The Double Ratchet Algorithm, section 5.2).
const (
	chainMessage = 0x01
	chainNext    = 0x02
)

// secret is a key that lives in a session; it is erased in place.
type secret [32]byte

func (s *secret) equal(o *secret) bool { return subtle.ConstantTimeCompare(s[:], o[:]) == 1 }

func (s *secret) isZero() bool { return s.equal(new(secret)) }

// expand is HKDF-SHA256 (RFC 5869) into the given secrets.
func expand(ikm, salt []byte, info string, out ...*secret) {
	okm, err := hkdf.Key(sha256.New, ikm, salt, info, len(out)*len(secret{}))
	if err != nil {
		panic(err) // only for lengths that are constants here
	}
	for i, o := range out {
		copy(o[:], okm[i*len(secret{}):])
	}
	clear(okm)
}

// handshakeKeys is the KDF of PQXDH section 2.2: HKDF with a zero salt over 32
// bytes of 0xff (so that the input is never the encoding of a key) and the
// secrets. It gives the root key, the header keys that the initiator's and
// the responder's first chains are sealed with, and the seed of the
// post-quantum ratchet. secrets is erased.
func handshakeKeys(secrets []byte, transcript *[sha256.Size]byte) (root, initiator, responder, pq secret) {
	ikm := make([]byte, 32, 32+len(secrets))
	for i := range ikm {
		ikm[i] = 0xff
	}
	ikm = append(ikm, secrets...)
	expand(ikm, make([]byte, sha256.Size), labelHandshake+string(transcript[:]), &root, &initiator, &responder, &pq)
	clear(ikm)
	clear(secrets)
	return root, initiator, responder, pq
}

// rootStep is KDF_RK_HE: root and a Diffie-Hellman result give the next root,
// a chain key and the header key of the chain after that one. root is replaced,
// shared erased.
func rootStep(root *secret, shared []byte, chain, nextHeader *secret) {
	var next secret
	expand(shared, root[:], labelRoot, &next, chain, nextHeader)
	*root = next
	clear(next[:])
	clear(shared)
}

// chainStep is KDF_CK: it replaces the chain key and returns the seed of one
// message's keys. Seeds are what is kept of a missing message, because the
// post-quantum key that its header will name is not known yet.
func chainStep(chain *secret) (seed secret) {
	var m keys.MAC
	m.Start((*[32]byte)(chain))
	m.Byte(chainMessage)
	seed = m.Sum()
	m.Start((*[32]byte)(chain))
	m.Byte(chainNext)
	*chain = m.Sum()
	return seed
}

// messageKeys derives the two keys of one message. pq is the key of the
// post-quantum ratchet for this message, nil in suites without one.
func messageKeys(seed *secret, pq []byte) (encrypt, mac secret) {
	expand(seed[:], pq, labelMessage, &encrypt, &mac)
	return encrypt, mac
}
