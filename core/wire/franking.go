package wire

import "waxwing/core/ids"

// Limits of franking's frames, in bytes.
const (
	// MaxIssueRequest bounds a request for franking tokens, MaxIssueAnswer the
	// tokens: 32 of them with the longest domain.
	MaxIssueRequest = 8 << 10
	MaxIssueAnswer  = 24 << 10
	// MaxPublication bounds a signed public document: a snapshot with the keys
	// of two weeks.
	MaxPublication = 8 << 10
	// MaxSealedReport bounds a sealed report: franking.MaxReport.
	MaxSealedReport = 60 << 10
	// MaxFindings bounds the messages of a report: franking.MaxMessages.
	MaxFindings = 16
	// MaxVerdict bounds a verdict: with the content of one message.
	MaxVerdict = 64 << 10
	// MaxVerdictAnswer bounds the answer to one: names, hashes, a signature.
	MaxVerdictAnswer = 1 << 10
)

// IssueTokens asks for franking tokens of one day.
type IssueTokens struct {
	Request
	Tokens []byte // franking.IssueRequest
}

// Type is the frame's number.
func (*IssueTokens) Type() FrameType { return TypeIssueTokens }

// Fields lists the layout.
func (m *IssueTokens) Fields(c *Codec) {
	m.id(c)
	c.Bytes("request", &m.Tokens, MaxIssueRequest)
}

// IssuedTokens answers IssueTokens.
type IssuedTokens struct {
	Request
	Tokens []byte // franking.IssueAnswer
}

// Type is the frame's number.
func (*IssuedTokens) Type() FrameType { return TypeIssuedTokens }

// Fields lists the layout.
func (m *IssuedTokens) Fields(c *Codec) {
	m.id(c)
	c.Bytes("tokens", &m.Tokens, MaxIssueAnswer)
}

// PublicationKind says which signed public document is asked for.
type PublicationKind uint8

// The kinds.
const (
	// PublicationEpochKeys is a provider's list of its token-signing keys
	// (franking.EpochKeys).
	PublicationEpochKeys PublicationKind = 1
	// PublicationSnapshot is what a provider holds for true about another's keys
	// (franking.Snapshot).
	PublicationSnapshot PublicationKind = 2
	// PublicationDesk is whom a provider's reports go to (franking.Desk).
	PublicationDesk PublicationKind = 3
	// PublicationSecret is a secret that a provider has published because its time is
	// over: the id begins with its kind (1 token-signing, 3 join), then which of the
	// epoch's revoked ones it is, from 1, 0 for the one that was not, and ends with the
	// epoch, 4 bytes. The document is version 1 | kind 1 | epoch 4 | secret 32.
	PublicationSecret PublicationKind = 4
	// PublicationLogHead is the signed head of a provider's log of openings
	// (franking.LogHead), made once in an hour at most.
	PublicationLogHead PublicationKind = 5
	// PublicationLogProof is the proof between two of them (franking.LogProof). The id
	// says which: log 1 | zero 3 | older segment 4 | its size 8 | newer segment 4 | its
	// size 8 | zero 4.
	PublicationLogProof PublicationKind = 6
)

// Publish asks for a signed public document of a provider: the server's own, or
// one of its peers as the server last fetched it.
type Publish struct {
	Request
	Kind     PublicationKind
	Provider ids.Domain // who signs it
	Issuer   ids.Domain // of a snapshot: whose keys; otherwise the provider
	ID       [32]byte   // of a snapshot, zero for the newest; of a secret
}

// Type is the frame's number.
func (*Publish) Type() FrameType { return TypePublish }

// Fields lists the layout.
func (m *Publish) Fields(c *Codec) {
	m.id(c)
	U8(c, "kind", &m.Kind)
	c.Check(m.Kind >= PublicationEpochKeys && m.Kind <= PublicationLogProof, "kind", "unknown value")
	c.Domain("provider", &m.Provider)
	c.Domain("issuer", &m.Issuer)
	c.Fixed("document id", m.ID[:])
}

// Published answers Publish.
type Published struct {
	Request
	Document []byte
}

// Type is the frame's number.
func (*Published) Type() FrameType { return TypePublished }

// Fields lists the layout.
func (m *Published) Fields(c *Codec) {
	m.id(c)
	c.Bytes("document", &m.Document, MaxPublication)
}

// Report hands a report to the desk of the account's own provider.
type Report struct {
	Request
	Sealed []byte // franking.Report, sealed to the desk
}

// Type is the frame's number.
func (*Report) Type() FrameType { return TypeReport }

// Fields lists the layout.
func (m *Report) Fields(c *Codec) {
	m.id(c)
	c.Bytes("sealed", &m.Sealed, MaxSealedReport)
}

// Reported answers Report: what was found about each message, 0 for proven, the
// number of a franking.Fault otherwise. A report of which nothing is proven was
// not kept.
type Reported struct {
	Request
	Findings []uint8
}

// Type is the frame's number.
func (*Reported) Type() FrameType { return TypeReported }

// Fields lists the layout.
func (m *Reported) Fields(c *Codec) {
	m.id(c)
	c.Bytes("findings", &m.Findings, MaxFindings)
}

// Verdict tells the provider that issued a token what reviewers decided about a
// message that was franked with it. Between providers only.
type Verdict struct {
	Request
	Verdict []byte // franking.VerdictFields, countersigned
}

// Type is the frame's number.
func (*Verdict) Type() FrameType { return TypeVerdict }

// Fields lists the layout.
func (m *Verdict) Fields(c *Codec) {
	m.id(c)
	c.Bytes("verdict", &m.Verdict, MaxVerdict)
}

// VerdictAnswer answers Verdict: what was done, never about whom.
type VerdictAnswer struct {
	Request
	Answer []byte // franking.AnswerFields, signed
}

// Type is the frame's number.
func (*VerdictAnswer) Type() FrameType { return TypeVerdictAnswer }

// Fields lists the layout.
func (m *VerdictAnswer) Fields(c *Codec) {
	m.id(c)
	c.Bytes("answer", &m.Answer, MaxVerdictAnswer)
}

// Notice brings another provider this one's list of token-signing keys, unasked:
// one of them was revoked. It is answered by Done. Between providers only.
type Notice struct {
	Request
	List []byte // franking.EpochKeys
}

// Type is the frame's number.
func (*Notice) Type() FrameType { return TypeNotice }

// Fields lists the layout.
func (m *Notice) Fields(c *Codec) {
	m.id(c)
	c.Bytes("list", &m.List, MaxPublication)
}
