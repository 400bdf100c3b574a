package admission

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"waxwing/core/directory"
	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/wire"
	"waxwing/ratelimit"
	"waxwing/ratelimit/ledger"
	"waxwing/ratelimit/membership"
)

// TierOf returns an account's tier on a day.
func TierOf(a *directory.Account, today ids.Day) ratelimit.Tier {
	if int64(today) < int64(a.Since())+newDays {
		return ratelimit.TierNew
	}
	return ratelimit.TierMember
}

// Issue vouches for an account at a provider for a month: for the secret whose
// X_S stands in the account's row, once, and again for the same request. Errors
// are ErrPeriod, ErrUnknown (no such provider), ErrTier, ErrSuspended,
// *LimitedError, those of membership.Membership.Issue, the directory's and the
// store's.
func (a *Admission) Issue(ctx context.Context, now time.Time, who ids.Address, m *wire.IssueMembership) (*wire.MembershipIssued, error) {
	today := ids.DayOf(now)
	ask := membership.Membership{Home: a.conf.Domain, Provider: m.Provider, Month: ratelimit.Month(m.Month), Tier: ratelimit.Tier(m.Tier)}
	if !issuing(ask.Month, today) {
		return nil, ErrPeriod
	}
	account, err := a.conf.Directory.Account(ctx, who)
	if err != nil {
		return nil, err
	}
	if err := a.standing(ctx, now, who); err != nil {
		return nil, err
	}
	// A lower one was perhaps asked for when the account was new, and is the
	// answer for the month.
	if ask.Tier > TierOf(account, today) {
		return nil, ErrTier
	}
	key, ok := a.keyring.issuer(place{m.Provider, ask.Month})
	if !ok {
		return nil, ErrUnknown
	}
	xs := account.Manifest.XS()
	element, err := group.Ristretto255().DecodeElement(xs[:])
	if err != nil {
		return nil, ErrState
	}
	// Before it is counted: what cannot be answered is not.
	answer, err := ask.Issue(key, element, m.Membership[:])
	if err != nil {
		return nil, err
	}
	taken := ledger.TakenMembership{ID: takenID(who, m.Provider, xs, key.Public()), Request: sha256.Sum256(m.Membership[:])}
	err = a.conf.Ledger.TakeMembership(ctx, ask.Month, taken, now)
	if errors.Is(err, ledger.ErrSpent) {
		next := lastDay(ask.Month) + 1 - aheadDays
		return nil, &LimitedError{max(next.Start().Sub(now), time.Hour)}
	}
	if err != nil {
		return nil, err
	}
	// Taken. A crash now costs nothing: the same request has the same answer.
	return &wire.MembershipIssued{Membership: [wire.MembershipAnswerSize]byte(answer)}, nil
}

// standing refuses who is suspended or limited: what it would get lasts a month.
func (a *Admission) standing(ctx context.Context, now time.Time, who ids.Address) error {
	s, err := a.conf.Directory.Standing(ctx, who)
	switch {
	case err != nil:
		return err
	case s.Suspended(now):
		return ErrSuspended
	case s.Limited(now):
		return &LimitedError{time.UnixMilli(int64(s.LimitedUntil)).Sub(now)}
	}
	return nil
}
