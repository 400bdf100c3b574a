package privacypass

import (
	"crypto/sha256"
	"slices"
	"time"

	"waxwing/core/ids"
	"waxwing/core/wire"
)

const (
	// MaxRequests bounds the batches that an account asks for in a day.
	MaxRequests = 64
	// MaxDaily bounds a day's quota, in tokens: MaxRequests of the largest.
	MaxDaily = MaxRequests * MaxBatch

	requestHashSize = 16
)

// Row is what an issuer stores of an account's day: how much it took, and the
// hashes of its requests, so that one is counted once. It holds nothing of a
// token.
type Row struct {
	Day      ids.Day
	Issued   uint32
	Requests [][requestHashSize]byte
}

// Fields is the stored form.
func (r *Row) Fields(c *wire.Codec) {
	c.Const("version", 1)
	wire.U32(c, "day", &r.Day)
	wire.U32(c, "issued", &r.Issued)
	c.Check(r.Issued <= MaxDaily, "issued", "out of range")
	wire.List(c, "requests", &r.Requests, MaxRequests, func(c *wire.Codec, h *[requestHashSize]byte) {
		c.Fixed("hash", h[:])
	})
}

// Granted is what Quota decided.
type Granted struct {
	Allowed   bool
	Repeated  bool      // the same bytes were counted before: answer, store nothing
	Remaining uint32    // tokens left of this day
	Refill    time.Time // when the next day's are there
}

// Quota decides whether an account that may have daily tokens a day gets the
// batch of a request. The row is that of the account, the zero value for none;
// the returned one is stored before the answer is sent: a crash between the two
// costs nothing, since the same request is answered again. A clock that steps
// back does not begin a new day.
func Quota(row Row, daily uint32, request []byte, n int, now time.Time) (Granted, Row) {
	daily = min(daily, MaxDaily)
	day := max(ids.DayOf(now), row.Day)
	if day > row.Day {
		row = Row{Day: day}
	}
	h := sha256.Sum256(request)
	short := [requestHashSize]byte(h[:requestHashSize])
	g := Granted{Refill: day.End()}
	switch {
	case slices.Contains(row.Requests, short):
		g.Allowed, g.Repeated = true, true
	case n > 0 && n <= MaxBatch && len(row.Requests) < MaxRequests && row.Issued+uint32(n) <= daily:
		g.Allowed = true
		row.Issued += uint32(n)
		row.Requests = append(slices.Clone(row.Requests), short)
	}
	if daily > row.Issued {
		g.Remaining = daily - row.Issued
	}
	return g, row
}
