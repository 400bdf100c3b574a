package content

import (
	"crypto/rand"
	"fmt"

	"waxwing/core/attachment"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

// ErrUnsupported says that a frame or control part is of a version or kind that
// this program does not know. It wraps wire.ErrMalformed.
var ErrUnsupported = fmt.Errorf("content: of an unknown version or kind: %w", wire.ErrMalformed)

// Digest is the franking digest d of a message, or another SHA-256 hash.
type Digest [DigestSize]byte

// Conversation names a conversation among its members: random, never derived
// from names, so that reviewers who see two reports learn nothing about who
// takes part.
type Conversation [ConversationSize]byte

// NewConversation draws an id.
func NewConversation() (id Conversation) {
	rand.Read(id[:])
	return id
}

// String returns a redacted form.
func (Conversation) String() string { return "conversation(redacted)" }

// Kind says what a frame is.
type Kind uint8

// The kinds of frames. Reserved and refused for now: 2 reaction, 3 edit,
// 4 delete, 5 expiring text, 7 call event, 8 change of a group.
const (
	KindText       Kind = 1
	KindAttachment Kind = 6 // files, and a text with them or none
)

func (k Kind) valid() bool { return k == KindText || k == KindAttachment }

// Frame is F: what the sender says, and nothing about who it is.
type Frame struct {
	Kind         Kind
	Conversation Conversation
	Seq          uint64   // the sender's count in this conversation, from 1
	Sent         uint64   // Unix time by the sender's clock, milliseconds
	Prev         Digest   // d of the sender's message before; zero for the first
	Refs         []Digest // d of the messages that it answers; distinct
	// Attachments describes and commits to the files of a KindAttachment, of which
	// there is at least one, with a secret of its own each. Their secrets are not in
	// F: whoever gets a report must not be able to open what is not revealed in it.
	Attachments []attachment.Descriptor
	Text        string // UTF-8, 1..MaxText bytes; 0..MaxCaption with attachments
	keys.Redacted
}

// ParseFrame parses a frame. Errors wrap wire.ErrMalformed; ErrUnsupported is
// one of them.
func ParseFrame(b []byte) (*Frame, error) {
	if len(b) >= 2 && (b[0] != frameVersion || !Kind(b[1]).valid()) {
		return nil, ErrUnsupported
	}
	f := new(Frame)
	if err := wire.Unmarshal(b, f); err != nil {
		return nil, err
	}
	return f, nil
}

// Marshal builds F. Errors wrap wire.ErrMalformed.
func (f *Frame) Marshal() ([]byte, error) { return wire.Marshal(f) }
