package wire

import "waxwing/core/ids"

// Recover makes the connection one that may add a device to an account whose
// identity key the other end holds, and nothing else: a signature by that key
// over AuthInput with device 0. It is for a device that is made from an export,
// which no device of the account lets in.
type Recover struct {
	Request
	Address   ids.Address
	Signature [64]byte
}

// Type is the frame's number.
func (*Recover) Type() FrameType { return TypeRecover }

// Fields lists the layout.
func (m *Recover) Fields(c *Codec) {
	m.id(c)
	c.Address("address", &m.Address)
	c.Fixed("signature", m.Signature[:])
}

const (
	// RendezvousSize is the size of a rendezvous's name, in bytes: random, so
	// that only who was told it meets there.
	RendezvousSize = 16
	// MaxRendezvousDocument bounds one document, so that it stays one frame.
	MaxRendezvousDocument = 48 << 10
	// MaxRendezvousIndex is the highest number of a document of one side: what
	// a device is handed, in parts, and the messages before it.
	MaxRendezvousIndex = 95
)

// Side says which of the two devices at a rendezvous writes.
type Side uint8

// The sides.
const (
	SideExisting Side = 1 // the device that is in the account; it opened the rendezvous
	SideNew      Side = 2 // the device that wants to be; it is not authenticated
)

func side(c *Codec, p *Side) {
	U8(c, "side", p)
	c.Check(*p == SideExisting || *p == SideNew, "side", "unknown value")
}

func index(c *Codec, p *uint8) {
	U8(c, "index", p)
	c.Check(*p <= MaxRendezvousIndex, "index", "out of range")
}

// RendezvousOpen opens a place where the account's device and a new one leave
// each other documents (package core/linking). It lasts for minutes.
type RendezvousOpen struct {
	Request
	Rendezvous [RendezvousSize]byte
}

// Type is the frame's number.
func (*RendezvousOpen) Type() FrameType { return TypeRendezvousOpen }

// Fields lists the layout.
func (m *RendezvousOpen) Fields(c *Codec) {
	m.id(c)
	c.Fixed("rendezvous", m.Rendezvous[:])
}

// RendezvousPut leaves a document. A document that is there is not replaced.
type RendezvousPut struct {
	Request
	Rendezvous [RendezvousSize]byte
	Side       Side
	Index      uint8
	Document   []byte
}

// Type is the frame's number.
func (*RendezvousPut) Type() FrameType { return TypeRendezvousPut }

// Fields lists the layout.
func (m *RendezvousPut) Fields(c *Codec) {
	m.id(c)
	c.Fixed("rendezvous", m.Rendezvous[:])
	side(c, &m.Side)
	index(c, &m.Index)
	c.Bytes("document", &m.Document, MaxRendezvousDocument)
}

// RendezvousGet asks for a document of the other side.
type RendezvousGet struct {
	Request
	Rendezvous [RendezvousSize]byte
	Side       Side // whose document it is
	Index      uint8
}

// Type is the frame's number.
func (*RendezvousGet) Type() FrameType { return TypeRendezvousGet }

// Fields lists the layout.
func (m *RendezvousGet) Fields(c *Codec) {
	m.id(c)
	c.Fixed("rendezvous", m.Rendezvous[:])
	side(c, &m.Side)
	index(c, &m.Index)
}

// RendezvousDocument answers RendezvousGet.
type RendezvousDocument struct {
	Request
	Present  bool // whether it was left there yet
	Document []byte
}

// Type is the frame's number.
func (*RendezvousDocument) Type() FrameType { return TypeRendezvousDocument }

// Fields lists the layout.
func (m *RendezvousDocument) Fields(c *Codec) {
	m.id(c)
	c.Bool("present", &m.Present)
	c.Bytes("document", &m.Document, MaxRendezvousDocument)
	c.Check(m.Present || len(m.Document) == 0, "document", "of one that is not there")
}
