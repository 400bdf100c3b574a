package badgerstore

import (
	"testing"

	"waxwing/core/store"
)

// A fetch reserves memory for what it can return, not for all that a mailbox has: a
// client that takes one message at a time of many must not cost as much as one that takes all.
func TestFetchReservesWhatItCanReturn(t *testing.T) {
	full := head{oldest: 1, last: 1000, messages: 1000, bytes: 1000 * 1100}
	for name, c := range map[string]struct {
		head              head
		from              store.Cursor
		maxMsgs, maxBytes int
		messages, bytes   int
	}{
		"all":              {full, 1, 2000, 8 << 20, 1000, maxArena},
		"the newest":       {full, 1000, 256, 8 << 20, 1, 1100},
		"one":              {full, 1, 1, 8 << 20, 1, 1100},
		"few":              {full, 1, 3, 8 << 20, 3, 3300},
		"as many bytes":    {full, 1, 256, 2000, 256, 2000},
		"holes":            {head{oldest: 1, last: 1000, messages: 2, bytes: 2200}, 1, 256, 8 << 20, 2, 2200},
		"mean rounded up":  {head{oldest: 1, last: 2, messages: 2, bytes: 3}, 1, 256, 8 << 20, 2, 4},
		"very many, large": {head{oldest: 1, last: 1 << 20, messages: 1 << 20, bytes: 1 << 40}, 1, store.MaxFetch, store.MaxFetchBytes, store.MaxFetch, maxArena},
	} {
		f := fetch{from: c.from, to: c.head.last, maxMsgs: c.maxMsgs, maxBytes: c.maxBytes}
		f.expect(&c.head)
		if cap(f.out) != c.messages || cap(f.arena) != c.bytes {
			t.Errorf("%s: room for %d messages and %d bytes, want %d and %d", name, cap(f.out), cap(f.arena), c.messages, c.bytes)
		}
	}
	// Messages of which one is larger than the mean.
	f := fetch{from: 1, to: 2, maxMsgs: 2, maxBytes: 1 << 20}
	f.expect(&head{oldest: 1, last: 2, messages: 2, bytes: 6})
	for _, body := range []string{"a", "bcdef", "g"} {
		if got := f.copy([]byte(body)); string(got) != body || cap(got) != len(got) {
			t.Errorf("%q of %d bytes for %q", got, cap(got), body)
		}
	}
}
