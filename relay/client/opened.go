package client

import (
	"time"

	"waxwing/core/attachment"
	"waxwing/core/content"
	"waxwing/core/ids"
	"waxwing/franking"
	"waxwing/relay/client/state"
)

// Opened is a message that passed every check: who wrote it, for whom, that it
// can be reported, and that it was not shown before. Only the receive path of
// this package makes one; an application that is handed a message in any other
// form cannot show it.
type Opened struct {
	position state.Position
	from     ids.Address
	received time.Time
	frame    *content.Frame
	digest   franking.Digest
	late     bool
}

// Position is the message's place in the durable log, which never changes. An
// app that stores it with what it made of the message gives it to Receive.
func (o *Opened) Position() uint64 { return uint64(o.position) }

// From is the account that wrote the message.
func (o *Opened) From() ids.Address { return o.from }

// Text is what it says: valid UTF-8, otherwise as the sender made it. Whoever
// shows it deals with control characters and direction marks.
// With attachments it may be empty.
func (o *Opened) Text() string { return o.frame.Text }

// Attachments describes the files that came with it, whose author committed to them.
// Name and type are what the sender says; a name leads out of no folder and is
// otherwise as the sender made it. The caller does not change them.
func (o *Opened) Attachments() []attachment.Descriptor { return o.frame.Attachments }

// Received is when the recipient's relay received it, by the relay's clock.
func (o *Opened) Received() time.Time { return o.received }

// Sent is when it was written, by the sender's clock: a claim.
func (o *Opened) Sent() time.Time { return time.UnixMilli(int64(o.frame.Sent)).UTC() }

// Sequence is the sender's count of messages to us, from 1: a claim, by which
// messages that overtook each other can be put in order.
func (o *Opened) Sequence() uint64 { return o.frame.Seq }

// Late reports whether a message that the sender's device counted higher was shown
// before: this one came when the wait for it was over (park.go). Of all messages of
// a device that are not late, each has a higher Sequence than those before, until
// the device begins to count anew. What was imported is never late.
func (o *Opened) Late() bool { return o.late }

// Digest names the message to whoever has it: d of package franking.
func (o *Opened) Digest() franking.Digest { return o.digest }

// opened makes the application's view of a row of the log that the receive
// path wrote. The error is ErrCorrupt.
func (w *work) opened(pos state.Position, m *state.Message) (*Opened, error) {
	f, err := content.ParseFrame(m.Frame)
	c := w.contacts[m.Contact]
	if err != nil || c == nil || m.Status != state.StatusReceived {
		return nil, &state.CorruptError{Table: "log"}
	}
	return &Opened{
		position: pos, from: c.Address, received: time.UnixMilli(int64(m.Stamped)).UTC(), frame: f, digest: m.D, late: m.Late,
	}, nil
}
