package keylist

import (
	"cmp"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
	"waxwing/ratelimit"
	"waxwing/ratelimit/privacypass"
)

const (
	tokenKeySize      = 32
	credentialKeySize = 96

	// MaxTokenKeys bounds the keys of submission tokens: those that are redeemed
	// and the next one.
	MaxTokenKeys = privacypass.MaxKeys
	// MaxMemberships bounds the keys of memberships, so that a list fits a frame:
	// 128 providers, this month and the next.
	MaxMemberships = 256
	// MaxCredentials bounds the keys of daily credentials: an envelope may be
	// ids.MaxDelay days old, and the next days' are there ahead.
	MaxCredentials = 16
	// MaxSize bounds a list, in bytes.
	MaxSize = 60 << 10
)

// TokenKey is the key of an epoch's submission tokens.
type TokenKey struct {
	Epoch privacypass.Epoch
	Key   [tokenKeySize]byte
}

// MembershipKey is the key under which the list's provider issues memberships
// for use at another (or itself).
type MembershipKey struct {
	At    ids.Domain
	Month ratelimit.Month
	Key   [credentialKeySize]byte
}

// CredentialKey is the key of a day's credentials at the list's provider, with the
// introductions that one is good for, by tier. They are a day's as its key is: a
// presentation is made for one limit.
type CredentialKey struct {
	Day         ids.Day
	Key         [credentialKeySize]byte
	New, Member uint32
}

// Fields is what a provider signs. Each list ascends, so that it has one
// encoding.
type Fields struct {
	Provider    ids.Domain
	Number      uint32 // rises with every change
	Term        uint32 // rises when the provider lost state; see Follows
	Tokens      []TokenKey
	Memberships []MembershipKey
	Credentials []CredentialKey
}

// Fields lists the layout, without the signature.
func (f *Fields) Fields(c *wire.Codec) {
	c.Const("version", 1)
	c.Domain("provider", &f.Provider)
	wire.U32(c, "number", &f.Number)
	wire.U32(c, "term", &f.Term)
	wire.List(c, "tokens", &f.Tokens, MaxTokenKeys, func(c *wire.Codec, k *TokenKey) {
		wire.U32(c, "epoch", &k.Epoch)
		c.Fixed("key", k.Key[:])
	})
	wire.List(c, "memberships", &f.Memberships, MaxMemberships, func(c *wire.Codec, k *MembershipKey) {
		c.Domain("at", &k.At)
		wire.U32(c, "month", &k.Month)
		c.Fixed("key", k.Key[:])
	})
	wire.List(c, "credentials", &f.Credentials, MaxCredentials, func(c *wire.Codec, k *CredentialKey) {
		wire.U32(c, "day", &k.Day)
		c.Fixed("key", k.Key[:])
		wire.U32(c, "new", &k.New)
		wire.U32(c, "member", &k.Member)
	})
	c.Check(ascending(f.Tokens, compareTokens), "tokens", "not ascending")
	c.Check(ascending(f.Memberships, compareMemberships), "memberships", "not ascending")
	c.Check(ascending(f.Credentials, compareCredentials), "credentials", "not ascending")
}

// signedFields is a list with its signature, keys.ContextAdmission over all
// before it.
type signedFields struct {
	list      Fields
	Signature [keys.SignatureSize]byte
}

// Fields lists the layout.
func (s *signedFields) Fields(c *wire.Codec) {
	s.list.Fields(c)
	c.Fixed("signature", s.Signature[:])
}

// Layout returns the layout of a signed list for the documentation.
func Layout() []wire.Row { return wire.Layout(new(signedFields)) }

func compareTokens(a, b TokenKey) int { return cmp.Compare(a.Epoch, b.Epoch) }

func compareMemberships(a, b MembershipKey) int {
	return cmp.Or(cmp.Compare(a.At.String(), b.At.String()), cmp.Compare(a.Month, b.Month))
}

func compareCredentials(a, b CredentialKey) int { return cmp.Compare(a.Day, b.Day) }

func ascending[T any](s []T, compare func(a, b T) int) bool {
	for i := 1; i < len(s); i++ {
		if compare(s[i-1], s[i]) >= 0 {
			return false
		}
	}
	return true
}
