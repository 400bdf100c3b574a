package directory

import (
	"waxwing/core/ids"
	"waxwing/core/ratchet"
	"waxwing/core/wire"
)

// LookupRequest asks for what a first contact needs of an account. It travels
// sealed in a Query.
//
//	version 1 | address | consent present 1 = 0
type LookupRequest struct {
	Address ids.Address
}

// Fields lists the layout.
func (r *LookupRequest) Fields(c *wire.Codec) {
	c.Const("version", formatVersion)
	c.Address("address", &r.Address)
	c.Const("consent present", 0)
}

// LookupStatus is the result of a lookup.
type LookupStatus uint8

const (
	// LookupFound: everything that a first contact needs is there.
	LookupFound LookupStatus = 1
	// LookupUnknown: there is no such account, or it has not published
	// everything yet.
	LookupUnknown LookupStatus = 2
)

// LookupAnswer answers a LookupRequest. The mailbox is named in its key.
//
//	version 1 | status 1 | manifest | mailbox key | bundles: {ratchet.Bundle 1805}
//
// All lists and fields are empty unless the status is LookupFound. The device
// ids of the bundles are strictly increasing. It has at most MaxAnswer bytes.
type LookupAnswer struct {
	Status     LookupStatus
	Manifest   []byte // a Manifest
	MailboxKey []byte // a MailboxKey
	Bundles    []ratchet.Bundle
}

// Fields lists the layout.
func (a *LookupAnswer) Fields(c *wire.Codec) {
	c.Const("version", formatVersion)
	wire.U8(c, "status", &a.Status)
	c.Check(a.Status == LookupFound || a.Status == LookupUnknown, "status", "unknown value")
	c.Bytes("manifest", &a.Manifest, wire.MaxManifest)
	c.Bytes("mailbox key", &a.MailboxKey, wire.MaxSealKey)
	wire.List(c, "bundles", &a.Bundles, AnswerDevices, func(c *wire.Codec, b *ratchet.Bundle) { c.Nested("bundle", b) })
	for _, n := range []int{len(a.Manifest), len(a.MailboxKey), len(a.Bundles)} {
		c.Check((n > 0) == (a.Status == LookupFound), "status", "does not fit the rest")
	}
	for i := 1; i < len(a.Bundles); i++ {
		c.Check(a.Bundles[i-1].Device < a.Bundles[i].Device, "bundles", "devices not increasing")
	}
}

// accountRecord is what is stored of an account.
//
//	version 1 | mailbox 16 | day of registration 4 | day of the last replacement of X_S 4 |
//	manifest | removed: {device id 4}
//
// The day of the replacement is 0 if there was none. The ids of removed devices
// are strictly increasing. They stand here until everything that the provider
// keeps for them is gone.
type accountRecord struct {
	mailbox    ids.MailboxID
	registered ids.Day
	replaced   ids.Day
	manifest   []byte
	removed    []ids.DeviceID
}

func (r *accountRecord) Fields(c *wire.Codec) {
	c.Const("version", formatVersion)
	c.Fixed("mailbox", r.mailbox[:])
	wire.U32(c, "registered", &r.registered)
	wire.U32(c, "replaced", &r.replaced)
	c.Bytes("manifest", &r.manifest, wire.MaxManifest)
	wire.List(c, "removed", &r.removed, MaxDevices, func(c *wire.Codec, id *ids.DeviceID) { wire.U32(c, "id", id) })
	last := ids.DeviceID(0)
	for _, id := range r.removed {
		c.Check(id > last, "removed", "ids not increasing from 1")
		last = id
	}
}

// deviceRecord is what is stored of a device's prekeys, beside the pool of its
// one-time prekeys: version 1 | signed prekey 100 | last-resort pair 1669, each
// behind a byte that says whether it is there.
type deviceRecord struct {
	hasSigned, hasLast bool
	signed             ratchet.PublicSignedPrekey
	last               ratchet.PublicOneTime
}

func (r *deviceRecord) Fields(c *wire.Codec) {
	c.Const("version", formatVersion)
	c.Bool("signed present", &r.hasSigned)
	if r.hasSigned {
		c.Nested("signed", &r.signed)
	}
	c.Bool("last resort present", &r.hasLast)
	if r.hasLast {
		c.Nested("last resort", &r.last)
	}
}
