package query

import (
	"waxwing/core/ids"
	"waxwing/core/wire"
)

const (
	// RefillAnswerSize is that of a refill's answer, in bytes (membership.AnswerSize).
	RefillAnswerSize = 768
	// MaxRefill is the size of the largest refill, in bytes (membership.MaxRefill).
	MaxRefill = 675
	// StandingSize is that of a request for a standing stamp, in bytes
	// (introduction.StandingSize).
	StandingSize = 2070
	// StampSize is that of a standing stamp, in bytes.
	StampSize = 32

	maxRefillQuestion   = 1 + 1 + ids.MaxDomain + 4 + 1 + 4 + 4 + MaxRefill
	maxRefillAnswer     = 1 + 1 + 8 + RefillAnswerSize
	maxStandingQuestion = 1 + 1 + ids.MaxDomain + 4 + StandingSize
	standingAnswer      = 1 + StampSize
)

// Refill is the payload of a question of KindRefill: a day's credential, against
// the month's membership of a home (package ratelimit/membership).
type Refill struct {
	Home   ids.Domain // whose account asks; the membership's proof binds it
	Month  uint32     // ratelimit.Month of the membership
	Tier   uint8      // ratelimit.Tier of it
	Epoch  ids.Day    // the credential's day
	Refill []byte
}

// Fields lists the layout.
func (r *Refill) Fields(c *wire.Codec) {
	c.Const("version", 1)
	c.Domain("home", &r.Home)
	wire.U32(c, "month", &r.Month)
	wire.U8(c, "tier", &r.Tier)
	wire.U32(c, "epoch", &r.Epoch)
	c.Bytes("refill", &r.Refill, MaxRefill)
}

// RefillStatus says what became of a refill.
type RefillStatus uint8

// What became of it.
const (
	RefillIssued  RefillStatus = 1
	RefillRefused RefillStatus = 2 // its proof, its period, or another one was first
	RefillLater   RefillStatus = 3 // over a limit
)

// RefillAnswer is the payload of its answer, of one length whatever it says.
type RefillAnswer struct {
	Status RefillStatus
	Retry  uint64 // RefillLater: milliseconds until it is taken
	Answer [RefillAnswerSize]byte
}

// Fields lists the layout.
func (a *RefillAnswer) Fields(c *wire.Codec) {
	c.Const("version", 1)
	wire.U8(c, "status", &a.Status)
	c.Check(a.Status >= RefillIssued && a.Status <= RefillLater, "status", "unknown value")
	wire.U64(c, "retry", &a.Retry)
	c.Check((a.Retry > 0) == (a.Status == RefillLater), "retry", "does not fit the status")
	c.Fixed("answer", a.Answer[:])
	c.Check(a.Status == RefillIssued || a.Answer == [RefillAnswerSize]byte{}, "answer", "not zero")
}

// Standing is the payload of a question of KindStanding: a standing stamp of this
// week, for a presentation that is bound to this question.
type Standing struct {
	Home     ids.Domain
	Epoch    ids.Day // of the credential shown
	Standing [StandingSize]byte
}

// Fields lists the layout.
func (s *Standing) Fields(c *wire.Codec) {
	c.Const("version", 1)
	c.Domain("home", &s.Home)
	wire.U32(c, "epoch", &s.Epoch)
	c.Fixed("standing", s.Standing[:])
}

// StandingAnswer is the payload of its answer. There is always a stamp; one that was
// given for a false proof, or a mailbox that does not exist, is of no use.
type StandingAnswer struct{ Stamp [StampSize]byte }

// Fields lists the layout.
func (a *StandingAnswer) Fields(c *wire.Codec) {
	c.Const("version", 1)
	c.Fixed("stamp", a.Stamp[:])
}
