package state

import "waxwing/core/wire"

// Setting is what the user chose. Its zero value is the default.
type Setting struct {
	ReadReceipts bool // send read receipts, and take those of others
}

// Fields lists the layout.
func (s *Setting) Fields(c *wire.Codec) {
	c.Const("version", recordVersion)
	c.Bool("read receipts", &s.ReadReceipts)
}
