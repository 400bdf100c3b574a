package relay

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"waxwing/core/ids"
	"waxwing/core/store"
	"waxwing/core/wire"
	"waxwing/ratelimit/gcra"
)

const (
	// outboxMessages and outboxBytes bound what waits for one peer: an hour of
	// ten envelopes a second, or as much as a mailbox of a busy user many
	// times over. Beyond it clients are told to try later.
	outboxMessages = 1_000_000
	outboxBytes    = 4 << 30
	// outboxRetry is when a client tries again after a full outbox: the link
	// is down or slow, which does not change within seconds.
	outboxRetry = 30 * time.Second
	// storeRetry is when to try again after the store did not take something:
	// it comes back with a restart.
	storeRetry = 5 * time.Second
	// mintAhead is how many days ahead tickets may be minted.
	mintAhead = ids.MaxTicketDays
)

// LimitConfig is how much accounts and peers may do. A zero field means its
// default; to lift a limit, set it very high.
type LimitConfig struct {
	// AccountEnvelopes: envelopes that one account may hand in.
	// Default: 100 a second, 5000 at once.
	AccountEnvelopes gcra.Limit
	// AccountTickets: tickets that one account may mint.
	// Default: 200 a second, 50,000 at once (thirty contacts at the highest mark).
	AccountTickets gcra.Limit
	// AccountRequests: other control requests of one account.
	// Default: 5 a second, 200 at once.
	AccountRequests gcra.Limit
	// AccountSync: batches between the devices of one account.
	// Default: 10 a second (eight devices at the shortest interval), 100 at once.
	AccountSync gcra.Limit
	// PeerEnvelopes and PeerBytes: what one peer may forward.
	// Default: 20,000 envelopes and 64 MiB a second, ten seconds' worth at once.
	PeerEnvelopes gcra.Limit
	PeerBytes     gcra.Limit
	// PeerRequests: queries that one peer may pass on.
	// Default: 100 a second, 1000 at once.
	PeerRequests gcra.Limit
	// Registrations: new accounts, of the whole provider.
	// Default: 5 a second, 100 at once.
	Registrations gcra.Limit
}

func (c LimitConfig) withDefaults() LimitConfig {
	def := func(l *gcra.Limit, count, burst int64) {
		if l.IsZero() {
			*l = gcra.PerSecond(count, burst)
		}
	}
	def(&c.AccountEnvelopes, 100, 5000)
	def(&c.AccountTickets, 200, 50_000)
	def(&c.AccountRequests, 5, 200)
	def(&c.AccountSync, 10, 100)
	def(&c.PeerEnvelopes, 20_000, 200_000)
	def(&c.PeerBytes, 64<<20, 640<<20)
	def(&c.PeerRequests, 100, 1000)
	def(&c.Registrations, 5, 100)
	return c
}

// ErrConfig says that a Config makes no sense.
var ErrConfig = errors.New("relay: invalid configuration")

// limits holds the buckets.
type limits struct {
	accountEnvelopes, accountTickets, accountRequests *gcra.Table
	accountSync                                       *gcra.Table
	peerEnvelopes, peerBytes, peerRequests            *gcra.Table
	registrations                                     *gcra.Table
}

func newLimits(c LimitConfig) (*limits, error) {
	c = c.withDefaults()
	l := new(limits)
	for _, t := range []struct {
		name  string
		table **gcra.Table
		limit gcra.Limit
	}{
		{"account envelopes", &l.accountEnvelopes, c.AccountEnvelopes},
		{"account tickets", &l.accountTickets, c.AccountTickets},
		{"account requests", &l.accountRequests, c.AccountRequests},
		{"account sync", &l.accountSync, c.AccountSync},
		{"peer envelopes", &l.peerEnvelopes, c.PeerEnvelopes},
		{"peer bytes", &l.peerBytes, c.PeerBytes},
		{"peer requests", &l.peerRequests, c.PeerRequests},
		{"registrations", &l.registrations, c.Registrations},
	} {
		var err error
		if *t.table, err = gcra.NewTable(t.limit, 0); err != nil {
			return nil, fmt.Errorf("%w: limit of %s: %w", ErrConfig, t.name, err)
		}
	}
	return l, nil
}

// Sender is an authenticated account as the limits know it.
type Sender struct {
	key       gcra.Key
	suspended *atomic.Bool // of the connection's session
}

// SenderOf returns the place in the limits of an account in good standing.
func SenderOf(a ids.Address) *Sender { return &Sender{limitKey(a.String()), new(atomic.Bool)} }

// Sender returns the place in the limits of the session's account. The session
// is a device's.
func (s *Session) Sender() *Sender {
	return &Sender{limitKey(s.device.Load().Address().String()), &s.suspended}
}

// Peer is a configured provider as the limits know it.
type Peer struct {
	Domain ids.Domain
	key    gcra.Key
}

// PeerOf returns the provider's place in the limits.
func PeerOf(d ids.Domain) *Peer { return &Peer{d, limitKey(d.String())} }

func limitKey(name string) gcra.Key {
	h := sha256.Sum256([]byte(name))
	return gcra.Key(h[:16])
}

func (l *limits) account(now time.Time, from *Sender) *Refusal {
	if d := l.accountEnvelopes.Spend(now, from.key, 1); !d.Allowed {
		return &Refusal{RefusedAccount, d.RetryAfter}
	}
	return nil
}

func (l *limits) peer(now time.Time, p *Peer, size int) *Refusal {
	d := l.peerEnvelopes.Spend(now, p.key, 1)
	if d.Allowed {
		if d = l.peerBytes.Spend(now, p.key, int64(size)); d.Allowed {
			return nil
		}
		l.peerEnvelopes.Refund(now, p.key, 1)
	}
	return &Refusal{RefusedPeer, d.RetryAfter}
}

// spend answers a control request that is over a limit, or returns nil.
func spend(t *gcra.Table, now time.Time, key gcra.Key, cost int64) *wire.Refusal {
	if d := t.Spend(now, key, cost); !d.Allowed {
		return &wire.Refusal{Code: wire.CodeLimit, RetryAfter: milliseconds(d.RetryAfter)}
	}
	return nil
}

// outboxQuota is the store's bound on one outbox.
var outboxQuota = store.Quota{Messages: outboxMessages, Bytes: outboxBytes}
