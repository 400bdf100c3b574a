package sealedsender

import (
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

// The byte layouts of this package. Integers are big-endian, lists have a count
// of 2 bytes. Every parser takes exactly one encoding.
//
//	certificate  version 1 | address 1+n | device 4 | identity key 32 | device DH key 32 |
//	             X_S 32 | expiry day 4 | signature 64                             up to 234
//	  signed:    keys.ContextCertificate over all before the signature, by the provider's certificate key
//	head         kind 1 | d 32 | SHA-256(body) 32 | deniable tag 16 | audience salt 16 |
//	             certificate form 1 (| certificate or hash 32) | bundle form 1 (| bundle 4+n or
//	             reference 32) | entries | zeros
//	  entry      flags 1 | device 4 | session part 188 (| prekey part 1619)       193 or 1812
//	body         kf 32 | sigma2 64 | hour 4 | F 4+n | control 4+n | zeros
//
// The head is sealed with 16 bytes more in the steady state and 1136 more at
// first contact, to the length that the size class has for heads; the body with
// 16 more, to the rest of the envelope.
const (
	// SessionPart is the size of the message of a session that seals the body
	// key to one device: 32 bytes and core/ratchet's overhead of 156.
	SessionPart = keys.SecretSize + 156
	// PrekeyPart is the size of what begins a session, core/ratchet's
	// PrekeyMessage.
	PrekeyPart = 1619
	// SaltSize is the size of the audience salt.
	SaltSize = 16
	// TagSize is the size of the deniable tag.
	TagSize = 16
	// Sigma2Size is the size of the franking signature's place.
	Sigma2Size = 64
	// MaxCertificateSize is the size of the largest certificate.
	MaxCertificateSize = 1 + 1 + ids.MaxAddress + 4 + 32 + keys.DHSize + xsSize + 4 + keys.SignatureSize
	// HashSize is the size of a SHA-256 hash, d and com.
	HashSize = 32

	// xsSize is the size of X_S, an element of ristretto255.
	xsSize = 32

	formatVersion = 1
	gcmTag        = 16
	sessionEntry  = 1 + 4 + SessionPart
	prekeyEntry   = sessionEntry + PrekeyPart
	// headFixed is a head without certificate, bundle and entries.
	headFixed = 1 + HashSize + HashSize + TagSize + SaltSize + 1 + 1 + 2
	// bundleRef is kept free in every head for the reference of a token bundle:
	// the class must not depend on whether there is a frame.
	bundleRef = HashSize
	// MaxBundle is the size of the largest token bundle, which a first contact's
	// head has room for beside MaxPrekeyEntries.
	MaxBundle = 961
	// bodyFixed is a body without its frame and control part.
	bodyFixed = HashSize + Sigma2Size + 4 + 4 + 4
)

const (
	// MaxEntries is how many devices one head is for: as many as an account has.
	MaxEntries = 8
	// MaxPrekeyEntries is how many sessions one head begins: what fits beside
	// the seal of a first contact.
	MaxPrekeyEntries = 5
	// MaxTrusted bounds how many certificate keys of one provider are tried:
	// the one in use, the next, and old ones until their certificates expire.
	MaxTrusted = 8
	// MaxLifetimeDays is how many days after the day of sending a certificate
	// may expire at most, like tickets. It bounds how long one that should be
	// revoked is still accepted; issuers choose a day less, for clocks that are
	// behind.
	MaxLifetimeDays = 14
)

// Kind says what an envelope is to its recipient.
type Kind uint8

const (
	// KindOne is a message to one account.
	KindOne Kind = 1
	// KindGroup is a group's message: several heads, each with its own com,
	// share a body. Not opened by this version.
	KindGroup Kind = 2
	// KindSync is a batch for the sender's own devices, the one exception to
	// the rule against self-send. Never under a ticket: OpenHeadSync opens it
	// and nothing else.
	KindSync Kind = 3
)

// CertificateFields is the content of a certificate.
type CertificateFields struct {
	Address   ids.Address
	Device    ids.DeviceID
	Identity  keys.VerifyKey // the account's identity key
	DH        keys.DHPublic  // the device's identity in sessions
	XS        [xsSize]byte   // the account's X_S = k*G, encoded
	Expiry    ids.Day        // the last day of validity
	Signature [keys.SignatureSize]byte
}

// Fields lists the layout. That the keys are usable is checked after the
// signature.
func (f *CertificateFields) Fields(c *wire.Codec) {
	c.Const("version", formatVersion)
	c.Address("address", &f.Address)
	wire.U32(c, "device", &f.Device)
	c.Check(f.Device != 0, "device", "zero")
	c.Fixed("identity key", f.Identity[:])
	c.Fixed("device DH key", f.DH[:])
	c.Fixed("X_S", f.XS[:])
	wire.U32(c, "expiry", &f.Expiry)
	c.Fixed("signature", f.Signature[:])
}

// Entry is one device's part of a head.
type Entry struct {
	Device  ids.DeviceID
	Session [SessionPart]byte // message of the device's session that holds the body key
	Prekey  []byte            // PrekeyPart bytes that begin the session, or nil
}

const (
	entrySession = 0
	entryPrekey  = 1
)

func (e *Entry) fields(c *wire.Codec) {
	flags := uint8(entrySession)
	if e.Prekey != nil {
		flags = entryPrekey
	}
	wire.U8(c, "flags", &flags)
	c.Check(flags <= entryPrekey, "flags", "unknown value")
	wire.U32(c, "device", &e.Device)
	c.Check(e.Device != 0, "device", "zero")
	c.Fixed("session part", e.Session[:])
	if flags == entryPrekey {
		c.Exact("prekey part", &e.Prekey, PrekeyPart)
	}
}

// How a head names the certificate and the token bundle.
const (
	formFull = 1
	formHash = 2
	formNone = 0
)

// head is the plaintext of a head.
type head struct {
	kind     Kind
	d        [HashSize]byte // group only
	bodyHash [HashSize]byte
	tag      [TagSize]byte
	salt     [SaltSize]byte
	certForm uint8
	cert     CertificateFields // formFull
	certHash [HashSize]byte    // formHash
	bundle   uint8             // its form
	whole    []byte            // formFull
	ref      [HashSize]byte    // formHash
	entries  []Entry
}

func (h *head) Fields(c *wire.Codec) {
	wire.U8(c, "kind", &h.kind)
	c.Check(h.kind >= KindOne && h.kind <= KindSync, "kind", "unknown value")
	c.Fixed("d", h.d[:])
	c.Check((h.kind == KindGroup) == (h.d != [HashSize]byte{}), "d", "does not fit the kind")
	c.Fixed("SHA-256(body)", h.bodyHash[:])
	c.Fixed("deniable tag", h.tag[:])
	c.Fixed("audience salt", h.salt[:])
	wire.U8(c, "certificate form", &h.certForm)
	c.Check(h.certForm == formFull || h.certForm == formHash, "certificate form", "unknown value")
	if h.certForm != formHash {
		c.Nested("certificate", &h.cert)
	}
	if h.certForm != formFull {
		c.Fixed("certificate hash", h.certHash[:])
	}
	wire.U8(c, "bundle form", &h.bundle)
	c.Check(h.bundle <= formHash, "bundle form", "unknown value")
	if h.bundle == formFull || c.Describing() {
		c.Bytes("bundle", &h.whole, MaxBundle)
		c.Check(len(h.whole) > 0 || c.Describing(), "bundle", "empty")
	}
	if h.bundle == formHash || c.Describing() {
		c.Fixed("bundle reference", h.ref[:])
	}
	wire.List(c, "entries", &h.entries, MaxEntries, func(c *wire.Codec, e *Entry) { e.fields(c) })
	h.checkEntries(c)
	c.Padding("padding")
}

func (h *head) checkEntries(c *wire.Codec) {
	c.Check(len(h.entries) > 0, "entries", "none")
	for i := range h.entries {
		for j := range i {
			c.Check(h.entries[i].Device != h.entries[j].Device, "entries", "twice the same device")
		}
	}
}

// Content is the plaintext of a body.
type Content struct {
	KF      [32]byte         // franking key
	Sigma2  [Sigma2Size]byte // franking signature; zero until there is one
	Hour    ids.Hour         // the sender's hour, in the envelope's day
	Frame   []byte           // F, canonical content frame; empty if there is nothing to show
	Control []byte           // never franked, shown or reported; empty in a group's body
	keys.Redacted
}

// Fields lists the layout.
func (b *Content) Fields(c *wire.Codec) {
	c.Fixed("kf", b.KF[:])
	c.Fixed("sigma2", b.Sigma2[:])
	wire.U32(c, "hour", &b.Hour)
	c.Bytes("F", &b.Frame, wire.MaxPayload)
	c.Bytes("control", &b.Control, wire.MaxPayload)
	c.Padding("padding")
}

// erase overwrites the secrets of a plaintext that is not handed out.
func (b *Content) erase() {
	clear(b.KF[:])
	clear(b.Frame)
	clear(b.Control)
}

// Layouts returns the layouts of certificate, head and body for the
// documentation.
func Layouts() (certificate, sealedHead, body []wire.Row) {
	return wire.Layout(new(CertificateFields)), wire.Layout(new(head)), wire.Layout(new(Content))
}
