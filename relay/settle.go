package relay

import (
	"context"
	"errors"

	"waxwing/core/store"
)

// Settled is what became of one admitted envelope. Refusal is nil if it is
// settled, and its sender is acked; otherwise nothing was kept and the sender
// is to try again.
type Settled struct {
	Reason  Reason
	Refusal *Refusal
}

// Settle stores a batch of admitted envelopes or disposes of them, in one
// commit. When it returns, whatever is settled is durable: an ack may be sent,
// and a crash before the ack costs a resend that finds the same envelope id in
// the spent serial (or the outbox) and is acked without being stored again.
//
// A disposal takes the same commit and the same amount of writing as a
// delivery (store.Mailboxes.Append), so that the time of the ack says nothing.
func (r *Relay) Settle(ctx context.Context, batch []*Admitted) []Settled {
	reqs := make([]store.AppendReq, len(batch))
	out := make([]Settled, len(batch))
	spent := r.spendTokens(ctx, batch)
	for i, a := range batch {
		if err := r.markUnknown(ctx, a); err != nil {
			for j := range out {
				out[j] = Settled{RefusedStore, refusedStore}
			}
			return out
		}
		reqs[i] = a.req
	}
	// Tokens are spent for these envelopes, durably. A crash before the append
	// costs a resend, which wins its token again: it is the same claimant.
	kept, places := reqs[:0], make([]int, 0, len(batch))
	for i, ref := range spent {
		if ref != nil {
			out[i] = Settled{ref.Reason, ref}
			continue
		}
		kept, places = append(kept, reqs[i]), append(places, i)
	}
	for i, res := range r.store.Append(ctx, kept) {
		out[places[i]] = settled(batch[places[i]], res)
	}
	return out
}

func settled(a *Admitted, res store.AppendRes) Settled {
	switch {
	case errors.Is(res.Err, store.ErrFull) && a.outbox:
		return Settled{RefusedOutbox, refusedOutbox}
	case errors.Is(res.Err, store.ErrFull):
		return Settled{Reason: DisposedFull}
	case res.Err != nil:
		// Also when the outcome is unknown: the resend finds out.
		return Settled{RefusedStore, refusedStore}
	}
	switch res.Outcome {
	case store.Appended:
		if a.outbox {
			return Settled{Reason: Queued}
		}
		return Settled{Reason: Delivered}
	case store.Duplicate:
		return Settled{Reason: Duplicate}
	case store.Spent:
		return Settled{Reason: DisposedSpent}
	case store.Struck:
		return Settled{Reason: DisposedStruck}
	case store.Discarded:
		return Settled{Reason: a.disposal}
	}
	return Settled{RefusedStore, refusedStore}
}
