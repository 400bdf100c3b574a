package daemon_test

import (
	"bytes"

	"waxwing/blocklist"
	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/mailbox"
	"waxwing/core/ratchet"
	"waxwing/core/wire"
	"waxwing/ratelimit/keylist"
	"waxwing/ratelimit/limits"
	"waxwing/ratelimit/privacypass"
)

// document is what the store's documents hold, by the beginning of their keys.
// The records are package-private where they are made; these are read from
// their documentation, so that a change there is noticed here.
type documentLayout struct {
	key   func(b []byte) ([]field, bool)
	value func() wire.Schema
}

var documents = map[string]documentLayout{
	"dir/account/":     {wholeKey("address"), func() wire.Schema { return new(accountRecord) }},
	"dir/sealkey/":     {wholeKey("address"), structures["mailbox key"]},
	"dir/device/":      {deviceKey, func() wire.Schema { return new(deviceRecord) }},
	"dir/xs/":          {sizedKey("hash", 32), func() wire.Schema { return new(accountKeyRecord) }},
	"dir/invite/":      {sizedKey("id", 16), func() wire.Schema { return new(inviteRecord) }},
	"dir/scratch/":     {sizedKey("stripe", 2), func() wire.Schema { return new(scratchRecord) }},
	"mailbox/serials/": {sizedKey("mailbox", 16), func() wire.Schema { return new(serialsRecord) }},
	"mailbox/door/":    {sizedKey("mailbox", 16), func() wire.Schema { return &mailbox.Door{Policy: mailbox.ToRequests} }},
	"mailbox/blocks/":  {sizedKey("mailbox", 16), func() wire.Schema { return new(blocklist.List) }},
	"peer/descriptor/": {wholeKey("domain"), structures["descriptor"]},
	"peer/entry/":      {wholeKey("domain"), func() wire.Schema { return new(peerRecord) }},
	"quota/":           {sizedKey("address hash", 32), func() wire.Schema { return new(privacypass.Row) }},
	"admission/list/":  {wholeKey("domain"), structures["key list"]},
	"admission/mark":   {sizedKey("nothing", 0), func() wire.Schema { return new(markRecord) }},
	"limit/change/":    {limitKey, func() wire.Schema { return new(limits.Change) }},
}

// pools are the stocks, alike: an item is a structure.
var pools = map[string]func() wire.Schema{"dir/onetime/": structures["prekey pair"]}

func wholeKey(name string) func([]byte) ([]field, bool) {
	return func(b []byte) ([]field, bool) { return []field{{"key." + name, b}}, len(b) > 0 }
}

func sizedKey(name string, n int) func([]byte) ([]field, bool) {
	return func(b []byte) ([]field, bool) { return []field{{"key." + name, b}}, len(b) == n }
}

// deviceKey is address | "/" | device 4.
func deviceKey(b []byte) ([]field, bool) {
	n := len(b) - 5
	if n < 1 || b[n] != '/' {
		return nil, false
	}
	return []field{{"key.address", b[:n]}, {"key.device", b[n+1:]}}, true
}

// limitKey is name "/" mode "/" domain.
func limitKey(b []byte) ([]field, bool) {
	parts := bytes.Split(b, []byte("/"))
	if len(parts) != 3 {
		return nil, false
	}
	return []field{{"key.limit", parts[0]}, {"key.mode", parts[1]}, {"key.domain", parts[2]}}, true
}

type accountRecord struct {
	mailbox    ids.MailboxID
	registered ids.Day
	replaced   ids.Day
	manifest   []byte
	removed    []ids.DeviceID
}

func (r *accountRecord) Fields(c *wire.Codec) {
	c.Const("version", 1)
	c.Fixed("mailbox", r.mailbox[:])
	wire.U32(c, "registered", &r.registered)
	wire.U32(c, "replaced", &r.replaced)
	c.Bytes("manifest", &r.manifest, wire.MaxManifest)
	wire.List(c, "removed", &r.removed, directory.MaxDevices, func(c *wire.Codec, id *ids.DeviceID) { wire.U32(c, "id", id) })
}

type markRecord struct{ at uint64 }

func (r *markRecord) Fields(c *wire.Codec) {
	c.Const("version", 1)
	wire.U64(c, "at", &r.at)
}

// signedKeyList is a keylist.List.
type signedKeyList struct {
	list      keylist.Fields
	signature [keys.SignatureSize]byte
}

func (l *signedKeyList) Fields(c *wire.Codec) {
	l.list.Fields(c)
	c.Fixed("signature", l.signature[:])
}

type deviceRecord struct {
	hasSigned, hasLast bool
	signed             ratchet.PublicSignedPrekey
	last               ratchet.PublicOneTime
}

func (r *deviceRecord) Fields(c *wire.Codec) {
	c.Const("version", 1)
	c.Bool("signed present", &r.hasSigned)
	if r.hasSigned {
		c.Nested("signed", &r.signed)
	}
	c.Bool("last resort present", &r.hasLast)
	if r.hasLast {
		c.Nested("last resort", &r.last)
	}
}

type accountKeyRecord struct {
	owner ids.Address
	claim uint8
}

func (r *accountKeyRecord) Fields(c *wire.Codec) {
	c.Const("version", 1)
	c.Address("owner", &r.owner)
	wire.U8(c, "claim", &r.claim)
}

type inviteRecord struct {
	uses    uint16
	made    ids.Day
	expires uint64
	revoked bool
	used    [][16]byte
}

func (r *inviteRecord) Fields(c *wire.Codec) {
	c.Const("version", 1)
	wire.U16(c, "uses", &r.uses)
	wire.U32(c, "made", &r.made)
	wire.U64(c, "expires", &r.expires)
	c.Bool("revoked", &r.revoked)
	wire.List(c, "used", &r.used, directory.MaxInviteUses, func(c *wire.Codec, u *[16]byte) { c.Fixed("use", u[:]) })
}

type scratchRecord struct{ number uint64 }

func (r *scratchRecord) Fields(c *wire.Codec) {
	wire.U64(c, "number", &r.number)
	c.Padding("zeros")
}

type serialsRecord struct{ next uint64 }

func (r *serialsRecord) Fields(c *wire.Codec) {
	c.Const("version", 1)
	wire.U64(c, "next serial", &r.next)
}

type peerRecord struct {
	removed bool
	addr    string
	pin     [32]byte
}

func (r *peerRecord) Fields(c *wire.Codec) {
	c.Const("version", 1)
	c.Bool("removed", &r.removed)
	c.String("address", &r.addr, 262)
	c.Fixed("pin", r.pin[:])
}
