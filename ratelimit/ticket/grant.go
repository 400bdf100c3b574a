package ticket

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

// Grant is what the owner of a mailbox gives to one device of a contact, inside
// an end-to-end encrypted message to that contact alone: tickets, and the secret
// that seals whatever is sent under them. Whoever reads a grant can use its
// tickets, so it never goes into a group's body or a backup. All devices of the
// contact read it; those that it is not for leave it alone, or two of them would
// use one ticket.
type Grant struct {
	Batch   uint32       // numbers the giving device's batches for this contact
	Giver   ids.DeviceID // the owner's device that gives it: two never make the same batch
	Root    uint16       // number of the owner's root that Secret is derived from
	For     ids.DeviceID // the contact's device that may use it
	Secret  keys.Secret  // S: SealSecret of account, giver and batch
	Expiry  ids.Day      // until which every ticket of the grant can be spent
	Tickets []Minted     // 1..MaxGrant
	keys.Redacted
}

// Giver is the device that gives tickets away, with the account's root secret
// under its number.
type Giver struct {
	Device ids.DeviceID
	Number uint16
	Root   *keys.Secret
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

// SealSecret derives S of one batch of tickets given to an account by one device:
// HKDF-SHA256(root, info = "waxwing seal secret" | length 4 | account | giver 4 |
// batch 4), 32 bytes. The root is in the account's backup and all of its devices
// have it, so that each can open what comes under tickets that another gave out,
// or that were given out before a restore.
func SealSecret(root *keys.Secret, account ids.Address, giver ids.DeviceID, batch uint32) *keys.Secret {
	info := wire.AppendPrefixed([]byte(labelSecret), []byte(account.String()))
	info = binary.BigEndian.AppendUint32(info, uint32(giver))
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
