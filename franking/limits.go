package franking

import (
	"waxwing/core/ids"
	"waxwing/core/wire"
)

const (
	// ReportDays is how many days after its receipt a message can be reported.
	ReportDays = 30
	// StampDays is how many days after its own a stamp key is needed, and after
	// which it is erased: until a report of that day's last message has come,
	// and as long as a delivery may take.
	StampDays = ReportDays + ids.MaxDelay
	// MaxStampKeys is the number of stamp keys at once. There are StampDays and
	// three; a clock that jumps about makes more.
	MaxStampKeys = 128

	// ReviewDays is how many days reviewers may take until their verdict comes
	// to the sender's provider, which keeps the wrapping key as long.
	ReviewDays = 30
	// SkewDays is how far apart the clocks of two providers may be before one
	// publishes a key under which the other still takes reports.
	SkewDays = 1
	// MaxEpochSecrets is the number of secrets of one kind at once: Days and
	// three, and room for a clock that jumps about.
	MaxEpochSecrets = 128
	// MaxClockJump is how many days a provider may have been off before it
	// publishes and erases keys only when told that its clock is right.
	MaxClockJump = 7

	// MaxIssue is how many tokens one request asks for: a day's new and known
	// audiences of most accounts, in an answer of one frame.
	MaxIssue = 32
	// MaxAllowance bounds what a provider lets one account have for one day:
	// each is an audience, and people write to fewer.
	MaxAllowance = 256
	// MaxPurse is how many tokens a client keeps: of today and tomorrow.
	MaxPurse = 2 * MaxAllowance

	// MaxEpochs is how many epochs' keys a snapshot or list has: those that a
	// delivery can be of, and some to come or gone.
	MaxEpochs = 2*(ids.MaxDelay+2) + 2
	// MaxEpochKeys is how many keys one epoch can have: three revocations in a day.
	MaxEpochKeys = 4
	// vouchSkew is for how many seconds a client holds back what is franked under a
	// key that took the place of another: for clocks that differ, as what comes
	// before the snapshot is in force is shown to nobody.
	vouchSkew = 5
	// MaxReviewersKeys is how many keys of reviewers are in force at once: the
	// old, the new, and one to come.
	MaxReviewersKeys = 3
	// MaxSnapshots is how many snapshots of one provider's keys are kept: one a
	// day for as long as messages are reported, and revocations.
	MaxSnapshots = 512

	// maxTokens is how many verified tokens a snapshot remembers, 40 bytes each: the
	// senders of a busy reader's day.
	maxTokens = 4096

	// MaxFrame is the longest F, in bytes: what an envelope has room for.
	MaxFrame = wire.MaxPayload
	// MaxMessages is how many messages one report shows: a screen of them.
	MaxMessages = 16
	// MaxLeaves is how many chunks of attachments one message's evidence reveals: as
	// many as a report has room for beside the longest frame with attachments. A message
	// is reported once: its reporter chooses which.
	MaxLeaves = 3
	// MaxNote is the longest note of a reporter, in bytes.
	MaxNote = 2000
	// MaxReviewer is the longest name of a reviewer, in bytes.
	MaxReviewer = 64
	// MaxReport is the longest sealed report, in bytes: the largest class.
	// Longer messages are reported one at a time.
	MaxReport = 61440

	// MaxParts and MaxPart bound an evidence file: the messages of one report,
	// with their snapshots, the verdict and the answer.
	MaxParts = 2*MaxMessages + 4
	MaxPart  = MaxFrame + 4096

	// maxHead is the longest head of a log, in bytes: names, a hash, a signature.
	maxHead = 256
	// MaxOpenings is how many openings are known by their reports at once, 64 bytes
	// each: of the days in which verdicts on them can come. Beyond it none is opened.
	MaxOpenings = 1 << 20
)
