package wire

const (
	// MaxContactCodes bounds the contact codes of a mailbox (mailbox.MaxCodes).
	MaxContactCodes = 16
	// MaxRenewals bounds the pseudonyms in one BlockPseudonyms: half of the longest
	// blocklist, so that a frame has room.
	MaxRenewals = 500
)

// SetPolicy says what introductions to the account's mailbox may do. Sent again,
// it changes nothing.
type SetPolicy struct {
	Request
	Policy uint8      // mailbox.Policy
	Codes  [][32]byte // the contact codes there are from now on
}

// Type is the frame's number.
func (*SetPolicy) Type() FrameType { return TypeSetPolicy }

// Fields lists the layout.
func (m *SetPolicy) Fields(c *Codec) {
	m.id(c)
	U8(c, "policy", &m.Policy)
	List(c, "codes", &m.Codes, MaxContactCodes, func(c *Codec, b *[32]byte) { c.Fixed("code", b[:]) })
}

// Renewal is the pseudonym that a blocklist's entry has under a new generation of
// the mailbox's key W.
type Renewal struct {
	Entry [16]byte // blocklist.EntryID
	NR    [32]byte
}

// BlockPseudonyms adds pseudonyms of a new generation of W to entries of the
// mailbox's blocklist. It comes before the new W is published, so that nobody who
// is blocked is let in meanwhile. Sent again, it changes nothing.
type BlockPseudonyms struct {
	Request
	Generation uint32
	Renewals   []Renewal
}

// Type is the frame's number.
func (*BlockPseudonyms) Type() FrameType { return TypeBlockPseudonyms }

// Fields lists the layout.
func (m *BlockPseudonyms) Fields(c *Codec) {
	m.id(c)
	U32(c, "generation", &m.Generation)
	List(c, "renewals", &m.Renewals, MaxRenewals, func(c *Codec, r *Renewal) {
		c.Fixed("entry", r.Entry[:])
		c.Fixed("N_R", r.NR[:])
	})
}
