package state

import (
	"waxwing/core/devicesync"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

// SyncItem is a record for the account's other devices that is not with the
// provider yet (devicesync.Marshal).
type SyncItem struct {
	Bytes []byte
	keys.Redacted
}

// Fields lists the layout.
func (i *SyncItem) Fields(c *wire.Codec) {
	c.Const("version", recordVersion)
	c.Bytes("item", &i.Bytes, devicesync.MaxRecord)
}

// SyncBatch is a sealed batch on its way to the own provider. What is in it stays
// queued until the provider has it.
type SyncBatch struct {
	Day     ids.Day
	Class   wire.Class
	Salt    [wire.TicketSize]byte
	Payload []byte
	UpTo    uint64            // records up to this number are in batches whole
	Cursor  devicesync.Cursor // in the one after them
}

// Fields lists the layout.
func (b *SyncBatch) Fields(c *wire.Codec) {
	c.Const("version", recordVersion)
	wire.U32(c, "day", &b.Day)
	wire.U8(c, "class", &b.Class)
	c.Check(b.Class.ForSync(), "class", "not one of sync")
	c.Fixed("salt", b.Salt[:])
	c.Bytes("payload", &b.Payload, MaxEnvelope)
	wire.U64(c, "up to", &b.UpTo)
	cursor(c, &b.Cursor)
}

// SyncState is how far the stream to the other devices has come.
type SyncState struct {
	Record uint64            // number of the last record queued
	Cursor devicesync.Cursor // in the first record of the queue
}

// Fields lists the layout.
func (s *SyncState) Fields(c *wire.Codec) {
	c.Const("version", recordVersion)
	wire.U64(c, "record", &s.Record)
	cursor(c, &s.Cursor)
}

func cursor(c *wire.Codec, k *devicesync.Cursor) {
	wire.U16(c, "cursor index", &k.Index)
	wire.U32(c, "cursor offset", &k.Offset)
}

// Early is what became of a message that another device wrote and told nothing
// of yet.
type Early struct {
	Status  Status
	Failure uint16
	Day     ids.Day // on which it came
}

// Fields lists the layout.
func (e *Early) Fields(c *wire.Codec) {
	c.Const("version", recordVersion)
	wire.U8(c, "status", &e.Status)
	c.Check(e.Status > StatusReceived && e.Status <= StatusRead, "status", "unknown value")
	wire.U16(c, "failure", &e.Failure)
	wire.U32(c, "day", &e.Day)
}

// Told is how a contact was when the other devices were last told, or told us.
type Told struct {
	Hash    [32]byte // of the devicesync.Contact with Changed zero
	Choice  [32]byte // hash of what the user chose; zero if nothing
	Changed uint64   // when the user last chose, Unix time in milliseconds; 0 if never
}

// Fields lists the layout.
func (t *Told) Fields(c *wire.Codec) {
	c.Const("version", recordVersion)
	c.Fixed("hash", t.Hash[:])
	c.Fixed("choice", t.Choice[:])
	wire.U64(c, "changed", &t.Changed)
}
