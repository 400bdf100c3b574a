package mailbox

import (
	"crypto/sha256"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/store"
	"waxwing/core/wire"
)

// The keys of what is stored of a mailbox.
func serialsKey(m ids.MailboxID) store.Key { return store.Key("mailbox/serials/" + string(m[:])) }
func blocksKey(m ids.MailboxID) store.Key  { return store.Key("mailbox/blocks/" + string(m[:])) }
func doorKeyOf(m ids.MailboxID) store.Key  { return store.Key("mailbox/door/" + string(m[:])) }

// serials is the stored counter of a mailbox's tickets.
//
//	version 1 | next serial 8
type serials struct {
	next uint64 // the lowest serial that was never reserved; at least 1
}

func (s *serials) Fields(c *wire.Codec) {
	c.Const("version", 1)
	wire.U64(c, "next serial", &s.next)
	c.Check(s.next >= 1, "next serial", "zero")
}

// Fields is the stored form of a door.
func (d *Door) Fields(c *wire.Codec) {
	c.Const("version", 1)
	wire.U8(c, "policy", &d.Policy)
	c.Check(d.Policy.Valid(), "policy", "unknown value")
	wire.List(c, "codes", &d.codes, MaxCodes, func(c *wire.Codec, b *[keys.SecretSize]byte) { c.Fixed("code", b[:]) })
	wire.List(c, "keys", &d.keys, maxDoorKeys, func(c *wire.Codec, k *doorKey) {
		wire.U32(c, "generation", &k.generation)
		c.Fixed("W", k.w[:])
		wire.U32(c, "last", &k.last)
	})
	// SetKey looks generations up by halves.
	for i := 1; i < len(d.keys); i++ {
		c.Check(d.keys[i-1].generation < d.keys[i].generation, "keys", "not ascending")
	}
}

const labelOutbox = "waxwing outbox"

// Outbox returns the mailbox that envelopes for another provider wait in:
//
//	SHA-256("waxwing outbox" | length 4 | domain)[:16]
//
// Ids of accounts' mailboxes are random, so that none is the same.
func Outbox(peer ids.Domain) ids.MailboxID {
	h := sha256.Sum256(wire.AppendPrefixed([]byte(labelOutbox), []byte(peer.String())))
	return ids.MailboxID(h[:])
}
