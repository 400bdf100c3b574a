package relay

import (
	"fmt"
	"time"

	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/mailbox"
	"waxwing/core/query"
	"waxwing/core/store"
	"waxwing/franking"
	"waxwing/ratelimit/ledger"
	"waxwing/ratelimit/limits"
	"waxwing/ratelimit/ticket"
)

// Registration says who may open an account.
type Registration uint8

const (
	// RegistrationInvite lets in who has an invite of the operator.
	RegistrationInvite Registration = iota
	// RegistrationOpen lets everyone in, within the limit of registrations.
	RegistrationOpen
	// RegistrationClosed lets nobody in.
	RegistrationClosed
)

// PeerTable says which providers this one federates with.
type PeerTable interface {
	// Known reports whether envelopes for a provider can be forwarded.
	Known(ids.Domain) bool
	// Descriptor returns a peer's descriptor as it is pinned here, or the own
	// one; ok is false if there is none.
	Descriptor(ids.Domain) (d *directory.Descriptor, ok bool)
}

// Keys are the provider's own keys that decisions need. They change while the
// provider runs; implementations are safe for concurrent use.
type Keys interface {
	// Certificate returns the key that signs sender certificates today.
	Certificate(today ids.Day) (*keys.SigningKey, bool)
	// RelayKey returns the keys that queries are sealed to, by their ids.
	query.Keys
}

// Snapshots says which snapshot of a provider's token-signing keys is in force at
// a time, Unix milliseconds; zero if there is none. It is on the path of every
// delivery.
type Snapshots interface {
	SnapshotID(issuer ids.Domain, received uint64) [32]byte
}

// Bans says which senders get no more credentials here. It is asked at every
// refill; implementations are safe for concurrent use.
type Bans interface {
	// Banned reports whether a sender is banned, by its pseudonym N_B at this provider.
	Banned(nb [32]byte) bool
}

// Config is what a Relay is made of. All but Snapshots, Bans, Submissions, Admission,
// Registration, Limits and Hop are required; without Limits there is a Book of defaults.
type Config struct {
	Domain       ids.Domain
	Store        store.Store
	Tickets      *ticket.Ring
	Stamps       *franking.StampRing
	Directory    *directory.Directory
	Keys         Keys
	Peers        PeerTable
	Snapshots    Snapshots     // nil: deliveries name none, and nothing can be reported
	Bans         Bans          // nil: nobody is banned
	Submissions  Submissions   // nil: no submission tokens are issued or taken
	Admission    AdmissionKeys // nil: no introductions are taken
	Registration Registration
	Limits       *limits.Book
	Hop          bool // passes on what somebody asks peers who is nobody here
}

// Relay makes the decisions of one provider. It is safe for concurrent use.
type Relay struct {
	// Fixed.
	domain       ids.Domain
	registration Registration
	hop          bool
	store        store.Store
	tickets      *ticket.Ring
	stamps       *franking.StampRing
	directory    *directory.Directory
	mailboxes    *mailbox.Mailboxes
	keys         Keys
	peers        PeerTable
	snapshots    Snapshots // may be nil
	bans         Bans      // may be nil
	limits       *limits.Book
	submissions  Submissions   // may be nil
	admission    AdmissionKeys // may be nil
	ledger       *ledger.Ledger
	questions    *query.ReplayCache
	verifiers    verifiers            // has its own lock
	known        known[ids.MailboxID] // has its own lock
	refills      known[[32]byte]      // has its own lock
	counted      countedTickets       // has its own lock
	sessions     sessions             // has its own lock
	rendezvous   rendezvous           // has its own lock
}

// New returns a Relay. Errors wrap ErrConfig.
func New(c Config) (*Relay, error) {
	if c.Domain.IsZero() || c.Store == nil || c.Tickets == nil || c.Stamps == nil ||
		c.Directory == nil || c.Keys == nil || c.Peers == nil || c.Registration > RegistrationClosed {
		return nil, fmt.Errorf("%w: something required is missing", ErrConfig)
	}
	if c.Limits == nil {
		var err error
		if c.Limits, err = limits.New(nil); err != nil {
			return nil, err
		}
	}
	return &Relay{
		domain: c.Domain, registration: c.Registration, hop: c.Hop, store: c.Store, tickets: c.Tickets, stamps: c.Stamps,
		directory: c.Directory, mailboxes: mailbox.New(c.Store), keys: c.Keys, peers: c.Peers, snapshots: c.Snapshots, bans: c.Bans,
		limits: c.Limits, submissions: c.Submissions, admission: c.Admission, ledger: ledger.New(c.Store), questions: query.NewReplayCache(),
		verifiers:  verifiers{set: map[ids.Day]*dayVerifier{}},
		sessions:   sessions{set: map[deviceRef]map[*Session]struct{}{}},
		rendezvous: rendezvous{set: map[place]*meeting{}},
	}, nil
}

// Domain returns the provider's own name.
func (r *Relay) Domain() ids.Domain { return r.domain }

// CertificateDays is how long a sender certificate is valid: longer than a
// week's holiday, short enough that a stolen device is soon without one.
const CertificateDays = 10

// SessionTime is how long a control request may take before its connection is
// given up.
const SessionTime = 30 * time.Second
