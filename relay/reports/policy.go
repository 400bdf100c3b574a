package reports

import (
	"math"
	"time"

	"waxwing/core/directory"
	"waxwing/franking"
)

const (
	// RepeatTime is how long an opening counts.
	RepeatTime = 30 * 24 * time.Hour
	// limitTime is how long an account is limited: long enough to be felt, short
	// enough for a mistake. A suspension is for good, until the operator lifts it.
	limitTime = 7 * 24 * time.Hour
)

// before returns how many openings count against an account at now.
func before(s *directory.Standing, now time.Time) uint32 {
	ms := uint64(now.UnixMilli())
	if s.Last == 0 || ms-min(ms, s.Last) > uint64(RepeatTime/time.Millisecond) {
		return 0
	}
	return s.Openings
}

// apply changes an account's standing by an action that was decided. It is pure.
func apply(s *directory.Standing, action franking.Action, now time.Time) {
	ms := uint64(now.UnixMilli())
	s.Openings, s.Last = before(s, now)+1, ms
	switch action {
	case franking.ActionWarn:
		s.Warned++
	case franking.ActionLimit:
		s.LimitedUntil = max(s.LimitedUntil, ms+uint64(limitTime/time.Millisecond))
	case franking.ActionSuspend:
		s.SuspendedUntil = math.MaxUint64
	}
}
