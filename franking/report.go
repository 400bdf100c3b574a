package franking

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"errors"
	"slices"
	"time"
	"unicode/utf8"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

// What reporters and reviewers branch on, with errors.Is.
var (
	// ErrReportSize: the messages do not fit into one report; report fewer.
	ErrReportSize = errors.New("franking: report too long")
	// ErrReport: a sealed report does not open, or what it holds is no report.
	ErrReport = errors.New("franking: not a report")
)

// ReportID is drawn by the reporter: a report sent twice is one report.
type ReportID [ReportIDSize]byte

// NewReportID draws an id.
func NewReportID() (id ReportID) {
	rand.Read(id[:])
	return id
}

// String returns a redacted form.
func (ReportID) String() string { return "report(redacted)" }

// Reason says why a message is reported. Numbers are never used again.
type Reason uint8

// The reasons.
const (
	ReasonOther Reason = iota + 1
	ReasonSpam
	ReasonHarassment
	ReasonThreat
	ReasonHate
	ReasonFraud
	ReasonImpersonation
	ReasonSexual
	ReasonChildSafety
	ReasonSelfHarm
	ReasonMalware
	reasonEnd
)

var reasonNames = [reasonEnd]string{
	"", "other", "spam", "harassment", "threat", "hate", "fraud", "impersonation", "sexual", "child-safety",
	"self-harm", "malware",
}

func (r Reason) valid() bool { return r >= ReasonOther && r < reasonEnd }

// String returns the reason's name.
func (r Reason) String() string {
	if !r.valid() {
		return "invalid"
	}
	return reasonNames[r]
}

// Reasons returns all reasons.
func Reasons() (out []Reason) {
	for r := ReasonOther; r < reasonEnd; r++ {
		out = append(out, r)
	}
	return out
}

// ParseReason returns the reason of a name; ok is false if there is none.
func ParseReason(name string) (r Reason, ok bool) {
	i := slices.Index(reasonNames[1:], name)
	return Reason(i + 1), i >= 0
}

// Consents are what the reporter agreed to, bit by bit.
type Consents uint8

// The consents.
const (
	ConsentOrigin  Consents = 1 << iota // the sender's provider is told
	ConsentContent                      // and gets the reported content
	ConsentBan                          // the escrow may be opened

	allConsents = ConsentOrigin | ConsentContent | ConsentBan
)

// Report is what a recipient hands to a desk: evidence and nothing else. Neither
// the sender's address nor its certificate, proof or control part have a place.
type Report struct {
	ID       ReportID
	Reason   Reason
	Consents Consents
	Note     string
	Messages []Evidence
	Escrows  []EscrowOpening // ascending by message; only with ConsentBan
	keys.Redacted
}

func validText(s string) bool { return utf8.ValidString(s) }

// reportClasses are the sizes of reports before they are sealed.
var reportClasses = []int{4 << 10, 16 << 10, MaxReport - keys.SealOverhead}

// Seal pads a report to a class and seals it to a desk. reporter is the account
// that will upload it. Errors are ErrReportSize and wire.ErrMalformed.
func (r *Report) Seal(d *Desk, reporter ids.Address) ([]byte, error) {
	if len(r.Escrows) > 0 && r.Consents&ConsentBan == 0 {
		return nil, &wire.FieldError{Field: "escrows", Reason: "without consent"}
	}
	plain, err := wire.Marshal(r)
	if err != nil {
		return nil, err
	}
	for _, size := range reportClasses {
		if len(plain) <= size {
			plain = append(plain, make([]byte, size-len(plain))...)
			sealed, _, err := d.seal.Seal(d.reportInfo(), reportData(reporter), plain)
			clear(plain)
			return sealed, err
		}
	}
	return nil, ErrReportSize
}

// OpenReport opens what an authenticated reporter uploaded. The error wraps
// ErrReport.
func OpenReport(sealed []byte, key *keys.SealKey, d *Desk, reporter ids.Address) (*Report, error) {
	if len(sealed) > MaxReport {
		return nil, ErrReport
	}
	plain, _, err := key.Open(d.reportInfo(), reportData(reporter), sealed)
	if err != nil {
		return nil, errors.Join(ErrReport, err)
	}
	r := new(Report)
	if !slices.Contains(reportClasses, len(plain)) {
		return nil, ErrReport
	}
	if err := wire.Unmarshal(plain, r); err != nil {
		return nil, errors.Join(ErrReport, err)
	}
	if len(r.Escrows) > 0 && r.Consents&ConsentBan == 0 {
		return nil, ErrReport
	}
	return r, nil
}

// Case is what a desk brings to a report: only what its own provider holds.
type Case struct {
	Reporter  ids.Address                                             // authenticated
	Owner     func(mailbox ids.MailboxID, received uint64) *Ownership // nil for none
	Snapshots func(issuer ids.Domain) *History                        // nil for a stranger
	Seen      func(token TokenHash, d Digest) bool                    // whether this reporter reported it before
	Stamps    *StampRing
	Frame     FrameReader
	Now       time.Time
}

// Finding is what a desk found about one message.
type Finding struct {
	Fault   Fault          // FaultNone if it is proven
	Message *Substantiated // if it is
	Linked  bool           // prev names the proven message before it
	Gap     bool           // sequence numbers between the one before and it are missing
}

// Examine checks every message of a report, in the report's order of checks:
// age, ownership, stamp and duplicates before any signature. Findings are in the report's order; Linked and Gap compare with the proven
// message of the next lower sequence number. They inform: a recipient chooses
// what it reports, and cannot change the order.
func (c *Case) Examine(r *Report) []Finding {
	out := make([]Finding, len(r.Messages))
	var conversation *[16]byte
	for i := range r.Messages {
		m, err := c.examine(&r.Messages[i], out[:i])
		if err == nil && conversation != nil && *conversation != m.position.Conversation {
			err = FaultConversation
		}
		if err != nil {
			out[i].Fault = FaultFrame
			_ = errors.As(err, &out[i].Fault)
			continue
		}
		conversation = &m.position.Conversation
		out[i].Message = m
	}
	link(out)
	return out
}

// examine checks one message, given the findings about those before it.
func (c *Case) examine(e *Evidence, before []Finding) (*Substantiated, error) {
	d, err := CheckDelivery(e, c.Reporter, c.Owner(e.Mailbox, e.Received), c.Stamps, c.Now)
	if err != nil {
		return nil, err
	}
	// Hashes only, so before any signature. What is seen was proven then.
	token, digest := e.Token.Hash(), e.Key.Digest(e.Frame)
	if c.Seen != nil && c.Seen(token, digest) || slices.ContainsFunc(before, func(f Finding) bool {
		return f.Message != nil && f.Message.token == token && f.Message.d == digest
	}) {
		return nil, FaultDuplicate
	}
	h := c.Snapshots(e.Token.Issuer)
	if h == nil {
		return nil, FaultIssuer
	}
	return d.Verify(h, c.Frame)
}

// link fills Linked and Gap.
func link(fs []Finding) {
	var proven []*Finding
	for i := range fs {
		if fs[i].Message != nil {
			proven = append(proven, &fs[i])
		}
	}
	slices.SortStableFunc(proven, func(a, b *Finding) int {
		return cmp.Compare(a.Message.position.Seq, b.Message.position.Seq)
	})
	for i := 1; i < len(proven); i++ {
		last, this := proven[i-1].Message, proven[i].Message
		proven[i].Linked = bytes.Equal(this.position.Prev[:], last.d[:])
		proven[i].Gap = this.position.Seq > last.position.Seq+1
	}
}
