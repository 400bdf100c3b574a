package reports

import (
	"math"
	"time"

	"waxwing/core/directory"
	"waxwing/franking"
)

// Policy is how far a provider follows other providers' reviewers, who see what
// was written and not who wrote it. The zero value does what they ask for, and
// limits an account that several of them named.
type Policy struct {
	// Most is the hardest action that is taken on another provider's word; zero
	// means a suspension.
	Most franking.Action
	// Repeat is how many openings within RepeatTime make a limit of a warning and
	// a suspension of a limit, within Most. Zero means 5.
	Repeat uint32
	// Limit and Suspend are how long an account is limited or suspended. Zero
	// means a week, and for good.
	Limit, Suspend time.Duration
}

const (
	// defaultRepeat is how many openings count as a pattern.
	defaultRepeat = 5
	// RepeatTime is how long an opening counts.
	RepeatTime = 30 * 24 * time.Hour
	// defaultLimit is how long an account is limited.
	defaultLimit = 7 * 24 * time.Hour
)

// Act returns what is done about an account on a verdict that asks for an action,
// and changes its standing accordingly. It is pure.
func (p Policy) Act(s *directory.Standing, asked franking.Action, now time.Time) franking.Action {
	ms := uint64(now.UnixMilli())
	if s.Last != 0 && ms-min(ms, s.Last) > uint64(RepeatTime/time.Millisecond) {
		s.Openings = 0
	}
	s.Openings, s.Last = s.Openings+1, ms
	action := asked
	repeat := p.Repeat
	if repeat == 0 {
		repeat = defaultRepeat
	}
	if s.Openings >= repeat && action >= franking.ActionWarn {
		action = min(action+1, franking.ActionSuspend)
	}
	if p.Most != 0 {
		action = min(action, p.Most)
	}
	until := func(d, otherwise time.Duration) uint64 {
		if d == 0 {
			d = otherwise
		}
		if d == 0 {
			return math.MaxUint64
		}
		return ms + uint64(d/time.Millisecond)
	}
	switch action {
	case franking.ActionWarn:
		s.Warned++
	case franking.ActionLimit:
		s.LimitedUntil = max(s.LimitedUntil, until(p.Limit, defaultLimit))
	case franking.ActionSuspend:
		s.SuspendedUntil = max(s.SuspendedUntil, until(p.Suspend, 0))
	}
	return action
}
