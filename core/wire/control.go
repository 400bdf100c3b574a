package wire

import "waxwing/core/ids"

// Limits of control messages, in bytes or elements.
const (
	// MaxInvite bounds an invitation to register.
	MaxInvite = 128
	// MaxManifest bounds a signed device manifest: eight devices and to spare.
	MaxManifest = 2048
	// MaxPrekey bounds one public prekey: an ML-KEM-1024 key with its X25519
	// key and signature, and room for another KEM.
	MaxPrekey = 2048
	// MaxPrekeys bounds how many one-time prekeys one upload carries, so that
	// it stays one frame.
	MaxPrekeys = 32
	// MaxSealKey bounds a signed mailbox key: X-Wing key, days, two proven keys,
	// signature, and the longest address.
	MaxSealKey = 1600
	// MaxCertificate bounds a sender certificate.
	MaxCertificate = 384
	// MaxMint bounds how many tickets one request mints, so that the answer
	// stays one frame.
	MaxMint = 512
	// MaxBlock bounds a block request: some thousand serials.
	MaxBlock = 48 << 10
	// MaxSealedQuery and MaxSealedAnswer bound a Query and its answer.
	MaxSealedQuery  = 4 << 10
	MaxSealedAnswer = 32 << 10
	// MaxDescriptor bounds a signed provider descriptor.
	MaxDescriptor = 8 << 10
)

// NonceSize is the size of the server's nonce and of request nonces.
const NonceSize = 32

// Hello is the first frame of the server on a control stream.
type Hello struct {
	Domain ids.Domain
	Nonce  [NonceSize]byte // signed, with the TLS exporter, by Register, Auth and Recover
	Time   uint64          // the server's Unix time, milliseconds
}

// Fields lists the layout.
func (m *Hello) Fields(c *Codec) {
	c.Const("version", Version)
	c.Domain("domain", &m.Domain)
	c.Fixed("nonce", m.Nonce[:])
	U64(c, "time", &m.Time)
}

// A Request is a control message that is answered. Its id is chosen by the
// asking side, differs among the requests under way, and is repeated in the
// answer. Answers carry the same id in the same place.
type Request struct{ ID uint32 }

func (r *Request) id(c *Codec) { U32(c, "id", &r.ID) }

// RequestID returns the id.
func (r *Request) RequestID() uint32 { return r.ID }

// SetRequestID sets the id.
func (r *Request) SetRequestID(id uint32) { r.ID = id }

// Message is any control message.
type Message interface {
	Schema
	Type() FrameType
	RequestID() uint32
	SetRequestID(id uint32)
}

// Done answers that the request was carried out.
type Done struct{ Request }

// Type is the frame's number.
func (*Done) Type() FrameType { return TypeDone }

// Fields lists the layout.
func (m *Done) Fields(c *Codec) { m.id(c) }

// Refusal answers that the request was not carried out.
type Refusal struct {
	Request
	Code       Code
	RetryAfter uint32 // milliseconds; 0 if trying again is no use
}

// Type is the frame's number.
func (*Refusal) Type() FrameType { return TypeRefusal }

// Fields lists the layout.
func (m *Refusal) Fields(c *Codec) {
	m.id(c)
	c.code(&m.Code)
	U32(c, "retry after", &m.RetryAfter)
}

// Register asks for a new account. The manifest is signed by the identity key
// that it names; the signature here, by the same key over AuthInput, shows
// that the key's owner is at the other end of this very connection.
type Register struct {
	Request
	Invite    []byte
	Manifest  []byte
	Signature [64]byte
}

// Type is the frame's number.
func (*Register) Type() FrameType { return TypeRegister }

// Fields lists the layout.
func (m *Register) Fields(c *Codec) {
	m.id(c)
	c.Bytes("invite", &m.Invite, MaxInvite)
	c.Bytes("manifest", &m.Manifest, MaxManifest)
	c.Fixed("signature", m.Signature[:])
}

// Auth authenticates the connection as one device of an account: a signature
// by the device's key over AuthInput.
type Auth struct {
	Request
	Address   ids.Address
	Device    ids.DeviceID
	Signature [64]byte
}

// Type is the frame's number.
func (*Auth) Type() FrameType { return TypeAuth }

// Fields lists the layout.
func (m *Auth) Fields(c *Codec) {
	m.id(c)
	c.Address("address", &m.Address)
	U32(c, "device", &m.Device)
	c.Fixed("signature", m.Signature[:])
}

// AuthInput is what Register, Auth and Recover sign. The TLS exporter ties it to the
// connection, the nonce to one moment: a signature cannot be used on another
// connection, by a server in the middle or later.
type AuthInput struct {
	Exporter [32]byte // RFC 9266 style exporter of the connection, label "EXPORTER-waxwing-auth"
	Nonce    [NonceSize]byte
	Server   ids.Domain
	Address  ids.Address
	Device   ids.DeviceID
}

// Fields lists the layout.
func (m *AuthInput) Fields(c *Codec) {
	c.Fixed("exporter", m.Exporter[:])
	c.Fixed("nonce", m.Nonce[:])
	c.Domain("server", &m.Server)
	c.Address("address", &m.Address)
	U32(c, "device", &m.Device)
}

// Session answers Register and Auth.
type Session struct {
	Request
	Mailbox ids.MailboxID // the account's
	// Standing is K_R, the key that the mailbox's standing stamps are checked with
	// (introduction.StandingKey). A secret of the provider and the mailbox's owner.
	Standing [32]byte
}

// Type is the frame's number.
func (*Session) Type() FrameType { return TypeSession }

// Fields lists the layout.
func (m *Session) Fields(c *Codec) {
	m.id(c)
	c.Fixed("mailbox", m.Mailbox[:])
	c.Fixed("standing key", m.Standing[:])
}

// Prekeys publishes a device's prekeys. Empty signed and last-resort fields
// leave the stored ones as they are; with no one-time keys either, it only
// asks for the stock.
type Prekeys struct {
	Request
	Signed     []byte   // ratchet.PublicSignedPrekey
	LastResort []byte   // ratchet.PublicOneTime
	OneTime    [][]byte // ratchet.PublicOneTime
}

// Type is the frame's number.
func (*Prekeys) Type() FrameType { return TypePrekeys }

// Fields lists the layout.
func (m *Prekeys) Fields(c *Codec) {
	m.id(c)
	c.Bytes("signed", &m.Signed, MaxPrekey)
	c.Bytes("last resort", &m.LastResort, MaxPrekey)
	List(c, "one-time", &m.OneTime, MaxPrekeys, func(c *Codec, p *[]byte) { c.Bytes("prekey", p, MaxPrekey) })
}

// Stock answers Prekeys with how many one-time prekeys are left.
type Stock struct {
	Request
	OneTime uint32
}

// Type is the frame's number.
func (*Stock) Type() FrameType { return TypeStock }

// Fields lists the layout.
func (m *Stock) Fields(c *Codec) {
	m.id(c)
	U32(c, "one-time", &m.OneTime)
}

// SealKey publishes the mailbox's weekly seal key, signed by the account's
// identity key (directory.MailboxKey).
type SealKey struct {
	Request
	Key []byte
}

// Type is the frame's number.
func (*SealKey) Type() FrameType { return TypeSealKey }

// Fields lists the layout.
func (m *SealKey) Fields(c *Codec) {
	m.id(c)
	c.Bytes("key", &m.Key, MaxSealKey)
}

// Certify asks for a sender certificate for the authenticated device.
type Certify struct{ Request }

// Type is the frame's number.
func (*Certify) Type() FrameType { return TypeCertify }

// Fields lists the layout.
func (m *Certify) Fields(c *Codec) { m.id(c) }

// Cert answers Certify.
type Cert struct {
	Request
	Certificate []byte // sealedsender.Certificate
}

// Type is the frame's number.
func (*Cert) Type() FrameType { return TypeCert }

// Fields lists the layout.
func (m *Cert) Fields(c *Codec) {
	m.id(c)
	c.Bytes("certificate", &m.Certificate, MaxCertificate)
}

// Mint asks for tickets of the account's own mailbox.
type Mint struct {
	Request
	Count  uint16  // 1..MaxMint
	Expiry ids.Day // the last day on which they may be spent
}

// Type is the frame's number.
func (*Mint) Type() FrameType { return TypeMint }

// Fields lists the layout.
func (m *Mint) Fields(c *Codec) {
	m.id(c)
	U16(c, "count", &m.Count)
	c.Check(m.Count >= 1 && m.Count <= MaxMint, "count", "out of range")
	U32(c, "expiry", &m.Expiry)
}

// MintedTicket is one ticket with the key that binds envelopes to it.
type MintedTicket struct {
	Ticket [TicketSize]byte
	Key    [32]byte
}

// Minted answers Mint. The tickets have consecutive serials.
type Minted struct {
	Request
	FirstSerial uint64
	Expiry      ids.Day
	Tickets     []MintedTicket
}

// Type is the frame's number.
func (*Minted) Type() FrameType { return TypeMinted }

// Fields lists the layout.
func (m *Minted) Fields(c *Codec) {
	m.id(c)
	U64(c, "first serial", &m.FirstSerial)
	U32(c, "expiry", &m.Expiry)
	List(c, "tickets", &m.Tickets, MaxMint, func(c *Codec, t *MintedTicket) {
		c.Fixed("ticket", t.Ticket[:])
		c.Fixed("key", t.Key[:])
	})
}

// Block strikes tickets and adds an entry to the mailbox's blocklist, in one
// call.
type Block struct {
	Request
	Block []byte // blocklist.Request
}

// Type is the frame's number.
func (*Block) Type() FrameType { return TypeBlock }

// Fields lists the layout.
func (m *Block) Fields(c *Codec) {
	m.id(c)
	c.Bytes("block", &m.Block, MaxBlock)
}

// Blocked answers Block.
type Blocked struct {
	Request
	Struck uint32 // tickets that were unspent and no longer work
}

// Type is the frame's number.
func (*Blocked) Type() FrameType { return TypeBlocked }

// Fields lists the layout.
func (m *Blocked) Fields(c *Codec) {
	m.id(c)
	U32(c, "struck", &m.Struck)
}

// Unblock removes an entry from the mailbox's blocklist. Struck tickets stay
// struck.
type Unblock struct {
	Request
	Entry [16]byte
}

// Type is the frame's number.
func (*Unblock) Type() FrameType { return TypeUnblock }

// Fields lists the layout.
func (m *Unblock) Fields(c *Codec) {
	m.id(c)
	c.Fixed("entry", m.Entry[:])
}

// Query asks another provider something through one's own (package
// core/query). The client's provider passes Kind and Sealed on unchanged and
// sees only the destination.
type Query struct {
	Request
	Dest   ids.Domain
	Kind   uint8
	Sealed []byte
}

// Type is the frame's number.
func (*Query) Type() FrameType { return TypeQuery }

// Fields lists the layout.
func (m *Query) Fields(c *Codec) {
	m.id(c)
	c.Domain("dest", &m.Dest)
	U8(c, "kind", &m.Kind)
	c.Bytes("sealed", &m.Sealed, MaxSealedQuery)
}

// Answer answers Query.
type Answer struct {
	Request
	Sealed []byte
}

// Type is the frame's number.
func (*Answer) Type() FrameType { return TypeAnswer }

// Fields lists the layout.
func (m *Answer) Fields(c *Codec) {
	m.id(c)
	c.Bytes("sealed", &m.Sealed, MaxSealedAnswer)
}

// Describe asks for the descriptor of the server's own provider or of one of
// its peers, as the server has it pinned.
type Describe struct {
	Request
	Domain ids.Domain
}

// Type is the frame's number.
func (*Describe) Type() FrameType { return TypeDescribe }

// Fields lists the layout.
func (m *Describe) Fields(c *Codec) {
	m.id(c)
	c.Domain("domain", &m.Domain)
}

// Described answers Describe.
type Described struct {
	Request
	Descriptor []byte // directory.Descriptor, signed by the provider's root key
}

// Type is the frame's number.
func (*Described) Type() FrameType { return TypeDescribed }

// Fields lists the layout.
func (m *Described) Fields(c *Codec) {
	m.id(c)
	c.Bytes("descriptor", &m.Descriptor, MaxDescriptor)
}

// UpdateManifest replaces the account's manifest by the version after it, which
// the identity key has signed (directory.Manifest). Devices that are no longer
// in it lose their connections, their place in the mailbox and their prekeys.
type UpdateManifest struct {
	Request
	Manifest []byte
}

// Type is the frame's number.
func (*UpdateManifest) Type() FrameType { return TypeUpdateManifest }

// Fields lists the layout.
func (m *UpdateManifest) Fields(c *Codec) {
	m.id(c)
	c.Bytes("manifest", &m.Manifest, MaxManifest)
}

// Account asks for the own account as the provider has it, so that a device
// learns of a manifest that another one has published.
type Account struct{ Request }

// Type is the frame's number.
func (*Account) Type() FrameType { return TypeAccount }

// Fields lists the layout.
func (m *Account) Fields(c *Codec) { m.id(c) }

// AccountState answers Account and Recover.
type AccountState struct {
	Request
	Manifest []byte  // directory.Manifest, the newest
	Replaced ids.Day // when its X_S was replaced last; 0 for never
}

// Type is the frame's number.
func (*AccountState) Type() FrameType { return TypeAccountState }

// Fields lists the layout.
func (m *AccountState) Fields(c *Codec) {
	m.id(c)
	c.Bytes("manifest", &m.Manifest, MaxManifest)
	U32(c, "replaced", &m.Replaced)
}
