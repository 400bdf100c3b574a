package ids

import "time"

// Hour counts UTC hours, Day counts UTC days since the Unix epoch.
type (
	Hour uint32
	Day  uint32
)

const (
	// MaxDelay is D: how many days after the sender's day a provider still
	// delivers an envelope. It is how long mail queues keep trying.
	MaxDelay = 5
	// MaxTicketDays is how many days after its minting a ticket may still be
	// spent.
	MaxTicketDays = 14
	// MaxClockSkew is how far a provider's clock may stand from the client's
	// own before the client no longer follows it.
	MaxClockSkew = 24 * time.Hour
)

// HourOf returns the UTC hour that t lies in.
func HourOf(t time.Time) Hour { return Hour(t.Unix() / 3600) }

// DayOf returns the UTC day that t lies in.
func DayOf(t time.Time) Day { return Day(t.Unix() / 86400) }

// Day returns the day that h lies in.
func (h Hour) Day() Day { return Day(h / 24) }

// Start returns the first instant of the day.
func (d Day) Start() time.Time { return time.Unix(int64(d)*86400, 0).UTC() }

// End returns the first instant after the day.
func (d Day) End() time.Time { return (d + 1).Start() }

// InTime is the one rule about an envelope's age, used by the delivering relay
// and by every verifier of a report: -1 <= received - sent <= MaxDelay.
func InTime(sent, received Day) bool {
	age := int64(received) - int64(sent)
	return -1 <= age && age <= MaxDelay
}
