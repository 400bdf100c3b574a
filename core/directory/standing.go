package directory

import (
	"context"
	"errors"
	"time"

	"waxwing/core/ids"
	"waxwing/core/store"
	"waxwing/core/wire"
)

// limitedAllowance is the share of an allowance, one in so many, that is left to
// an account that was limited.
const limitedAllowance = 8

// Standing is what a provider has decided about an account of its own. The zero
// value is an account in good standing.
type Standing struct {
	Warned         uint32 // how often
	LimitedUntil   uint64 // Unix milliseconds; 0 for not
	SuspendedUntil uint64 // Unix milliseconds; 0 for not, the largest value for good
	Openings       uint32 // verdicts of reviewers that named it
	Last           uint64 // when the last one did, Unix milliseconds
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
// until 8 | openings 4 | last 8.
func (s *Standing) Fields(c *wire.Codec) {
	c.Const("version", formatVersion)
	wire.U32(c, "warned", &s.Warned)
	wire.U64(c, "limited until", &s.LimitedUntil)
	wire.U64(c, "suspended until", &s.SuspendedUntil)
	wire.U32(c, "openings", &s.Openings)
	wire.U64(c, "last", &s.Last)
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
