package wire

import (
	"crypto/sha256"

	"waxwing/core/ids"
)

// ForSync reports whether batches between an account's own devices may have the
// class: 4 KiB, and 16 KiB for one that begins sessions. Nothing that is in a
// batch chooses it.
func (c Class) ForSync() bool { return c == Class4K || c == Class16K }

// SyncPut hands a batch for the account's other devices to the provider, which
// puts it into the account's mailbox as a Delivery of origin BySync. Sent again,
// it is stored once. It is answered by Done.
type SyncPut struct {
	Request
	Day     ids.Day          // the sender's UTC day
	Class   Class            // ForSync
	Salt    [TicketSize]byte // random: of the head's key, where other deliveries have a ticket
	Payload []byte           // sealed head and body
}

// Type is the frame's number.
func (*SyncPut) Type() FrameType { return TypeSyncPut }

// Fields lists the layout.
func (m *SyncPut) Fields(c *Codec) {
	m.id(c)
	U32(c, "day", &m.Day)
	U8(c, "class", &m.Class)
	c.Check(m.Class.ForSync(), "class", "not one of sync")
	c.Fixed("salt", m.Salt[:])
	if c.err == nil {
		n := Class16K.PayloadSize()
		if c.mode != describing {
			n = m.Class.PayloadSize()
		}
		c.Exact("payload", &m.Payload, n)
	}
}

const labelSync = "waxwing sync batch v1"

// EnvelopeID is the batch's id, computed by whoever receives it:
// SHA-256("waxwing sync batch v1" | day 4 | class 1 | salt 58 | PayloadHash).
func (m *SyncPut) EnvelopeID() ids.EnvelopeID {
	n := m.Class.HeadSize()
	hash := PayloadHash(m.Payload[:n], m.Payload[n:])
	c := Codec{mode: building, buf: []byte(labelSync)}
	U32(&c, "day", &m.Day)
	U8(&c, "class", &m.Class)
	c.Fixed("salt", m.Salt[:])
	c.Fixed("payload hash", hash[:])
	return sha256.Sum256(c.buf)
}

// Delivery returns what the provider stores, received at a Unix time in
// milliseconds.
func (m *SyncPut) Delivery(received uint64) *Delivery {
	return &Delivery{Received: received, Day: m.Day, Class: m.Class, Origin: BySync, Ticket: m.Salt, Payload: m.Payload}
}
