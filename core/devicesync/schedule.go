package devicesync

import "time"

// Next returns when the batch after one at now is to leave: every, less or more
// up to a quarter of it, by random, which the caller draws anew for each. It does
// not know what is queued or was sent, and must not.
func Next(now time.Time, every time.Duration, random uint32) time.Time {
	every = min(max(every, MinEvery), MaxEvery)
	jitter := time.Duration(float64(every/2) * float64(random) / (1 << 32))
	return now.Add(every*3/4 + jitter)
}

// Due reports whether a batch that is to leave at next leaves now. After a clock
// that was set back it leaves too, instead of waiting until the clock is there
// again.
func Due(now, next time.Time, every time.Duration) bool {
	every = min(max(every, MinEvery), MaxEvery)
	return !now.Before(next) || next.Sub(now) > 2*every
}
