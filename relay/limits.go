package relay

import (
	"errors"
	"sync/atomic"
	"time"

	"waxwing/core/ids"
	"waxwing/core/store"
	"waxwing/core/wire"
	"waxwing/ratelimit/gcra"
	"waxwing/ratelimit/limits"
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
	// busyRetry is when to try again after more was taken than is settled: a few
	// commits later there is room.
	busyRetry = time.Second
	// mailboxRetry is the soonest that an envelope is tried again whose mailbox
	// gets too many: what is over is many, and each has to wait for the others.
	mailboxRetry = time.Second
	// keysRetry is when to try again while a peer's token-signing keys are being
	// fetched, which begins with the connection to it.
	keysRetry = 500 * time.Millisecond
	// revokedRetry is when to try again after a key was revoked: the client asks for
	// the list first, which takes a moment.
	revokedRetry = time.Second
	// fullRetry is when to try again where something of the asker's own is full:
	// only what its owner takes out makes room, or what is over by tomorrow.
	fullRetry = time.Hour
	// mintAhead is how many days ahead tickets may be minted.
	mintAhead = ids.MaxTicketDays
)

// ErrConfig says that a Config makes no sense.
var ErrConfig = errors.New("relay: invalid configuration")

// Sender is an authenticated account as the limits know it.
type Sender struct {
	key       gcra.Key
	suspended *atomic.Bool // of the connection's session
}

// SenderOf returns the place in the limits of an account in good standing.
func SenderOf(a ids.Address) *Sender { return &Sender{limits.KeyOf(a.String()), new(atomic.Bool)} }

// Sender returns the place in the limits of the session's account. The session
// is a device's.
func (s *Session) Sender() *Sender {
	return &Sender{limits.KeyOf(s.device.Load().Address().String()), &s.suspended}
}

// Peer is a configured provider as the limits know it.
type Peer struct {
	Domain ids.Domain
	key    gcra.Key
}

// PeerOf returns the provider's place in the limits.
func PeerOf(d ids.Domain) *Peer { return &Peer{d, limits.PeerKey(d)} }

func (r *Relay) limitAccount(now time.Time, from *Sender) *Refusal {
	if d := r.limits.Spend(now, limits.AccountEnvelopes, from.key, 1); !d.Allowed {
		return &Refusal{RefusedAccount, d.RetryAfter}
	}
	return nil
}

func (r *Relay) limitPeer(now time.Time, p *Peer, size int) *Refusal {
	d := r.limits.Spend(now, limits.PeerEnvelopes, p.key, 1)
	if d.Allowed {
		if d = r.limits.Spend(now, limits.PeerBytes, p.key, int64(size)); d.Allowed {
			return nil
		}
		r.limits.Refund(now, limits.PeerEnvelopes, p.key, 1)
	}
	return &Refusal{RefusedPeer, d.RetryAfter}
}

// spend answers a control request that is over a limit, or returns nil.
func (r *Relay) spend(now time.Time, n limits.Name, key gcra.Key, cost int64) *wire.Refusal {
	if d := r.limits.Spend(now, n, key, cost); !d.Allowed {
		return &wire.Refusal{Code: wire.CodeLimit, RetryAfter: Milliseconds(d.RetryAfter)}
	}
	return nil
}

// outboxQuota is the store's bound on one outbox.
var outboxQuota = store.Quota{Messages: outboxMessages, Bytes: outboxBytes}
