package mailbox

import "waxwing/core/store"

const (
	// MaxReserve is the largest number of serials reserved at once. A request
	// to mint asks for a few hundred; serials that are reserved and not used
	// are lost, and there are 2^64.
	MaxReserve = 1 << 20
	// casTries is how often a change to a document is tried again because
	// another one came between. Only one account's own devices compete.
	casTries = 16
)

// Quota bounds what waits in one mailbox: messages of some weeks away for a
// busy user, and an average of 6 KiB for each, which is between the classes
// that most are of. Above it envelopes are disposed of.
var Quota = store.Quota{Messages: 10_000, Bytes: 64 << 20}

// SyncQuota bounds what may wait in a mailbox for a batch between the account's
// own devices to be added: a part of Quota, so that batches for a device that is
// away never take the place of messages. Above it the sending device is refused
// and keeps what it has.
var SyncQuota = store.Quota{Messages: 2_000, Bytes: 16 << 20}
