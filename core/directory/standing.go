package directory

import (
	"context"
	"errors"
	"slices"
	"time"

	"waxwing/core/ids"
	"waxwing/core/store"
	"waxwing/core/wire"
)

// limitedAllowance is the share of an allowance, one in so many, that is left to
// an account that was limited.
const limitedAllowance = 8

// MaxActs is how many openings' actions a standing remembers, so that one which
// was acted on and not answered is not acted on again: openings are asked for again
// within a minute, and few accounts have more than this in all.
const MaxActs = 8

// Act is what was done about an account on one opening.
type Act struct {
	Opening uint64 // its number in the log of openings
	Action  uint8
}

// Standing is what a provider has decided about an account of its own. The zero
// value is an account in good standing.
type Standing struct {
	Warned         uint32 // how often
	LimitedUntil   uint64 // Unix milliseconds; 0 for not
	SuspendedUntil uint64 // Unix milliseconds; 0 for not, the largest value for good
	Openings       uint32 // verdicts of reviewers that named it
	Last           uint64 // when the last one did, Unix milliseconds
	Acts           []Act  // the newest last, at most MaxActs
}

// Acted returns what was done on an opening; ok is false if nothing was yet. Of
// one that is older than all that are remembered it is not known what was done:
// the action is 0.
func (s *Standing) Acted(opening uint64) (action uint8, ok bool) {
	for _, a := range s.Acts {
		if a.Opening == opening {
			return a.Action, true
		}
	}
	return 0, len(s.Acts) == MaxActs && !slices.ContainsFunc(s.Acts, func(a Act) bool { return a.Opening < opening })
}

// Note remembers what was done on an opening.
func (s *Standing) Note(opening uint64, action uint8) {
	s.Acts = append(s.Acts[max(0, len(s.Acts)-MaxActs+1):], Act{opening, action})
}

// Suspended reports whether the account may send nothing and gets no tokens.
func (s *Standing) Suspended(now time.Time) bool { return uint64(now.UnixMilli()) < s.SuspendedUntil }

// Limited reports whether the account has a small allowance only.
func (s *Standing) Limited(now time.Time) bool { return uint64(now.UnixMilli()) < s.LimitedUntil }

// Allowance returns how much of a full allowance the account has.
func (s *Standing) Allowance(now time.Time, full uint32) uint32 {
	if s.Limited(now) {
		return max(1, full/limitedAllowance)
	}
	return full
}

// Fields lists the layout: version 1 | warned 4 | limited until 8 | suspended
// until 8 | openings 4 | last 8 | acts: {opening 8 | action 1}.
func (s *Standing) Fields(c *wire.Codec) {
	c.Const("version", formatVersion)
	wire.U32(c, "warned", &s.Warned)
	wire.U64(c, "limited until", &s.LimitedUntil)
	wire.U64(c, "suspended until", &s.SuspendedUntil)
	wire.U32(c, "openings", &s.Openings)
	wire.U64(c, "last", &s.Last)
	wire.List(c, "acts", &s.Acts, MaxActs, func(c *wire.Codec, a *Act) {
		wire.U64(c, "opening", &a.Opening)
		wire.U8(c, "action", &a.Action)
	})
}

func standingKey(a ids.Address) store.Key { return store.Key("dir/standing/" + a.String()) }

// Standing returns an account's standing; that of an address without an account
// is good. Errors are ErrState and the store's.
func (d *Directory) Standing(ctx context.Context, a ids.Address) (*Standing, error) {
	s := new(Standing)
	b, err := d.get(ctx, standingKey(a))
	if errors.Is(err, ErrUnknown) {
		return s, nil
	}
	if err != nil {
		return nil, err
	}
	if wire.Unmarshal(b, s) != nil {
		return nil, ErrState
	}
	return s, nil
}

// ChangeStanding replaces an account's standing by what change makes of it and
// returns the new one. Errors are ErrUnknown (there is no such account), ErrState,
// ErrConflict and the store's.
func (d *Directory) ChangeStanding(ctx context.Context, a ids.Address, change func(*Standing)) (*Standing, error) {
	if _, err := d.Account(ctx, a); err != nil {
		return nil, err
	}
	var out Standing
	err := d.update(ctx, standingKey(a), func(stored []byte) ([]byte, error) {
		out = Standing{}
		if stored != nil && wire.Unmarshal(stored, &out) != nil {
			return nil, ErrState
		}
		change(&out)
		return wire.MustMarshal(&out), nil
	})
	return &out, err
}
