package state

import (
	"waxwing/core/content"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
	"waxwing/sealedsender"
)

// maxDocument bounds a public document: the largest is a list of keys of admission
// (keylist.MaxSize).
const maxDocument = 60 << 10

// Published is a public document of a provider, as it was fetched and verified.
type Published struct {
	Fetched uint64 // Unix time, milliseconds
	Bytes   []byte
}

// Fields lists the layout.
func (s *Published) Fields(c *wire.Codec) {
	c.Const("version", recordVersion)
	wire.U64(c, "fetched", &s.Fetched)
	c.Bytes("document", &s.Bytes, maxDocument)
}

// Token is a franking token with its secrets (franking.OwnToken), of this device.
type Token struct {
	Epoch  ids.Day
	Record []byte
	keys.Redacted
}

// maxToken bounds a token's record, in bytes: 400, and room.
const maxToken = 1 << 10

// Fields lists the layout.
func (t *Token) Fields(c *wire.Codec) {
	c.Const("version", recordVersion)
	wire.U32(c, "epoch", &t.Epoch)
	c.Bytes("token", &t.Record, maxToken)
}

// Offer is the token bundle that a contact gets for the messages of one day.
type Offer struct {
	Epoch     ids.Day
	Bundle    []byte   // franking.MakeBundle
	Ref       [32]byte // its reference
	Manifest  uint32   // version of the contact's manifest that the confirmations are of
	Confirmed []ids.DeviceID
}

// Fields lists the layout.
func (o *Offer) Fields(c *wire.Codec) {
	c.Const("version", recordVersion)
	wire.U32(c, "epoch", &o.Epoch)
	c.Bytes("bundle", &o.Bundle, sealedsender.MaxBundle)
	c.Fixed("reference", o.Ref[:])
	wire.U32(c, "manifest", &o.Manifest)
	wire.List(c, "confirmed", &o.Confirmed, sealedsender.MaxEntries, func(c *wire.Codec, id *ids.DeviceID) { wire.U32(c, "device", id) })
}

// Ahead is how far a bundle has gone to a contact in padding.
type Ahead struct {
	Epoch    ids.Day  // of the offer
	Ref      [32]byte // its reference
	Manifest uint32   // version of the contact's manifest that the rounds are of
	Wanted   bool     // the contact asked for it
	Next     uint8    // the unit that the next piece begins with
	Rounds   uint8    // how often all of it went
}

// Fields lists the layout.
func (a *Ahead) Fields(c *wire.Codec) {
	c.Const("version", recordVersion)
	wire.U32(c, "epoch", &a.Epoch)
	c.Fixed("reference", a.Ref[:])
	wire.U32(c, "manifest", &a.Manifest)
	c.Bool("wanted", &a.Wanted)
	wire.U8(c, "next", &a.Next)
	wire.U8(c, "rounds", &a.Rounds)
}

// Gathered is what came of a bundle of a contact's device in padding.
type Gathered struct {
	Day ids.Day // on which the last piece came
	content.Gathering
}

// Fields lists the layout.
func (g *Gathered) Fields(c *wire.Codec) {
	c.Const("version", recordVersion)
	wire.U32(c, "day", &g.Day)
	c.Nested("gathering", &g.Gathering)
}

// Want is a bundle of a contact's that held messages name.
type Want struct {
	Until ids.Day // nothing is held for it after that
	Held  uint16  // how many messages were held for it
}

// Fields lists the layout.
func (t *Want) Fields(c *wire.Codec) {
	c.Const("version", recordVersion)
	wire.U32(c, "until", &t.Until)
	wire.U16(c, "held", &t.Held)
}

// Bundle is a contact's token bundle: what its messages are reported with.
type Bundle struct {
	Epoch ids.Day
	Bytes []byte
}

// Fields lists the layout.
func (b *Bundle) Fields(c *wire.Codec) {
	c.Const("version", recordVersion)
	wire.U32(c, "epoch", &b.Epoch)
	c.Bytes("bundle", &b.Bytes, sealedsender.MaxBundle)
}

// Proof is what a received message is reported with, beside the message itself
// and its bundle.
type Proof struct {
	Bundle   [32]byte // reference
	Sigma2   [sealedsender.Sigma2Size]byte
	Hour     ids.Hour
	Salt     [sealedsender.SaltSize]byte
	Snapshot [32]byte
}

// Fields lists the layout.
func (p *Proof) Fields(c *wire.Codec) {
	c.Const("version", recordVersion)
	c.Fixed("bundle", p.Bundle[:])
	c.Fixed("sigma2", p.Sigma2[:])
	wire.U32(c, "hour", &p.Hour)
	c.Fixed("salt", p.Salt[:])
	c.Fixed("snapshot", p.Snapshot[:])
}
