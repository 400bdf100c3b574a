package franking

import (
	"errors"
	"fmt"
	"slices"
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
	log    *auditlog.Log
	before []*auditlog.Log // earlier segments that have entries of seen
	seen   map[opened]entryPlace
}

// entryPlace is where an opening is in the log, and its time, Unix milliseconds.
type entryPlace struct {
	log       *auditlog.Log
	index, at uint64
}

// opened is a report that a verdict was opened on.
type opened struct {
	provider ids.Domain
	report   ReportID
}

// LoadOpenings returns the log of its stored records. Errors wrap ErrRecord.
func LoadOpenings(records ...[]byte) (*Openings, error) {
	o := &Openings{log: new(auditlog.Log), seen: map[opened]entryPlace{}}
	for _, b := range records {
		if err := o.Extend(b); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// Extend takes a stored record that follows those that are known: one whose
// outcome was unknown when it was appended. Errors wrap ErrRecord.
func (o *Openings) Extend(record []byte) error {
	raw, err := auditlog.Entry(record)
	if o.log.Size() == 0 && o.log.Link() != nil {
		if err = o.log.Extend(record); err != nil {
			return fmt.Errorf("%w: %w", ErrRecord, err)
		}
		return nil // the link to the segment before
	}
	var e openingEntry
	if err == nil {
		err = wire.Unmarshal(raw, &e)
	}
	if err == nil {
		err = o.log.Extend(record)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRecord, err)
	}
	o.seen[opened{e.provider, e.report}] = entryPlace{o.log, o.log.Size() - 1, e.opened}
	return nil
}

// openingDays is for how many days an opening is known by its report: longer than a
// verdict on a token can come, after which it is refused for the token's age.
const openingDays = ids.MaxDelay + ReportDays + ReviewDays + 3

// Roll has the log go on in another segment, whose first entry, the link, was
// stored or is the next to be. What was opened so long before now that no verdict
// on it can come is known no more.
func (o *Openings) Roll(on *auditlog.Log, now time.Time) {
	limit := uint64(now.Add(-openingDays * 24 * time.Hour).UnixMilli())
	used := map[*auditlog.Log]bool{}
	for k, p := range o.seen {
		if p.at < limit {
			delete(o.seen, k)
			continue
		}
		used[p.log] = true
	}
	o.before = slices.DeleteFunc(append(o.before, o.log), func(l *auditlog.Log) bool { return !used[l] })
	o.log = on
}

// Log returns the log's segment in use, for its roots and proofs.
func (o *Openings) Log() *auditlog.Log { return o.log }

// PendingOpening is an opening whose entry waits to be stored.
type PendingOpening struct {
	Record []byte // to be appended durably
	p      *auditlog.Pending
	c      *CheckedVerdict
	entry  []byte
	at     uint64
}

// Prepare makes the entry of an opening. Nothing changes before Commit. Errors
// are FaultReplayed (a verdict on this report of this provider was opened
// before) and ErrOpenings.
func (o *Openings) Prepare(c *CheckedVerdict, now time.Time) (*PendingOpening, error) {
	if _, ok := o.seen[opened{c.f.Provider, c.f.Report}]; ok {
		return nil, FaultReplayed
	}
	if len(o.seen) >= MaxOpenings {
		return nil, ErrOpenings
	}
	at := uint64(now.UnixMilli())
	entry := c.entry(at)
	p, err := o.log.Prepare(entry)
	if err != nil {
		return nil, err
	}
	return &PendingOpening{Record: p.Record, p: p, c: c, entry: entry, at: at}, nil
}

func (c *CheckedVerdict) entry(at uint64) []byte {
	return wire.MustMarshal(&openingEntry{
		provider: c.f.Provider, report: c.f.Report, verdict: c.hash, token: c.f.Token.Hash(),
		reason: c.f.Reason, opened: at,
	})
}

// Again returns the opening of this very verdict if the log has it: what was to
// follow it may not have happened. Nil for another verdict on the same report,
// which Prepare refuses.
func (o *Openings) Again(c *CheckedVerdict) *Logged {
	p, ok := o.seen[opened{c.f.Provider, c.f.Report}]
	if !ok {
		return nil
	}
	entry := c.entry(p.at)
	r, err := p.log.Receipt(p.index, entry)
	if err != nil {
		return nil
	}
	return &Logged{c: c, entry: entry, r: r}
}

// Logged is a checked verdict whose opening is in the log. Only Commit and Again
// make one, and only a Logged opens.
type Logged struct {
	c     *CheckedVerdict
	entry []byte
	r     *auditlog.Receipt
}

// Commit tells the log that the entry is durable. A crash before leaves at most
// an entry without its opening, which Again finds when the desk sends the verdict
// again. The error is auditlog.ErrStale.
func (o *Openings) Commit(p *PendingOpening) (*Logged, error) {
	r, err := o.log.Commit(p.p)
	if err != nil {
		return nil, err
	}
	o.seen[opened{p.c.f.Provider, p.c.f.Report}] = entryPlace{o.log, o.log.Size() - 1, p.at}
	return &Logged{c: p.c, entry: p.entry, r: r}, nil
}

// Receipt returns the log's receipt.
func (l *Logged) Receipt() *auditlog.Receipt { return l.r }

// Opened is an account that a logged opening named. It never leaves the
// provider that issued the token.
type Opened struct {
	account ids.Address
	serial  uint64
	entry   uint64
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
	return &Opened{account: account, serial: serial, entry: l.r.Index(), c: l.c}, nil
}

// Account returns who wrote the message.
func (o *Opened) Account() ids.Address { return o.account }

// Serial returns the token's number among the account's of that day.
func (o *Opened) Serial() uint64 { return o.serial }

// Entry returns the number of the opening in the log, from 0.
func (o *Opened) Entry() uint64 { return o.entry }

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
