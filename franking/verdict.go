package franking

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"time"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

// What reviewers branch on, with errors.Is.
var (
	// ErrFourEyes: a suspension needs two reviewers who are not the same.
	ErrFourEyes = errors.New("franking: a second reviewer is needed")
	// ErrConsent: the reporter did not agree to that.
	ErrConsent = errors.New("franking: without the reporter's consent")
)

// Action is what a provider does about an account. Numbers are never used again.
type Action uint8

// The actions.
const (
	ActionNone Action = iota + 1
	ActionWarn
	ActionLimit
	ActionSuspend
	actionEnd
)

func (a Action) valid() bool { return a >= ActionNone && a < actionEnd }

// String returns the action's name.
func (a Action) String() string {
	if !a.valid() {
		return "invalid"
	}
	return [actionEnd]string{"", "none", "warn", "limit", "suspend"}[a]
}

// VerdictFields is the content of a verdict: what the sender's provider needs to
// see for itself that the author signed, and nothing that it could compare with
// what it relayed. d is not in it, nor com, nor kf.
type VerdictFields struct {
	Provider ids.Domain // B, which countersigns
	Issuer   ids.Domain // A, whom it is for
	Report   ReportID
	Made     uint64 // Unix milliseconds
	Reason   Reason
	Asked    Action
	Token    Token
	Author   Signature // sigma2
	Hour     ids.Hour
	Audience AudienceHash
	Binding  Binding
	// Disclosed says that the reporter agreed to show the content to A: F, kd and
	// the inner MAC, with which A recomputes bind without kf.
	Disclosed bool
	Frame     []byte
	FrameKey  [32]byte // kd
	Inner     [32]byte
	Signature [keys.SignatureSize]byte
	keys.Redacted
}

// VerdictHash names a verdict.
type VerdictHash [32]byte

// Decision is what reviewers decided about one proven message.
type Decision struct {
	Report    ReportID
	Reason    Reason
	Asked     Action
	Consents  Consents
	Reviewers [2]string // who decided; two different ones for a suspension
}

// Countersign makes a verdict for the sender's provider. Only a substantiated
// message can have one. Errors are ErrConsent (the reporter wants the sender's
// provider not to know), ErrFourEyes and wire.ErrMalformed.
//
// The content goes along if the reporter agreed and the message is not a
// group's: bind of a group is a MAC under kf, which A must not have.
func (m *Substantiated) Countersign(d *Decision, key *keys.SigningKey, now time.Time) ([]byte, error) {
	if d.Consents&ConsentOrigin == 0 {
		return nil, ErrConsent
	}
	if d.Asked == ActionSuspend && (d.Reviewers[0] == "" || d.Reviewers[1] == "" || d.Reviewers[0] == d.Reviewers[1]) {
		return nil, ErrFourEyes
	}
	v := &VerdictFields{
		Provider: m.provider, Issuer: m.e.Token.Issuer, Report: d.Report, Made: uint64(now.UnixMilli()),
		Reason: d.Reason, Asked: d.Asked, Token: m.e.Token, Author: m.e.Author, Hour: m.e.Hour,
		Audience: m.aud, Binding: m.bind,
	}
	if d.Consents&ConsentContent != 0 && !m.e.Audience.Group {
		v.Disclosed, v.Frame = true, m.e.Frame
		v.FrameKey, v.Inner = m.e.Key.frameKey(), m.e.Key.innerBinding(&m.e.Com)
	}
	return signTrailing(v, key, keys.ContextVerdict)
}

// HashVerdict returns the hash of a verdict's encoding.
func HashVerdict(b []byte) VerdictHash { return hashed(labelVerdict, b) }

// CheckedVerdict is a verdict that the token's issuer verified for itself. Only
// CheckVerdict makes one.
type CheckedVerdict struct {
	f    VerdictFields
	hash VerdictHash
	keys.Redacted
}

// CheckVerdict verifies a verdict at the provider that issued the token: the
// countersignature of the desk that it came from, that it is for this provider,
// its own sigma1, the hour in the token's epoch, and above all the author's
// signature for the countersigner: a desk that lies, or one that got hold of
// what was written to another provider, opens nothing. Errors are wire.ErrMalformed
// and Faults.
func CheckVerdict(b []byte, from *Desk, issuer ids.Domain, own *EpochKeys, now time.Time) (*CheckedVerdict, error) {
	if len(b) > MaxPart {
		return nil, &wire.FieldError{Field: "verdict", Reason: "too long"}
	}
	c := &CheckedVerdict{hash: HashVerdict(b)}
	v := &c.f
	if err := wire.Unmarshal(b, v); err != nil {
		return nil, err
	}
	msg, sig := unsigned(b)
	if from.f.Countersign.Verify(keys.ContextVerdict, msg, sig) != nil {
		return nil, FaultVerdict
	}
	made := time.UnixMilli(int64(v.Made))
	switch {
	case v.Provider != from.f.Provider || v.Issuer != issuer || v.Token.Issuer != issuer:
		return nil, FaultAddressee
	case v.Hour.Day() != v.Token.Epoch || !from.In(ids.DayOf(made)) || made.After(now.Add(SkewDays*24*time.Hour)):
		return nil, FaultTime
	}
	// A revocation ends no verdict: x1 is under a key that was not revoked, and what
	// came before counts.
	all := keysOf(own.Epochs, v.Token.Epoch)
	if len(all) == 0 {
		return nil, FaultEpoch
	}
	if v.Disclosed && !v.disclosureHolds() {
		return nil, FaultDisclosure
	}
	h := v.Token.Hash()
	if v.Token.Key.Verify(keys.ContextAuthor, authorInput(&h, &v.Binding, &v.Audience, v.Provider, v.Hour), v.Author[:]) != nil {
		return nil, FaultAuthor
	}
	if signer(all, &v.Token) == nil {
		return nil, FaultToken
	}
	return c, nil
}

// disclosureHolds reports whether the content is what bind was made of.
func (v *VerdictFields) disclosureHolds() bool {
	m := hmac.New(sha256.New, v.FrameKey[:])
	m.Write(v.Frame)
	d := Digest(m.Sum(nil))
	b := bindOne(&d, &v.Inner)
	return hmac.Equal(b[:], v.Binding[:])
}

// Frame returns the content, nil if the reporter did not agree to show it.
func (c *CheckedVerdict) Frame() []byte { return bytes.Clone(c.f.Frame) }

// Hash returns the verdict's hash.
func (c *CheckedVerdict) Hash() VerdictHash { return c.hash }

// Report returns which report of its provider the verdict is about.
func (c *CheckedVerdict) Report() ReportID { return c.f.Report }
