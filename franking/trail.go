package franking

import (
	"fmt"

	"waxwing/core/auditlog"
	"waxwing/core/group"
	"waxwing/core/wire"
)

// DeskEventKind says what happened to a report at a desk.
type DeskEventKind uint8

// The events.
const (
	DeskReceived  DeskEventKind = iota + 1 // Hash: of the sealed report
	DeskDecided                            // by one reviewer
	DeskSeconded                           // by another
	DeskVerdict                            // Hash: of the verdict that was sent
	DeskAnswered                           // Asked: the action; Hash: of the answered verdict
	DeskPseudonym                          // an escrow was opened
	DeskExported                           // Hash: of the evidence file
	deskEnd
)

// DeskEvent is an entry of a desk's audit trail. It names no sender and no
// reporter.
type DeskEvent struct {
	Kind     DeskEventKind
	Report   ReportID
	At       uint64 // Unix milliseconds
	Reviewer string
	Reason   Reason
	Asked    Action
	Hash     [32]byte
}

// Trail is a desk's audit trail: every event is an entry of an append-only log.
// It is not safe for concurrent use.
type Trail struct{ log *auditlog.Log }

// LoadTrail returns the trail of its stored records. The error wraps ErrRecord.
func LoadTrail(records ...[]byte) (*Trail, error) {
	log, err := auditlog.Load(records...)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	return &Trail{log}, nil
}

// Prepare makes the record of an event: to be stored, then committed, then done.
// Errors wrap wire.ErrMalformed.
func (t *Trail) Prepare(e *DeskEvent) (*auditlog.Pending, error) {
	b, err := wire.Marshal(e)
	if err != nil {
		return nil, err
	}
	return t.log.Prepare(b)
}

// Commit tells the trail that the record is durable. The error is
// auditlog.ErrStale.
func (t *Trail) Commit(p *auditlog.Pending) (*auditlog.Receipt, error) { return t.log.Commit(p) }

// Log returns the log, for its roots and proofs.
func (t *Trail) Log() *auditlog.Log { return t.log }

// ParseDeskEvent reads the event of a stored record. The error wraps ErrRecord.
func ParseDeskEvent(record []byte) (*DeskEvent, error) {
	raw, err := auditlog.Entry(record)
	e := new(DeskEvent)
	if err == nil {
		err = wire.Unmarshal(raw, e)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	return e, nil
}

// Published returns nil if a secret that was published is the one of the
// provider's token key of its epoch, else FaultEpoch.
func (k *EpochKeys) Published(s *EpochSecret) error {
	key, ok := k.Of(s.epoch)
	if !ok || s.kind != SignSecret || s.SigningKey().Public() != key {
		return FaultEpoch
	}
	return nil
}

// Published returns nil if a secret that was published is the j of its epoch,
// else FaultEpoch.
func (s *Snapshot) Published(j *EpochSecret) error {
	e, ok := s.join(j.epoch)
	if !ok || j.kind != JoinSecret || !e.Equal(group.Ristretto255().MulGenerator(j.Scalar())) {
		return FaultEpoch
	}
	return nil
}
