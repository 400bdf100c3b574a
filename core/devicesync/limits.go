package devicesync

import (
	"time"

	"waxwing/core/wire"
)

const (
	// MaxRecord bounds a record, in bytes: the longest content frame and its
	// fields.
	MaxRecord = MaxFrame + 512
	// MaxFrame bounds a content frame, in bytes: what the largest class holds.
	MaxFrame = 64 << 10
	// MaxManifest bounds a contact's manifest, in bytes.
	MaxManifest = wire.MaxManifest
	// MaxOtherKeys is the number of X_S of a contact beside the pinned one: as an account
	// replaces its own once in ninety days, and those of a year ago admit nothing any more.
	MaxOtherKeys = 4
	// MaxGiven is the number of tickets in one item: those of the largest grant.
	MaxGiven = 512
	// MaxParts is the number of parts of one batch: as many as a batch of the
	// 4 KiB class holds if each has one byte.
	MaxParts = 128
	// MaxPart bounds the bytes of one part: a batch of the 16 KiB class.
	MaxPart = 16 << 10
	// MinPart is the smallest piece that a record is cut to, its end excepted:
	// smaller ones would spend more on their heads than on themselves.
	MinPart = 64
	// MaxPieces is the number of parts of one record: MaxRecord in pieces of
	// MinPart, so that the assembly of a record ends.
	MaxPieces = MaxRecord / MinPart

	// DefaultEvery is how often a batch leaves while a device is connected: a
	// sibling learns of a message within a minute, and a day costs 6 MB.
	DefaultEvery = time.Minute
	// MinEvery and MaxEvery bound the setting.
	MinEvery = time.Second
	MaxEvery = time.Hour
)
