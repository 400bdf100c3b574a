package state

import "waxwing/core/wire"

// Setting is what the user chose. Its zero value is the default.
type Setting struct {
	ReadReceipts bool   // send read receipts, and take those of others
	Policy       uint8  // mailbox.Policy: what introductions may do; 0 for the default
	PolicyKnown  bool   // the provider knows policy and contact codes
	SyncEvery    uint32 // how often the devices of the account tell each other what is new, in milliseconds; 0 for the default
	// When the user chose the hop, read receipts, and policy or contact codes, on whichever
	// device: Unix time in milliseconds, 0 for never.
	HopChanged, ReadsChanged, DoorChanged uint64
}

// Fields lists the layout.
func (s *Setting) Fields(c *wire.Codec) {
	c.Const("version", recordVersion)
	c.Bool("read receipts", &s.ReadReceipts)
	wire.U32(c, "sync every", &s.SyncEvery)
	wire.U8(c, "policy", &s.Policy)
	c.Bool("policy known", &s.PolicyKnown)
	wire.U64(c, "hop changed", &s.HopChanged)
	wire.U64(c, "reads changed", &s.ReadsChanged)
	wire.U64(c, "door changed", &s.DoorChanged)
}
