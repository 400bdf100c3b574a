package ledger

import (
	"crypto/sha256"
	"encoding/binary"

	"waxwing/core/ids"
	"waxwing/core/store"
	"waxwing/core/wire"
)

// What lies in the store. Integers are big-endian.
//
//	set       SHA-256("waxwing ledger set" | purpose 1 | period 4)
//	  tokens  purpose 1, period: the key's epoch; token: Spend.ID; claimant: privacypass.Claimant
//	  tags    purpose 2, period: the day; token: SHA-256(tag); claimant: the envelope's id
//	  weekly  purpose 3, period: the week; token: SHA-256(tag); claimant: the question's id
//	  refills purpose 4, period: the epoch; token: SHA-256(N_B | key); claimant: SHA-256(refill)
//	  members purpose 5, period: the month; token: TakenMembership.ID; claimant: SHA-256(request)
//	document  "quota/" | SHA-256("waxwing ledger quota" | address)
//	  value   privacypass.Row
const (
	labelSet   = "waxwing ledger set"
	labelQuota = "waxwing ledger quota"

	purposeTokens  = 1
	purposeTags    = 2
	purposeWeekly  = 3
	purposeRefills = 4
	purposeMembers = 5
)

func setID(purpose byte, period uint32) store.SetID {
	b := append([]byte(labelSet), purpose)
	return sha256.Sum256(binary.BigEndian.AppendUint32(b, period))
}

// quotaKey hides the account's name in the key; it is no secret from whoever
// knows the accounts.
func quotaKey(account ids.Address) store.Key {
	h := sha256.Sum256(wire.AppendPrefixed([]byte(labelQuota), []byte(account.String())))
	return store.Key("quota/" + string(h[:]))
}
