package ticket

import (
	"waxwing/core/ids"
	"waxwing/core/wire"
)

// The labels of this package, one for each key and purpose. A ticket key makes
// nothing but binders, so its one label needs no length in front.
const (
	labelBinder = "waxwing ticket v1"
	labelSecret = "waxwing seal secret"
)

// A ticket:
//
//	version 1 | key id 1 | nonce 12 | sealed 28 | tag 16 = 58 bytes
//	sealed    = AES-256-GCM(kTicket[key id], nonce, aad = version | key id)
//	            of mailbox 16 | serial 8 | expiry day 4
//	ticketKey = HMAC-SHA256(kBind[key id], ticket)
//	binder    = HMAC-SHA256(ticketKey, "waxwing ticket v1" | ticket | com 32 |
//	            day 4 | class 1 | ttl 4 | payload hash 32)[:16]
//
// The payload hash is wire.PayloadHash.
const (
	// Size is the size of a ticket, in bytes.
	Size = wire.TicketSize
	// BinderSize is the size of a binder, in bytes.
	BinderSize = wire.BinderSize
	// KeySize is the size of a ticket key and of a seal secret, in bytes.
	KeySize = 32

	version = 1

	offVersion = 0
	offKeyID   = 1
	offNonce   = 2
	offSealed  = offNonce + nonceSize
	nonceSize  = 12
	tagSize    = 16

	offMailbox = 0
	offSerial  = 16
	offExpiry  = 24
	plainSize  = 28
)

// The layout fills a ticket exactly.
var _ [Size]struct{} = [offSealed + plainSize + tagSize]struct{}{}

// record is a minting key as the relay stores it, 81 bytes.
type record struct {
	Generation uint64  // its lowest byte is the key id
	Day        ids.Day // on which the key was made
	Reserved   uint32  // no more than that many tickets were minted
	Seal       [KeySize]byte
	Bind       [KeySize]byte
}

// Fields lists the layout.
func (r *record) Fields(c *wire.Codec) {
	c.Const("version", version)
	wire.U64(c, "generation", &r.Generation)
	wire.U32(c, "day", &r.Day)
	wire.U32(c, "reserved", &r.Reserved)
	c.Check(r.Reserved <= MaxPerKey && r.Reserved%ReserveStep == 0, "reserved", "out of range")
	c.Fixed("seal", r.Seal[:])
	c.Fixed("bind", r.Bind[:])
}

const (
	grantFixed  = 1 + 4 + 4 + 2 + 4 + KeySize + 4 + 2
	grantTicket = Size + KeySize
)

// Fields lists the layout: 53 bytes and 90 for each ticket.
func (g *Grant) Fields(c *wire.Codec) {
	c.Const("version", version)
	wire.U32(c, "batch", &g.Batch)
	wire.U32(c, "giver", &g.Giver)
	c.Check(g.Giver != 0, "giver", "zero")
	wire.U16(c, "root", &g.Root)
	wire.U32(c, "for", &g.For)
	c.Fixed("secret", g.Secret.Bytes())
	wire.U32(c, "expiry", &g.Expiry)
	wire.List(c, "tickets", &g.Tickets, MaxGrant, func(c *wire.Codec, m *Minted) { m.Fields(c) })
	c.Check(len(g.Tickets) > 0, "tickets", "none")
}

// Fields lists the layout.
func (m *Minted) Fields(c *wire.Codec) {
	c.Fixed("ticket", m.Ticket[:])
	c.Fixed("key", m.Key.b[:])
}

// Fields lists the layout of a wallet's row.
func (h *Held) Fields(c *wire.Codec) {
	c.Const("version", version)
	wire.U32(c, "expiry", &h.Expiry)
	c.Fixed("secret", h.Secret.Bytes())
	h.Minted.Fields(c)
}

// Fields lists the layout of a row of the stock.
func (s *Stocked) Fields(c *wire.Codec) {
	c.Const("version", version)
	wire.U64(c, "serial", &s.Serial)
	wire.U32(c, "expiry", &s.Expiry)
	s.Minted.Fields(c)
}

// Fields lists the layout of a row about a ticket given out.
func (g *Given) Fields(c *wire.Codec) {
	c.Const("version", version)
	wire.U64(c, "serial", &g.Serial)
	wire.U32(c, "expiry", &g.Expiry)
	wire.U32(c, "batch", &g.Batch)
	wire.U32(c, "giver", &g.Giver)
	wire.U16(c, "root", &g.Root)
	wire.U32(c, "device", &g.Device)
	c.Bool("code", &g.Code)
	c.Bool("used", &g.Used)
	known := !g.Account.IsZero()
	c.Bool("account known", &known)
	if known {
		c.Address("account", &g.Account)
	}
	c.Check(known || g.Code, "account", "none")
}

// Fields lists the layout of a contact's water mark.
func (m *Marks) Fields(c *wire.Codec) {
	c.Const("version", version)
	wire.U16(c, "high", &m.High)
	c.Check(m.High == 0 || MinHigh <= m.High && m.High <= MaxHigh, "high", "out of range")
	wire.U64(c, "last", &m.Last)
}
