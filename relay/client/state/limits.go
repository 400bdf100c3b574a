package state

import (
	"time"

	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/ratelimit/ticket"
)

const (
	// DefaultLockTimeout is how long Open waits for another process to close
	// the file: a one-shot command that is just ending.
	DefaultLockTimeout = 2 * time.Second

	// MaxContacts is the number of contacts: far more than a person has, few
	// enough to hold in memory.
	MaxContacts = 4096
	// MaxPeers is the number of devices of all contacts and of the own account.
	MaxPeers = directory.MaxDevices * (MaxContacts + 1)
	// MaxSessions is the number of sessions over all contacts: four with each
	// device, where most have one.
	MaxSessions = 4 * MaxPeers
	// MaxLog is the number of messages kept, sent and received: about 200 MB of
	// short ones. The oldest go first.
	MaxLog = 1 << 18
	// MaxWaiting is the number of messages that wait for tickets or were not
	// confirmed yet. Beyond it Send refuses.
	MaxWaiting = 1 << 16
	// MaxSeen is the number of digests of received messages that are
	// remembered, so that one that was sent again is shown once.
	MaxSeen = MaxLog
	// MaxParked is the number of received messages that wait for one before them.
	MaxParked = 1 << 14
	// MaxRepairs is the number of messages that wait to be sealed for a contact's
	// new device: those beyond it do not reach it.
	MaxRepairs = 1 << 14
	// MaxRoots is the number of roots of seal secrets that tickets are out under:
	// one for each device that was removed within eighteen days, and to spare.
	MaxRoots = 64
	// MaxPairs is the number of generations of W and Z beside the one in use: one
	// before and the next, and what devices made that did not know of each other.
	MaxPairs = 4
	// MaxAccountKeys is the number of X_S whose k is known before they are in force:
	// each device of the account may have drawn one, and one in ninety days comes
	// into force, which ends the others.
	MaxAccountKeys = directory.MaxDevices
	// MaxOutbox is the number of sealed envelopes that the provider has not
	// taken: 64 MB of the 16 KiB class.
	MaxOutbox = 4096
	// MaxWallets is the number of tickets of all contacts.
	MaxWallets = 1 << 17
	// MaxCodes is the number of own contact codes that are not over.
	MaxCodes = 1024
	// MaxPrekeys is the number of own private one-time pairs: what the provider
	// keeps, and as many that were handed out and not used.
	MaxPrekeys = 1024
	// MaxSignedPrekeys and MaxSealKeys bound the own keys that are renewed
	// weekly and kept for two weeks after that.
	MaxSignedPrekeys = 8
	MaxSealKeys      = 8
	// MaxCertificates is the number of certificates of contacts: one, the next
	// and an old one for each.
	MaxCertificates = 4 * MaxContacts
	// MaxDescriptors is the number of providers whose descriptor is kept.
	MaxDescriptors = 1024
	// MaxHeld is the number of deliveries that cannot be judged yet: whoever
	// can make the relay append such envelopes fills this table, nothing else.
	MaxHeld = 512
	// MaxReceipts is the number of receipts that are still to be sent.
	MaxReceipts = 1 << 16
	// MaxUnread is the number of own messages that a read receipt is expected
	// for: those beyond it stay delivered.
	MaxUnread = 1 << 14
	// MaxReads is the number of read receipts that are still to be sent. They
	// are a courtesy: those beyond it are never sent.
	MaxReads = 1 << 14
	// MaxBundles is the number of token bundles of contacts: one a day of each
	// device for a month, of the contacts that a busy person hears from daily. A
	// sender whose bundle has no room repeats it with each message.
	MaxBundles = 1 << 15
	// MaxOffers is the number of own token bundles: for each contact tomorrow's,
	// today's, those of the days of which something may still be delivered, and two
	// for a day that began before anything was swept.
	MaxOffers = MaxContacts * (ids.MaxDelay + 4)
	// MaxGathered is the number of devices of contacts of which a bundle comes in
	// padding: more than write on one day. A sender whose pieces have no room sends
	// its bundle whole with the next day's first message.
	MaxGathered = MaxContacts
	// MaxSnapshots is the number of the own provider's snapshots of others' keys:
	// one a day for the months of reports, of the providers of most contacts.
	MaxSnapshots = 1 << 13
	// MaxBucket is the number of submission tokens that are kept for later: the
	// messages of a busy day, so that days without a connection to the account
	// cost nothing.
	MaxBucket = 1024
	// MaxStrikes is the number of requests about blocked or voided tickets that
	// the provider has not carried out yet.
	MaxStrikes = 4096

	// MaxMemberships and MaxCredentials bound what lets the account introduce
	// itself: of two months, and of three days, at the providers of its contacts.
	MaxMemberships = 2 * MaxDescriptors
	MaxCredentials = 3 * MaxDescriptors
	// MaxStandings is the number of shares of standing stamps: of two weeks, at the
	// providers of its contacts.
	MaxStandings = 2 * MaxDescriptors
	// MaxRequests is the number of messages of those who introduced themselves and
	// wait for an answer: weeks of what the relay lets through.
	MaxRequests = 1 << 12

	// MaxSyncQueue is the number of records for the account's other devices that
	// the provider has not taken: of weeks in which a device stays away, or a day
	// without a connection. Those beyond it are never told.
	MaxSyncQueue = 1 << 14
	// MaxAssemblies is the number of devices of which a record comes in parts: as
	// many as an account has, and some that were removed.
	MaxAssemblies = 16
	// MaxEarly is the number of messages of other devices whose fate is known
	// before themselves: the receipts of some days. They are a courtesy.
	MaxEarly = 1 << 14

	// maxStock and maxGiven are the bounds of the ticket pool.
	maxStock = ticket.MaxStock
	maxGiven = ticket.MaxGiven

	// MaxEnvelope bounds a stored envelope or delivery, in bytes: the largest
	// class and what a relay adds.
	MaxEnvelope = 68 << 10
	// MaxFrame bounds a stored content frame, in bytes.
	MaxFrame = 64 << 10
	// MaxSession bounds a stored session, in bytes.
	MaxSession = 80 << 10
	// MaxText bounds a server's endpoint, in bytes.
	MaxText = 262
	// MaxConfirms is the number of a contact's certificates and manifests that are
	// waiting to be confirmed to it. Those beyond it keep coming in full.
	MaxConfirms = 4
	// MaxMissed is the number of a contact's messages that it is still to be told
	// about, that not all of our devices were in them. Those beyond it stay where
	// they came.
	MaxMissed = 64
)
