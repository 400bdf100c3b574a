package directory

import (
	"time"

	"waxwing/core/store"
	"waxwing/ratelimit/limits"
)

const (
	// MaxDevices is the largest number of devices of an account: as many as an
	// envelope's head has room for.
	MaxDevices = 8
	// MaxCapabilities and MaxCapability bound what a manifest says that its
	// devices understand: names for extensions, far fewer than that today.
	MaxCapabilities = 16
	MaxCapability   = 32
	// MailboxKeyDays is how many days after the beginning of its week a
	// mailbox key may be used at most. Owners replace it every week; one who
	// was away for a month can still be reached.
	MailboxKeyDays = 35
	// MaxEndpoints and MaxEndpoint bound where a provider can be reached: a few
	// machines in two address families; a host name has up to 253 bytes.
	MaxEndpoints = 8
	MaxEndpoint  = 262
	// MaxCertificateKeys bounds the keys of a provider that are valid at once:
	// the one in use, the next, and old ones until their certificates expire.
	MaxCertificateKeys = 8
	// MaxRelayKeys bounds the keys that queries are sealed to: the one in use,
	// the next, and old ones until what was sealed to them has arrived.
	MaxRelayKeys = 4
	// MaxVersions bounds the protocol versions that a provider speaks.
	MaxVersions = 8
	// AnswerDevices is how many devices' prekeys one lookup answers with: as
	// many as a first message has room for.
	AnswerDevices = 5
	// MaxAnswer is the largest answer to a lookup, in bytes. Answers are padded
	// to it, so that their length tells nothing.
	MaxAnswer = 16 << 10
	// MaxLookup is the largest lookup request, in bytes.
	MaxLookup = 128
	// PoolCapacity is how many one-time prekeys of a device may wait: months of
	// new contacts for most, and 165 kB.
	PoolCapacity = 100
	// PoolReserve is how many of them are kept for contacts with consent: a
	// quarter of a full stock, so that strangers cannot take the last.
	PoolReserve = PoolCapacity / 4
	// cacheAccounts is how many verified manifests are kept in memory, at some
	// 2 KiB each. They are checked against the stored version on every use, so
	// a miss costs only the verification of a signature and a proof.
	cacheAccounts = 4096
	// memoLookups is how many lookups' decisions are remembered, so that a
	// repeated one is answered alike, at some 400 bytes each; memoTime is for
	// how long, which is as long as the store remembers who took an item.
	memoLookups = 8192
	memoTime    = store.ClaimMemory
	// lookupStripes is how many lookups of different accounts run at once: many
	// more than it takes to fill the store's group commits.
	lookupStripes = 256
	// MaxInviteUses bounds how many accounts one invite lets in: a school, or a
	// small company. Each is remembered with 16 bytes in one document.
	MaxInviteUses = 1000
	// MaxInviteLife is how long an invite may be valid: one that was forgotten
	// must not open the door for ever.
	MaxInviteLife = 366 * 24 * time.Hour
	// MaxInvites bounds the invites that are kept; making one reads them all.
	MaxInvites = 10_000
	// inviteMemory is how long after its end an invite is kept for its list and
	// for clients that ask again after a lost answer.
	inviteMemory = 30 * 24 * time.Hour
	// casTries is how often a change to a document is tried again because
	// another one came between. Only one account's own devices compete.
	casTries = 8
)

// allow spends one lookup. A peer over its own limit does not use up the
// target's: else one provider could keep all others from it.
func (d *Directory) allow(q *Lookup, now time.Time) bool {
	if !d.limits.Spend(now, limits.PeerPrekeys, limits.PeerKey(q.Peer), 1).Allowed {
		return false
	}
	return q.Consented || d.limits.Spend(now, limits.TargetPrekeys, limits.KeyOf(q.Address.String()), 1).Allowed
}
