package wire

import (
	"encoding/binary"

	"waxwing/core/ids"
)

// Delivery is what the delivering relay stores for a recipient and pushes to
// its devices. Stored it lacks the sequence number, which the store assigns.
type Delivery struct {
	Received uint64        // Unix time in milliseconds, by the relay's clock
	Com      [ComSize]byte // franking commitment, from the envelope
	Day      ids.Day       // the sender's day, from the envelope
	Class    Class         // of the envelope, which fixes where the body begins
	Stamp    [32]byte      // franking stamp over mailbox, com, day, received
	Snapshot [32]byte      // the relay's key snapshot in force; zero until snapshots exist
	Origin   AddressKind
	Ticket   [TicketSize]byte // the ticket that it came under; ByIntroduction: see Introduction; BySync: the salt of the head's key
	Serial   uint64           // the ticket's serial; zero without one, as expiry is. BySync: com and stamp too
	Expiry   ids.Day          // the ticket's last day
	Payload  []byte           // sealed head and body
}

// Fields lists the layout.
func (d *Delivery) Fields(c *Codec) {
	c.Const("version", Version)
	U64(c, "received", &d.Received)
	c.Fixed("com", d.Com[:])
	U32(c, "day", &d.Day)
	U8(c, "class", &d.Class)
	c.Check(d.Class.Valid(), "class", "unknown value")
	c.Fixed("stamp", d.Stamp[:])
	c.Fixed("snapshot", d.Snapshot[:])
	U8(c, "origin", &d.Origin)
	c.Check(d.Origin == ByTicket || d.Origin == ByIntroduction || d.Origin == BySync, "origin", "unknown value")
	c.Check((d.Origin == ByIntroduction) == (d.Class == ClassIntroduction), "class", "not one of the origin")
	c.Fixed("ticket", d.Ticket[:])
	U64(c, "serial", &d.Serial)
	U32(c, "expiry", &d.Expiry)
	switch d.Origin {
	case BySync:
		d.checkSync(c)
	case ByIntroduction:
		d.checkIntroduction(c)
	}
	if c.err == nil {
		n := MaxPayload
		if c.mode != describing {
			n = d.Class.PayloadSize()
		}
		c.Exact("payload", &d.Payload, n)
	}
}

// checkSync holds what has no ticket to one form: nobody can report it, so
// that it has neither commitment nor stamp.
func (d *Delivery) checkSync(c *Codec) {
	c.Check(d.Class.ForSync(), "class", "not one of sync")
	c.Check(d.Com == [ComSize]byte{}, "com", "not zero")
	c.Check(d.Stamp == [32]byte{}, "stamp", "not zero")
	c.Check(d.Snapshot == [32]byte{}, "snapshot", "not zero")
	c.Check(d.Serial == 0, "serial", "not zero")
	c.Check(d.Expiry == 0, "expiry", "not zero")
}

// Introduced is what a relay verified of an introduction, where a delivery under a
// ticket has that:
//
//	N_R 32 | generation 4 | code 1 | zeros 21
type Introduced struct {
	NR         [32]byte // the sender's pseudonym at the mailbox
	Generation uint32   // of W, which the pseudonym is of
	Code       bool     // one of the recipient's contact codes came with it
}

const introducedSize = 32 + 4 + 1

// Ticket returns the form in a delivery.
func (i *Introduced) Ticket() (b [TicketSize]byte) {
	copy(b[:], i.NR[:])
	binary.BigEndian.PutUint32(b[32:], i.Generation)
	if i.Code {
		b[36] = 1
	}
	return b
}

// Introduced returns what the relay verified, of a delivery by introduction.
func (d *Delivery) Introduced() Introduced {
	return Introduced{[32]byte(d.Ticket[:32]), binary.BigEndian.Uint32(d.Ticket[32:]), d.Ticket[36] == 1}
}

func (d *Delivery) checkIntroduction(c *Codec) {
	c.Check(d.Ticket[36] <= 1 && [TicketSize - introducedSize]byte(d.Ticket[introducedSize:]) == [TicketSize - introducedSize]byte{}, "ticket", "not what was introduced")
	c.Check(d.Serial == 0, "serial", "not zero")
	c.Check(d.Expiry == 0, "expiry", "not zero")
}

// Head returns the sealed head.
func (d *Delivery) Head() []byte { return d.Payload[:d.Class.HeadSize()] }

// Body returns the sealed body.
func (d *Delivery) Body() []byte { return d.Payload[d.Class.HeadSize():] }

// MaxDelivery is the largest stored delivery, in bytes.
const MaxDelivery = 1 + 8 + ComSize + 4 + 1 + 32 + 32 + 1 + TicketSize + 8 + 4 + MaxPayload
