package ratchet

import (
	"crypto/mlkem"
	"crypto/sha256"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

// The byte layouts of this package. Integers are big-endian. Every parser
// takes exactly one encoding.
//
//	PublicSignedPrekey  id 4 | X25519 key 32 | signature 64                                            = 100
//	   signed: keys.ContextPrekey over the first 36 bytes, by the device key
//	PublicOneTime       id 4 | last resort 1 | X25519 key 32 | ML-KEM-1024 key 1568 | signature 64     = 1669
//	   signed: keys.ContextKEMPrekey over the first 1605 bytes, by the device key
//	Bundle              device 4 | identity key 32 | PublicSignedPrekey | PublicOneTime                = 1805
//	PrekeyMessage       version 1 | suite 1 | initiator's manifest 4 | responder's manifest 4 |
//	                    signed prekey id 4 | pair id 4 | last resort 1 | EK 32 | KEM ciphertext 1568   = 1619
//
//	message             sealed header 124 | ciphertext, as long as the plaintext | tag 32              = plaintext + 156
//	   sealed header    nonce 12, random | AES-256-GCM(header key; header 96; aad = transcript) | tag 16
//	   header           ratchet key 32 | pn 4 | n 4 | length 4 | post-quantum part, up to 52 | zeros   = 96
//	   ciphertext       AES-256-CTR(encryption key; IV = nonce | 0^4)
//	   tag              HMAC-SHA256(MAC key; transcript 32 | length of ad 4 | ad | sealed header | ciphertext)
const (
	// KEMPublicSize is the size of an ML-KEM-1024 encapsulation key.
	KEMPublicSize = mlkem.EncapsulationKeySize1024
	// KEMCiphertextSize is the size of an ML-KEM-1024 ciphertext.
	KEMCiphertextSize = mlkem.CiphertextSize1024
	// SignedPrekeySize is the size of a PublicSignedPrekey.
	SignedPrekeySize = signedPrekeyPart + keys.SignatureSize
	// OneTimeSize is the size of a PublicOneTime.
	OneTimeSize = oneTimePart + keys.SignatureSize
	// BundleSize is the size of a Bundle.
	BundleSize = 4 + keys.DHSize + SignedPrekeySize + OneTimeSize
	// PrekeySize is the size of a PrekeyMessage.
	PrekeySize = 1 + 1 + 4 + 4 + 4 + 4 + 1 + keys.DHSize + KEMCiphertextSize

	// HeaderSize is the size of a sealed header, at the start of a message.
	HeaderSize = nonceSize + headerPlain + 16
	// TagSize is the size of the committing tag, at the end of a message.
	TagSize = sha256.Size
	// Overhead is what a message is longer than its plaintext.
	Overhead = HeaderSize + TagSize

	signedPrekeyPart = 4 + keys.DHSize                     // what is signed of a signed prekey
	oneTimePart      = 4 + 1 + keys.DHSize + KEMPublicSize // what is signed of a pair
	nonceSize        = 12
	headerPlain      = 96
	maxHeaderPQ      = 52 // what the sparse post-quantum ratchet needs at most per message
	protocolVersion  = 1
)

// PrekeyID numbers the prekeys of one device. Signed prekeys, one-time pairs
// and last-resort pairs are counted apart. A number is never used twice.
type PrekeyID uint32

// PublicSignedPrekey is the public part of a signed prekey.
type PublicSignedPrekey struct {
	ID        PrekeyID
	Key       keys.DHPublic
	Signature [keys.SignatureSize]byte
}

// Fields lists the layout.
func (p *PublicSignedPrekey) Fields(c *wire.Codec) {
	wire.U32(c, "id", &p.ID)
	c.Fixed("key", p.Key[:])
	c.Fixed("signature", p.Signature[:])
}

// PublicOneTime is the public part of a one-time or last-resort pair.
type PublicOneTime struct {
	ID         PrekeyID
	LastResort bool
	DH         keys.DHPublic
	KEM        [KEMPublicSize]byte
	Signature  [keys.SignatureSize]byte
}

// Fields lists the layout.
func (p *PublicOneTime) Fields(c *wire.Codec) {
	wire.U32(c, "id", &p.ID)
	c.Bool("last resort", &p.LastResort)
	c.Fixed("X25519 key", p.DH[:])
	c.Fixed("ML-KEM-1024 key", p.KEM[:])
	c.Fixed("signature", p.Signature[:])
}

// Bundle is what an initiator needs of one device of the peer.
type Bundle struct {
	Device   ids.DeviceID
	Identity keys.DHPublic
	Signed   PublicSignedPrekey
	OneTime  PublicOneTime
}

// Fields lists the layout.
func (b *Bundle) Fields(c *wire.Codec) {
	wire.U32(c, "device", &b.Device)
	c.Check(b.Device != 0, "device", "zero")
	c.Fixed("identity key", b.Identity[:])
	c.Nested("signed prekey", &b.Signed)
	c.Nested("pair", &b.OneTime)
}

// PrekeyMessage is what travels with the initiator's messages until the first
// reply: what the responder needs to derive the session. It names neither
// party; the seal around it says who sent it.
type PrekeyMessage struct {
	Suite             Suite
	InitiatorManifest uint32 // version of the initiator's manifest, as it says
	ResponderManifest uint32 // version of the responder's manifest that the initiator saw
	SignedPrekey      PrekeyID
	OneTime           PrekeyID
	LastResort        bool
	EK                keys.DHPublic
	Ciphertext        [KEMCiphertextSize]byte
}

// Fields lists the layout.
func (m *PrekeyMessage) Fields(c *wire.Codec) {
	c.Const("version", protocolVersion)
	wire.U8(c, "suite", &m.Suite)
	wire.U32(c, "initiator's manifest", &m.InitiatorManifest)
	wire.U32(c, "responder's manifest", &m.ResponderManifest)
	wire.U32(c, "signed prekey id", &m.SignedPrekey)
	wire.U32(c, "pair id", &m.OneTime)
	c.Bool("last resort", &m.LastResort)
	c.Fixed("EK", m.EK[:])
	c.Fixed("KEM ciphertext", m.Ciphertext[:])
}

// header is the plaintext of a message's header.
type header struct {
	ratchet keys.DHPublic
	prev, n uint32 // messages in the sender's previous chain; number in this one
	pq      []byte // message of the post-quantum ratchet; empty in suite 1
}

func (h *header) Fields(c *wire.Codec) {
	c.Fixed("ratchet key", h.ratchet[:])
	wire.U32(c, "pn", &h.prev)
	wire.U32(c, "n", &h.n)
	c.Bytes("post-quantum part", &h.pq, maxHeaderPQ)
	c.Padding("padding")
}

// party is one side's part of the transcript.
type party struct {
	address  ids.Address
	device   ids.DeviceID
	identity keys.DHPublic
	manifest uint32
}

func (p *party) Fields(c *wire.Codec) {
	c.Address("address", &p.address)
	wire.U32(c, "device", &p.device)
	c.Fixed("identity key", p.identity[:])
	wire.U32(c, "manifest version", &p.manifest)
}

// transcript is everything that both sides of a session agree on. Its hash is
// the session's associated data (PQXDH section 3.3). ML-KEM's shared secret
// already binds the encapsulation key; the hashes here do not rely on it.
type transcript struct {
	suite        Suite
	initiator    party
	responder    party
	capabilities [sha256.Size]byte // hash of both offers and the choice
	signedID     PrekeyID
	signedKey    keys.DHPublic
	oneTimeID    PrekeyID
	lastResort   bool
	oneTimeDH    keys.DHPublic
	oneTimeKEM   [sha256.Size]byte // hash of the encapsulation key
	ek           keys.DHPublic
	ciphertext   [sha256.Size]byte // hash of the KEM ciphertext
}

func (t *transcript) Fields(c *wire.Codec) {
	c.Const("version", protocolVersion)
	wire.U8(c, "suite", &t.suite)
	c.Nested("initiator", &t.initiator)
	c.Nested("responder", &t.responder)
	c.Fixed("capabilities", t.capabilities[:])
	wire.U32(c, "signed prekey id", &t.signedID)
	c.Fixed("signed prekey", t.signedKey[:])
	wire.U32(c, "pair id", &t.oneTimeID)
	c.Bool("last resort", &t.lastResort)
	c.Fixed("pair X25519", t.oneTimeDH[:])
	c.Fixed("pair ML-KEM-1024 hash", t.oneTimeKEM[:])
	c.Fixed("EK", t.ek[:])
	c.Fixed("KEM ciphertext hash", t.ciphertext[:])
}

// hash returns the session's associated data, or ErrIdentity if an address is
// not one.
func (t *transcript) hash() (h [sha256.Size]byte, err error) {
	b, err := wire.Append(wire.AppendPrefixed(nil, []byte(labelTranscript)), t)
	if err != nil {
		return h, ErrIdentity
	}
	return sha256.Sum256(b), nil
}

// The layouts of what a client stores. They hold private keys in clear; the
// store encrypts them. Parts that a state does not have are zero.
//
//	SignedPrekey   version 1 | id 4 | X25519 private key 32 | signature 64                              = 101
//	OneTimePair    version 1 | id 4 | last resort 1 | X25519 private key 32 | ML-KEM seed 64 |
//	               signature 64 | count 2 | EKs of sessions begun, 32 each (last resort only)           = 168 + 32 each
//	Session        version 1 | flags 1 (1 initiator, 2 sending, 4 receiving) | transcript 32 |
//	               remote identity 32 | post-quantum seed 32 | root 32 | remote ratchet key 32 |
//	               sending:   private 32 | public 32 | chain 32 | header key 32 | next header key 32 | n 4 | pn 4
//	               receiving: chain 32 | header key 32 | next header key 32 | n 4
//	               skipped chains: count 2 | each: header key 32 | count 2 | each: n 4 | seed 32
//	               length 4 | PrekeyMessage, if no reply has arrived                                    = 436 at least
const (
	stateVersion   = 1
	flagInitiator  = 1
	flagSending    = 2
	flagReceiving  = 4
	flagsAll       = 7
	kemSeedSize    = 64
	minSessionSize = 436
)

func (c *chains) fields(w *wire.Codec) {
	w.Fixed("root", c.root[:])
	w.Fixed("remote ratchet key", c.remote[:])
	w.Fixed("private ratchet key", c.private[:])
	w.Fixed("public ratchet key", c.public[:])
	w.Fixed("sending chain", c.sendChain[:])
	w.Fixed("sending header key", c.sendHeader[:])
	w.Fixed("next sending header key", c.sendNext[:])
	wire.U32(w, "sent", &c.sent)
	wire.U32(w, "sent before", &c.prevSent)
	w.Fixed("receiving chain", c.recvChain[:])
	w.Fixed("receiving header key", c.recvHeader[:])
	w.Fixed("next receiving header key", c.recvNext[:])
	wire.U32(w, "received", &c.received)
}

// storedSession lays a Session out.
type storedSession Session

// Fields lists the layout.
func (s *storedSession) Fields(c *wire.Codec) {
	c.Const("version", stateVersion)
	flags := s.flags()
	wire.U8(c, "flags", &flags)
	c.Check(flags&^flagsAll == 0, "flags", "unknown")
	if c.Parsing() {
		s.initiator = flags&flagInitiator != 0
		s.c.sending = flags&flagSending != 0
		s.c.receiving = flags&flagReceiving != 0
	}
	c.Fixed("transcript", s.id[:])
	c.Fixed("remote identity", s.remote[:])
	c.Fixed("post-quantum seed", s.pqSeed[:])
	s.c.fields(c)
	wire.List(c, "skipped", &s.skipped.sets, MaxSkippedSets, func(c *wire.Codec, set *skippedSet) {
		c.Fixed("header key", set.header[:])
		wire.List(c, "keys", &set.keys, MaxSkippedKeys, func(c *wire.Codec, k *skippedKey) {
			wire.U32(c, "n", &k.n)
			c.Fixed("seed", k.seed[:])
		})
	})
	c.Bytes("prekey message", &s.prekey, PrekeySize)
	if c.Parsing() {
		reason := s.inconsistent()
		c.Check(reason == "", "session", reason)
	}
}

func (s *storedSession) flags() (f uint8) {
	if s.initiator {
		f |= flagInitiator
	}
	if s.c.sending {
		f |= flagSending
	}
	if s.c.receiving {
		f |= flagReceiving
	}
	return f
}

// storedSigned lays a SignedPrekey out, storedPair a OneTimePair.
type storedSigned struct {
	id        PrekeyID
	private   secret
	signature [keys.SignatureSize]byte
}

// Fields lists the layout.
func (s *storedSigned) Fields(c *wire.Codec) {
	c.Const("version", stateVersion)
	wire.U32(c, "id", &s.id)
	c.Fixed("private key", s.private[:])
	c.Fixed("signature", s.signature[:])
}

type storedPair struct {
	id         PrekeyID
	lastResort bool
	private    secret
	seed       [kemSeedSize]byte
	signature  [keys.SignatureSize]byte
	begun      []keys.DHPublic
}

// Fields lists the layout.
func (s *storedPair) Fields(c *wire.Codec) {
	c.Const("version", stateVersion)
	wire.U32(c, "id", &s.id)
	c.Bool("last resort", &s.lastResort)
	c.Fixed("private key", s.private[:])
	c.Fixed("seed", s.seed[:])
	c.Fixed("signature", s.signature[:])
	wire.List(c, "begun", &s.begun, MaxInitiations, func(c *wire.Codec, ek *keys.DHPublic) { c.Fixed("EK", ek[:]) })
	c.Check(s.lastResort || len(s.begun) == 0, "begun", "of a pair used once")
}
