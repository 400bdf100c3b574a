package state

import (
	"waxwing/core/devicesync"
	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
	"waxwing/ratelimit/ticket"
)

// ContactStatus says how far a contact has come.
type ContactStatus uint8

const (
	// ContactCode: added from a contact code; its keys were not looked up yet.
	ContactCode ContactStatus = 1
	// ContactKnown: its keys are known.
	ContactKnown ContactStatus = 2
)

// Contact is somebody to write to.
type Contact struct {
	Address     ids.Address
	Status      ContactStatus
	Blocked     bool
	Entry       [16]byte              // its entry in the own blocklist; zero for none
	Fingerprint directory.Fingerprint // of the pinned identity key; zero for one that was added by its address, until it is looked up
	Identity    keys.VerifyKey        // zero before ContactKnown
	XS          [32]byte              // X_S, pinned with the identity key; zero before ContactKnown
	AccountDH   keys.DHPublic         // for deniable tags; zero before ContactKnown
	Mailbox     ids.MailboxID

	// A ticket of a contact code, for one first message.
	HasFirst    bool
	FirstTicket ticket.Ticket
	FirstKey    [32]byte
	FirstExpiry ids.Day
	SealWeek    directory.Week // key id of SealKey
	SealKey     []byte         // the mailbox's seal key, 1216 bytes, or empty

	Conversation [16]byte     // id of what we write to it
	Sequence     uint64       // of the last frame that we wrote
	Previous     [32]byte     // d of that frame
	Batch        uint32       // number of the last batch of tickets given to it by this device
	Generation   uint32       // of the newest batch of tickets that it gave to us
	Version      uint32       // of its newest known manifest, in Manifests; 0 for none
	MailboxKey   []byte       // its signed mailbox key with W and Z (directory.MailboxKey), or empty
	LastDevice   ids.DeviceID // the last device id that it ever used, by that manifest
	Announced    uint32       // version of our manifest that a device of it confirmed; 0 for none
	Confirm      [][32]byte   // hashes of its certificates and manifest that we have to confirm
	Missed       [][32]byte   // d of messages that came without an entry for one of our devices
	OwedSince    uint64       // from when on receipts for it wait their delay, Unix time in milliseconds; 0 if it waits for none
	Changed      bool         // something came under another identity key or X_S than the pinned one
	Pending      bool         // it introduced itself and waits for an answer: nothing is sent to it
	Introduced   ids.Day      // when we last introduced ourselves to it; 0 for never
	Code         [32]byte     // a secret that its mailbox lets introductions in with; zero for none
	Fresh        bool         // the user let it in, and it was given no tickets since
	Standing     uint32       // one more than the newest week for which it is known to be in standing; 0 for none
	Lent         ids.Day      // when it was last given tickets without being in standing; 0 for never
	Others       []OtherKey   // X_S beside the pinned one, the newest first
	Rekeyed      ids.Day      // when its X_S was replaced; 0 for never, for one whose safety number was compared since, and after a while
}

// OtherKey is an X_S that a contact had before the pinned one or, of one that is
// blocked, was seen to have.
type OtherKey struct {
	XS    [32]byte
	Until ids.Day // the last day on which something under it is taken; 0 for one that only its provider vouches for
}

// Fields lists the layout.
func (o *OtherKey) Fields(c *wire.Codec) {
	c.Fixed("X_S", o.XS[:])
	wire.U32(c, "until", &o.Until)
}

// Fields lists the layout.
func (k *Contact) Fields(c *wire.Codec) {
	c.Const("version", recordVersion)
	c.Address("address", &k.Address)
	wire.U8(c, "status", &k.Status)
	c.Check(k.Status == ContactCode || k.Status == ContactKnown, "status", "unknown value")
	c.Bool("blocked", &k.Blocked)
	c.Fixed("entry", k.Entry[:])
	c.Fixed("fingerprint", k.Fingerprint[:])
	c.Fixed("identity", k.Identity[:])
	c.Fixed("X_S", k.XS[:])
	c.Fixed("account DH", k.AccountDH[:])
	c.Fixed("mailbox", k.Mailbox[:])
	c.Bool("first ticket present", &k.HasFirst)
	if k.HasFirst {
		c.Fixed("first ticket", k.FirstTicket[:])
		c.Fixed("first key", k.FirstKey[:])
		wire.U32(c, "first expiry", &k.FirstExpiry)
	}
	wire.U32(c, "seal week", &k.SealWeek)
	c.Bytes("seal key", &k.SealKey, keys.SealPublicSize)
	c.Fixed("conversation", k.Conversation[:])
	wire.U64(c, "sequence", &k.Sequence)
	c.Fixed("previous", k.Previous[:])
	wire.U32(c, "batch", &k.Batch)
	wire.U32(c, "generation", &k.Generation)
	wire.U32(c, "manifest version", &k.Version)
	c.Bytes("mailbox key", &k.MailboxKey, wire.MaxSealKey)
	wire.U32(c, "last device", &k.LastDevice)
	wire.U32(c, "announced", &k.Announced)
	hash := func(c *wire.Codec, h *[32]byte) { c.Fixed("hash", h[:]) }
	wire.List(c, "confirm", &k.Confirm, MaxConfirms, hash)
	wire.List(c, "missed", &k.Missed, MaxMissed, hash)
	wire.U64(c, "owed since", &k.OwedSince)
	c.Bool("changed", &k.Changed)
	c.Bool("pending", &k.Pending)
	wire.U32(c, "introduced", &k.Introduced)
	c.Fixed("code", k.Code[:])
	c.Bool("fresh", &k.Fresh)
	wire.U32(c, "standing", &k.Standing)
	wire.U32(c, "lent", &k.Lent)
	wire.List(c, "others", &k.Others, devicesync.MaxOtherKeys, func(c *wire.Codec, o *OtherKey) { o.Fields(c) })
	wire.U32(c, "rekeyed", &k.Rekeyed)
}

// Peer is one device of a contact, or another one of the own account: there is a
// row for each device of the newest known manifest and for no other.
type Peer struct {
	DH          keys.DHPublic // identity in sessions
	Sending     uint64        // session to send on; 0 for none
	Asked       uint64        // when a lookup last brought no session with it, Unix time in milliseconds; 0 for never
	Confirmed   [32]byte      // hash of our certificate that it confirmed; zero for none
	Theirs      [16]byte      // id of what it writes to us
	Next        uint64        // the number of its message that is to come next
	ParkedSince uint64        // since when messages behind a gap wait, Unix time in milliseconds; 0 if none do
	Marks       ticket.Marks
}

// Fields lists the layout.
func (p *Peer) Fields(c *wire.Codec) {
	c.Const("version", recordVersion)
	c.Fixed("DH key", p.DH[:])
	wire.U64(c, "sending", &p.Sending)
	wire.U64(c, "asked", &p.Asked)
	c.Fixed("confirmed", p.Confirmed[:])
	c.Fixed("theirs", p.Theirs[:])
	wire.U64(c, "next", &p.Next)
	wire.U64(c, "parked since", &p.ParkedSince)
	c.Nested("marks", &p.Marks)
}
