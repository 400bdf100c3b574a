package introduction

import "waxwing/core/wire"

// MaxShares bounds the devices that a period's nonces are divided among.
const MaxShares = 8

// Share is one device's part of the nonces of a period: those from Next to below
// End. It comes with the period's credential and is stored by its device alone,
// never in a backup: a restored device would use nonces again, whose tags are
// spent, and waits for the next period instead.
type Share struct {
	Period    uint32 // epoch or week
	Next, End uint32
}

// Fields is the stored form.
func (s *Share) Fields(c *wire.Codec) {
	c.Const("version", 1)
	wire.U32(c, "period", &s.Period)
	wire.U32(c, "next", &s.Next)
	wire.U32(c, "end", &s.End)
	c.Check(s.Next <= s.End && s.End <= max(MaxLimit, StandingLimit), "end", "out of range")
}

// Split divides a limit among n devices, as evenly as it goes. ErrTerms: no devices,
// or more than MaxShares, or a limit that no provider has.
func Split(period, limit uint32, n int) ([]Share, error) {
	if n < 1 || n > MaxShares {
		return nil, ErrTerms
	}
	shares := make([]Share, n)
	for i := range shares {
		p, err := PartOf(period, i, n)
		if err == nil {
			shares[i], err = p.Share(limit)
		}
		if err != nil {
			return nil, err
		}
	}
	return shares, nil
}

// Within returns the share under a lower limit, without the nonces from it on.
func (s Share) Within(limit uint32) Share {
	s.End = max(s.Next, min(s.End, limit))
	return s
}

// Left returns how many introductions the device has left.
func (s Share) Left() uint32 { return s.End - s.Next }

// Reserve takes a nonce. The returned share is stored durably before the nonce
// is used: a crash in between loses one of the limit and never uses one twice.
// ErrSpent: none is left in this period.
func (s Share) Reserve() (nonce uint32, after Share, err error) {
	if s.Next >= s.End {
		return 0, s, ErrSpent
	}
	nonce = s.Next
	s.Next++
	return nonce, s, nil
}

// Give takes the last n nonces, or as many as are left, out of a share: they are
// another device's. Mine is stored durably before theirs leaves: a crash in between
// loses them, and no nonce is in two hands.
func (s Share) Give(n uint32) (mine, theirs Share) {
	middle := s.End - min(n, s.Left())
	return Share{s.Period, s.Next, middle}, Share{s.Period, middle, s.End}
}
