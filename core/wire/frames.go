package wire

import (
	"encoding/binary"
	"fmt"

	"waxwing/core/ids"
)

// A stream begins with one byte that says what it is for. Streams are
// bidirectional, opened by the connecting side, and live as long as the
// connection.
type StreamKind uint8

// The kinds of streams.
const (
	StreamControl StreamKind = 1 // requests and their answers
	StreamSubmit  StreamKind = 2 // client to its provider: envelopes out
	StreamForward StreamKind = 3 // provider to provider: envelopes on
	StreamDeliver StreamKind = 4 // client from its provider: deliveries in
)

// ALPN names the protocol in the TLS handshake.
const ALPN = "waxwing/1"

// A frame is a length of 4 bytes, a type of 1 byte and a body; the length
// counts type and body.
const frameHeader = 5

// MaxFrame is the largest frame body: the largest structure there is, a
// submission of a 64 KiB envelope, with room for its other fields.
const MaxFrame = MaxEnvelope + 1024

// FrameType numbers the frames. Numbers are never reused.
type FrameType uint8

// The frame types. Requests and answers travel on control streams.
const (
	TypeHello     FrameType = 1 // server's first frame on a control stream
	TypeDone      FrameType = 2 // answer: it is done, durably
	TypeRefusal   FrameType = 3 // answer: it is not done, for this reason
	TypeRegister  FrameType = 10
	TypeAuth      FrameType = 11
	TypeSession   FrameType = 12 // answer to Register and Auth
	TypePrekeys   FrameType = 13
	TypeStock     FrameType = 14 // answer to Prekeys
	TypeSealKey   FrameType = 15
	TypeCertify   FrameType = 16
	TypeCert      FrameType = 17 // answer to Certify
	TypeMint      FrameType = 18
	TypeMinted    FrameType = 19 // answer to Mint
	TypeBlock     FrameType = 20
	TypeBlocked   FrameType = 21 // answer to Block
	TypeUnblock   FrameType = 22
	TypeQuery     FrameType = 23
	TypeAnswer    FrameType = 24 // answer to Query
	TypeDescribe  FrameType = 25
	TypeDescribed FrameType = 26 // answer to Describe

	TypeUpdateManifest FrameType = 27
	TypeAccount        FrameType = 28
	TypeAccountState   FrameType = 29 // answer to Account and Recover

	TypeRecover            FrameType = 30
	TypeRendezvousOpen     FrameType = 31
	TypeRendezvousPut      FrameType = 32
	TypeRendezvousGet      FrameType = 33
	TypeRendezvousDocument FrameType = 34 // answer to RendezvousGet

	TypeSyncPut FrameType = 35

	TypeIssueSubmission  FrameType = 60
	TypeSubmissionIssued FrameType = 61 // answer to IssueSubmission

	TypeIssueMembership    FrameType = 62
	TypeMembershipIssued   FrameType = 63 // answer to IssueMembership
	TypeAdmissionKeys      FrameType = 64
	TypeAdmissionKeysAre   FrameType = 65 // answer to AdmissionKeys
	TypeShareMembershipKey FrameType = 66 // between providers
	TypeSetPolicy          FrameType = 68
	TypeBlockPseudonyms    FrameType = 69

	TypeIssueTokens   FrameType = 70
	TypeIssuedTokens  FrameType = 71 // answer to IssueTokens
	TypePublish       FrameType = 72
	TypePublished     FrameType = 73 // answer to Publish
	TypeReport        FrameType = 74
	TypeReported      FrameType = 77 // answer to Report
	TypeVerdict       FrameType = 75 // between providers
	TypeVerdictAnswer FrameType = 76 // answer to Verdict
	TypeNotice        FrameType = 78 // between providers

	TypeSubmit  FrameType = 40 // on submit streams
	TypeForward FrameType = 41 // on forward streams
	TypeAck     FrameType = 42 // on submit, forward and deliver streams
	TypeRefused FrameType = 43 // on submit and forward streams

	TypeSubscribe FrameType = 50 // on deliver streams
	TypeDelivery  FrameType = 51
	TypeCaughtUp  FrameType = 52
)

// BeginFrame reserves a frame's header behind dst; EndFrame fills it in.
func BeginFrame(dst []byte, t FrameType) []byte { return append(dst, 0, 0, 0, 0, byte(t)) }

// EndFrame sets the length of the frame that begins at offset start of b.
func EndFrame(b []byte, start int) error {
	n := len(b) - start - frameHeader
	if n > MaxFrame {
		return &FieldError{"frame", "too long"}
	}
	binary.BigEndian.PutUint32(b[start:], uint32(n+1))
	return nil
}

// AppendFrame builds a whole frame behind dst.
func AppendFrame(dst []byte, t FrameType, s Schema) ([]byte, error) {
	start := len(dst)
	b, err := Append(BeginFrame(dst, t), s)
	if err != nil {
		return nil, err
	}
	return b, EndFrame(b, start)
}

// FrameHeaderSize is how many bytes ParseFrameHeader needs.
const FrameHeaderSize = frameHeader

// ParseFrameHeader returns a frame's type and the length of its body. It
// refuses a body longer than MaxFrame before anything is read or allocated.
func ParseFrameHeader(b []byte) (FrameType, int, error) {
	if len(b) < frameHeader {
		return 0, 0, &FieldError{"frame", "truncated"}
	}
	n := binary.BigEndian.Uint32(b)
	if n == 0 || n > MaxFrame+1 {
		return 0, 0, &FieldError{"frame", "length out of range"}
	}
	return FrameType(b[4]), int(n - 1), nil
}

// Submit hands an envelope to the sender's provider.
type Submit struct {
	Number   uint64 // 1, 2, 3, ... on this stream
	Dest     ids.Domain
	Auth     SubmitAuth
	Token    []byte // privacypass.Token if Auth is AuthToken, else nothing
	Envelope []byte
}

// Fields lists the layout.
func (m *Submit) Fields(c *Codec) {
	U64(c, "number", &m.Number)
	c.Domain("dest", &m.Dest)
	U8(c, "auth", &m.Auth)
	c.Check(m.Auth == AuthConnection || m.Auth == AuthToken, "auth", "unknown value")
	switch {
	case c.Describing():
		c.row("token", fmt.Sprintf("0 or %d", SubmissionTokenSize), "if auth is 2")
	case m.Auth == AuthToken:
		c.Exact("token", &m.Token, SubmissionTokenSize)
	default:
		c.Check(len(m.Token) == 0, "token", "not with this auth")
		m.Token = nil
	}
	c.Rest("envelope", &m.Envelope, MaxEnvelope)
}

// SubmitAuth says what admits a submission.
type SubmitAuth uint8

const (
	// AuthConnection is the connection's authenticated account.
	AuthConnection SubmitAuth = 1
	// AuthToken is the submission token that follows. It stands on connections
	// that are nobody's.
	AuthToken SubmitAuth = 2
)

// Forward hands an envelope to the provider that delivers it. Nothing of the
// client's goes along.
type Forward struct {
	Number   uint64 // 1, 2, 3, ... on this stream
	Envelope []byte
}

// Fields lists the layout.
func (m *Forward) Fields(c *Codec) {
	U64(c, "number", &m.Number)
	c.Rest("envelope", &m.Envelope, MaxEnvelope)
}

// Ack says that everything up to a number is settled: stored durably or
// disposed of for good, except what was refused before. On a deliver stream
// the client says by it that it has stored everything up to a sequence number.
type Ack struct{ UpTo uint64 }

// Fields lists the layout.
func (m *Ack) Fields(c *Codec) { U64(c, "up to", &m.UpTo) }

// Refused says that one submission or forward is not settled, and why.
type Refused struct {
	Number     uint64
	Code       Code
	RetryAfter uint32 // milliseconds; 0 if trying again is no use
}

// Fields lists the layout.
func (m *Refused) Fields(c *Codec) {
	U64(c, "number", &m.Number)
	c.code(&m.Code)
	U32(c, "retry after", &m.RetryAfter)
}

// Subscribe asks for deliveries behind a sequence number.
type Subscribe struct{ After uint64 }

// Fields lists the layout.
func (m *Subscribe) Fields(c *Codec) { U64(c, "after", &m.After) }

// Delivered is a delivery with its sequence number in the mailbox.
type Delivered struct {
	Sequence uint64
	Delivery []byte // as stored; parse it as Delivery
}

// Fields lists the layout.
func (m *Delivered) Fields(c *Codec) {
	U64(c, "sequence", &m.Sequence)
	c.Rest("delivery", &m.Delivery, MaxDelivery)
}

// CaughtUp says that everything that was stored when the client subscribed, or
// since, has been pushed.
type CaughtUp struct{ Sequence uint64 }

// Fields lists the layout.
func (m *CaughtUp) Fields(c *Codec) { U64(c, "sequence", &m.Sequence) }

// Code is why something was refused. There are few, and none depends on what a
// recipient did: whatever could tell a sender of a block is acked instead.
// CodeMailbox depends on how much comes for a mailbox, whatever became of it.
type Code uint16

// The codes. Numbers are never reused.
const (
	CodeMalformed       Code = 1  // the bytes or the order of frames are wrong
	CodeUnauthenticated Code = 2  // authenticate first, or the proof is wrong
	CodeForbidden       Code = 3  // this account or peer may not do it
	CodeUnknownProvider Code = 4  // no such peer is configured here
	CodeLimit           Code = 5  // over a limit of this account or peer
	CodeBusy            Code = 6  // the server is overloaded or shutting down
	CodeExists          Code = 7  // the address is taken
	CodeNotFound        Code = 8  // there is no such thing
	CodeStale           Code = 9  // outside the time in which it is valid
	CodeUnreachable     Code = 10 // the other provider does not answer, or the queue to it is full
	CodeConflict        Code = 11 // a newer version is stored
	CodeSuspended       Code = 12 // the provider suspended the account
	CodeConfusable      Code = 13 // the name looks like another
	CodeToken           Code = 14 // the submission token does not verify, is over or was spent
	CodeMailbox         Code = 15 // the mailbox gets more than it takes in a time
	CodeRevoked         Code = 16 // a day's token-signing key was revoked: fetch the list first
	codeEnd             Code = 17
)

var codeNames = [codeEnd]string{
	CodeMalformed: "malformed", CodeUnauthenticated: "unauthenticated", CodeForbidden: "forbidden",
	CodeUnknownProvider: "unknown provider", CodeLimit: "over a limit", CodeBusy: "busy", CodeExists: "exists",
	CodeNotFound: "not found", CodeStale: "stale", CodeUnreachable: "unreachable", CodeConflict: "conflict",
	CodeSuspended: "suspended", CodeConfusable: "confusable",
	CodeToken: "token", CodeMailbox: "mailbox", CodeRevoked: "revoked",
}

// Valid reports whether the code is one of this version.
func (c Code) Valid() bool { return c > 0 && c < codeEnd }

// String returns the code's name.
func (c Code) String() string {
	if c.Valid() {
		return codeNames[c]
	}
	return fmt.Sprintf("code %d", uint16(c))
}

func (c *Codec) code(p *Code) {
	U16(c, "code", p)
	c.Check(p.Valid(), "code", "unknown value")
}
