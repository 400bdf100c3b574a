package state

import (
	"waxwing/core/directory"
	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
	"waxwing/ratelimit/introduction"
)

// The records. Integers are big-endian, each record begins with its version,
// and each stands behind a CRC-32C of table, key and record (4 bytes). Records
// of ratelimit/ticket are laid out there.
const recordVersion = 1

// Profile is the account and the keys of its device.
type Profile struct {
	Address    ids.Address
	Device     ids.DeviceID
	Registered bool // the provider has the account
	Published  bool // and prekeys and seal key
	Server     string
	Pin        keys.Pin // of the own provider
	Invite     []byte
	Mailbox    ids.MailboxID     // zero before registration
	Identity   [32]byte          // seed of the account's identity key
	Sign       [32]byte          // seed of the device's signing key
	DeviceDH   [32]byte          // private, of the device's sessions
	AccountDH  [32]byte          // private, of the account's deniable tags
	Root       uint16            // number of the root in use, in Roots
	Since      ids.Day           // when this device began with the account
	Part       introduction.Part // of a day's introductions; the day's once it has begun with the account's manifest
	Week       introduction.Part // of a week's standing stamps, likewise
	Standing   [32]byte          // K_R, by which contacts' standing stamps are checked; zero if the provider gives none
	Chain      [32]byte          // chain secret of the seal keys, of ChainWeek
	ChainWeek  directory.Week
	Removing   ids.DeviceID // a device whose removal was asked for; 0 for none
	Secrets    AccountSecrets
	Manifest   []byte
	Cert       []byte  // the own sender certificate, empty before the first
	CertExpiry ids.Day // its last day
	keys.Redacted
}

// Fields lists the layout.
func (p *Profile) Fields(c *wire.Codec) {
	c.Const("version", recordVersion)
	c.Address("address", &p.Address)
	wire.U32(c, "device", &p.Device)
	c.Bool("registered", &p.Registered)
	c.Bool("published", &p.Published)
	c.String("server", &p.Server, MaxText)
	c.Fixed("pin", p.Pin[:])
	c.Bytes("invite", &p.Invite, wire.MaxInvite)
	c.Fixed("mailbox", p.Mailbox[:])
	c.Fixed("identity", p.Identity[:])
	c.Fixed("sign", p.Sign[:])
	c.Fixed("device DH", p.DeviceDH[:])
	c.Fixed("account DH", p.AccountDH[:])
	wire.U16(c, "root", &p.Root)
	wire.U32(c, "since", &p.Since)
	c.Nested("part", &p.Part)
	c.Nested("week", &p.Week)
	c.Fixed("standing key", p.Standing[:])
	c.Fixed("chain", p.Chain[:])
	wire.U32(c, "chain week", &p.ChainWeek)
	wire.U32(c, "removing", &p.Removing)
	c.Nested("secrets", &p.Secrets)
	c.Bytes("manifest", &p.Manifest, wire.MaxManifest)
	c.Bytes("certificate", &p.Cert, wire.MaxCertificate)
	wire.U32(c, "certificate expiry", &p.CertExpiry)
}

// AccountSecrets are the secret scalars that belong to the account and not to one
// of its devices: every device has the same (design section 8). Whoever links a
// device hands them over in this layout.
type AccountSecrets struct {
	K          [32]byte // of X_S = k*G, in the manifest: pseudonyms and credentials
	W          [32]byte // of W = w*G, in the mailbox key
	Z          [32]byte // of Z = z*G, in the mailbox key
	Generation uint32   // of W and Z, from 1
	keys.Redacted
}

// Fields lists the layout.
func (s *AccountSecrets) Fields(c *wire.Codec) {
	c.Const("version", recordVersion)
	scalar(c, "k", &s.K)
	scalar(c, "w", &s.W)
	scalar(c, "z", &s.Z)
	wire.U32(c, "generation", &s.Generation)
	c.Check(s.Generation != 0, "generation", "zero")
}

// scalar is a scalar of ristretto255 that group.DecodeScalar accepts.
func scalar(c *wire.Codec, field string, b *[32]byte) {
	c.Fixed(field, b[:])
	x, err := group.Ristretto255().DecodeScalar(b[:])
	c.Check(err == nil, field, "not a usable scalar")
	x.Erase()
}

// Reasons is how many reasons for dropping a delivery are counted.
const Reasons = 24

// Counters holds the next number of everything that is numbered here, and what
// was counted.
type Counters struct {
	Contact    ContactID
	Position   Position
	Session    uint64
	Outbox     uint64
	Held       uint64
	Receipt    uint64
	Strike     uint64
	Code       uint32
	Signed     uint32
	OneTime    uint32
	LastResort uint32
	Cursor     uint64 // the mailbox's sequence number up to which all is here
	Swept      ids.Day
	Stock      uint32 // one-time prekeys at the provider, when last asked
	Dropped    [Reasons]uint64
	SyncLost   uint64 // records of other devices that could not be used
	Forked     uint64 // lists of a provider's keys of admission that contradict those before
}

// Fields lists the layout.
func (n *Counters) Fields(c *wire.Codec) {
	c.Const("version", recordVersion)
	wire.U32(c, "contact", &n.Contact)
	wire.U64(c, "position", &n.Position)
	wire.U64(c, "session", &n.Session)
	wire.U64(c, "outbox", &n.Outbox)
	wire.U64(c, "held", &n.Held)
	wire.U64(c, "receipt", &n.Receipt)
	wire.U64(c, "strike", &n.Strike)
	wire.U32(c, "code", &n.Code)
	wire.U32(c, "signed", &n.Signed)
	wire.U32(c, "one-time", &n.OneTime)
	wire.U32(c, "last resort", &n.LastResort)
	wire.U64(c, "cursor", &n.Cursor)
	wire.U32(c, "swept", &n.Swept)
	wire.U32(c, "stock", &n.Stock)
	for i := range n.Dropped {
		wire.U64(c, "dropped", &n.Dropped[i])
	}
	wire.U64(c, "sync lost", &n.SyncLost)
	wire.U64(c, "forked", &n.Forked)
}

// Ref is a number: of a contact, a position or a day.
type Ref struct{ Value uint64 }

// Fields lists the layout.
func (r *Ref) Fields(c *wire.Codec) { wire.U64(c, "value", &r.Value) }

// Blob is bytes whose format belongs to another package.
type Blob struct{ Bytes []byte }

// Fields lists the layout.
func (b *Blob) Fields(c *wire.Codec) {
	c.Const("version", recordVersion)
	c.Bytes("bytes", &b.Bytes, wire.MaxManifest)
}

// Digest is d of a message.
type Digest struct{ D [32]byte }

// Fields lists the layout.
func (d *Digest) Fields(c *wire.Codec) {
	c.Const("version", recordVersion)
	c.Fixed("d", d.D[:])
}

// Session is a ratchet session with a device.
type Session struct {
	Device ids.DeviceID
	Last   uint64  // the higher, the later something was received on it
	Used   ids.Day // when last used
	State  []byte  // ratchet.Session.Marshal
	keys.Redacted
}

// Fields lists the layout.
func (s *Session) Fields(c *wire.Codec) {
	c.Const("version", recordVersion)
	wire.U32(c, "device", &s.Device)
	wire.U64(c, "last", &s.Last)
	wire.U32(c, "used", &s.Used)
	c.Bytes("state", &s.State, MaxSession)
}

// Known is a contact's certificate that came in full and was verified.
type Known struct {
	Expiry ids.Day
	Cert   []byte
}

// Fields lists the layout.
func (k *Known) Fields(c *wire.Codec) {
	c.Const("version", recordVersion)
	wire.U32(c, "expiry", &k.Expiry)
	c.Bytes("certificate", &k.Cert, wire.MaxCertificate)
}

// Status says what became of a message.
type Status uint8

// The statuses. Numbers are never reused.
const (
	StatusReceived  Status = 1 // it came from the contact
	StatusWaiting   Status = 2 // not sealed: for tickets, or its turn
	StatusSealed    Status = 3 // in the outbox
	StatusAccepted  Status = 4 // the own provider has it durably
	StatusDelivered Status = 5 // the contact's device has it
	StatusFailed    Status = 6 // refused for good
	StatusRead      Status = 7 // the contact has seen it, and both allow read receipts
)

var statusNames = [...]string{
	StatusReceived: "received", StatusWaiting: "waiting", StatusSealed: "sealed", StatusAccepted: "accepted",
	StatusDelivered: "delivered", StatusFailed: "failed", StatusRead: "read",
}

// String returns the status in one word.
func (s Status) String() string {
	if s >= StatusReceived && s <= StatusRead {
		return statusNames[s]
	}
	return "unknown"
}

// Message is one message of a conversation, sent or received.
type Message struct {
	Contact ContactID
	Status  Status
	Time    uint64   // when it was written or received, Unix time in milliseconds
	D       [32]byte // franking digest
	Key     [32]byte // kf
	Com     [32]byte // received: the commitment and its day, for a report
	Day     ids.Day  // of the commitment: received, or last sealed
	Stamp   [32]byte // received: the relay's stamp
	Stamped uint64   // received: the relay's time, milliseconds
	Late    bool     // received: shown after one that its sender's device counted higher
	Tries   uint8    // sent: how often it was sealed
	Sealed  uint32   // sent: version of the contact's manifest for which it was last sealed
	Failure uint16   // StatusFailed: the wire.Code
	Frame   []byte   // F
	keys.Redacted
}

// Fields lists the layout.
func (m *Message) Fields(c *wire.Codec) {
	c.Const("version", recordVersion)
	wire.U32(c, "contact", &m.Contact)
	wire.U8(c, "status", &m.Status)
	c.Check(m.Status >= StatusReceived && m.Status <= StatusRead, "status", "unknown value")
	wire.U64(c, "time", &m.Time)
	c.Fixed("d", m.D[:])
	c.Fixed("kf", m.Key[:])
	c.Fixed("com", m.Com[:])
	wire.U32(c, "day", &m.Day)
	c.Fixed("stamp", m.Stamp[:])
	wire.U64(c, "stamped", &m.Stamped)
	c.Bool("late", &m.Late)
	wire.U8(c, "tries", &m.Tries)
	wire.U32(c, "sealed", &m.Sealed)
	wire.U16(c, "failure", &m.Failure)
	c.Bytes("F", &m.Frame, MaxFrame)
}

// Envelope is a sealed envelope on its way to the own provider.
type Envelope struct {
	Contact  ContactID
	Position Position // of its message; 0 for control only
	Dest     ids.Domain
	Day      ids.Day
	Bytes    []byte
}

// Fields lists the layout.
func (e *Envelope) Fields(c *wire.Codec) {
	c.Const("version", recordVersion)
	wire.U32(c, "contact", &e.Contact)
	wire.U64(c, "position", &e.Position)
	c.Domain("dest", &e.Dest)
	wire.U32(c, "day", &e.Day)
	c.Bytes("envelope", &e.Bytes, MaxEnvelope)
}

// HeldReason says why a delivery is held.
type HeldReason uint8

// The reasons. Numbers are never reused.
const (
	HeldSerial      HeldReason = 1 // its serial is not known
	HeldCertificate HeldReason = 2 // it refers to a certificate that is not known
	HeldProvider    HeldReason = 3 // the sender's provider's keys are not known
	HeldSnapshot    HeldReason = 4 // the own provider's snapshot that it names is not known
	HeldBundle      HeldReason = 5 // it refers to a token bundle that is not known
	HeldMailboxKeys HeldReason = 6 // it is under a W of another device's that is not known
)

// HeldDelivery is a delivery that cannot be judged yet.
type HeldDelivery struct {
	Reason   HeldReason
	Until    ids.Day // discarded after it
	Hidden   bool    // whether Domain is absent
	Domain   ids.Domain
	Delivery []byte
}

// Fields lists the layout.
func (h *HeldDelivery) Fields(c *wire.Codec) {
	c.Const("version", recordVersion)
	wire.U8(c, "reason", &h.Reason)
	c.Check(h.Reason >= HeldSerial && h.Reason <= HeldMailboxKeys, "reason", "unknown value")
	wire.U32(c, "until", &h.Until)
	c.Bool("no domain", &h.Hidden)
	if !h.Hidden {
		c.Domain("domain", &h.Domain)
	}
	c.Bytes("delivery", &h.Delivery, MaxEnvelope)
}

// Code is an own contact code that was given out.
type Code struct {
	Serial uint64
	Expiry ids.Day
	Owner  ContactID // who used it; 0 for nobody yet
}

// Fields lists the layout.
func (k *Code) Fields(c *wire.Codec) {
	c.Const("version", recordVersion)
	wire.U64(c, "serial", &k.Serial)
	wire.U32(c, "expiry", &k.Expiry)
	wire.U32(c, "owner", &k.Owner)
}

// OwnKey is a private key of the own device or account.
type OwnKey struct {
	Made  ids.Day
	Until ids.Day // erased after it; 0 as long as it is the current one
	Key   []byte  // as its package marshals it
	keys.Redacted
}

// maxOwnKey bounds a private key, in bytes: a last-resort pair that remembers
// all that it began (32 KiB), and its fixed part.
const maxOwnKey = 40 << 10

// Fields lists the layout.
func (k *OwnKey) Fields(c *wire.Codec) {
	c.Const("version", recordVersion)
	wire.U32(c, "made", &k.Made)
	wire.U32(c, "until", &k.Until)
	c.Bytes("key", &k.Key, maxOwnKey)
}

// Provider is what is known of a provider.
type Provider struct {
	Pinned     bool // from a contact code or the own configuration, not first use
	Pin        keys.Pin
	Fetched    uint64 // Unix time, milliseconds; 0 for never
	Descriptor []byte
}

// Fields lists the layout.
func (p *Provider) Fields(c *wire.Codec) {
	c.Const("version", recordVersion)
	c.Bool("pinned", &p.Pinned)
	c.Fixed("pin", p.Pin[:])
	wire.U64(c, "fetched", &p.Fetched)
	c.Bytes("descriptor", &p.Descriptor, wire.MaxDescriptor)
}

// StrikeKind says what the own provider is to do.
type StrikeKind uint8

// The kinds. Numbers are never reused.
const (
	StrikeBlock   StrikeKind = 1 // blocklist.Request: strike serials, add the entry
	StrikeUnblock StrikeKind = 2 // remove the entry
	StrikeRenew   StrikeKind = 3 // what all who are blocked are under a generation of W
)

// Strike is a request about tickets or the blocklist, until it was carried out.
type Strike struct {
	Kind       StrikeKind
	Entry      [16]byte
	Generation uint32 // StrikeRenew
	Request    []byte // StrikeBlock: blocklist.Request
}

// Fields lists the layout.
func (s *Strike) Fields(c *wire.Codec) {
	c.Const("version", recordVersion)
	wire.U8(c, "kind", &s.Kind)
	c.Check(s.Kind >= StrikeBlock && s.Kind <= StrikeRenew, "kind", "unknown value")
	c.Fixed("entry", s.Entry[:])
	wire.U32(c, "generation", &s.Generation)
	c.Check((s.Generation != 0) == (s.Kind == StrikeRenew), "generation", "does not fit the kind")
	c.Bytes("request", &s.Request, wire.MaxBlock)
}
