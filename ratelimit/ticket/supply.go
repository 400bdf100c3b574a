package ticket

import (
	"time"

	"waxwing/core/wire"
)

// Marks is the water mark of one contact: a row of the client's store. The
// zero value is that of a new contact.
type Marks struct {
	High uint16 // tickets after a top-up; 0 stands for MinHigh
	Last uint64 // Unix time of the last top-up, milliseconds; 0 for none
}

// TopUp decides how many tickets to give to a contact that has outstanding
// ones left: none while it has more than half of the mark, else as many as are
// missing to the mark. The mark adapts before: it doubles, up to MaxHigh, if
// half was used within FastDrain, and halves, down to MinHigh, if that took
// longer than SlowDrain. The caller keeps next if it sends a grant, also one of
// fewer tickets.
func (m Marks) TopUp(now time.Time, outstanding int) (n int, next Marks) {
	high := max(m.High, MinHigh)
	if outstanding > int(high)/2 {
		return 0, m
	}
	// A clock that went back adapts nothing.
	if since := now.Sub(time.UnixMilli(int64(m.Last))); m.Last != 0 && since >= 0 {
		switch {
		case since <= FastDrain:
			high = min(high*2, MaxHigh)
		case since > SlowDrain:
			high = max(high/2, MinHigh)
		}
	}
	return max(0, int(high)-outstanding), Marks{High: high, Last: uint64(max(0, now.UnixMilli()))}
}

// MintCount decides how many tickets to mint, at most wire.MaxMint in one
// request: so many that the stock holds four times what was given out during
// the last day, at least MinStock and at most MaxStock. It asks for none before
// a quarter is missing, so that minting comes in large batches, far ahead. The
// usable tickets are counted after Pool.Drop, so that the answer has room.
func MintCount(usable, givenLastDay int) int {
	want := min(max(MinStock, 4*givenLastDay), MaxStock)
	if usable > want*3/4 {
		return 0
	}
	return min(wire.MaxMint, want-usable)
}

// Append builds the row for storing behind dst.
func (m *Marks) Append(dst []byte) []byte { return mustAppend(dst, m) }

// ParseMarks parses a stored row. Errors wrap wire.ErrMalformed.
func ParseMarks(b []byte) (m Marks, err error) { err = wire.Unmarshal(b, &m); return m, err }
