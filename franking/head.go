package franking

import (
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
	Size      uint64
	Root      auditlog.Hash
	At        uint64 // Unix milliseconds
	Signature [keys.SignatureSize]byte
}

// SignHead signs the head of a log with the desk's answering key. Errors wrap
// wire.ErrMalformed.
func SignHead(provider ids.Domain, kind LogKind, log *auditlog.Log, key *keys.SigningKey, now time.Time) ([]byte, error) {
	return signTrailing(&LogHead{
		Provider: provider, Kind: kind, Size: log.Size(), Root: log.Root(), At: uint64(now.UnixMilli()),
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

// Continues returns nil if the proof shows that the log of an older head is the
// beginning of this one's. Errors are ErrForked (another log, or an older head)
// and auditlog.ErrProof.
func (h *LogHead) Continues(old *LogHead, proof []auditlog.Hash) error {
	if h.Provider != old.Provider || h.Kind != old.Kind || h.Size < old.Size || h.At < old.At {
		return ErrForked
	}
	return auditlog.VerifyConsistency(old.Size, h.Size, old.Root, h.Root, proof)
}
