package franking

import (
	"errors"
	"time"

	"waxwing/core/auditlog"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

// LogKind says which log a head is of.
type LogKind uint8

// The logs.
const (
	LogOpenings LogKind = iota + 1 // of a provider that opens tokens
	LogTrail                       // of a desk
	logEnd
)

// LogHead is a provider's signed statement of what its log holds. Whoever keeps
// one can later have proven that nothing was taken out of it or changed.
type LogHead struct {
	Provider  ids.Domain
	Kind      LogKind
	Segment   uint32 // from 1
	Size      uint64 // entries of the segment
	Root      auditlog.Hash
	At        uint64 // Unix milliseconds
	Signature [keys.SignatureSize]byte
}

// SignHead signs a state of a log with the desk's answering key. Errors wrap
// wire.ErrMalformed.
func SignHead(provider ids.Domain, kind LogKind, h auditlog.Head, key *keys.SigningKey, now time.Time) ([]byte, error) {
	return signTrailing(&LogHead{
		Provider: provider, Kind: kind, Segment: h.Segment, Size: h.Size, Root: h.Root, At: uint64(now.UnixMilli()),
	}, key, keys.ContextLogHead)
}

// ParseHead verifies a head under the desk of the provider. Errors are
// wire.ErrMalformed and FaultAnswer.
func ParseHead(b []byte, kind LogKind, from *Desk) (*LogHead, error) {
	h := new(LogHead)
	if err := wire.Unmarshal(b, h); err != nil {
		return nil, err
	}
	msg, sig := unsigned(b)
	if from.f.Answer.Verify(keys.ContextLogHead, msg, sig) != nil || h.Provider != from.f.Provider || h.Kind != kind {
		return nil, FaultAnswer
	}
	return h, nil
}

// Head returns the state of the log.
func (h *LogHead) Head() auditlog.Head {
	return auditlog.Head{Segment: h.Segment, Size: h.Size, Root: h.Root}
}

// Continues returns nil if the proof shows that the log of an older head is the
// beginning of this one's. Errors are ErrForked (another log, or an older head)
// and auditlog.ErrProof.
func (h *LogHead) Continues(old *LogHead, proof *auditlog.Proof) error {
	if h.Provider != old.Provider || h.Kind != old.Kind || h.At < old.At ||
		h.Segment < old.Segment || h.Segment == old.Segment && h.Size < old.Size {
		return ErrForked
	}
	now, before := h.Head(), old.Head()
	return now.Continues(&before, proof)
}

// LogProof is the encoding of a proof between two heads.
type LogProof struct{ auditlog.Proof }

// ParseProof parses a proof between two heads. Errors wrap wire.ErrMalformed.
func ParseProof(b []byte) (*auditlog.Proof, error) {
	p := new(LogProof)
	if err := wire.Unmarshal(b, p); err != nil {
		return nil, err
	}
	return &p.Proof, nil
}

// Log file errors, for errors.Is.
var (
	// ErrLogFile: the file is no log file, or does not verify.
	ErrLogFile = errors.New("franking: not a valid log file")
	// ErrLogRoot: the file is of a provider whose root key is not trusted.
	ErrLogRoot = errors.New("franking: not the provider's root key")
)

// LogFile is a head that an auditor keeps, with what it is verified by: the desk
// whose key signed it, and the provider's root key, which signed that. It can hold
// the proof that it continues an older head.
type LogFile struct {
	Root  keys.VerifyKey
	Desk  []byte
	Head  []byte
	Since []byte // an older head, nil for none
	Proof LogProof
	magic []byte
}

const logMagic = "waxwing log head 1"

// Marshal returns the file. Errors wrap wire.ErrMalformed.
func (f *LogFile) Marshal() ([]byte, error) {
	f.magic = []byte(logMagic)
	return wire.Marshal(f)
}

// ReadLogFile verifies a file: trusted says whether the reader knows the root key,
// by its pin. It returns the head, and the older one that it was shown to continue,
// nil for none: that it is the one that the reader kept, the reader compares. Errors
// wrap ErrLogFile; a root key that is not trusted is ErrLogRoot.
func ReadLogFile(b []byte, trusted func(keys.VerifyKey) bool) (head, since *LogHead, err error) {
	f := new(LogFile)
	if err := wire.Unmarshal(b, f); err != nil {
		return nil, nil, errors.Join(ErrLogFile, err)
	}
	if !trusted(f.Root) {
		return nil, nil, errors.Join(ErrLogFile, ErrLogRoot)
	}
	var fields LogHead
	if err := wire.Unmarshal(f.Head, &fields); err != nil {
		return nil, nil, errors.Join(ErrLogFile, err)
	}
	desk, err := ParseDesk(f.Desk, fields.Provider, f.Root)
	if err != nil {
		return nil, nil, errors.Join(ErrLogFile, err)
	}
	if head, err = ParseHead(f.Head, fields.Kind, desk); err != nil {
		return nil, nil, errors.Join(ErrLogFile, err)
	}
	if len(f.Since) == 0 {
		return head, nil, nil
	}
	// Its signature is not looked at: the reader has the one that it kept.
	since = new(LogHead)
	if err := wire.Unmarshal(f.Since, since); err != nil {
		return nil, nil, errors.Join(ErrLogFile, err)
	}
	if err := head.Continues(since, &f.Proof.Proof); err != nil {
		return nil, nil, errors.Join(ErrLogFile, err)
	}
	return head, since, nil
}
