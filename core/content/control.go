package content

import (
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

// Control is the control part of a message: what clients tell each other
// beside what people say. A zero field is absent. It is never franked, shown or
// reported, and it is never part of a group's body.
type Control struct {
	// Mailbox is where the sender reads, for a contact's answers.
	Mailbox ids.MailboxID
	// Grant brings tickets for that mailbox (ticket.Grant).
	Grant []byte
	// Delivered and Read name the messages that arrived, and that were shown, at
	// most MaxReceipts each. Their order means nothing.
	Delivered, Read []Digest
	// Confirmed are hashes of certificates and token bundles of the recipient's
	// that the sender has seen and keeps, so that a hash is enough from now on.
	Confirmed []Digest
	// SealKey is the sender's mailbox key, signed (directory.MailboxKey).
	SealKey []byte
	// Certificate is a certificate of the sender's (sealedsender.Certificate).
	Certificate []byte
	// Manifest is the sender's device manifest, signed (directory.Manifest).
	Manifest []byte
	// Missed names messages that came without an entry for some device of the
	// sender's, which Manifest lists: the recipient seals them again.
	Missed []Digest
	// Piece is a piece of a token bundle that messages to come will name by its
	// reference: of the next day, or of one that the recipient wanted. It goes where
	// otherwise padding would be.
	Piece *Piece
	// Wanted are references of token bundles of the recipient's that its messages
	// named, and that the sender does not have.
	Wanted []Digest
	// Standing is the sender's standing stamp at the recipient's mailbox, of this
	// week or the last (introduction.Stamp). It says that the sender's provider and
	// the recipient's still let it write.
	Standing [StandingSize]byte
	keys.Redacted
}

// ParseControl parses a control part; zero bytes are one without items. Errors
// wrap wire.ErrMalformed; ErrUnsupported is one of them.
func ParseControl(b []byte) (*Control, error) {
	ctl := new(Control)
	switch {
	case len(b) == 0:
		return ctl, nil
	case len(b) > MaxControl:
		return nil, &wire.FieldError{Field: "control", Reason: "too long"}
	case b[0] != controlVersion:
		return nil, ErrUnsupported
	}
	if err := wire.Unmarshal(b, ctl); err != nil {
		return nil, err
	}
	return ctl, nil
}

// Marshal builds the control part, nil if it has no items. Errors wrap
// wire.ErrMalformed.
func (ctl *Control) Marshal() ([]byte, error) {
	b, err := wire.Marshal(ctl)
	switch {
	case err != nil:
		return nil, err
	case len(b) > MaxControl:
		return nil, &wire.FieldError{Field: "control", Reason: "too long"}
	case len(b) == controlFixed:
		return nil, nil
	}
	return b, nil
}

// GrantRoom returns how many bytes a grant may have so that the control part
// stays within room bytes, 0 if there is no room for any. What Grant holds now
// does not count.
func (ctl *Control) GrantRoom(room int) int {
	rest := *ctl
	rest.Grant = nil
	b, err := rest.Marshal()
	if err != nil {
		return 0
	}
	return max(0, min(MaxGrant, min(room, MaxControl)-max(len(b), controlFixed)-itemFixed))
}
