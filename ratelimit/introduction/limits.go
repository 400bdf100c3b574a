package introduction

import (
	"time"

	"waxwing/ratelimit"
	"waxwing/ratelimit/arc"
	"waxwing/ratelimit/gcra"
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

// What a provider admits beside the senders' own limits; an operator can change
// them. They are spent after the proof, in the order given, and a refusal by one
// is acked like a delivery.
var (
	// DefaultPerSender limits one pseudonym at one mailbox: somebody who got no
	// answer to three letters waits a day.
	DefaultPerSender = gcra.Limit{Burst: 3, Count: 3, Period: 24 * time.Hour}
	// DefaultPerMailbox limits what reaches one mailbox from strangers: a person
	// under attack by many accounts sees a bounded number of requests.
	DefaultPerMailbox = gcra.Limit{Burst: 50, Count: 100, Period: 24 * time.Hour}
	// DefaultPerHome limits the distinct accounts of one home that refill, as the
	// cost of made-up accounts is the home's.
	DefaultPerHome = gcra.Limit{Burst: 20000, Count: 100000, Period: 24 * time.Hour}
)
