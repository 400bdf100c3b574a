package limits

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"waxwing/core/ids"
	"waxwing/ratelimit/gcra"
)

// MaxAtOnce bounds the values of limits at once: more connections than a machine
// has memory for.
const MaxAtOnce = 1 << 20

// Target is one place for a value: the limit's own or a single peer's, enforced
// or for a dry run.
type Target struct {
	Name   Name
	Peer   ids.Domain // zero for all
	DryRun bool
}

// Settings are values instead of the defaults.
type Settings map[Target]gcra.Limit

// Change is a value that an operator set by command.
type Change struct {
	Limit gcra.Limit
	Until time.Time // when it ends; zero for never
}

// over reports whether the change has ended.
func (c *Change) over(now time.Time) bool { return !c.Until.IsZero() && !now.Before(c.Until) }

// Origin says where a value comes from.
type Origin uint8

// The origins, each of which wins over those before it.
const (
	FromDefault Origin = iota
	FromConfig
	FromCommand
)

var originNames = [...]string{FromDefault: "default", FromConfig: "config", FromCommand: "command"}

// String returns the origin as lists have it.
func (o Origin) String() string {
	if int(o) < len(originNames) {
		return originNames[o]
	}
	return "invalid"
}

// What callers branch on, with errors.Is.
var (
	// ErrTarget: there is no such limit, or it has no values for single peers.
	ErrTarget = errors.New("limits: no such limit, or not one of single peers")
	// ErrDryRun: a dry run of the limit would count nothing (Name.Promised).
	ErrDryRun = errors.New("limits: no dry run of this limit")
	// ErrValue: the value makes no sense for the limit.
	ErrValue = errors.New("limits: not a usable value")
	// ErrChanges: MaxChanges are set by command.
	ErrChanges = errors.New("limits: too many values set by command")
)

// Check returns nil, ErrTarget, ErrDryRun or ErrValue.
func (t Target) Check(l gcra.Limit) error {
	if t.Name >= End || !t.Peer.IsZero() && All[t.Name].Scope != Peer {
		return ErrTarget
	}
	if t.DryRun && t.Name.Promised() {
		return fmt.Errorf("%w: it is promised in the signed list of keys, and nothing is ever asked for over it", ErrDryRun)
	}
	if All[t.Name].AtOnce() {
		least, most := All[t.Name].Least, int64(MaxAtOnce)
		if t.Name.Promised() {
			most = maxPromised
		}
		if l.Count != 0 || l.Period != 0 || l.Burst < least || l.Burst > most {
			return fmt.Errorf("%w: want a number from %d to %d", ErrValue, least, most)
		}
		return nil
	}
	if l.IsZero() || l.Validate() != nil {
		return fmt.Errorf("%w: count and burst must be positive, and a full burst come back within a year", ErrValue)
	}
	if least := All[t.Name].Least; l.Burst < least {
		return fmt.Errorf("%w: the burst must be at least %d, which is what one request may need", ErrValue, least)
	}
	return nil
}

// periods are the units of a rate, from the shortest.
var periods = []struct {
	unit   string
	period time.Duration
}{{"s", time.Second}, {"m", time.Minute}, {"h", time.Hour}, {"d", 24 * time.Hour}}

// ParseRate parses COUNT/UNIT with s, m, h or d for the unit, which may be left
// out and is s then. The burst is the count. Errors are ErrValue.
func ParseRate(s string) (l gcra.Limit, err error) {
	count, unit, ok := strings.Cut(s, "/")
	if !ok {
		unit = "s"
	}
	for _, p := range periods {
		if p.unit == unit {
			l.Period = p.period
		}
	}
	if l.Count, err = strconv.ParseInt(count, 10, 64); err != nil || l.Period == 0 || l.Count <= 0 {
		return gcra.Limit{}, fmt.Errorf("%w: rate %q: want a positive COUNT/s, COUNT/m, COUNT/h or COUNT/d", ErrValue, s)
	}
	l.Burst = l.Count
	return l, nil
}

// Parse parses COUNT/UNIT,BURST as a configuration has it. Without a burst, it
// is the count. Errors are ErrValue.
func Parse(s string) (gcra.Limit, error) {
	rate, burst, hasBurst := strings.Cut(s, ",")
	if !strings.Contains(rate, "/") {
		return gcra.Limit{}, fmt.Errorf("%w: %q: want COUNT/s, COUNT/m, COUNT/h or COUNT/d, and perhaps a burst behind a comma", ErrValue, s)
	}
	l, err := ParseRate(rate)
	if err != nil {
		return gcra.Limit{}, err
	}
	if hasBurst {
		if l.Burst, err = strconv.ParseInt(burst, 10, 64); err != nil {
			return gcra.Limit{}, fmt.Errorf("%w: %q: the burst is not a number", ErrValue, s)
		}
	}
	if l.Validate() != nil {
		return gcra.Limit{}, fmt.Errorf("%w: %q: count and burst must be positive, and a full burst come back within a year", ErrValue, s)
	}
	return l, nil
}

// Parse parses a value of the limit: as the function Parse does or, of a limit
// at once, a number. Errors are ErrValue.
func (n Name) Parse(s string) (gcra.Limit, error) {
	if n >= End || !All[n].AtOnce() {
		return Parse(s)
	}
	count, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return gcra.Limit{}, fmt.Errorf("%w: %q: want a number", ErrValue, s)
	}
	return gcra.Limit{Burst: count}, nil
}

// Format writes a limit as Name.Parse reads it. A period that has no unit is written
// as a duration, which Parse does not read.
func Format(l gcra.Limit) string {
	if l.Period == 0 {
		return strconv.FormatInt(l.Burst, 10)
	}
	unit := l.Period.String()
	for _, p := range periods {
		if p.period == l.Period {
			unit = p.unit
		}
	}
	return fmt.Sprintf("%d/%s,%d", l.Count, unit, l.Burst)
}
