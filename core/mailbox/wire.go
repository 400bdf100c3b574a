package mailbox

import (
	"crypto/sha256"

	"waxwing/core/ids"
	"waxwing/core/store"
	"waxwing/core/wire"
)

// The keys of what is stored of a mailbox.
func serialsKey(m ids.MailboxID) store.Key { return store.Key("mailbox/serials/" + string(m[:])) }
func blocksKey(m ids.MailboxID) store.Key  { return store.Key("mailbox/blocks/" + string(m[:])) }

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
