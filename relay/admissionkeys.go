package relay

import (
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/ratelimit"
	"waxwing/ratelimit/arc"
	"waxwing/ratelimit/introduction"
)

// AdmissionKeys are the keys of introductions, refills and standing stamps. They
// change while the provider runs; implementations are safe for concurrent use.
type AdmissionKeys interface {
	// Credential returns the key that the credentials of a day are issued and
	// verified with; ok is false before it is drawn and after it was erased.
	Credential(epoch ids.Day) (key *arc.SecretKey, ok bool)
	// Limits returns how many introductions a credential of a day is good for, as
	// the signed list says beside the day's key. They change with the key only;
	// without one they are zero.
	Limits(epoch ids.Day) introduction.Limits
	// Membership returns the key under which home issues memberships for this
	// provider, as home shared it.
	Membership(home ids.Domain, month ratelimit.Month) (key *arc.SecretKey, ok bool)
	// Standing returns the secret that the mailboxes' standing keys derive from.
	Standing() *keys.Secret
	// Dummy returns the secret that the keys of mailboxes derive from which do not
	// exist.
	Dummy() *keys.Secret
}
