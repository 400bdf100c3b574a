package relay

import (
	"encoding/binary"
	"errors"
	"time"

	"waxwing/core/ids"
	"waxwing/core/mailbox"
	"waxwing/core/store"
	"waxwing/core/wire"
	"waxwing/franking"
	"waxwing/ratelimit/ledger"
	"waxwing/ratelimit/ticket"
)

// Admitted is an envelope that the rules let in, or that is to be disposed of
// without a word. Only the Admit functions make one, and Settle takes nothing
// else. It may be used again for another envelope after Settle returned; its
// zero value is ready.
type Admitted struct {
	req      store.AppendReq
	disposal Reason // what Settle reports instead of Delivered; 0 if none
	outbox   bool   // to an outbox, not to a mailbox here
	body     []byte // owned; what req.Body points to
	raw      []byte // owned; of an introduction, the envelope
	scratch  ticket.Scratch
	intro    introduced         // what Settle decides about
	bearer   *Bearer            // who handed it in, with a token
	token    *ledger.TokenSpend // what pays for it, spent by Settle; nil if an account or a peer answers for it
	taken    time.Time          // when the token was verified
	envelope wire.Envelope
}

// Mailbox returns the mailbox or outbox that Settle appends to, for waking
// whoever waits for it.
func (a *Admitted) Mailbox() ids.MailboxID { return a.req.Mailbox }

// AdmitForward admits an envelope that a peer forwards. The answer, if not
// nil, depends on the form of the envelope and on the peer's limits only.
func (r *Relay) AdmitForward(now time.Time, peer *Peer, raw []byte, a *Admitted) *Refusal {
	if ref := checkForm(now, raw, &a.envelope); ref != nil {
		return ref
	}
	if ref := r.limitPeer(now, peer, len(raw)); ref != nil {
		return ref
	}
	a.token = nil
	return r.admitHere(now, peer.Domain, raw, a)
}

// AdmitSubmit admits an envelope that an account of this provider hands in:
// into the outbox to its destination or, for another account of this
// provider, the way that forwarded ones take.
func (r *Relay) AdmitSubmit(now time.Time, from *Sender, dest ids.Domain, raw []byte, a *Admitted) *Refusal {
	if ref := checkForm(now, raw, &a.envelope); ref != nil {
		return ref
	}
	if from.suspended.Load() {
		return refusedSuspended
	}
	if ref := r.limitAccount(now, from); ref != nil {
		return ref
	}
	a.token = nil
	if dest != r.domain && !r.peers.Known(dest) {
		return &Refusal{Reason: RefusedDestination}
	}
	return r.admitOn(now, dest, raw, a)
}

// admitOn admits what this provider's own client may hand in: here, or to the
// outbox.
func (r *Relay) admitOn(now time.Time, dest ids.Domain, raw []byte, a *Admitted) *Refusal {
	if dest == r.domain {
		return r.admitHere(now, r.domain, raw, a)
	}
	payload := wire.PayloadHash(a.envelope.Head, a.envelope.Body)
	a.body = append(a.body[:0], raw...)
	a.disposal, a.outbox, a.intro = 0, true, introduced{}
	// The row names neither the account nor the connection: only where it goes.
	a.req = store.AppendReq{
		Mailbox: mailbox.Outbox(dest),
		ID:      a.envelope.ID(&payload),
		Body:    a.body,
		Expires: giveUp(a.envelope.Day),
		Quota:   outboxQuota,
	}
	return nil
}

// giveUp is when an outbox stops trying: at the end of the last day on which
// the delivering relay would take the envelope.
func giveUp(day ids.Day) time.Time { return (day + ids.MaxDelay).End() }

// checkForm parses an envelope and applies the one rule about its age. Both
// hops do it, so that what one acks the other does not refuse.
func checkForm(now time.Time, raw []byte, e *wire.Envelope) *Refusal {
	if wire.ParseEnvelope(raw, e) != nil {
		return refusedMalformed
	}
	if !ids.InTime(e.Day, ids.DayOf(now)) {
		return refusedStale
	}
	return nil
}

// Made once, so that refusing a flood does not allocate.
var (
	refusedMalformed = &Refusal{Reason: RefusedMalformed}
	refusedStale     = &Refusal{Reason: RefusedStale}
	refusedSuspended = &Refusal{Reason: RefusedSuspended}
	refusedOutbox    = &Refusal{RefusedOutbox, outboxRetry}
	refusedMailbox   = &Refusal{RefusedMailbox, mailboxRetry}
	refusedKeys      = &Refusal{RefusedKeys, keysRetry}
	refusedStore     = &Refusal{RefusedStore, storeRetry}
	refusedBusy      = &Refusal{RefusedBusy, busyRetry}
	refusedRevoked   = &Refusal{RefusedRevoked, revokedRetry}
)

// Busy refuses an envelope before anything of it is looked at, because the
// server has taken more than it has settled. It depends on that alone.
func Busy() *Refusal { return refusedBusy }

// Revoked refuses an envelope of a client that does not know yet that a key was
// revoked which its tokens may be under. It depends on the connection alone.
func Revoked() *Refusal { return refusedRevoked }

// admitHere admits what is for a mailbox of this provider. from is the sender's
// provider, whose keys the delivery's snapshot is about.
func (r *Relay) admitHere(now time.Time, from ids.Domain, raw []byte, a *Admitted) *Refusal {
	if a.envelope.Class == wire.ClassIntroduction {
		return r.admitIntroduction(now, from, raw, a)
	}
	a.intro = introduced{}
	return r.admitTicket(now, from, a)
}

// admitTicket opens the ticket, checks the binder and stamps. From here on
// nothing is refused but what is over the mailbox's limit: what does not fit is
// disposed of, after the same work.
func (r *Relay) admitTicket(now time.Time, from ids.Domain, a *Admitted) *Refusal {
	e := &a.envelope
	payload := wire.PayloadHash(e.Head, e.Body)
	bound := ticket.BoundOf(e, &payload)
	opened, err := r.tickets.Open((*ticket.Ticket)(e.Ticket), &a.scratch)
	if err != nil {
		// The binder is still computed, under no key: a forged ticket costs
		// what a good one does.
		opened = ticket.Opened{Expiry: ^ids.Day(0)}
	}
	bindErr := opened.Check(&bound, (*ticket.Binder)(e.Binder))
	a.disposal, a.outbox = 0, false
	switch {
	case err != nil:
		a.disposal = DisposedForged
	case errors.Is(bindErr, ticket.ErrExpired):
		a.disposal = DisposedExpired
	case bindErr != nil:
		a.disposal = DisposedBinder
	}
	if a.disposal == 0 {
		// After the binder, or whoever sees tickets go by could use up the mailbox's
		// share. Before the store, so that a struck or spent ticket counts alike.
		if ref := r.limitMailbox(now, &opened); ref != nil {
			return ref
		}
	}
	received := uint64(now.UnixMilli())
	stamp, err := r.stamps.Stamp(&franking.Receipt{Mailbox: opened.Mailbox, Com: *e.Com, Day: e.Day, Received: received})
	if err != nil {
		return refusedStore // today's key is not stored yet
	}
	snapshot, ref := r.snapshot(from, received)
	if ref != nil {
		return ref
	}
	a.body = appendDelivery(a.body[:0], e, received, &stamp, &snapshot)
	a.body = append(a.body, byte(wire.ByTicket))
	a.body = append(a.body, e.Ticket[:]...)
	a.body = binary.BigEndian.AppendUint64(a.body, opened.Serial)
	a.body = binary.BigEndian.AppendUint32(a.body, uint32(opened.Expiry))
	a.body = appendPayload(a.body, e)
	a.req = store.AppendReq{
		Mailbox:   opened.Mailbox,
		ID:        e.ID(&payload),
		Body:      a.body,
		Expires:   now.Add(time.Duration(e.TTL) * time.Second),
		Serial:    store.Serial{Day: opened.Expiry, N: opened.Serial},
		HasSerial: true,
		Quota:     mailbox.Quota,
		Discard:   a.disposal != 0,
	}
	return nil
}

// snapshot returns the id of what is in force of the keys of the sender's provider.
// A recipient shows nothing that names none: rather than ack what is lost, have it
// sent again.
func (r *Relay) snapshot(from ids.Domain, received uint64) (id [32]byte, ref *Refusal) {
	if r.snapshots == nil {
		return noSnapshot, nil
	}
	if id = r.snapshots.SnapshotID(from, received); id == noSnapshot {
		return id, refusedKeys
	}
	return id, nil
}

// appendDelivery and appendPayload build a wire.Delivery without allocating, but
// for its origin and what follows that; a test holds them to the schema.
func appendDelivery(b []byte, e *wire.Envelope, received uint64, stamp *franking.Stamp, snapshot *[32]byte) []byte {
	b = append(b, wire.Version)
	b = binary.BigEndian.AppendUint64(b, received)
	b = append(b, e.Com[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(e.Day))
	b = append(b, byte(e.Class))
	b = append(b, stamp[:]...)
	return append(b, snapshot[:]...)
}

func appendPayload(b []byte, e *wire.Envelope) []byte {
	b = append(b, e.Head...)
	return append(b, e.Body...)
}

// noSnapshot stands where nothing is known of the sender's provider's keys.
var noSnapshot [32]byte
