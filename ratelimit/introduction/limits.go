package introduction

import (
	"waxwing/ratelimit"
	"waxwing/ratelimit/arc"
)

const (
	// MaxLimit bounds the introductions per epoch that a provider can allow: all
	// addresses have the length of one under it. Nobody meets more people in a
	// day.
	MaxLimit = 64
	// StandingLimit is the number of standing stamps of a sender per week and
	// provider: as many contacts as it can write to there. It is the same for all
	// tiers, since it limits questions, not people.
	StandingLimit = 256
	// MaxBatch is the number of presentations that are verified together.
	MaxBatch = 64
)

// Limits are the introductions per epoch of a sender, by tier.
type Limits struct {
	New, Member uint32
}

// DefaultLimits let a new account meet a few people a day, and everybody else
// more than most ever do.
var DefaultLimits = Limits{New: 4, Member: 32}

// Of returns the limit of a tier, or ErrTerms.
func (l Limits) Of(t ratelimit.Tier) (uint32, error) {
	limit := l.Member
	if t == ratelimit.TierNew {
		limit = l.New
	}
	if !t.Valid() || limit < arc.MinLimit || limit > MaxLimit {
		return 0, ErrTerms
	}
	return limit, nil
}
