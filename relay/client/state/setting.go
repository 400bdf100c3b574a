package state

import "waxwing/core/wire"

// Setting is what the user chose. Its zero value is the default.
type Setting struct {
	ReadReceipts bool   // send read receipts, and take those of others
	Policy       uint8  // mailbox.Policy: what introductions may do; 0 for the default
	PolicyKnown  bool   // the provider knows policy and contact codes
	SyncEvery    uint32 // how often the devices of the account tell each other what is new, in milliseconds; 0 for the default
}

// Fields lists the layout.
func (s *Setting) Fields(c *wire.Codec) {
	c.Const("version", recordVersion)
	c.Bool("read receipts", &s.ReadReceipts)
	wire.U32(c, "sync every", &s.SyncEvery)
	wire.U8(c, "policy", &s.Policy)
	c.Bool("policy known", &s.PolicyKnown)
}
