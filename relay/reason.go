package relay

import (
	"time"

	"waxwing/core/wire"
)

// Reason is what became of an envelope or why a request was refused. Each is a
// label of a metric and has a test; docs/protocol.md lists them all.
type Reason uint8

// The reasons. A sender cannot tell Delivered, Duplicate and the disposals
// apart.
const (
	// Stored for good.
	Delivered Reason = iota // appended to a mailbox here
	Queued                  // appended to the outbox to another provider
	Duplicate               // the same envelope again, already settled

	// Disposed of, and acked like a delivery.
	DisposedForged  // the ticket is not one of ours, or its key is gone
	DisposedExpired // the ticket's last day is over
	DisposedBinder  // whoever made the envelope does not know the ticket's key, or it was changed
	DisposedSpent   // another envelope has spent the ticket
	DisposedStruck  // the mailbox's owner blocked whom the ticket was given to
	DisposedUnknown // there is no such mailbox
	DisposedFull    // the mailbox is full

	// Introductions disposed of, likewise.
	DisposedSealed       // it is not sealed to a key of this relay, or to another envelope
	DisposedProof        // its proof is false
	DisposedBlocked      // the mailbox's owner blocked who sent it
	DisposedPolicy       // the mailbox's owner wants none, or none without a contact code
	DisposedSenderLimit  // over the limit of one pseudonym at one mailbox
	DisposedMailboxLimit // over the limit of all that reach one mailbox
	DisposedTag          // another envelope has used the same introduction of the day's

	// Refused with an answer.
	RefusedMalformed   // the envelope's form
	RefusedStale       // outside -1..MaxDelay days
	RefusedAccount     // over a limit of the account
	RefusedPeer        // over a limit of the forwarding provider
	RefusedMailbox     // over the limit of the mailbox that a good ticket is for
	RefusedDestination // no such peer
	RefusedOutbox      // the outbox to that peer is full
	RefusedSuspended   // the account was suspended
	RefusedKeys        // the keys that the sender's provider signs tokens with are not known yet
	RefusedAddress     // over the limit of an address prefix, or a connection's of bad tokens
	RefusedRevoked     // a token-signing key was revoked, and the connection has not asked for the list since
	RefusedToken       // the submission token does not verify, is over or was spent
	RefusedStore       // the store does not take it now
	RefusedBusy        // more was taken than is settled
	ReasonEnd          // how many reasons there are
)

var reasonNames = [ReasonEnd]string{
	Delivered: "delivered", Queued: "queued", Duplicate: "duplicate",
	DisposedForged: "disposed_forged", DisposedExpired: "disposed_expired", DisposedBinder: "disposed_binder",
	DisposedSpent: "disposed_spent", DisposedStruck: "disposed_struck", DisposedUnknown: "disposed_unknown",
	DisposedFull: "disposed_full", DisposedSealed: "disposed_sealed", DisposedProof: "disposed_proof",
	DisposedBlocked: "disposed_blocked", DisposedPolicy: "disposed_policy", DisposedSenderLimit: "disposed_sender_limit",
	DisposedMailboxLimit: "disposed_mailbox_limit", DisposedTag: "disposed_tag", RefusedMalformed: "refused_malformed", RefusedStale: "refused_stale",
	RefusedAccount: "refused_account", RefusedPeer: "refused_peer", RefusedDestination: "refused_destination",
	RefusedOutbox: "refused_outbox", RefusedSuspended: "refused_suspended", RefusedKeys: "refused_keys", RefusedStore: "refused_store",
	RefusedBusy: "refused_busy", RefusedMailbox: "refused_mailbox",
	RefusedAddress: "refused_address", RefusedToken: "refused_token",
	RefusedRevoked: "refused_revoked",
}

// String returns the metric label.
func (r Reason) String() string {
	if r < ReasonEnd {
		return reasonNames[r]
	}
	return "invalid"
}

// Acked reports whether the sender is told that the envelope is settled.
func (r Reason) Acked() bool { return r < RefusedMalformed }

// Refusal is an answer other than an ack.
type Refusal struct {
	Reason     Reason
	RetryAfter time.Duration // 0 if trying again is no use
}

// Code returns what the other side is told.
func (r *Refusal) Code() wire.Code {
	switch r.Reason {
	case RefusedMalformed:
		return wire.CodeMalformed
	case RefusedStale:
		return wire.CodeStale
	case RefusedAccount, RefusedPeer, RefusedAddress:
		return wire.CodeLimit
	case RefusedMailbox:
		return wire.CodeMailbox
	case RefusedToken:
		return wire.CodeToken
	case RefusedSuspended:
		return wire.CodeSuspended
	case RefusedRevoked:
		return wire.CodeRevoked
	case RefusedDestination:
		return wire.CodeUnknownProvider
	case RefusedOutbox:
		return wire.CodeUnreachable // and not busy, so that the sender rests for that peer alone
	case RefusedKeys, RefusedStore, RefusedBusy:
		return wire.CodeBusy
	}
	panic("relay: " + r.Reason.String() + " is not a refusal")
}

// Milliseconds returns RetryAfter as frames carry it, rounded up.
func (r *Refusal) Milliseconds() uint32 { return Milliseconds(r.RetryAfter) }

// Milliseconds returns a time to try again as frames carry it: rounded up, so
// that 0 is said of nothing that has a time.
func Milliseconds(d time.Duration) uint32 {
	ms := d / time.Millisecond
	if d%time.Millisecond > 0 {
		ms++
	}
	return uint32(min(max(ms, 0), 1<<31))
}
