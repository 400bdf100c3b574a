package gcra

import (
	"errors"
	"time"
)

// ErrLimit says that a Limit makes no sense.
var ErrLimit = errors.New("gcra: limit needs positive burst, count and period")

// Limit allows Burst at once and Count per Period in the long run. The zero
// value limits nothing.
type Limit struct {
	Burst  int64
	Count  int64
	Period time.Duration
}

// PerSecond is a limit of count per second with a burst.
func PerSecond(count, burst int64) Limit {
	return Limit{Burst: burst, Count: count, Period: time.Second}
}

// IsZero reports whether the limit limits nothing.
func (l Limit) IsZero() bool { return l == Limit{} }

// Validate returns ErrLimit unless the limit is zero or all of it is positive
// and the span of a full bucket fits a time.Duration.
func (l Limit) Validate() error {
	if l.IsZero() {
		return nil
	}
	if l.Burst <= 0 || l.Count <= 0 || l.Period <= 0 || l.interval() > maxSpan/time.Duration(l.Burst) {
		return ErrLimit
	}
	return nil
}

// maxSpan bounds how long an empty bucket takes to fill: a year.
const maxSpan = 366 * 24 * time.Hour

// interval is the time that one unit takes to come back, rounded up to a
// nanosecond: rounded down, a limit in bytes per second would let through up to
// twice its rate.
func (l Limit) interval() time.Duration {
	n := time.Duration(max(l.Count, 1))
	d := max(l.Period, 1)
	d, rest := d/n, d%n
	if rest != 0 {
		d++
	}
	return d
}

// Decision is what Decide decided.
type Decision struct {
	Allowed    bool
	Remaining  int64         // how much more could be spent at this moment
	RetryAfter time.Duration // if not allowed: when the same cost will be; Never if it never will
	ResetIn    time.Duration // when the bucket will be full
	Crowded    bool          // refused for want of room for another key, not for what this one did
}

// Never is the RetryAfter of a cost above the limit's burst.
const Never = time.Duration(1<<63 - 1)

// Decide spends cost at time now from the bucket whose theoretical arrival
// time is tat, and returns the next one; a refusal spends nothing. The zero
// tat is a full bucket. A clock that steps back refuses no more than it would
// have before the step, and never longer than a full bucket takes.
func Decide(now time.Time, l Limit, tat time.Time, cost int64) (Decision, time.Time) {
	if l.IsZero() {
		return Decision{Allowed: true, Remaining: 1<<63 - 1}, tat
	}
	step := l.interval()
	span := step * time.Duration(l.Burst)
	if tat.Before(now) {
		tat = now
	}
	if limit := now.Add(span); tat.After(limit) {
		tat = limit // the clock stepped back, or the limit was lowered
	}
	if cost < 0 {
		cost = 0
	}
	if cost > l.Burst {
		return Decision{Remaining: left(now, span, step, tat), RetryAfter: Never, ResetIn: tat.Sub(now)}, tat
	}
	next := tat.Add(step * time.Duration(cost))
	if wait := next.Sub(now) - span; wait > 0 {
		return Decision{Remaining: left(now, span, step, tat), RetryAfter: wait, ResetIn: tat.Sub(now)}, tat
	}
	return Decision{Allowed: true, Remaining: left(now, span, step, next), ResetIn: next.Sub(now)}, next
}

func left(now time.Time, span, step time.Duration, tat time.Time) int64 {
	return int64((span - tat.Sub(now)) / step)
}

// Refund gives back what a decision spent, when what it was for did not
// happen.
func Refund(now time.Time, l Limit, tat time.Time, cost int64) time.Time {
	if l.IsZero() || cost <= 0 || cost > l.Burst {
		return tat
	}
	if t := tat.Add(-l.interval() * time.Duration(cost)); t.After(now) {
		return t
	}
	return now
}
