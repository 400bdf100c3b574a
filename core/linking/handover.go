package linking

import (
	"slices"
	"strings"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

// Handover is the secrets: the account, and what the existing device gives up of
// its own for the new one's first day and week. It is in no archive that is kept: two devices
// that were made of one would use the same nonces.
type Handover struct {
	Day ids.Day // the existing device's
	// From and To are the new device's part of the day at providers that are not in
	// Credentials (ratelimit/introduction.Part); equal for none.
	From, To    uint64
	Credentials []Credential // at one provider each
	// Week is the existing device's, and the rest the same of its standing stamps:
	// the part at providers that are not in Standings.
	Week             uint32
	WeekFrom, WeekTo uint64
	Standings        []Standing // at one provider each
	Archive          []byte     // package core/archive
	keys.Redacted
}

// Credential is the day's credential at a provider with the new device's share of
// the nonces: those from Next to below End.
type Credential struct {
	Provider   ids.Domain
	Tier       uint8
	New        uint32 // the provider's limits
	Member     uint32
	Credential [CredentialSize]byte
	Over       bool // the provider has drawn another key for the day
	Next, End  uint32
	keys.Redacted
}

// Standing is the new device's share of the week's nonces of standing stamps at a
// provider: those from Next to below End.
type Standing struct {
	Provider  ids.Domain
	Next, End uint32
}

// Fields lists the layout.
func (h *Handover) Fields(c *wire.Codec) {
	c.Const("version", formatVersion)
	wire.U32(c, "day", &h.Day)
	wire.U64(c, "from", &h.From)
	wire.U64(c, "to", &h.To)
	c.Check(h.From <= h.To, "to", "below from")
	wire.List(c, "credentials", &h.Credentials, MaxCredentials, func(c *wire.Codec, k *Credential) { k.Fields(c) })
	rising(c, "credentials", h.Credentials)
	wire.U32(c, "week", &h.Week)
	wire.U64(c, "week from", &h.WeekFrom)
	wire.U64(c, "week to", &h.WeekTo)
	c.Check(h.WeekFrom <= h.WeekTo, "week to", "below from")
	wire.List(c, "standings", &h.Standings, MaxCredentials, func(c *wire.Codec, s *Standing) { s.Fields(c) })
	rising(c, "standings", h.Standings)
	c.Bytes("archive", &h.Archive, MaxArchive)
}

// byProvider is what a list of a handover is in the order of.
type byProvider interface{ provider() string }

func (k Credential) provider() string { return k.Provider.String() }

func (s Standing) provider() string { return s.Provider.String() }

func compare[T byProvider](a, b T) int { return strings.Compare(a.provider(), b.provider()) }

// rising refuses a list in another order, or with a provider twice.
func rising[T byProvider](c *wire.Codec, name string, list []T) {
	for i := 1; i < len(list); i++ {
		c.Check(compare(list[i-1], list[i]) < 0, name, "not rising")
	}
}

// Fields lists the layout.
func (s *Standing) Fields(c *wire.Codec) {
	c.Domain("provider", &s.Provider)
	wire.U32(c, "next", &s.Next)
	wire.U32(c, "end", &s.End)
	c.Check(s.Next <= s.End, "end", "below next")
}

// Sort puts the lists in the order that they have in a handover.
func (h *Handover) Sort() {
	slices.SortFunc(h.Standings, compare[Standing])
	slices.SortFunc(h.Credentials, compare[Credential])
}

// Fields lists the layout.
func (k *Credential) Fields(c *wire.Codec) {
	c.Domain("provider", &k.Provider)
	wire.U8(c, "tier", &k.Tier)
	wire.U32(c, "limit new", &k.New)
	wire.U32(c, "limit member", &k.Member)
	c.Fixed("credential", k.Credential[:])
	c.Bool("over", &k.Over)
	wire.U32(c, "next", &k.Next)
	wire.U32(c, "end", &k.End)
	c.Check(k.Next <= k.End, "end", "below next")
}

// Erase overwrites what is secret of a copy that is not needed any more.
func (h *Handover) Erase() {
	for i := range h.Credentials {
		clear(h.Credentials[i].Credential[:])
	}
	clear(h.Archive)
}

// Layouts returns the layout of what is handed over, for the documentation.
func Layouts() map[string][]wire.Row {
	return map[string][]wire.Row{"LinkHandover": wire.Layout(new(Handover))}
}
