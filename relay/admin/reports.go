package admin

import "time"

// The methods about reports, with the types of their parameters and results.
const (
	ReportList   Method = "reports.list"   // ReportListParams -> ReportsResult
	ReportShow   Method = "reports.show"   // ReportParams -> ReportResult
	ReportDecide Method = "reports.decide" // DecideParams -> Report
	ReportExport Method = "reports.export" // ReportParams -> ExportResult
	ReportOpen   Method = "reports.open"   // OpenParams -> Ban
	ReportBans   Method = "reports.bans"   // BansParams -> BansResult
	EpochRevoke  Method = "reports.revoke" // RevokeParams -> RevokeResult
	ReportHeads  Method = "reports.heads"  // HeadsParams -> HeadsResult
	ReportLog    Method = "reports.log"    // LogParams -> ExportResult
	ReportTrail  Method = "reports.trail"  // TrailParams -> TrailResult
	StandingShow Method = "standing.show"  // StandingParams -> StandingResult
)

// ReportListParams asks for reports.
type ReportListParams struct {
	State string `json:"state,omitempty"` // open, second, closed, sent or answered; all if empty
}

// ReportParams names a report, and who asks.
type ReportParams struct {
	ID       string `json:"id"`
	Reviewer string `json:"reviewer,omitempty"` // of an export, for the audit log
}

// DecideParams is a reviewer's decision.
type DecideParams struct {
	ID       string `json:"id"`
	Message  int    `json:"message,omitempty"` // whose author it is about, from 1; 0 for the first proven one
	Action   string `json:"action"`            // none, warn, limit or suspend
	Reviewer string `json:"reviewer"`
}

// Report is a report in a list.
type Report struct {
	ID       string    `json:"id"`
	State    string    `json:"state"`
	Received time.Time `json:"received"`
	Messages int       `json:"messages"`
	Proven   int       `json:"proven"`
	Provider string    `json:"provider,omitempty"` // the sender's
	Asked    string    `json:"asked,omitempty"`    // what it is asked to do
	Done     string    `json:"done,omitempty"`     // what it did
}

// ReportsResult is a list of reports.
type ReportsResult struct {
	Reports []Report `json:"reports"`
}

// ReportMessage is one message of a report.
type ReportMessage struct {
	Finding  string    `json:"finding"` // proven, or the check that failed
	Text     string    `json:"text,omitempty"`
	Sent     time.Time `json:"sent,omitzero"` // as the sender claims
	Received time.Time `json:"received,omitzero"`
	Sequence uint64    `json:"sequence,omitempty"`
	Linked   bool      `json:"linked,omitempty"` // it names the message before it
	Gap      bool      `json:"gap,omitempty"`    // messages between are missing
	Ban      *Ban      `json:"ban,omitempty"`    // what opens its author's pseudonym
	// Attachments are the message's files; an exported report has what is revealed.
	Attachments []ReportAttachment `json:"attachments,omitempty"`
}

// ReportAttachment is a file of a reported message, as its sender describes it.
type ReportAttachment struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	Size     uint64 `json:"size"`
	Revealed int    `json:"revealed"` // chunks that the reporter shows, and are proven
}

// ReportResult is a whole report. Who wrote the messages is not in it: nobody here
// knows.
type ReportResult struct {
	Report
	Reporter     string          `json:"reporter"`
	Reason       string          `json:"reason"`
	Note         string          `json:"note,omitempty"`
	TellOrigin   bool            `json:"tell_origin"`
	ShareContent bool            `json:"share_content"`
	AllowBan     bool            `json:"allow_ban"`
	Reviewers    []string        `json:"reviewers,omitempty"`
	Found        []ReportMessage `json:"found"`
}

// OpenParams is a reviewer's decision to open the pseudonym of a message's author.
type OpenParams struct {
	ID       string `json:"id"`
	Message  int    `json:"message"` // in the report's order, from 1
	Reviewer string `json:"reviewer"`
}

// Ban is the pseudonym of a reported message's author at this provider, or what it
// can be opened with.
type Ban struct {
	Report    string    `json:"report"`
	Message   int       `json:"message"` // that the reporter's share is of, from 1
	State     string    `json:"state"`   // shared, second (waits for a second reviewer), open or refused
	Finding   string    `json:"finding,omitempty"`
	Provider  string    `json:"provider"` // the sender's
	Reason    string    `json:"reason"`
	Reviewers []string  `json:"reviewers,omitempty"`
	Opened    time.Time `json:"opened,omitzero"`
	Pseudonym string    `json:"pseudonym,omitempty"` // N_B, hexadecimal
}

// BansParams asks for pseudonyms that were opened.
type BansParams struct {
	From  int `json:"from,omitempty"`
	Limit int `json:"limit,omitempty"`
}

// BansResult lists them, the oldest first.
type BansResult struct {
	Bans []Ban `json:"bans"`
}

// RevokeParams names the day whose token-signing key is revoked.
type RevokeParams struct {
	Day string `json:"day"` // YYYY-MM-DD; UTC
}

// RevokeResult says what became of it.
type RevokeResult struct {
	Day     string   `json:"day"`
	Waiting []string `json:"waiting,omitempty"` // peers that are told when they are connected
}

// ExportResult is an evidence file.
type ExportResult struct {
	File []byte `json:"file"`
}

// TrailParams asks for entries of the audit log.
type TrailParams struct {
	From  uint64 `json:"from,omitempty"`
	Limit int    `json:"limit,omitempty"`
}

// TrailEntry is an entry of the audit log.
type TrailEntry struct {
	Act      string    `json:"act"`
	Time     time.Time `json:"time"`
	Report   string    `json:"report,omitempty"`
	Peer     string    `json:"peer,omitempty"`
	Reviewer string    `json:"reviewer,omitempty"`
	Action   string    `json:"action,omitempty"`
	Finding  string    `json:"finding,omitempty"`
}

// TrailResult is a part of the audit log, and what it is now.
type TrailResult struct {
	Entries  []TrailEntry `json:"entries"`
	Segment  uint32       `json:"segment"` // that the log is in, from 1
	Size     uint64       `json:"size"`    // entries of the segment
	Root     string       `json:"root"`    // of the Merkle tree over them, hexadecimal
	Openings uint64       `json:"openings"`
	// OpeningsRoot is the root of the log of openings; see ReportHeads.
	OpeningsRoot string `json:"openings_root"`
}

// Head is what a log has grown to.
type Head struct {
	Provider string    `json:"provider"`
	Log      string    `json:"log"`     // openings or trail
	Segment  uint32    `json:"segment"` // from 1
	Size     uint64    `json:"size"`
	Root     string    `json:"root"`
	Signed   time.Time `json:"signed,omitzero"`
	Seen     time.Time `json:"seen,omitzero"`
	State    string    `json:"state"` // own, kept, or forked: a later one did not continue it
}

// HeadsParams asks for heads.
type HeadsParams struct {
	Forget string `json:"forget,omitempty"` // a peer whose kept head is dropped first
}

// HeadsResult lists the own logs' heads and those of the peers.
type HeadsResult struct {
	Heads []Head `json:"heads"`
}

// LogParams asks for a log's head as a file that auditors keep.
type LogParams struct {
	Log   string `json:"log"`             // openings or trail
	Since []byte `json:"since,omitempty"` // such a file, which the new one is shown to continue
}

// StandingParams names an account of the server's.
type StandingParams struct {
	Address string `json:"address"`
	Lift    bool   `json:"lift,omitempty"` // end a limit or suspension
}

// StandingResult is what was decided about an account.
type StandingResult struct {
	Address        string    `json:"address"`
	Warned         int       `json:"warned"`
	Openings       int       `json:"openings"`
	LimitedUntil   time.Time `json:"limited_until,omitzero"`
	SuspendedUntil time.Time `json:"suspended_until,omitzero"`
	Suspended      bool      `json:"suspended"`
}
