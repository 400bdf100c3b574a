package franking

import (
	"errors"
	"fmt"
	"time"

	"waxwing/core/auditlog"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

// ErrOpenings: the log is full, or was not loaded.
var ErrOpenings = errors.New("franking: log of openings is full")

// Openings is a provider's log of the tokens that it opened: every opening is an
// entry of an append-only Merkle log before it happens. It is not safe for
// concurrent use.
type Openings struct {
	log  *auditlog.Log
	seen map[opened]bool
}

// opened is a report that a verdict was opened on.
type opened struct {
	provider ids.Domain
	report   ReportID
}

// LoadOpenings returns the log of its stored records. Errors wrap ErrRecord.
func LoadOpenings(records ...[]byte) (*Openings, error) {
	log, err := auditlog.Load(records...)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	o := &Openings{log: log, seen: map[opened]bool{}}
	for _, b := range records {
		raw, err := auditlog.Entry(b)
		var e openingEntry
		if err == nil {
			err = wire.Unmarshal(raw, &e)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrRecord, err)
		}
		o.seen[opened{e.provider, e.report}] = true
	}
	return o, nil
}

// Log returns the log, for its roots and proofs.
func (o *Openings) Log() *auditlog.Log { return o.log }

// PendingOpening is an opening whose entry waits to be stored.
type PendingOpening struct {
	Record []byte // to be appended durably
	p      *auditlog.Pending
	c      *CheckedVerdict
	entry  []byte
}

// Prepare makes the entry of an opening. Nothing changes before Commit. Errors
// are FaultReplayed (a verdict on this report of this provider was opened
// before) and ErrOpenings.
func (o *Openings) Prepare(c *CheckedVerdict, now time.Time) (*PendingOpening, error) {
	if o.seen[opened{c.f.Provider, c.f.Report}] {
		return nil, FaultReplayed
	}
	if len(o.seen) >= MaxOpenings {
		return nil, ErrOpenings
	}
	entry := wire.MustMarshal(&openingEntry{
		provider: c.f.Provider, report: c.f.Report, verdict: c.hash, token: c.f.Token.Hash(),
		reason: c.f.Reason, opened: uint64(now.UnixMilli()),
	})
	p, err := o.log.Prepare(entry)
	if err != nil {
		return nil, err
	}
	return &PendingOpening{Record: p.Record, p: p, c: c, entry: entry}, nil
}

// Logged is a checked verdict whose opening is in the log. Only Commit makes
// one, and only a Logged opens.
type Logged struct {
	c     *CheckedVerdict
	entry []byte
	r     *auditlog.Receipt
}

// Commit tells the log that the entry is durable. A crash before leaves at most
// an entry without its opening; the verdict then counts as opened, and the desk
// asks again with another report id. The error is auditlog.ErrStale.
func (o *Openings) Commit(p *PendingOpening) (*Logged, error) {
	r, err := o.log.Commit(p.p)
	if err != nil {
		return nil, err
	}
	o.seen[opened{p.c.f.Provider, p.c.f.Report}] = true
	return &Logged{c: p.c, entry: p.entry, r: r}, nil
}

// Receipt returns the log's receipt.
func (l *Logged) Receipt() *auditlog.Receipt { return l.r }

// Opened is an account that a logged opening named. It never leaves the
// provider that issued the token.
type Opened struct {
	account ids.Address
	serial  uint64
	c       *CheckedVerdict
	keys.Redacted
}

// Open maps the token to its account with the wrapping key of its epoch. The
// error is FaultWrap: another key, or not a token of this provider's.
func (l *Logged) Open(wrap *EpochSecret) (*Opened, error) {
	if l == nil || l.c == nil || !l.r.Of(l.entry) || wrap == nil {
		return nil, FaultWrap
	}
	account, serial, err := wrap.unwrap(&l.c.f.Token)
	if err != nil {
		return nil, err
	}
	if account.Domain() != l.c.f.Issuer {
		return nil, FaultWrap
	}
	return &Opened{account: account, serial: serial, c: l.c}, nil
}

// Account returns who wrote the message.
func (o *Opened) Account() ids.Address { return o.account }

// Serial returns the token's number among the account's of that day.
func (o *Opened) Serial() uint64 { return o.serial }

// Reason returns the reviewers' reason.
func (o *Opened) Reason() Reason { return o.c.f.Reason }

// Asked returns the action that the reviewers ask for.
func (o *Opened) Asked() Action { return o.c.f.Asked }

// AnswerFields is what a provider answers to a verdict: what it did, never to
// whom.
type AnswerFields struct {
	Issuer    ids.Domain // A, which answers
	Provider  ids.Domain // B
	Report    ReportID
	Verdict   VerdictHash
	Action    Action
	Made      uint64
	Signature [keys.SignatureSize]byte
}

// Answer signs what was done about the account. Errors wrap wire.ErrMalformed.
func (o *Opened) Answer(action Action, key *keys.SigningKey, now time.Time) ([]byte, error) {
	return signTrailing(&AnswerFields{
		Issuer: o.c.f.Issuer, Provider: o.c.f.Provider, Report: o.c.f.Report, Verdict: o.c.hash,
		Action: action, Made: uint64(now.UnixMilli()),
	}, key, keys.ContextAnswer)
}

// ParseAnswer verifies the answer to a verdict, at the provider that made it.
// from is the desk of the provider that it was sent to. Errors are
// wire.ErrMalformed and FaultAnswer.
func ParseAnswer(b, verdict []byte, from *Desk) (*AnswerFields, error) {
	var v VerdictFields
	if err := wire.Unmarshal(verdict, &v); err != nil {
		return nil, err
	}
	a := new(AnswerFields)
	if err := wire.Unmarshal(b, a); err != nil {
		return nil, err
	}
	msg, sig := unsigned(b)
	if from.f.Answer.Verify(keys.ContextAnswer, msg, sig) != nil || a.Issuer != v.Issuer || a.Issuer != from.f.Provider ||
		a.Provider != v.Provider || a.Report != v.Report || a.Verdict != HashVerdict(verdict) {
		return nil, FaultAnswer
	}
	return a, nil
}

// Epoch returns the day of the token, whose wrapping key opens it.
func (l *Logged) Epoch() ids.Day { return l.c.f.Token.Epoch }
