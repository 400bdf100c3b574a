package state

import (
	"waxwing/core/devicesync"
	"waxwing/core/wire"
	"waxwing/franking"
	"waxwing/ratelimit/introduction"
	"waxwing/ratelimit/ticket"
)

// The tables. Names are part of the file's format and never reused.
var (
	Profiles = newTable[Profile]("profile", 1)   // Single
	Counter  = newTable[Counters]("counters", 1) // Single

	Contacts     = newTable[Contact]("contacts", MaxContacts)       // ContactID
	Addresses    = newNamed[Ref]("addresses", MaxContacts)          // address
	Manifests    = newTable[Blob]("manifests", MaxContacts)         // ContactID; of the contact
	Sessions     = newTable[Session]("sessions", MaxSessions)       // ContactID | number 8
	Peers        = newTable[Peer]("peers", MaxPeers)                // ContactID | device 4
	Certificates = newTable[Known]("certificates", MaxCertificates) // ContactID | hash 32; of the contact
	Wallets      = newTable[ticket.Held]("wallets", MaxWallets)     // ContactID | ticket 58
	Receipts     = newTable[Digest]("receipts", MaxReceipts)        // ContactID | number 8; to be sent

	Log           = newTable[Message]("log", MaxLog)                    // Position
	Conversations = newTable[Ref]("conversations", MaxLog)              // ContactID | Position
	Digests       = newTable[Ref]("digests", MaxWaiting)                // ContactID | d 32; own, without receipt
	Unconfirmed   = newTable[Ref]("unconfirmed", MaxWaiting)            // day 4 | Position; own, without receipt
	Waiting       = newTable[Ref]("waiting", MaxWaiting)                // ContactID | Position; not sealed
	Seen          = newTable[Ref]("seen", MaxSeen)                      // ContactID | d 32; the day on which it came
	Parked        = newTable[Message]("parked", MaxParked)              // ContactID | device 4 | sequence 8 | d 32; behind a gap
	Repairs       = newTable[Ref]("repairs", MaxRepairs)                // ContactID | Position; own, to be sealed for new devices; the day
	Outbox        = newTable[Envelope]("outbox", MaxOutbox)             // number 8
	Held          = newTable[HeldDelivery]("held", MaxHeld)             // number 8
	Stock         = newTable[ticket.Stocked]("stock", maxStock)         // serial 8
	Given         = newTable[ticket.Given]("given", maxGiven)           // serial 8
	Codes         = newTable[Code]("codes", MaxCodes)                   // serial 8
	Signed        = newTable[OwnKey]("signed", MaxSignedPrekeys)        // prekey id 4
	OneTime       = newTable[OwnKey]("onetime", MaxPrekeys)             // prekey id 4
	LastResort    = newTable[OwnKey]("lastresort", 8)                   // prekey id 4; one a week, two weeks
	Roots         = newTable[OwnKey]("roots", MaxRoots)                 // number 4; roots of the seal secrets S
	SealKeys      = newTable[OwnKey]("sealkeys", MaxSealKeys)           // week 4
	MailboxPairs  = newTable[MailboxKeys]("mailboxkeys", MaxPairs)      // generation 4
	Rotations     = newTable[Rotation]("rotation", 1)                   // Single
	AccountKeys   = newTable[AccountKey]("accountkeys", MaxAccountKeys) // X_S 32; not in force yet
	Descriptors   = newNamed[Provider]("providers", MaxDescriptors)     // domain
	Strikes       = newTable[Strike]("strikes", MaxStrikes)             // number 8

	Tokens    = newTable[Token]("tokens", franking.MaxPurse)   // H(T) 32; of this device
	Offers    = newTable[Offer]("offers", MaxOffers)           // ContactID | epoch 4; what it gets for that day's messages
	Aheads    = newTable[Ahead]("aheads", MaxContacts)         // ContactID; which of them goes in padding
	Pieces    = newTable[Gathered]("pieces", MaxGathered)      // ContactID | device 4; of a bundle of that device's, in padding
	Acquired  = newTable[Ref]("acquired", MaxBundles)          // ContactID | reference 32; came in padding, to be confirmed; the day
	Wants     = newTable[Want]("wants", MaxHeld)               // ContactID | reference 32; a bundle that held messages name
	Bundles   = newTable[Bundle]("bundles", MaxBundles)        // ContactID | reference 32; of the contact
	Proofs    = newTable[Proof]("proofs", MaxLog)              // ContactID | d 32; of received messages
	Snapshots = newTable[Published]("snapshots", MaxSnapshots) // id 32; of the own provider
	Theirs    = newNamed[Published]("theirs", MaxDescriptors)  // domain; that provider's snapshot of the own one's keys

	KeyLists    = newNamed[Published]("keylists", MaxDescriptors)         // domain; its signed list of keys of admission
	Memberships = newNamed[Membership]("memberships", MaxMemberships)     // month 4 | domain
	Credentials = newNamed[Credential]("credentials", MaxCredentials)     // day 4 | domain
	Standings   = newNamed[introduction.Share]("standings", MaxStandings) // week 4 | domain; of standing stamps to ask for
	Stamps      = newTable[Stamp]("stamps", MaxContacts)                  // ContactID; what it gets
	DoorCodes   = newTable[DoorCode]("doorcodes", wire.MaxContactCodes)   // number 4
	Requests    = newTable[Message]("requests", MaxRequests)              // ContactID | number 8; of who introduced itself
	Admissions  = newTable[Admission]("admission", 1)                     // Single
	Bucket      = newTable[Submission]("bucket", MaxBucket)               // epoch 4 | number 8; free tokens
	Paid        = newTable[Submission]("paid", MaxOutbox)                 // number 8 of the outbox; what pays for that envelope

	SyncStates  = newTable[SyncState]("sync", 1)                             // Single
	SyncQueue   = newTable[SyncItem]("syncqueue", MaxSyncQueue)              // number 8; for the other devices
	SyncBatches = newTable[SyncBatch]("syncbatch", 1)                        // Single; sealed, not taken by the provider
	Assemblies  = newTable[devicesync.Assembly]("assemblies", MaxAssemblies) // device 4; of a record that comes in parts
	Copies      = newTable[Ref]("copies", MaxLog)                            // ContactID | d 32; written on another device; its Position
	Earlies     = newTable[Early]("early", MaxEarly)                         // ContactID | d 32; of messages not told of yet
	Tolds       = newTable[Told]("told", MaxContacts)                        // ContactID; what the other devices know

	Verified = newTable[Digest]("verified", MaxContacts) // ContactID; hash of the safety number that was compared
	Settings = newTable[Setting]("settings", 1)          // Single
	Hops     = newTable[Hop]("hop", 1)                   // Single; none: the own provider
	Unread   = newTable[Ref]("unread", MaxUnread)        // ContactID | d 32; own, delivered, not known to be read
	Reads    = newTable[Digest]("reads", MaxReads)       // ContactID | d 32; read receipts to be sent
)
