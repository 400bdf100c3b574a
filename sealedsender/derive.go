package sealedsender

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

// The labels of this package. They separate its hashes and derivations from
// each other and from those of other packages that use the same keys.
const (
	labelSeal        = "waxwing seal"
	labelTag         = "waxwing deniable tag v1"
	labelCertificate = "waxwing certificate v1"
	labelSession     = "waxwing body key v1"
	labelSyncSecret  = "waxwing sync secret v1"
	labelSyncHead    = "waxwing sync head v1"
)

// Outer is the part of an envelope in the clear that head and body are bound
// to.
type Outer struct {
	Class wire.Class
	Com   [HashSize]byte // franking commitment
	Day   ids.Day        // the sender's day
}

// aad is version | com: of the head, always.
func (o *Outer) aad() []byte { return append([]byte{wire.Version}, o.Com[:]...) }

// headPlain returns the length of a head's plaintext, without what the seal adds.
func headPlain(c wire.Class, overhead int) int { return c.HeadSize() - overhead }

// Mailbox is where a first contact is sealed to: what goes into the seal's info.
type Mailbox struct {
	Provider ids.Domain
	ID       ids.MailboxID
	KeyID    uint32 // of the weekly seal key
}

// info is "waxwing seal" | length and name of the provider | mailbox 16 | key id 4.
func (m *Mailbox) info() []byte {
	b := wire.AppendPrefixed([]byte(labelSeal), []byte(m.Provider.String()))
	b = append(b, m.ID[:]...)
	return binary.BigEndian.AppendUint32(b, m.KeyID)
}

// steadyKey returns HKDF(S, "waxwing seal" | ticket).
func steadyKey(s *keys.Secret, ticket *[wire.TicketSize]byte) []byte {
	return derive(s.Bytes(), labelSeal+string(ticket[:]))
}

// syncKey returns HKDF(HKDF(root, "waxwing sync secret v1"), "waxwing sync head v1" | salt).
// The salt is as random as a ticket and as long, and seals one head.
func syncKey(root *keys.Secret, salt *[wire.TicketSize]byte) []byte {
	s := derive(root.Bytes(), labelSyncSecret)
	defer clear(s)
	return derive(s, labelSyncHead+string(salt[:]))
}

// derive is HKDF-SHA256 without salt (RFC 5869) to 32 bytes. Its inputs are
// uniform secrets or a Diffie-Hellman result.
func derive(secret []byte, info string) []byte {
	k, err := hkdf.Key(sha256.New, secret, nil, info, keys.SecretSize)
	if err != nil {
		panic(err) // 32 bytes are never too long for HKDF
	}
	return k
}

// gcm returns AES-256-GCM under a key of 32 bytes.
func gcm(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // keys here have 32 bytes
	}
	a, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return a
}

// zeroNonce is the nonce of every AES-GCM of this package. Each key encrypts
// one plaintext: the steady key is derived from a ticket that seals one
// envelope, the body key is drawn for one body (doc.go).
var zeroNonce [12]byte

// deniableTag returns HMAC(HKDF(DH(own, peer), label | IK_S | IK_R), com |
// SHA-256(body))[:16]. Both sides can compute it, so it proves nothing to
// anybody else. It covers the ciphertext of the body: a member of a group who
// has the body key cannot put another body under the sender's name, which
// Signal's Sealed Sender v2 leaves to the session. The public keys are in the
// derivation so that a tag is for one pair of keys in one direction.
func deniableTag(own *keys.DHKey, peer, sender, recipient keys.DHPublic, com, bodyHash *[HashSize]byte) (tag [TagSize]byte, err error) {
	shared, err := own.DH(peer)
	if err != nil {
		return tag, err
	}
	key := derive(shared, labelTag+string(sender[:])+string(recipient[:]))
	var m keys.MAC
	m.Start((*[keys.MACKeySize]byte)(key))
	m.Write(com[:])
	m.Write(bodyHash[:])
	sum := m.Sum()
	clear(shared)
	clear(key)
	copy(tag[:], sum[:])
	return tag, nil
}

// sessionData is what the session authenticates with the body key, so that one
// message's entry is of no use in another head.
func sessionData(com, bodyHash *[HashSize]byte) []byte {
	b := append([]byte(labelSession), com[:]...)
	return append(b, bodyHash[:]...)
}
