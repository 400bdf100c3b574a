package client

import (
	"errors"
	"math"
	"testing"
	"time"

	"waxwing/core/ids"
)

// The provider's clock is followed within a day, and beyond it nothing is done;
// what was followed before stays.
func TestAdopt(t *testing.T) {
	own := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	c := &Client{conf: Config{Now: func() time.Time { return own }}}
	followed := own
	for _, tt := range []struct {
		provider time.Time
		ok       bool
	}{
		{own.Add(time.Hour), true},
		{own.Add(ids.MaxClockSkew), true},
		{own.Add(-ids.MaxClockSkew), true},
		{own.Add(ids.MaxClockSkew + time.Millisecond), false},
		{own.Add(-ids.MaxClockSkew - time.Millisecond), false},
		{own.Add(-50 * 24 * time.Hour), false},
		{time.UnixMilli(0), false},
		{own.Add(100 * 365 * 24 * time.Hour), false},
	} {
		err := c.adopt(uint64(tt.provider.UnixMilli()))
		if tt.ok {
			followed = tt.provider
		}
		if (err == nil) != tt.ok || !c.now().Equal(followed) {
			t.Errorf("%v: %v, and the time is %v", tt.provider, err, c.now())
		}
		var off *ClockError
		if !tt.ok && (!errors.Is(err, ErrClock) || !errors.As(err, &off) || off.Ahead != own.Sub(tt.provider)) {
			t.Errorf("%v: %v", tt.provider, err)
		}
	}
	if err := c.adopt(math.MaxUint64); !errors.Is(err, ErrClock) {
		t.Errorf("a time that does not exist: %v", err)
	}
}
