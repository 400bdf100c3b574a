package admission

import (
	"errors"
	"time"

	"waxwing/core/ids"
	"waxwing/ratelimit"
	"waxwing/ratelimit/keylist"
	"waxwing/ratelimit/membership"
)

const (
	// aheadDays is how many days before a month its membership keys are drawn: a
	// peer that is away over a weekend still has them in time.
	aheadDays = 3
	// maxPlaces is for how many providers memberships are issued, so that a list
	// holds this month's keys and the next one's.
	maxPlaces = keylist.MaxMemberships / 2
	// newDays is how long an account has the tier of new ones after its
	// registration, and after its secret was replaced.
	newDays = 30
	// credentialKept is for how many days after its own a credential's key is
	// kept: an envelope may be that old, and one for clocks that differ.
	credentialKept = ids.MaxDelay + 1
	// membershipKept is the same for the keys of a month.
	membershipKept = membership.GraceDays + credentialKept
	// markEvery is how often it is noted that this store and these keys belong
	// together. A store that was put back is older than that by hours.
	markEvery = 10 * time.Minute
	// tries is how often a change of a document is tried again when another one
	// came between.
	tries = 16
	// trailBatch is how many records of the log are read at once, and maxTrail
	// bounds it, 32 bytes each in memory: lists change once or twice a day.
	trailBatch = 512
	maxTrail   = 1 << 20
)

// What callers branch on, with errors.Is.
var (
	// ErrState: what is stored is not what this package wrote.
	ErrState = errors.New("admission: stored record is corrupt")
	// ErrUnknown: no list or membership key of that provider is there.
	ErrUnknown = errors.New("admission: no such provider")
	// ErrPeriod: a month whose time it is not.
	ErrPeriod = errors.New("admission: not its time")
	// ErrKey: sealed to a relay key that is not there, or not a key.
	ErrKey = errors.New("admission: key cannot be opened")
	// ErrTier: the account is not of the tier that is asked for.
	ErrTier = errors.New("admission: account has another tier")
	// ErrSuspended: the account was suspended.
	ErrSuspended = errors.New("admission: account is suspended")
	// ErrTrail: the log of lists is full.
	ErrTrail = errors.New("admission: log is full")
)

// LimitedError says that the account gets nothing before a time.
type LimitedError struct{ RetryAfter time.Duration }

func (e *LimitedError) Error() string { return "admission: over a limit" }

// issuing reports whether keys of a month are drawn and given out on a day.
func issuing(m ratelimit.Month, today ids.Day) bool {
	now := ratelimit.MonthOf(today)
	return m == now || m == now+1 && ratelimit.MonthOf(today+aheadDays) == m
}

// listed reports whether keys of a month are in the list of a day: of the last
// month while memberships of it are shown.
func listed(m ratelimit.Month, today ids.Day) bool {
	return issuing(m, today) || membership.InForce(m, today)
}

// lastDay is the last day of a month.
func lastDay(m ratelimit.Month) ids.Day { return (ids.Day(m)+1)*ratelimit.MonthDays - 1 }
