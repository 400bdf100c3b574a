package state

import (
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
	"waxwing/ratelimit"
	"waxwing/ratelimit/introduction"
)

// Stamp is the newest standing stamp that this device has for a contact, or how far
// it has come in asking for one.
type Stamp struct {
	Since      uint64         // when this device first had the contact's tickets, Unix time in milliseconds
	Week       ratelimit.Week // which it is of, or was asked for
	Generation uint32         // of the contact's W that it was asked for; 0 before the first
	Tries      uint8          // how often it was asked for
	Has        bool           // the answer came
	Stamp      [introduction.StampSize]byte
	Day        ids.Day // on which it came
	Told       bool    // it went to the contact
	keys.Redacted
}

// Fields lists the layout.
func (s *Stamp) Fields(c *wire.Codec) {
	c.Const("version", recordVersion)
	wire.U64(c, "since", &s.Since)
	wire.U32(c, "week", &s.Week)
	wire.U32(c, "generation", &s.Generation)
	wire.U8(c, "tries", &s.Tries)
	c.Bool("has", &s.Has)
	c.Fixed("stamp", s.Stamp[:])
	wire.U32(c, "day", &s.Day)
	c.Bool("told", &s.Told)
}
