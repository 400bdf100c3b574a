package content

import (
	"waxwing/core/attachment"
	"waxwing/core/wire"
)

const (
	// MaxText is the longest text, in bytes: what the largest envelope class
	// holds (52 KiB), less the frame's other fields and 3.5 KiB of control part.
	MaxText = 48 << 10
	// MaxRefs is the number of messages that one frame refers to: an answer
	// refers to one, a summary to a few.
	MaxRefs = 16
	// MaxAttachments is the number of files in one frame: an album goes in several.
	MaxAttachments = 8
	// MaxCaption is the longest text with attachments, in bytes: a report has room for
	// the longest such frame and as many chunks as it may reveal.
	MaxCaption = 3 << 10
	// maxDescriptor is the longest descriptor, in bytes.
	maxDescriptor = descriptorFixed + attachment.MaxName + attachment.MaxType
	// MaxAttachmentFrame is the length of the longest frame with attachments, in bytes.
	MaxAttachmentFrame = frameFixed + MaxRefs*DigestSize + MaxAttachments*maxDescriptor + MaxCaption
	// MaxFrame is the length of the longest frame, in bytes.
	MaxFrame = frameFixed + MaxRefs*DigestSize + MaxText

	// MaxControl is the longest control part, in bytes: what the largest
	// envelope class holds beside an empty frame.
	MaxControl = 52 << 10
	// MaxGrant is the longest ticket grant, in bytes: 512 tickets.
	MaxGrant = 46 << 10
	// MaxReceipts is the number of messages that one list of receipts names.
	// Receipts are collected for seconds, and more go with the next message.
	MaxReceipts = 64
	// MaxConfirmed is the number of hashes that one message confirms: a
	// certificate and a token bundle for each of a few devices.
	MaxConfirmed = 16
	// MaxMissed is the number of messages that one message asks for again: what
	// was under way when a device was added, and more with the next one.
	MaxMissed = 32
	// MaxWanted is the number of token bundles that one message asks for: few are
	// ever lost, and more go with the next one.
	MaxWanted = 4
	// MaxWhole is the length of the longest thing that goes in pieces, in bytes: the
	// largest token bundle with its salt (977), and no more units than a word has bits.
	MaxWhole = 64 * PieceUnit
	// Limits of what other packages make, as on the wire.
	MaxSealKey     = wire.MaxSealKey
	MaxCertificate = wire.MaxCertificate
	MaxManifest    = wire.MaxManifest
)
