package devicesync

import (
	"cmp"
	"slices"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

// Item is one thing that a device tells the others: a pointer to one of the
// structures of this file.
type Item interface {
	wire.Schema
	Kind() Kind
}

// Kind numbers the items. Numbers are never used again.
type Kind uint8

// The kinds.
const (
	KindSent     Kind = 1
	KindStatus   Kind = 2
	KindContact  Kind = 3
	KindRemoved  Kind = 4
	KindGiven    Kind = 5
	KindCode     Kind = 6
	KindRoots    Kind = 7
	KindProvider Kind = 8
	KindReceived Kind = 9 // in archives only: each device receives for itself
	// KindMailboxKeys are w and z of the mailbox.
	KindMailboxKeys Kind = 10
	// KindAccountSecret is k of an X_S that the account is to have.
	KindAccountSecret Kind = 11
	// KindChoices is what the user chose for the account.
	KindChoices Kind = 12
)

// Marshal builds the record of an item. Errors wrap wire.ErrMalformed.
func Marshal(i Item) ([]byte, error) {
	b, err := wire.Append([]byte{byte(i.Kind())}, i)
	if err == nil && len(b) > MaxRecord {
		return nil, &wire.FieldError{Field: "record", Reason: "too long"}
	}
	return b, err
}

// Parse parses a record. Errors wrap wire.ErrMalformed; ErrKind is one of them.
func Parse(b []byte) (Item, error) {
	if len(b) == 0 || len(b) > MaxRecord {
		return nil, &wire.FieldError{Field: "record", Reason: "length out of range"}
	}
	i := newItem(Kind(b[0]))
	if i == nil {
		return nil, ErrKind
	}
	if err := wire.Unmarshal(b[1:], i); err != nil {
		return nil, err
	}
	return i, nil
}

func newItem(k Kind) Item {
	switch k {
	case KindSent:
		return new(Sent)
	case KindStatus:
		return new(StatusOf)
	case KindContact:
		return new(Contact)
	case KindRemoved:
		return new(Removed)
	case KindGiven:
		return new(Given)
	case KindCode:
		return new(Code)
	case KindRoots:
		return new(Roots)
	case KindProvider:
		return new(Provider)
	case KindReceived:
		return new(Received)
	case KindMailboxKeys:
		return new(MailboxKeys)
	case KindAccountSecret:
		return new(AccountSecret)
	case KindChoices:
		return new(Choices)
	}
	return nil
}

// Status says what became of a sent message. The numbers are those of the
// client's state and rise: a lower one never takes the place of a higher one.
type Status uint8

// The statuses.
const (
	StatusWaiting   Status = 2 // for tickets, or its turn
	StatusSealed    Status = 3 // in an outbox
	StatusAccepted  Status = 4 // the own provider has it durably
	StatusDelivered Status = 5 // the contact has it
	StatusFailed    Status = 6 // refused for good
	StatusRead      Status = 7 // the contact has seen it
)

// Sent is a message that the reporting device wrote.
type Sent struct {
	Contact ids.Address
	Time    uint64 // when it was written, Unix time in milliseconds
	Status  Status
	Failure uint16   // StatusFailed: the wire.Code
	D       [32]byte // franking digest
	Key     [32]byte // kf
	Frame   []byte   // F
	keys.Redacted
}

// Kind returns KindSent.
func (*Sent) Kind() Kind { return KindSent }

// StatusOf is what became of a message that a device of the account wrote.
type StatusOf struct {
	Contact ids.Address
	D       [32]byte
	Status  Status
	Failure uint16
}

// Kind returns KindStatus.
func (*StatusOf) Kind() Kind { return KindStatus }

// Contact is a contact as it now is, with what is pinned of it.
type Contact struct {
	Address     ids.Address
	Changed     uint64 // when the user last blocked, unblocked or verified it, Unix time in milliseconds: the latest wins; 0 for never
	Known       bool   // its keys are known; else the fields from Identity to Manifest are zero
	Blocked     bool
	Pending     bool           // it introduced itself and waits for the user's answer
	Entry       [16]byte       // its entry in the own blocklist; zero if it is not blocked
	Strike      uint32         // strike generation: how often its tickets were struck
	Fingerprint [32]byte       // of the pinned identity key; zero if there is none
	Identity    keys.VerifyKey // pinned
	XS          [32]byte       // X_S, pinned
	AccountDH   keys.DHPublic
	Mailbox     ids.MailboxID
	Manifest    []byte     // the newest known, or empty
	Verified    [32]byte   // hash of the safety number that was compared; zero for none
	Pinned      bool       // Pin is known
	Pin         [32]byte   // of its provider's root key
	Others      []OtherKey // X_S beside the pinned one, the newest first
}

// OtherKey is an X_S that a contact had before the pinned one or, of one that is
// blocked, was seen to have.
type OtherKey struct {
	XS    [32]byte
	Until ids.Day // the last day on which something under it is taken; 0 for one that only its provider vouches for
}

// Kind returns KindContact.
func (*Contact) Kind() Kind { return KindContact }

// Removed says that a contact was removed.
type Removed struct {
	Address ids.Address
	Changed uint64 // when, Unix time in milliseconds: a later Contact wins
}

// Kind returns KindRemoved.
func (*Removed) Kind() Kind { return KindRemoved }

// Given says that tickets were given out together: with one batch, or as one
// contact code. Their S is derived from root, giver, account and batch.
type Given struct {
	Giver   ids.DeviceID // the own device that gave them
	Root    uint16       // number of the root of seal secrets
	Batch   uint32
	Code    bool         // given as a contact code
	Account ids.Address  // who got them; zero for a code that nobody has used
	For     ids.DeviceID // that device of the account; 0 for any
	Tickets []GivenTicket
}

// GivenTicket is one of them.
type GivenTicket struct {
	Serial uint64
	Expiry ids.Day
	Used   bool // something came under it
}

// Kind returns KindGiven.
func (*Given) Kind() Kind { return KindGiven }

// Code is an own contact code that was given out. The tickets in it are a Given.
type Code struct {
	Giver  ids.DeviceID
	Number uint32 // the giver's: the batch of its Given
	Serial uint64
	Expiry ids.Day
	Owner  ids.Address // who used it; zero for nobody yet
}

// Kind returns KindCode.
func (*Code) Kind() Kind { return KindCode }

// Roots is a root of seal secrets and, of the newest, the chain of the weekly
// mailbox keys. Whoever has them opens the heads of what is sent to the mailbox.
type Roots struct {
	Number   uint16 // of the root: the highest is in use
	Root     [32]byte
	Made     ids.Day // when it was drawn
	HasChain bool
	Week     uint32   // HasChain: the first week that Chain is for
	Chain    [32]byte // HasChain: chain secret of that week
	keys.Redacted
}

// Kind returns KindRoots.
func (*Roots) Kind() Kind { return KindRoots }

// Provider is a provider whose root key is pinned.
type Provider struct {
	Domain ids.Domain
	Pin    [32]byte
}

// Kind returns KindProvider.
func (*Provider) Kind() Kind { return KindProvider }

// Received is a message that came from a contact.
type Received struct {
	Contact ids.Address
	Time    uint64 // when it was received, Unix time in milliseconds
	D       [32]byte
	Key     [32]byte // kf
	Com     [32]byte // the commitment and its day, for a report
	Day     ids.Day
	Stamp   [32]byte // the relay's stamp
	Stamped uint64   // the relay's time, Unix time in milliseconds
	Frame   []byte   // F
	keys.Redacted
}

// Kind returns KindReceived.
func (*Received) Kind() Kind { return KindReceived }

// MailboxKeys are the secrets of a generation of the mailbox's W and Z. Whoever has
// them sees by an account's X_S which pseudonym it has at the mailbox.
type MailboxKeys struct {
	Generation uint32 // the highest is in use
	W, Z       [32]byte
	Until      ids.Day // the last day on which something may come under it; 0 for the one in use
	keys.Redacted
}

// Kind returns KindMailboxKeys.
func (*MailboxKeys) Kind() Kind { return KindMailboxKeys }

// AccountSecret is k of an X_S that is not, or not yet, in the account's manifest:
// who draws it tells the others first, so that none is left without when it is.
type AccountSecret struct {
	K [32]byte
	keys.Redacted
}

// Kind returns KindAccountSecret.
func (*AccountSecret) Kind() Kind { return KindAccountSecret }

// Choices is what the user chose for the account and not for one device. Of each
// choice the latest counts, by when it was made: Unix time in milliseconds, 0 for never.
type Choices struct {
	HopChanged   uint64
	Hop          ids.Domain // through whom other providers are asked; zero for the own one
	ReadsChanged uint64
	ReadReceipts bool // are sent and taken
	DoorChanged  uint64
	Policy       uint8      // mailbox.Policy: what introductions may do; 0 for the default
	Codes        [][32]byte // by which they get in whatever the policy is
	keys.Redacted
}

// Kind returns KindChoices.
func (*Choices) Kind() Kind { return KindChoices }

// Sort puts the tickets in the order that they have in an item.
func (g *Given) Sort() {
	slices.SortFunc(g.Tickets, func(a, b GivenTicket) int { return cmp.Compare(a.Serial, b.Serial) })
}
