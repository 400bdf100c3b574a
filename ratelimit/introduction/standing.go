package introduction

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/ratelimit"
)

func hmacSHA256(key, message []byte) []byte {
	m := hmac.New(sha256.New, key)
	m.Write(message)
	return m.Sum(nil)
}

// StandingKey returns K_R, the key of a mailbox's standing stamps, which its
// owner knows and nobody else beside the relay.
func StandingKey(stand *keys.Secret, mailbox ids.MailboxID) *keys.Secret {
	k, err := keys.SecretFrom(hmacSHA256(stand.Bytes(), append([]byte(labelStandingKey), mailbox[:]...)))
	if err != nil {
		panic(err) // an HMAC has the size of a secret
	}
	return k
}

// Stamp is a standing stamp: "this pseudonym had a credential this week". It is
// given to blocked pseudonyms too, and for unknown mailboxes: a refusal would
// tell.
func Stamp(key *keys.Secret, nr [elementSize]byte, week ratelimit.Week) (s [StampSize]byte) {
	b := append([]byte(labelStanding), nr[:]...)
	copy(s[:], hmacSHA256(key.Bytes(), binary.BigEndian.AppendUint32(b, uint32(week))))
	return s
}

// CheckStamp reports, in constant time, whether Bob should top up the sender
// with this pseudonym on a day: the stamp is of this week, or of the last while
// a message of that week may still arrive. So a banned sender's tickets end
// within 7 + 14 days and the longest delay.
func CheckStamp(key *keys.Secret, nr [elementSize]byte, day ids.Day, stamp [StampSize]byte) bool {
	week := ratelimit.WeekOf(day)
	this, last := Stamp(key, nr, week), Stamp(key, nr, week-1)
	late := week > 0 && day%7 < ids.MaxDelay
	return hmac.Equal(this[:], stamp[:]) || hmac.Equal(last[:], stamp[:]) && late
}
