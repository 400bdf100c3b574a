package introduction

import "waxwing/core/wire"

// partScale is what a period is divided into: by any number of devices without a
// rest, and halved as often as a user links one.
const partScale = 840 << 32

// Part is a device's part of a period's nonces at every provider, whatever the
// limit there is: from the fraction From to below To of partScale. Parts that do not
// overlap have shares that do not, under one limit.
type Part struct {
	Period   uint32
	From, To uint64
}

// Fields is the stored form.
func (p *Part) Fields(c *wire.Codec) {
	wire.U32(c, "period", &p.Period)
	wire.U64(c, "from", &p.From)
	wire.U64(c, "to", &p.To)
	c.Check(p.From <= p.To && p.To <= partScale, "to", "out of range")
}

// PartOf is the part of the device at place i of n, from 0. ErrTerms: no such place,
// or more than MaxShares devices.
func PartOf(period uint32, i, n int) (Part, error) {
	if n < 1 || n > MaxShares || i < 0 || i >= n {
		return Part{}, ErrTerms
	}
	each := partScale / uint64(n)
	return Part{period, uint64(i) * each, uint64(i+1) * each}, nil
}

// Within returns what is in both parts of a period; nothing if the periods differ.
func (p Part) Within(o Part) Part {
	from, to := max(p.From, o.From), min(p.To, o.To)
	if p.Period != o.Period || from >= to {
		return Part{Period: p.Period}
	}
	return Part{p.Period, from, to}
}

// Give divides a part into halves, of which one is another device's from then on.
// Mine is stored durably before theirs leaves.
func (p Part) Give() (mine, theirs Part) {
	middle := p.From + (p.To-p.From)/2
	return Part{p.Period, p.From, middle}, Part{p.Period, middle, p.To}
}

// Share returns the nonces of a part under a limit. A fraction of a nonce is the
// part's that it ends in. ErrTerms: a limit that no provider has.
func (p Part) Share(limit uint32) (Share, error) {
	if limit > max(MaxLimit, StandingLimit) || p.From > p.To || p.To > partScale {
		return Share{}, ErrTerms
	}
	at := func(x uint64) uint32 { return uint32((x*uint64(limit) + partScale - 1) / partScale) }
	return Share{p.Period, at(p.From), at(p.To)}, nil
}
