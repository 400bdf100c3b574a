package relay

import (
	"context"
	"errors"
	"slices"

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
	out := make([]Settled, len(batch))
	kept, places := make([]*Admitted, 0, len(batch)), make([]int, 0, len(batch))
	for i, ref := range r.spendTokens(ctx, batch) {
		if ref != nil {
			out[i] = Settled{ref.Reason, ref}
			continue
		}
		kept, places = append(kept, batch[i]), append(places, i)
	}
	// Tokens are spent for these envelopes, durably. A crash before the append
	// costs a resend, which wins its token again: it is the same claimant.
	if r.decide(ctx, kept) != nil {
		for i, a := range kept {
			r.uncount(a)
			out[places[i]] = Settled{RefusedStore, refusedStore}
		}
		return out
	}
	reqs := make([]store.AppendReq, len(kept))
	for i, a := range kept {
		reqs[i] = a.req
	}
	for i, res := range r.store.Append(ctx, reqs) {
		out[places[i]] = settled(kept[i], res)
		if res.Outcome == store.Duplicate || res.Err != nil {
			r.uncount(kept[i])
		}
	}
	return out
}

// decide makes the decisions that need the store.
func (r *Relay) decide(ctx context.Context, batch []*Admitted) error {
	if slices.ContainsFunc(batch, (*Admitted).Introduction) {
		if err := r.introduce(ctx, batch); err != nil {
			return err
		}
	}
	for _, a := range batch {
		if err := r.markUnknown(ctx, a); err != nil {
			return err
		}
	}
	return nil
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
