package reports

import (
	"slices"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
	"waxwing/franking"
)

// The records of this package. Integers are big-endian; each begins with its
// version. Key files are beside the keys in keyring.go.
const recordVersion = 1

// State is how far a report has come. Numbers are never used again.
type State uint8

// The states.
const (
	StateOpen     State = iota + 1 // waits for a reviewer
	StateSecond                    // waits for a second one
	StateClosed                    // decided: nothing goes to the sender's provider
	StateSent                      // the sender's provider has not answered
	StateAnswered                  // it has
	stateEnd
)

var stateNames = [stateEnd]string{"", "open", "second", "closed", "sent", "answered"}

// String returns the state's name.
func (s State) String() string {
	if s == 0 || s >= stateEnd {
		return "invalid"
	}
	return stateNames[s]
}

// ParseState returns the state of a name.
func ParseState(name string) (State, bool) {
	i := slices.Index(stateNames[1:], name)
	return State(i + 1), i >= 0
}

// reportRecord is a report in the queue:
//
//	version 1 | state 1 | reporter | received 8 | desk 4 | findings: {fault 1 | linked 1 | gap 1} |
//	issuer present 1 (| issuer) | asked 1 | message 1 | first reviewer | second reviewer | decided 8 |
//	action 1 | sealed
type reportRecord struct {
	state     State
	reporter  ids.Address
	received  uint64 // Unix milliseconds
	desk      uint32
	findings  []findingRecord
	proven    bool
	issuer    ids.Domain // of the tokens, if something is proven
	asked     franking.Action
	message   uint8 // what it is asked about, once somebody decided
	reviewers [2]string
	decided   uint64
	action    franking.Action // what the sender's provider did
	sealed    []byte
	keys.Redacted
}

type findingRecord struct {
	fault       franking.Fault
	linked, gap bool
}

// Fields lists the layout.
func (r *reportRecord) Fields(c *wire.Codec) {
	c.Const("version", recordVersion)
	wire.U8(c, "state", &r.state)
	c.Check(r.state >= StateOpen && r.state < stateEnd, "state", "unknown value")
	c.Address("reporter", &r.reporter)
	wire.U64(c, "received", &r.received)
	wire.U32(c, "desk", &r.desk)
	wire.List(c, "findings", &r.findings, franking.MaxMessages, func(c *wire.Codec, f *findingRecord) {
		wire.U8(c, "fault", &f.fault)
		c.Bool("linked", &f.linked)
		c.Bool("gap", &f.gap)
	})
	c.Bool("proven", &r.proven)
	if r.proven || c.Describing() {
		c.Domain("issuer", &r.issuer)
	}
	wire.U8(c, "asked", &r.asked)
	wire.U8(c, "message", &r.message)
	c.String("first reviewer", &r.reviewers[0], maxReviewer)
	c.String("second reviewer", &r.reviewers[1], maxReviewer)
	wire.U64(c, "decided", &r.decided)
	wire.U8(c, "action", &r.action)
	c.Bytes("sealed", &r.sealed, wire.MaxSealedReport)
}

// banRecord is the share of one escrow in a report whose reporter wants a ban, and
// the pseudonym once two reviewers opened it:
//
//	version 1 | day of the report 4 | issuer | reason 1 | generation 4 | W 32 | Z 32 | fault 1 |
//	first reviewer | second reviewer | opened 8 (| N_B 32)
//
// W, Z and their generation are what the directory held when the report came:
// later ones do not open it.
type banRecord struct {
	day        ids.Day
	issuer     ids.Domain
	reason     franking.Reason
	generation uint32
	w, z       [franking.ElementSize]byte
	fault      franking.Fault // of the share; FaultNone if it opens the escrow
	reviewers  [2]string
	opened     uint64 // Unix milliseconds; 0 while it is not
	pseudonym  [franking.ElementSize]byte
	keys.Redacted
}

// Fields lists the layout.
func (r *banRecord) Fields(c *wire.Codec) {
	c.Const("version", recordVersion)
	wire.U32(c, "day", &r.day)
	c.Domain("issuer", &r.issuer)
	wire.U8(c, "reason", &r.reason)
	wire.U32(c, "generation", &r.generation)
	c.Fixed("W", r.w[:])
	c.Fixed("Z", r.z[:])
	wire.U8(c, "fault", &r.fault)
	c.String("first reviewer", &r.reviewers[0], maxReviewer)
	c.String("second reviewer", &r.reviewers[1], maxReviewer)
	wire.U64(c, "opened", &r.opened)
	if r.opened != 0 || c.Describing() {
		c.Fixed("N_B", r.pseudonym[:])
	}
}

// headRecord is a head of a peer's log of openings: version 1 | forked 1 | seen 8 |
// head.
type headRecord struct {
	forked bool
	seen   uint64 // Unix milliseconds
	head   []byte // franking.LogHead
}

// Fields lists the layout.
func (r *headRecord) Fields(c *wire.Codec) {
	c.Const("version", recordVersion)
	c.Bool("forked", &r.forked)
	wire.U64(c, "seen", &r.seen)
	c.Bytes("head", &r.head, wire.MaxPublication)
}

// seenRecord is that a message was reported: version 1 | day of the report 4 |
// report 16. It counts if the report is in the queue.
type seenRecord struct {
	day    ids.Day
	report franking.ReportID
}

// Fields lists the layout.
func (r *seenRecord) Fields(c *wire.Codec) {
	c.Const("version", recordVersion)
	wire.U32(c, "day", &r.day)
	c.Fixed("report", r.report[:])
}

// answerRecord is what was answered to a verdict: version 1 | day 4 | hash of the
// verdict 32 | answer.
type answerRecord struct {
	day     ids.Day
	verdict franking.VerdictHash
	answer  []byte
}

// Fields lists the layout.
func (r *answerRecord) Fields(c *wire.Codec) {
	c.Const("version", recordVersion)
	wire.U32(c, "day", &r.day)
	c.Fixed("verdict", r.verdict[:])
	c.Bytes("answer", &r.answer, wire.MaxVerdictAnswer)
}

// secretRecord is a published secret: version 1 | kind 1 | epoch 4 | secret 32.
type secretRecord struct {
	kind   franking.SecretKind
	epoch  ids.Day
	secret [keys.SecretSize]byte
}

// Fields lists the layout.
func (r *secretRecord) Fields(c *wire.Codec) {
	c.Const("version", recordVersion)
	wire.U8(c, "kind", &r.kind)
	c.Check(r.kind.Published(), "kind", "never published")
	wire.U32(c, "epoch", &r.epoch)
	c.Fixed("secret", r.secret[:])
}

// Act is what an entry of the audit log says. Numbers are never used again.
type Act uint8

// The acts.
const (
	ActTaken        Act = iota + 1 // a report came; fault is of its first message, 0 if all are proven
	ActDecided                     // a reviewer decided
	ActSent                        // the verdict was made
	ActAnswered                    // the sender's provider answered
	ActExported                    // the evidence was exported
	ActLifted                      // an operator ended what was decided about an account, or forgot a peer's log
	ActOpened                      // a token was opened on another's verdict, and this was done
	ActEscrowAsked                 // a reviewer wants an escrow opened
	ActEscrowOpened                // a second one as well: it is opened, if fault is 0
	ActRevoked                     // an operator revoked a day\'s token-signing key
	ActForked                      // a peer's log of openings is not what it was
	actEnd
)

var actNames = [actEnd]string{"", "taken", "decided", "sent", "answered", "exported", "lifted", "opened", "escrow-asked", "escrow-opened", "revoked", "forked"}

// String returns the act's name.
func (a Act) String() string {
	if a == 0 || a >= actEnd {
		return "invalid"
	}
	return actNames[a]
}

// Entry is an entry of the audit log. It names reviewers and peers, never an
// account.
type Entry struct {
	Act      Act
	Time     uint64 // Unix milliseconds
	Report   franking.ReportID
	Peer     ids.Domain // the other provider; zero where there is none
	Reviewer string
	Action   franking.Action // asked or done; 0 for none
	Fault    franking.Fault
}

// Fields lists the layout.
func (e *Entry) Fields(c *wire.Codec) {
	c.Const("version", recordVersion)
	wire.U8(c, "act", &e.Act)
	c.Check(e.Act >= ActTaken && e.Act < actEnd, "act", "unknown value")
	wire.U64(c, "time", &e.Time)
	c.Fixed("report", e.Report[:])
	named := !e.Peer.IsZero()
	c.Bool("peer present", &named)
	if named || c.Describing() {
		c.Domain("peer", &e.Peer)
	}
	c.String("reviewer", &e.Reviewer, maxReviewer)
	wire.U8(c, "action", &e.Action)
	wire.U8(c, "fault", &e.Fault)
}

// Layouts returns the layouts of the stored records for the documentation.
func Layouts() map[string][]wire.Row {
	return map[string][]wire.Row{
		"desk key": wire.Layout(new(deskRecord)), "revoked key": wire.Layout(new(revokedRecord)), "allowance": wire.Layout(new(franking.Allowance)),
		"report": wire.Layout(new(reportRecord)), "answer": wire.Layout(new(answerRecord)), "seen": wire.Layout(new(seenRecord)),
		"ban":              wire.Layout(new(banRecord)),
		"published secret": wire.Layout(new(secretRecord)), "audit entry": wire.Layout(new(Entry)),
	}
}
