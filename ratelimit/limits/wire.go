package limits

import (
	"math"
	"strings"
	"time"

	"waxwing/core/ids"
	"waxwing/core/wire"
)

// MaxSpan is how long a change for a time may last: what is meant for longer is
// meant to stay.
const MaxSpan = 366 * 24 * time.Hour

// MaxUntil is the furthest end of a change, in milliseconds since 1970: far
// beyond any use, and within what a time.Time can hold.
const MaxUntil = 1 << 48

// Fields is the stored form; Target.Key says of what.
//
// Of a limit at once, count and period are 0.
//
//	version 1 | count 8 | period 8, nanoseconds | burst 8 | until 8, milliseconds since 1970; 0 for ever
func (c *Change) Fields(w *wire.Codec) {
	count, period, burst, until := uint64(c.Limit.Count), uint64(c.Limit.Period), uint64(c.Limit.Burst), uint64(0)
	if !c.Until.IsZero() {
		until = uint64(c.Until.UnixMilli())
	}
	w.Const("version", 1)
	wire.U64(w, "count", &count)
	wire.U64(w, "period", &period)
	wire.U64(w, "burst", &burst)
	wire.U64(w, "until", &until)
	w.Check(count <= math.MaxInt64 && period <= math.MaxInt64 && burst <= math.MaxInt64, "count", "out of range")
	w.Check(until <= MaxUntil, "until", "out of range")
	if !w.Parsing() {
		return
	}
	c.Limit.Count, c.Limit.Period, c.Limit.Burst = int64(count), time.Duration(period), int64(burst)
	c.Until = time.Time{}
	if until != 0 {
		c.Until = time.UnixMilli(int64(until))
	}
	atOnce := count == 0 && period == 0 && burst > 0
	w.Check(atOnce || !c.Limit.IsZero() && c.Limit.Validate() == nil, "count", "out of range")
}

// The second part of a key.
const (
	modeValue  = "value"
	modeDryRun = "dry_run"
)

// Key is what a change is stored under: NAME/value/ or NAME/dry_run/, and the
// peer's domain if it is for one.
func (t Target) Key() string {
	mode := modeValue
	if t.DryRun {
		mode = modeDryRun
	}
	key := t.Name.String() + "/" + mode + "/"
	if !t.Peer.IsZero() {
		key += t.Peer.String()
	}
	return key
}

// ParseKey is the reverse of Key. It is ErrTarget for anything else.
func ParseKey(key string) (t Target, err error) {
	parts := strings.Split(key, "/")
	if len(parts) != 3 {
		return t, ErrTarget
	}
	var ok bool
	t.Name, ok = ParseName(parts[0])
	t.DryRun = parts[1] == modeDryRun
	if parts[2] != "" {
		if t.Peer, err = ids.ParseDomain(parts[2]); err != nil {
			return Target{}, ErrTarget
		}
	}
	if !ok || t.Key() != key {
		return Target{}, ErrTarget
	}
	return t, nil
}
