package state

import (
	"waxwing/core/keys"
	"waxwing/core/wire"
	"waxwing/ratelimit/privacypass"
)

// Alarm says why a provider is not asked for submission tokens any more.
type Alarm uint8

// The alarms. Numbers are never reused.
const (
	AlarmNone   Alarm = 0
	AlarmForked Alarm = 1 // its lists of keys contradict each other
	AlarmProof  Alarm = 2 // its answer does not verify under the listed key
)

// Admission is how this device gets its submission tokens.
type Admission struct {
	Identified bool              // the user chose to submit on the account's connection
	Alarm      Alarm             // nothing is asked for until the user has decided
	Batch      uint32            // number of the last batch that was begun, of this device
	Token      uint64            // number of the last token in the bucket
	Epoch      privacypass.Epoch // of the batch that is under way
	Size       uint16            // of that batch; 0 if none is under way
	FetchAt    uint64            // when the next is asked for, Unix time in milliseconds; 0 if none is due
	Remaining  uint32            // what the account had left of its day, when last told
	Refill     uint64            // when the next day's are there, Unix time in milliseconds
	Refused    wire.Code         // why none are given now; 0 if the last request was answered
}

// Fields lists the layout.
func (a *Admission) Fields(c *wire.Codec) {
	c.Const("version", recordVersion)
	c.Bool("identified", &a.Identified)
	wire.U8(c, "alarm", &a.Alarm)
	c.Check(a.Alarm <= AlarmProof, "alarm", "unknown value")
	wire.U32(c, "batch", &a.Batch)
	wire.U64(c, "token", &a.Token)
	wire.U32(c, "epoch", &a.Epoch)
	wire.U16(c, "size", &a.Size)
	c.Check(a.Size <= privacypass.MaxBatch, "size", "no batch is as large")
	wire.U64(c, "fetch at", &a.FetchAt)
	wire.U32(c, "remaining", &a.Remaining)
	wire.U64(c, "refill", &a.Refill)
	wire.U16(c, "refused", &a.Refused)
}

// Submission is one submission token.
type Submission struct {
	Epoch privacypass.Epoch
	Token [wire.SubmissionTokenSize]byte
	keys.Redacted
}

// Fields lists the layout.
func (s *Submission) Fields(c *wire.Codec) {
	c.Const("version", recordVersion)
	wire.U32(c, "epoch", &s.Epoch)
	c.Fixed("token", s.Token[:])
}
