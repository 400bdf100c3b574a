package ticket

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

// Grant is what the owner of a mailbox gives to a contact, inside an
// end-to-end encrypted message to that contact alone: tickets, and the secret
// that seals whatever is sent under them. Whoever reads a grant can use its
// tickets, so it never goes into a group's body or a backup.
type Grant struct {
	Batch   uint32      // numbers the owner's batches for this contact
	Secret  keys.Secret // S: SealSecret of account and batch
	Expiry  ids.Day     // until which every ticket of the grant can be spent
	Tickets []Minted    // 1..MaxGrant
	keys.Redacted
}

// ParseGrant parses a grant. Errors wrap wire.ErrMalformed.
func ParseGrant(b []byte) (*Grant, error) {
	g := new(Grant)
	if err := wire.Unmarshal(b, g); err != nil {
		return nil, err
	}
	return g, nil
}

// GrantSize returns the length of a grant of n tickets, in bytes.
func GrantSize(n int) int { return grantFixed + n*grantTicket }

// GrantFits returns how many tickets a grant of at most room bytes holds, at
// most MaxGrant.
func GrantFits(room int) int {
	return max(0, min(MaxGrant, (room-grantFixed)/grantTicket))
}

// SealSecret derives S of one batch of tickets given to an account:
// HKDF-SHA256(root, info = "waxwing seal secret" | length 4 | account | batch 4),
// 32 bytes. The root is in the account's backup, so that a restored device can
// open what comes under tickets that were given out before.
func SealSecret(root *keys.Secret, account ids.Address, batch uint32) *keys.Secret {
	info := wire.AppendPrefixed([]byte(labelSecret), []byte(account.String()))
	info = binary.BigEndian.AppendUint32(info, batch)
	b, err := hkdf.Key(sha256.New, root.Bytes(), nil, string(info), keys.SecretSize)
	if err != nil {
		panic(err) // 32 bytes are not too much
	}
	defer clear(b)
	s, err := keys.SecretFrom(b)
	if err != nil {
		panic(err) // it has the right size
	}
	return s
}
