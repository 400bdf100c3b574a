package ratelimit

import (
	"encoding/binary"

	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/wire"
)

// Tier is how well a provider knows an account. There are few, since each
// divides the crowd that a sender hides in.
type Tier uint8

const (
	// TierNew is for accounts that are new, or whose secret was replaced.
	TierNew Tier = 1
	// TierMember is for all others.
	TierMember Tier = 2
)

// Valid reports whether there is such a tier.
func (t Tier) Valid() bool { return t == TierNew || t == TierMember }

// Month is a period of MonthDays, for which a membership credential is valid.
type Month uint32

// MonthDays is how long a membership credential is valid: an account that its
// provider closes keeps refilling no longer.
const MonthDays = 30

// MonthOf returns the month of a day.
func MonthOf(d ids.Day) Month { return Month(d / MonthDays) }

// Week is a period of seven days, for which a standing stamp is valid.
type Week uint32

// WeekOf returns the week of a day.
func WeekOf(d ids.Day) Week { return Week(d / 7) }

// The contexts of credentials and tags, each of a kind of its own:
//
//	membership   "m" | home | provider | month 4 | tier 1
//	epoch        "e" | home | provider | day 4 | tier 1
//	introduction "g" | provider | day 4 | limit 4
//	standing     "s" | provider | week 4 | limit 4
//
// home and provider behind their lengths in four bytes. A tag's context holds no
// home and no mailbox: the limit is of a secret at a provider. It holds nothing
// of a message either: a context per message would be a limit per message.

// MembershipContext is the request context of a membership credential.
func MembershipContext(home, provider ids.Domain, m Month, t Tier) []byte {
	return credentialContext('m', home, provider, uint32(m), t)
}

// EpochContext is the request context of an epoch credential. Home and tier
// stay in it, so that limits per home and tier can be told.
func EpochContext(home, provider ids.Domain, d ids.Day, t Tier) []byte {
	return credentialContext('e', home, provider, uint32(d), t)
}

func credentialContext(kind byte, home, provider ids.Domain, n uint32, t Tier) []byte {
	b := wire.AppendPrefixed([]byte{kind}, []byte(home.String()))
	b = wire.AppendPrefixed(b, []byte(provider.String()))
	return append(binary.BigEndian.AppendUint32(b, n), byte(t))
}

// IntroductionContext is the presentation context of introductions.
func IntroductionContext(provider ids.Domain, d ids.Day, limit uint32) []byte {
	return tagContext('g', provider, uint32(d), limit)
}

// StandingContext is the presentation context of standing stamps.
func StandingContext(provider ids.Domain, w Week, limit uint32) []byte {
	return tagContext('s', provider, uint32(w), limit)
}

func tagContext(kind byte, provider ids.Domain, n, limit uint32) []byte {
	b := wire.AppendPrefixed([]byte{kind}, []byte(provider.String()))
	b = binary.BigEndian.AppendUint32(b, n)
	return binary.BigEndian.AppendUint32(b, limit)
}

// PlatformBase returns P_B, the base of a provider's own pseudonyms. Everybody
// computes it; a base that a provider could choose would have a logarithm, with
// which it could compute N_B from every certificate's X_S. It is the base of the
// escrow in a franking token's bundle too (package franking), so that what a
// report opens is what a refill shows.
func PlatformBase(provider ids.Domain) group.Element {
	return hashedBase(provider.String(), "waxwing platform base v1")
}

// ListBase returns P_L, the base of a shared list's pseudonyms.
func ListBase(list [ListIDSize]byte) group.Element {
	return hashedBase(string(list[:]), "waxwing list base v1")
}

// ListIDSize is the size of a shared list's id, in bytes.
const ListIDSize = 16

func hashedBase(name, dst string) group.Element {
	g := group.Ristretto255()
	e, err := g.DecodeElement(g.HashToElement([]byte(name), dst).Bytes())
	if err != nil {
		panic(err) // a name that hashes to the identity is not to be found
	}
	return e
}
