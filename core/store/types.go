package store

import (
	"errors"
	"time"

	"waxwing/core/ids"
)

// What callers branch on, with errors.Is.
var (
	// ErrFull: a quota or limit of the contract is reached.
	ErrFull = errors.New("store: full")
	// ErrConflict: the version or size is not the expected one.
	ErrConflict = errors.New("store: conflict")
	// ErrEmpty: a pool has nothing to give.
	ErrEmpty = errors.New("store: empty")
	// ErrNotFound: no such document, or no such open reader.
	ErrNotFound = errors.New("store: not found")
	// ErrInvalid: an argument is outside the contract's limits.
	ErrInvalid = errors.New("store: invalid argument")
	// ErrUnknownOutcome: the operation may have had its effect or not. Send
	// it again with the same ids.
	ErrUnknownOutcome = errors.New("store: outcome unknown")
	// ErrUnavailable: nothing was done, and the engine, or the set asked for,
	// cannot do it.
	ErrUnavailable = errors.New("store: unavailable")
)

// Cursor is a position in one mailbox. The first message has 1, each later
// one a higher cursor; 0 is before all.
type Cursor uint64

// ReaderID is a device, or 0 for the only reader of a provider's outbox.
type ReaderID uint32

// Claimant is who spends or takes: an envelope's id, or a hash that stands
// for a request.
type Claimant [32]byte

// Key names a document, pool or log: 1 to MaxKey arbitrary bytes. The three
// have separate name spaces.
type Key string

// Serial is the serial of a ticket: Day is the last day on which it may be
// spent. Two serials are the same if both fields are.
type Serial struct {
	Day ids.Day
	N   uint64
}

// Alive reports whether the fate of the serial is still known on a day. One
// whose fate is not known any more cannot be spent.
func (s Serial) Alive(today ids.Day) bool {
	return int64(today) <= int64(s.Day)+SerialMemory
}

// Quota bounds what waits in a mailbox: number of messages, and bytes of their
// bodies. A zero field means DefaultMessages or DefaultBytes.
type Quota struct {
	Messages int
	Bytes    int64
}

// OrDefault fills the fields that are zero.
func (q Quota) OrDefault() Quota {
	if q.Messages == 0 {
		q.Messages = DefaultMessages
	}
	if q.Bytes == 0 {
		q.Bytes = DefaultBytes
	}
	return q
}

// AppendReq asks for one message to be appended.
type AppendReq struct {
	Mailbox ids.MailboxID
	// ID is the message's identity. One ID comes always with the same Serial,
	// or always without one.
	ID ids.EnvelopeID
	// Body has 1 to MaxBody bytes.
	Body []byte
	// Expires is rounded up to a second. A time that has passed is allowed:
	// the message is appended and never fetched.
	Expires time.Time
	// Serial, if HasSerial, is spent in the same atomic step, with ID as the
	// claimant. It is not spent if the outcome is not Appended.
	Serial    Serial
	HasSerial bool
	Quota     Quota
	// Discard: the caller has decided to dispose of the message. Nothing is
	// kept and no serial spent, after the same work.
	Discard bool
}

// AppendOutcome is what became of one AppendReq.
type AppendOutcome uint8

const (
	// AppendNone stands beside an error.
	AppendNone AppendOutcome = iota
	// Appended: the message is stored.
	Appended
	// Duplicate: a message with this ID was appended before. With a serial
	// this is known for as long as the serial is Alive, without one for as
	// long as the message is kept.
	Duplicate
	// Spent: another ID won the serial, or it is not Alive any more.
	Spent
	// Struck: the mailbox's owner struck the serial.
	Struck
	// Discarded: as asked for.
	Discarded
)

// String names the outcome.
func (o AppendOutcome) String() string {
	switch o {
	case AppendNone:
		return "none"
	case Appended:
		return "appended"
	case Duplicate:
		return "duplicate"
	case Spent:
		return "spent"
	case Struck:
		return "struck"
	case Discarded:
		return "discarded"
	}
	return "invalid"
}

// AppendRes answers one AppendReq. Cursor is set if Outcome is Appended. Err is
// ErrFull (over the quota), ErrInvalid, ErrUnavailable or ErrUnknownOutcome.
type AppendRes struct {
	Outcome AppendOutcome
	Cursor  Cursor
	Err     error
}

// Message is one message of a mailbox.
type Message struct {
	Cursor  Cursor
	ID      ids.EnvelopeID
	Body    []byte
	Expires time.Time // UTC, whole seconds
}

// AckReq says that Reader has all messages of Mailbox up to UpTo.
type AckReq struct {
	Mailbox ids.MailboxID
	Reader  ReaderID
	UpTo    Cursor
}

// MailboxStat is the size of a mailbox. Last is the cursor of the last message
// ever appended.
type MailboxStat struct {
	Messages int
	Bytes    int64
	Last     Cursor
}

// SetID names a one-winner set.
type SetID [32]byte

// Claim is one token that Claimant wants to have spent.
type Claim struct {
	Token    [32]byte
	Claimant Claimant
}

// SpendRes answers one Claim. Won is meaningful if Err is nil.
type SpendRes struct {
	Won bool
	Err error
}

// Item is one item of a pool: an ID above 0 and 1 to MaxItem bytes.
type Item struct {
	ID   uint64
	Body []byte
}

// Doc is a document. Versions are above 0.
type Doc struct {
	Value   []byte
	Version uint64
}

// KeyDoc is a document with its key.
type KeyDoc struct {
	Key Key
	Doc
}

// Event reports that a document changed. Version is that of the change, 0 for
// a deletion. Resync reports that events were lost: Key and Version are zero,
// and the watcher lists its documents anew.
type Event struct {
	Key     Key
	Version uint64
	Resync  bool
}
