package franking

import (
	"bytes"
	"time"

	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

// BundleFields is the content of a bundle: the token, the proof to one recipient
// whose it is, and the escrow.
type BundleFields struct {
	Token  Token
	Owner  [dvSize]byte
	Escrow Escrow
}

// BundleRef names a bundle whose recipient confirmed it. It is looked up only
// among the bundles of the certificate's account.
type BundleRef [32]byte

// RefOf returns the reference of a bundle's encoding.
func RefOf(bundle []byte) BundleRef { return hashed(labelBundle, bundle) }

// MakeBundle makes the bundle for one recipient, in canonical bytes of at most
// MaxBundle, with k the secret of X_S. s is the snapshot of the sender's provider
// that the recipient's provider signed. Errors are ErrAudience, FaultEscrow (the
// snapshot lacks keys of the epoch) and those of the proofs.
func MakeBundle(o *OwnToken, t *Target, from *Sender, to *Recipient, s *Snapshot, k group.Scalar) ([]byte, error) {
	a, err := o.Audience(t)
	if err != nil {
		return nil, err
	}
	if t.Provider != to.Provider || !t.Group && t.Reader != to.Address {
		return nil, ErrAudience
	}
	reviewers, ok := s.NewestReviewers()
	if !ok {
		return nil, FaultEscrow
	}
	ek, ok := escrowKeysOf(s, o.token.Epoch, reviewers, to)
	if !ok {
		return nil, FaultEscrow
	}
	b := &BundleFields{Token: o.token}
	if b.Owner, err = proveOwner(&o.token, from, to, 0, o.r); err != nil {
		return nil, err
	}
	aud := a.Hash(to.Address)
	esc, err := makeEscrow(&o.token, &aud, &ek, reviewers, k, o.r)
	if err != nil {
		return nil, err
	}
	b.Escrow = *esc
	return wire.Marshal(b)
}

// Bundle is a bundle whose proofs a recipient verified: the token is of the
// sender's account, and the escrow holds that account's pseudonym. Once per
// token; the recipient keeps it for the messages that refer to it.
type Bundle struct {
	f     BundleFields
	ref   BundleRef
	hash  TokenHash
	aud   AudienceHash
	from  Sender
	to    Recipient
	under escrowKeys
	keys.Redacted
}

// CheckBundle verifies a bundle before anything under it is shown. from is of the
// verified certificate, to what the client knows of itself, a the audience of
// the message that it came with, and s that message's snapshot. Errors are
// wire.ErrMalformed, FaultBundle, FaultIdentity and FaultEscrow.
func CheckBundle(raw []byte, from *Sender, to *Recipient, a *Audience, s *Snapshot) (*Bundle, error) {
	if len(raw) > MaxBundle {
		return nil, &wire.FieldError{Field: "bundle", Reason: "too long"}
	}
	b := &Bundle{ref: RefOf(raw), from: *from, to: *to}
	if err := wire.Unmarshal(raw, &b.f); err != nil {
		return nil, err
	}
	if s.Provider() != to.Provider || s.Issuer() != b.f.Token.Issuer || to.Address.Domain() != to.Provider {
		return nil, FaultBundle
	}
	b.hash, b.aud = b.f.Token.Hash(), a.Hash(to.Address)
	if err := checkOwner(&b.f.Token, &b.f.Owner, from, to); err != nil {
		return nil, err
	}
	var ok bool
	if b.under, ok = escrowKeysOf(s, b.f.Token.Epoch, b.f.Escrow.Reviewers, &b.to); !ok {
		return nil, FaultEscrow
	}
	if err := b.under.check(&b.f.Token, &b.aud, &b.f.Escrow); err != nil {
		return nil, err
	}
	return b, nil
}

// Ref returns the reference by which messages name the bundle.
func (b *Bundle) Ref() BundleRef { return b.ref }

// Token returns T.
func (b *Bundle) Token() *Token { return &b.f.Token }

// Escrow returns the escrow, for a report that asks for a ban.
func (b *Bundle) Escrow() *Escrow { return &b.f.Escrow }

// Attributed is a message that may be shown, as the sender's: verified, and the
// token proven to be of the account in the certificate, with an escrow that
// reviewers can open. Only Attribute makes one.
type Attributed struct {
	*Verified
	from Sender
}

// Sender returns the account that wrote the message.
func (a *Attributed) Sender() ids.Address { return a.from.Address }

// Attribute joins a verified message to its verified bundle. from is of the
// certificate that the message itself came with; conversation is where the
// client would show it: the group's id for a group, nil for a single recipient.
// Errors are FaultBundle, FaultEscrow (the message's snapshot lacks the keys that
// the escrow was checked with, so reviewers could not open it), FaultConversation
// and FaultWithheld: a message that can
// no longer be reported is not shown, so that nobody gains by holding back a
// bundle.
func (v *Verified) Attribute(b *Bundle, from *Sender, conversation *[GroupSize]byte, now time.Time) (*Attributed, error) {
	switch {
	case b.hash != v.token || b.aud != v.aud || b.to.Mailbox != v.e.Mailbox || b.to.Address != v.reader || b.to.Provider != v.provider,
		b.from.Address != from.Address || b.from.Identity != from.Identity || !bytes.Equal(b.from.XS.Bytes(), from.XS.Bytes()):
		return nil, FaultBundle
	case !b.openable(v.snapshot):
		return nil, FaultEscrow
	case v.e.Audience.Group != (conversation != nil), conversation != nil && *conversation != v.e.Audience.ID:
		return nil, FaultConversation
	case now.UnixMilli()-int64(v.e.Received) > ReportDays*msPerDay:
		return nil, FaultWithheld
	}
	return &Attributed{Verified: v, from: *from}, nil
}

// openable reports whether reviewers, who go by a message's snapshot, find the
// keys there that the bundle was checked with.
func (b *Bundle) openable(s *Snapshot) bool {
	k, ok := escrowKeysOf(s, b.f.Token.Epoch, b.f.Escrow.Reviewers, &b.to)
	return ok && k.join.Equal(b.under.join) && k.reviewers.Equal(b.under.reviewers)
}
