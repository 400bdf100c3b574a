package reports

import (
	"errors"
	"time"

	"waxwing/franking"
)

const (
	// DefaultAllowance is how many tokens an account may have of one day: each is
	// an audience, and few people write to more than this in a day.
	DefaultAllowance = 128
	// MaxOpen is how many reports wait for a decision: beyond it reporters are
	// told to try later, as nobody would look at them.
	MaxOpen = 100_000
	// MaxBans is how many opened pseudonyms are kept: each took two people a decision.
	MaxBans = 1 << 20
	// snapshotLead is how long before it comes into force a snapshot is there, so
	// that every delivery after that moment names it.
	snapshotLead = 10_000 // milliseconds
	// maxRecent is how many of a provider's snapshots are looked through for the
	// one in force: more are not signed within snapshotLead but by a peer that
	// publishes a new list with every fetch.
	maxRecent = 8
	// maxDesks is how many of a provider's desks are known: the one in force and
	// the one before or after it.
	maxDesks = 3
	// deskKept is for how many days after its last one a desk's keys are kept:
	// reports sealed on the last day are looked at until then.
	deskKept = franking.ReviewDays + franking.ReportDays
	// seenKept is for how many days it is remembered that a message was reported: as
	// long as it can be, and one for clocks that differ.
	seenKept = franking.ReportDays + 2
	// answerKept is for how many days the answer to a verdict is kept, for a desk that
	// has not got it; the log of openings knows the report for ever.
	answerKept = 2 * franking.ReviewDays
	// reportKept is for how many days a decided report is kept: as long as its desk's
	// key, which opens it.
	reportKept = franking.DeskDays + deskKept
	// snapshotKept is for how many days a snapshot is kept after another came into
	// force: as long as what was received under it is reported and decided.
	snapshotKept = franking.ReportDays + franking.ReviewDays + reportKept
	// maxReviewer is the longest name of a reviewer, in bytes.
	maxReviewer = 64
	// tries is how often a change of a document is tried again when another one
	// came between.
	tries = 16
	// trailBatch is how many records of a log are read at once.
	trailBatch = 512
	// SegmentSize is after how many entries a log goes on in another segment: one is
	// in memory, 32 bytes each, and its root is made anew with every entry.
	SegmentSize = 1 << 16
	// maxSegments bounds the segments of a log: more than 200 million entries, all of
	// which are read at start.
	maxSegments = 1 << 12
	// headEvery is how often a head of the log of openings is signed for others: not
	// at every opening, as who watches the heads would see when there is one.
	headEvery = time.Hour
)

// What callers branch on, with errors.Is.
var (
	// ErrState: what is stored is not what this package wrote.
	ErrState = errors.New("reports: stored record is corrupt")
	// ErrNotReady: keys that are needed are not there yet.
	ErrNotReady = errors.New("reports: keys are not ready")
	// ErrUnknown: there is no such report, snapshot or document.
	ErrUnknown = errors.New("reports: not found")
	// ErrRevocations: a day's key was revoked as often as a list has room for.
	ErrRevocations = errors.New("reports: revoked too often")
	// ErrForkedLog: a peer's log of openings does not continue the one that it showed.
	ErrForkedLog = errors.New("reports: peer's log is not what it was")
	// ErrDecided: the report was decided already.
	ErrDecided = errors.New("reports: decided already")
	// ErrWhich: the proven messages are under different tokens, and so perhaps of
	// different authors: the decision has to name one.
	ErrWhich = errors.New("reports: messages under different tokens")
	// ErrUnproven: no message of the report is proven, so nobody can be asked to
	// act on it.
	ErrUnproven = errors.New("reports: nothing in it is proven")
	// ErrSecond: a second reviewer has to confirm a suspension or an opening; the
	// first one's decision is kept.
	ErrSecond = errors.New("reports: waits for a second reviewer")
	// ErrReviewer: the reviewer's name is empty or too long.
	ErrReviewer = errors.New("reports: not a reviewer's name")
	// ErrFull: too many reports wait, or too many pseudonyms are kept.
	ErrFull = errors.New("reports: too many reports wait")
	// ErrShare: the reporter wants a ban, and gave no share of this message's escrow.
	ErrShare = errors.New("reports: no share of the escrow")
	// ErrSuspended: the account was suspended.
	ErrSuspended = errors.New("reports: account is suspended")
	// ErrTrail: a log has as many segments as it may have.
	ErrTrail = errors.New("reports: log is full")
)
