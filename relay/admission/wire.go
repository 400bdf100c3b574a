package admission

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/store"
	"waxwing/core/wire"
	"waxwing/ratelimit"
	"waxwing/ratelimit/arc"
	"waxwing/ratelimit/introduction"
	"waxwing/ratelimit/keylist"
)

// What is kept. Key files, by the beginnings of their names:
//
//	credential-key-     day                       credentialRecord
//	membership-key-     month, hash of the peer   monthRecord: for use there
//	home-key-           month, hash of the peer   monthRecord: that one's, for use here
//	admission-secrets                             secretsRecord
//	admission-mark                                markRecord
//
// In the store:
//
//	admission/list/ | domain   keylist.List, the own one and peers'
//	admission/mark             markRecord
//	admission/audit            log of "waxwing admission list" | term 4 | number 4 | SHA-256(list)
//
// A membership key travels sealed (HPKE) to the peer's relay key, with
//
//	info   "waxwing membership key"
//	aad    home | provider | month 4
//
// each name behind its length in four bytes. A membership is taken once for
//
//	SHA-256("waxwing membership taken" | address | provider | X_S 32 | public key 96)
//
// with address and provider behind their lengths.
const (
	recordVersion = 1
	secretKeySize = 128

	prefixCredential = "credential-key-"
	prefixIssued     = "membership-key-"
	prefixReceived   = "home-key-"
	fileSecrets      = "admission-secrets"
	fileMark         = "admission-mark"

	labelShare = "waxwing membership key"
	labelTaken = "waxwing membership taken"
	labelEntry = "waxwing admission list"

	prefixList = store.Key("admission/list/")
	keyMark    = store.Key("admission/mark")
	keyAudit   = store.Key("admission/audit")
)

func listKey(d ids.Domain) store.Key { return prefixList + store.Key(d.String()) }

// credentialRecord is a day's key with the introductions that a credential of the
// day is good for, by tier, which are drawn with it and never change: version 1 |
// day 4 | secret key 128 | new 4 | member 4.
type credentialRecord struct {
	day    ids.Day
	key    [secretKeySize]byte
	limits introduction.Limits
}

// Fields lists the layout.
func (r *credentialRecord) Fields(c *wire.Codec) {
	c.Const("version", recordVersion)
	wire.U32(c, "day", &r.day)
	c.Fixed("key", r.key[:])
	wire.U32(c, "new", &r.limits.New)
	wire.U32(c, "member", &r.limits.Member)
	c.Check(usable(r.limits), "new", "out of range")
}

// usable reports whether there can be introductions of every tier.
func usable(l introduction.Limits) bool {
	_, fresh := l.Of(ratelimit.TierNew)
	_, member := l.Of(ratelimit.TierMember)
	return fresh == nil && member == nil
}

func credentialName(d ids.Day) string { return fmt.Sprintf("%s%010d", prefixCredential, d) }

// monthRecord is a month's key of memberships: version 1 | provider | month 4 |
// secret key 128. The provider is the one on the other side.
type monthRecord struct {
	provider ids.Domain
	month    ratelimit.Month
	key      [secretKeySize]byte
}

// Fields lists the layout.
func (r *monthRecord) Fields(c *wire.Codec) {
	c.Const("version", recordVersion)
	c.Domain("provider", &r.provider)
	wire.U32(c, "month", &r.month)
	c.Fixed("key", r.key[:])
}

// monthName hides the peer's name in the file's, so that the file can be named in
// errors.
func monthName(prefix string, p place) string {
	h := sha256.Sum256([]byte(p.provider.String()))
	return fmt.Sprintf("%s%010d-%s", prefix, p.month, hex.EncodeToString(h[:16]))
}

// secretsRecord holds what never changes: version 1 | standing 32 | dummy 32.
type secretsRecord struct{ standing, dummy [keys.SecretSize]byte }

// Fields lists the layout.
func (r *secretsRecord) Fields(c *wire.Codec) {
	c.Const("version", recordVersion)
	c.Fixed("standing", r.standing[:])
	c.Fixed("dummy", r.dummy[:])
}

// markRecord is when keys and store were last seen together: version 1 | Unix
// milliseconds 8.
type markRecord struct{ at uint64 }

// Fields lists the layout.
func (r *markRecord) Fields(c *wire.Codec) {
	c.Const("version", recordVersion)
	wire.U64(c, "at", &r.at)
}

func listEntry(l *keylist.List) []byte {
	b := binary.BigEndian.AppendUint32([]byte(labelEntry), l.Term())
	h := l.Hash()
	return append(binary.BigEndian.AppendUint32(b, l.Number()), h[:]...)
}

func shareAAD(home, provider ids.Domain, m ratelimit.Month) []byte {
	b := wire.AppendPrefixed(nil, []byte(home.String()))
	b = wire.AppendPrefixed(b, []byte(provider.String()))
	return binary.BigEndian.AppendUint32(b, uint32(m))
}

// takenID names what an account takes once. Another X_S, which an account has at
// most every 90 days, and another key, which a provider draws when it lost one,
// are for other secrets and other credentials.
func takenID(account ids.Address, provider ids.Domain, xs [32]byte, key *arc.PublicKey) [32]byte {
	b := wire.AppendPrefixed([]byte(labelTaken), []byte(account.String()))
	b = wire.AppendPrefixed(b, []byte(provider.String()))
	return sha256.Sum256(append(append(b, xs[:]...), key.Bytes()...))
}
