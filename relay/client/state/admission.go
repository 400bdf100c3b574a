package state

import (
	"encoding/binary"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
	"waxwing/ratelimit"
	"waxwing/ratelimit/arc"
	"waxwing/ratelimit/introduction"
)

// CredentialSize is that of a credential of package ratelimit/arc, in bytes.
const CredentialSize = 128

// Membership is a month's credential of the own provider for another one
// (package ratelimit/membership).
type Membership struct {
	Tier       ratelimit.Tier
	Credential [CredentialSize]byte
	keys.Redacted
}

// Fields lists the layout.
func (m *Membership) Fields(c *wire.Codec) {
	c.Const("version", recordVersion)
	tier(c, &m.Tier)
	c.Fixed("credential", m.Credential[:])
}

func tier(c *wire.Codec, t *ratelimit.Tier) {
	wire.U8(c, "tier", t)
	c.Check(t.Valid(), "tier", "unknown value")
}

// Credential is a day's credential at a provider with this device's share of its
// introductions.
type Credential struct {
	Tier       ratelimit.Tier
	Limits     introduction.Limits // as the provider's list said
	Credential [CredentialSize]byte
	Share      introduction.Share
	// Over: the provider drew another key for the day, and the credential is worth
	// nothing. The share stays: its nonces make the same tags under any key.
	Over bool
	keys.Redacted
}

// Fields lists the layout.
func (k *Credential) Fields(c *wire.Codec) {
	c.Const("version", recordVersion)
	tier(c, &k.Tier)
	wire.U32(c, "limit new", &k.Limits.New)
	wire.U32(c, "limit member", &k.Limits.Member)
	c.Fixed("credential", k.Credential[:])
	c.Nested("share", &k.Share)
	c.Bool("over", &k.Over)
}

// ParseCredential reads the credential itself. The error is *CorruptError.
func ParseCredential(table string, b *[CredentialSize]byte) (*arc.Credential, error) {
	k, err := arc.Ristretto255().ParseCredential(b[:])
	if err != nil {
		return nil, &CorruptError{Table: table}
	}
	return k, nil
}

// At is the key of what is a provider's in a period: day, week or month.
func At[T ~uint32](period T, provider ids.Domain) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(period))
	return append(b, provider.String()...)
}

// ParseAt reads the period of such a key.
func ParseAt(key []byte) uint32 { return ParseU32(key) }

// DoorCode is a secret by which somebody may introduce itself although the
// account lets in nobody else.
type DoorCode struct {
	Code [keys.SecretSize]byte
	keys.Redacted
}

// Fields lists the layout.
func (k *DoorCode) Fields(c *wire.Codec) {
	c.Const("version", recordVersion)
	c.Fixed("code", k.Code[:])
}
