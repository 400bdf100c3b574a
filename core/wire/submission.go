package wire

const (
	// SubmissionTokenSize is the length of a submission token, privacypass.Token of
	// RFC 9577, 2.2: type 2, nonce 32, challenge 32, key id 32, authenticator 64.
	SubmissionTokenSize = 162
	// MaxSubmissionRequest bounds a batch request: 128 blinded elements.
	MaxSubmissionRequest = 5 + 128*32
	// MaxSubmissionAnswer bounds its answer: as many, and a proof.
	MaxSubmissionAnswer = MaxSubmissionRequest + 64
)

// IssueSubmission asks for a batch of submission tokens of this epoch.
type IssueSubmission struct {
	Request
	Tokens []byte // privacypass.Pending.Bytes
}

// Type is the frame's number.
func (*IssueSubmission) Type() FrameType { return TypeIssueSubmission }

// Fields lists the layout.
func (m *IssueSubmission) Fields(c *Codec) {
	m.id(c)
	c.Bytes("request", &m.Tokens, MaxSubmissionRequest)
}

// SubmissionIssued answers IssueSubmission. The same request has the same
// tokens.
type SubmissionIssued struct {
	Request
	Tokens    []byte // privacypass.Pending.Finish
	Remaining uint32 // tokens that the account may still have of this day
	Refill    uint64 // Unix milliseconds: when the next day's are there
}

// Type is the frame's number.
func (*SubmissionIssued) Type() FrameType { return TypeSubmissionIssued }

// Fields lists the layout.
func (m *SubmissionIssued) Fields(c *Codec) {
	m.id(c)
	c.Bytes("tokens", &m.Tokens, MaxSubmissionAnswer)
	U32(c, "remaining", &m.Remaining)
	U64(c, "refill", &m.Refill)
}
