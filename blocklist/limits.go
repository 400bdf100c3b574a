package blocklist

import "waxwing/core/ids"

const (
	// MaxSerials is the number of serials in one request: eight times what a
	// busy contact holds, 32 KiB, and one batch of the store. More go as several
	// requests with one entry.
	MaxSerials = 4096
	// MaxDays is the number of days that these serials may expire on: those of
	// a ticket's life, of its last envelope's delay, and of clocks that differ.
	MaxDays = ids.MaxTicketDays + ids.MaxDelay + 3
	// MaxEntries is the number of entries of one list: the document stays below
	// 96 KiB, the longest that every engine takes, also when all of them have
	// pseudonyms of both generations.
	MaxEntries = 1000
	// MaxGenerations is how many generations of a mailbox's W an entry has
	// pseudonyms of: the current one and the one before, whose introductions may
	// still be under way.
	MaxGenerations = 2
)
