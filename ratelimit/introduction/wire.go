package introduction

import (
	"crypto/sha256"
	"encoding/binary"

	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
	"waxwing/ratelimit"
	"waxwing/ratelimit/arc"
)

// All bytes of this package. Integers are big-endian; E is an element of
// ristretto255, 32 bytes.
//
//	address   relay key id 1 | HPKE enc 1120 | ciphertext of plain | tag 16
//	plain     version 1 | mailbox 16 | generation 4 | tier 1 | N_R E | code 16 |
//	          presentation (package arc, one pseudonym; its length follows from tier
//	          and limit) | zeros
//	  HPKE:   info = "waxwing introduction" | provider
//	          aad = key id 1 | com 32 | day 4 | class 1 | ttl 4 | payload hash 32
//	code      HMAC(contact code, "waxwing code" | provider | enc | mailbox 16)[:16],
//	          zeros without one
//	standing  version 1 | mailbox 16 | generation 4 | tier 1 | N_R E | presentation
//	stamp     HMAC(K_R, "standing" | N_R | week 4)
//	K_R       HMAC(stand key, "waxwing standing key" | mailbox 16)
//
// provider behind its length in four bytes. generation is that of W. Sessions
// (group.NewSession):
//
//	"waxwing introduction proof"   enc, W 32, mailbox 16, home, provider, epoch 4, limit 4
//	"waxwing standing proof"       enc, W 32, mailbox 16, home, provider, week 4, limit 4
//
// home is the forwarding provider that B authenticated, and stands nowhere in
// the address; epoch is the envelope's day.
const (
	labelSeal              = "waxwing introduction"
	labelCode              = "waxwing code"
	labelIntroductionProof = "waxwing introduction proof"
	labelStandingProof     = "waxwing standing proof"
	labelStandingKey       = "waxwing standing key"
	labelStanding          = "standing"
	labelDummy             = "waxwing introduction dummy"

	elementSize = 32
	// CodeSize is the size of what shows that a sender knows a contact code, in
	// bytes.
	CodeSize = 16
	// StampSize is the size of a standing stamp, in bytes.
	StampSize = sha256.Size
)

const (
	// fixed is the size of a plain without its presentation.
	fixed = 1 + 16 + 4 + 1 + elementSize + CodeSize

	// The bits of the largest limits, and with them the sizes of the largest
	// presentations: elements, commitments and responses of package arc.
	introductionBits  = 6
	standingBits      = 8
	introductionProof = (5 + introductionBits + 5 + 2*introductionBits + 5 + 3*introductionBits) * elementSize
	standingProof     = (5 + standingBits + 5 + 2*standingBits + 5 + 3*standingBits) * elementSize

	introductionPlain = fixed + introductionProof
	// AddressSize is the size of every introduction's address, in bytes.
	AddressSize = 1 + keys.SealOverhead + introductionPlain
	// StandingSize is the size of every request for a standing stamp, in bytes.
	StandingSize = fixed - CodeSize + standingProof
)

func suite() *arc.Suite { return arc.Ristretto255() }

// Introduction is an address, opened.
type Introduction struct {
	Mailbox    ids.MailboxID
	Generation uint32 // of W
	Tier       ratelimit.Tier
	NR         [elementSize]byte
	Code       [CodeSize]byte // zero: none

	enc  []byte
	rest []byte // presentation and zeros
}

// Fields is the layout of a plain.
func (in *Introduction) Fields(c *wire.Codec) {
	fields(c, in)
	c.Fixed("code", in.Code[:])
	c.Exact("presentation, zeros", &in.rest, introductionPlain-fixed)
}

func fields(c *wire.Codec, in *Introduction) {
	c.Const("version", 1)
	c.Fixed("mailbox", in.Mailbox[:])
	wire.U32(c, "generation", &in.Generation)
	wire.U8(c, "tier", &in.Tier)
	if c.Parsing() {
		c.Check(in.Tier.Valid(), "tier", "unknown")
	}
	c.Fixed("N_R", in.NR[:])
}

// Standing is a request for a standing stamp.
type Standing struct{ Introduction }

// Fields is the layout of a request for a standing stamp.
func (s *Standing) Fields(c *wire.Codec) {
	fields(c, &s.Introduction)
	c.Exact("presentation", &s.rest, standingProof)
}

// Envelope is what an address is bound to of its envelope.
type Envelope struct {
	Com     [wire.ComSize]byte
	Day     ids.Day
	Class   wire.Class
	TTL     uint32
	Payload [sha256.Size]byte // wire.PayloadHash
}

func (e *Envelope) aad(keyID uint8) []byte {
	b := append([]byte{keyID}, e.Com[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(e.Day))
	b = binary.BigEndian.AppendUint32(append(b, byte(e.Class)), e.TTL)
	return append(b, e.Payload[:]...)
}

func info(provider ids.Domain) []byte {
	return wire.AppendPrefixed([]byte(labelSeal), []byte(provider.String()))
}

// session is that of a proof in a period: an epoch or a week.
func session(label string, enc []byte, w group.Element, mailbox ids.MailboxID, home, provider ids.Domain, period, limit uint32) group.Session {
	return group.NewSession(label, enc, w.Bytes(), mailbox[:], []byte(home.String()), []byte(provider.String()),
		binary.BigEndian.AppendUint32(nil, period), binary.BigEndian.AppendUint32(nil, limit))
}
