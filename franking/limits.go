package franking

import "waxwing/core/ids"

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
)
