package relay

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/wire"
	"waxwing/ratelimit/gcra"
	"waxwing/ratelimit/ledger"
	"waxwing/ratelimit/limits"
	"waxwing/ratelimit/privacypass"
)

const (
	// maxBadTokens is how many tokens that fail one connection may have checked:
	// false ones, and those that another envelope has spent. A client whose
	// provider's clock differs, or that was restored, has a few; nobody needs more.
	maxBadTokens = 8
	// badTokenRetry is when a connection is told to come back that had them: it
	// needs another connection and other tokens.
	badTokenRetry = time.Minute
)

// Submissions are the keys of submission tokens. They change while the provider
// runs; implementations are safe for concurrent use.
type Submissions interface {
	// Issuing returns the key of a day, or privacypass.ErrKey.
	Issuing(today ids.Day) (*privacypass.Key, error)
	// Redeem is privacypass.Ring.Redeem.
	Redeem(t *privacypass.Token, today ids.Day) (privacypass.Spend, error)
}

// Bearer is a connection that is nobody's and submits with tokens, as the limits
// know it: by where it comes from. Nothing of it is stored.
type Bearer struct {
	key gcra.Key
	bad atomic.Int32
}

// BearerOf returns a connection's place in the limits, by its address prefix.
func BearerOf(prefix string) *Bearer { return &Bearer{key: limits.KeyOf(prefix)} }

// Bearer makes the connection one that submits with tokens, or returns nil if it
// is somebody's. It can no longer become an account's: what it submits would be
// that account's.
func (s *Session) Bearer(prefix string) *Bearer {
	s.bearing.Do(func() {
		if s.taken.CompareAndSwap(false, true) {
			s.bearer = BearerOf(prefix)
		}
	})
	return s.bearer
}

var (
	refusedToken   = &Refusal{Reason: RefusedToken}
	refusedAddress = &Refusal{RefusedAddress, badTokenRetry}
)

// AdmitToken admits an envelope that comes with a submission token, as AdmitSubmit
// does one of an account. The limits come before the token is verified, and
// Settle spends it before anything is stored.
func (r *Relay) AdmitToken(now time.Time, from *Bearer, dest ids.Domain, token, raw []byte, a *Admitted) *Refusal {
	if ref := checkForm(now, raw, &a.envelope); ref != nil {
		return ref
	}
	if d := r.limits.Spend(now, limits.PrefixSubmissions, from.key, 1); !d.Allowed {
		return &Refusal{RefusedAddress, d.RetryAfter}
	}
	if from.bad.Load() >= maxBadTokens {
		return refusedAddress
	}
	if dest != r.domain && !r.peers.Known(dest) {
		return &Refusal{Reason: RefusedDestination}
	}
	spend, err := r.redeem(token, ids.DayOf(now))
	if err != nil {
		from.bad.Add(1)
		return refusedToken
	}
	if ref := r.admitOn(now, dest, raw, a); ref != nil {
		return ref
	}
	a.bearer, a.token, a.taken = from, &ledger.TokenSpend{Spend: spend, Dest: dest, ID: a.req.ID}, now
	return nil
}

func (r *Relay) redeem(b []byte, today ids.Day) (privacypass.Spend, error) {
	if r.submissions == nil {
		return privacypass.Spend{}, privacypass.ErrKey
	}
	t, err := privacypass.ParseToken(b)
	if err != nil {
		return privacypass.Spend{}, err
	}
	return r.submissions.Redeem(t, today)
}

// spendTokens spends the tokens of a batch. It returns the refusal of each whose
// token another envelope has spent, or that the store did not take.
func (r *Relay) spendTokens(ctx context.Context, batch []*Admitted) []*Refusal {
	out := make([]*Refusal, len(batch))
	var list []ledger.TokenSpend
	var places []int
	var now time.Time
	for i, a := range batch {
		if a.token != nil {
			list, places, now = append(list, *a.token), append(places, i), a.taken
		}
	}
	if len(list) == 0 {
		return out
	}
	for i, err := range r.ledger.SpendTokens(ctx, list, now) {
		switch {
		case errors.Is(err, ledger.ErrSpent), errors.Is(err, ledger.ErrOver):
			batch[places[i]].bearer.bad.Add(1)
			out[places[i]] = refusedToken
		case err != nil: // also when the outcome is unknown: the resend finds out
			out[places[i]] = refusedStore
		}
	}
	return out
}

// issueSubmission gives an account submission tokens. The account's row counts
// them and holds nothing of a token; the same request, of any of its devices,
// is counted once and has the same answer.
func (r *Relay) issueSubmission(ctx context.Context, now time.Time, who *directory.Authenticated, m *wire.IssueSubmission) wire.Message {
	if r.submissions == nil {
		return refuse(wire.CodeForbidden)
	}
	key, err := r.submissions.Issuing(ids.DayOf(now))
	if err != nil {
		return &wire.Refusal{Code: wire.CodeBusy, RetryAfter: Milliseconds(storeRetry)} // not drawn yet
	}
	n, err := key.BatchSize(m.Tokens)
	switch {
	case errors.Is(err, privacypass.ErrKey):
		return refuse(wire.CodeStale) // of another epoch: fetch the list of keys again
	case err != nil:
		return refuse(wire.CodeMalformed)
	}
	// Before the quota: what cannot be answered is not counted.
	tokens, err := key.Issue(m.Tokens)
	if err != nil {
		return refuse(wire.CodeMalformed)
	}
	daily := uint32(min(r.limits.Number(now, limits.TokensDaily), privacypass.MaxDaily))
	g, err := r.ledger.Quota(ctx, who.Address(), daily, m.Tokens, n, now)
	if err != nil {
		return &wire.Refusal{Code: wire.CodeBusy, RetryAfter: Milliseconds(storeRetry)}
	}
	if !g.Repeated {
		r.limits.Counted(now, limits.TokensDaily, int64(daily-g.Remaining), g.Allowed)
	}
	if !g.Allowed {
		return &wire.Refusal{Code: wire.CodeLimit, RetryAfter: Milliseconds(g.Refill.Sub(now))}
	}
	return &wire.SubmissionIssued{Tokens: tokens, Remaining: g.Remaining, Refill: uint64(g.Refill.UnixMilli())}
}
