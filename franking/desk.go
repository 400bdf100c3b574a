package franking

import (
	"bytes"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

// DeskFields are the keys of a provider's trust-and-safety desk.
type DeskFields struct {
	Provider    ids.Domain
	Number      uint32
	First, Last ids.Day
	Seal        []byte         // X-Wing key that reports are sealed to
	Countersign keys.VerifyKey // signs verdicts
	Answer      keys.VerifyKey // signs answers to other providers' verdicts
	Signature   [keys.SignatureSize]byte
}

// Desk is a provider's desk. It exists only with a valid signature.
type Desk struct {
	f    DeskFields
	raw  []byte
	seal keys.SealPublic
}

// SignDesk signs f with the provider's root key. Errors are those of ParseDesk.
func SignDesk(f DeskFields, root *keys.SigningKey) (*Desk, error) {
	b, err := signTrailing(&f, root, keys.ContextDesk)
	if err != nil {
		return nil, err
	}
	return ParseDesk(b, f.Provider, root.Public())
}

// ParseDesk verifies a desk under the provider's root key. Errors are
// wire.ErrMalformed, keys.ErrSignature, keys.ErrKey and ErrForked (another
// provider's).
func ParseDesk(b []byte, provider ids.Domain, root keys.VerifyKey) (*Desk, error) {
	d := &Desk{raw: bytes.Clone(b)}
	if err := wire.Unmarshal(d.raw, &d.f); err != nil {
		return nil, err
	}
	msg, sig := unsigned(d.raw)
	if err := root.Verify(keys.ContextDesk, msg, sig); err != nil {
		return nil, err
	}
	if d.f.Provider != provider {
		return nil, ErrForked
	}
	var err error
	d.seal, err = keys.ParseSealPublic(d.f.Seal)
	return d, err
}

// Provider returns whose desk it is.
func (d *Desk) Provider() ids.Domain { return d.f.Provider }

// Number returns the number of its keys.
func (d *Desk) Number() uint32 { return d.f.Number }

// First returns the first day of its keys.
func (d *Desk) First() ids.Day { return d.f.First }

// In reports whether the desk's keys are used on a day.
func (d *Desk) In(today ids.Day) bool { return d.f.First <= today && today <= d.f.Last }

// Last returns the last day of its keys.
func (d *Desk) Last() ids.Day { return d.f.Last }

// Bytes returns the encoding.
func (d *Desk) Bytes() []byte { return bytes.Clone(d.raw) }

// reportInfo: "waxwing report" | provider 4+n | number 4.
func (d *Desk) reportInfo() []byte {
	b := wire.AppendPrefixed([]byte(labelReport), []byte(d.f.Provider.String()))
	return append(b, be32(d.f.Number)...)
}

// reportData is the associated data: version 1 | reporter's address 4+n. A report
// that was taken from one reporter's upload is of no use in another's.
func reportData(reporter ids.Address) []byte {
	return wire.AppendPrefixed([]byte{version}, []byte(reporter.String()))
}

// Countersign returns the key that signs verdicts and exported evidence.
func (d *Desk) Countersign() keys.VerifyKey { return d.f.Countersign }
