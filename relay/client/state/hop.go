package state

import (
	"waxwing/core/ids"
	"waxwing/core/wire"
)

// Trouble is why questions do not get through the chosen hop.
type Trouble uint8

// Why not.
const (
	TroubleNone        Trouble = iota
	TroubleUnknown             // the own provider has no keys and address of it
	TroubleUnreachable         // nobody answers
	TroubleKey                 // who answers has another key
	TroubleRefuses             // it is no hop, or not for this
	TroubleNoPeer              // it does not know the provider that was asked
	TroubleLimit               // it, or the provider that was asked, is asked too much by it
	troubleEnd
)

// Hop is the provider by which others are asked, and how that went last.
type Hop struct {
	Domain   ids.Domain
	Trouble  Trouble
	Failures uint8  // in a row, of those for which there is a pause
	Retry    uint64 // Unix milliseconds: before it nothing is asked; 0 for at once
}

// Fields lists the layout.
func (h *Hop) Fields(c *wire.Codec) {
	c.Const("version", recordVersion)
	c.Domain("domain", &h.Domain)
	wire.U8(c, "trouble", &h.Trouble)
	c.Check(h.Trouble < troubleEnd, "trouble", "unknown value")
	wire.U8(c, "failures", &h.Failures)
	wire.U64(c, "retry", &h.Retry)
}
