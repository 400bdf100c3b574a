package directory

import (
	"time"

	"waxwing/core/ids"
	"waxwing/core/wire"
)

// The text of an invite: base32 of code 16 | checksum 4, in groups of four
// characters with hyphens between. The hashes, each of the code behind a label:
//
//	checksum = SHA-256("waxwing invite checksum v1" | code)[:4]
//	id       = SHA-256("waxwing invite id v1" | code)[:16]
//	use      = SHA-256("waxwing invite use v1" | code | SHA-256(manifest))[:16]
const (
	inviteCodeSize = 16
	inviteSumSize  = 4
	inviteGroup    = 4

	labelInviteSum = "waxwing invite checksum v1"
	labelInviteID  = "waxwing invite id v1"
	labelInviteUse = "waxwing invite use v1"
)

// inviteUse stands for one manifest that an invite let in.
type inviteUse [16]byte

// inviteRecord is what is stored of an invite under its id.
//
//	version 1 | uses 2 | day made 4 | expires 8 (Unix seconds) | revoked 1 |
//	used: {16}
type inviteRecord struct {
	uses    uint16
	made    ids.Day
	expires uint64
	revoked bool
	used    []inviteUse
}

func (r *inviteRecord) Fields(c *wire.Codec) {
	c.Const("version", formatVersion)
	wire.U16(c, "uses", &r.uses)
	c.Check(r.uses >= 1 && r.uses <= MaxInviteUses, "uses", "out of range")
	wire.U32(c, "made", &r.made)
	wire.U64(c, "expires", &r.expires)
	c.Check(r.expires < 1<<40, "expires", "out of range")
	c.Bool("revoked", &r.revoked)
	wire.List(c, "used", &r.used, MaxInviteUses, func(c *wire.Codec, u *inviteUse) { c.Fixed("use", u[:]) })
	c.Check(len(r.used) <= int(r.uses), "used", "more than uses")
}

func (r *inviteRecord) invite(id InviteID) *Invite {
	return &Invite{
		ID: id, Uses: int(r.uses), Used: len(r.used), Made: r.made,
		Expires: time.Unix(int64(r.expires), 0).UTC(), Revoked: r.revoked,
	}
}
