package store

import "time"

// Check returns ErrInvalid if the request is outside the contract's limits.
func (r *AppendReq) Check() error {
	if len(r.Body) == 0 || len(r.Body) > MaxBody || r.Quota.Messages < 0 || r.Quota.Bytes < 0 {
		return ErrInvalid
	}
	return nil
}

// Check returns ErrInvalid if the key is empty or longer than MaxKey.
func (k Key) Check() error {
	if len(k) == 0 || len(k) > MaxKey {
		return ErrInvalid
	}
	return nil
}

// CheckItems returns ErrInvalid if an item, or the number of items, is outside
// the contract's limits.
func CheckItems(items []Item) error {
	if len(items) > MaxBatch {
		return ErrInvalid
	}
	for i := range items {
		if items[i].ID == 0 || len(items[i].Body) == 0 || len(items[i].Body) > MaxItem {
			return ErrInvalid
		}
	}
	return nil
}

// CheckEntries returns ErrInvalid if an entry of a log, or the number or sum of
// entries, is outside the contract's limits. Empty entries are allowed.
func CheckEntries(entries [][]byte) error {
	if len(entries) > MaxLogBatch {
		return ErrInvalid
	}
	sum := 0
	for _, e := range entries {
		sum += len(e)
		if len(e) > MaxValue || sum > MaxLogBytes {
			return ErrInvalid
		}
	}
	return nil
}

// Limit returns n, or limit if n is not between 1 and limit.
func Limit(n, limit int) int {
	if n <= 0 || n > limit {
		return limit
	}
	return n
}

// ExpirySecond returns a time as engines keep it: Unix seconds, rounded up,
// and 0 for what lies before 1970. A message has expired when the clock's Unix
// second has reached it.
func ExpirySecond(t time.Time) int64 {
	s := t.Unix()
	if t.Nanosecond() > 0 {
		s++
	}
	return max(s, 0)
}
