package franking

import (
	"crypto/subtle"
	"math"
	"time"

	"waxwing/core/attachment"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

// Evidence is what proves one message. The recipient has all of it when it
// decides whether to show the message, and a report contains it: never the
// certificate, the owner's proof, the control part or an address.
type Evidence struct {
	Token    Token
	Frame    []byte // F
	Key      Key    // kf
	Author   Signature
	Hour     ids.Hour
	Audience Audience
	Mailbox  ids.MailboxID
	Com      Commitment
	Day      ids.Day
	Received uint64 // Unix milliseconds, by the relay's clock
	Stamp    Stamp
	Snapshot SnapshotID
	// Leaves are chunks of attachments that the reporter reveals, ascending; none if
	// it chooses to, and none before a message is shown.
	Leaves []Leaf
	keys.Redacted
}

// ParseEvidence parses evidence. Errors wrap wire.ErrMalformed.
func ParseEvidence(b []byte) (*Evidence, error) {
	e := new(Evidence)
	if err := wire.Unmarshal(b, e); err != nil {
		return nil, err
	}
	return e, nil
}

// Marshal returns the encoding, which is secret. Errors wrap wire.ErrMalformed.
func (e *Evidence) Marshal() ([]byte, error) { return wire.Marshal(e) }

// clone returns a copy that shares no memory with e.
func (e *Evidence) clone() *Evidence {
	c := *e
	c.Frame = append([]byte(nil), e.Frame...)
	c.Leaves = cloneLeaves(e.Leaves)
	return &c
}

// receipt is what the stamp covers.
func (e *Evidence) receipt() *Receipt {
	return &Receipt{Mailbox: e.Mailbox, Com: e.Com, Day: e.Day, Received: e.Received}
}

// Position is where a frame stands among its sender's messages, and the files that
// it commits to.
type Position struct {
	Conversation [16]byte
	Seq          uint64
	Prev         Digest
	Attachments  []attachment.Descriptor
}

// FrameReader parses F strictly and says where it stands and what it commits to. Clients and reviewers
// use the same one, of the package that defines F.
type FrameReader func(frame []byte) (Position, error)

// Verified is a message whose author is proven to be the holder of a token: what
// Verify returns. It names no account.
type Verified struct {
	e        *Evidence
	reader   ids.Address
	provider ids.Domain
	snapshot *Snapshot
	token    TokenHash
	d        Digest
	aud      AudienceHash
	bind     Binding
	position Position
	keys.Redacted
}

// Verify is the one decision about a message. The recipient takes it before it
// shows the message, reviewers take it on a report, with the same evidence, the
// same snapshot and the same reader, so whatever is shown can be reported. It
// reads no clock. prev, missing references and missing leaves of attachments inform and
// never refuse; a leaf that is there and wrong does. Errors are Faults. The caller gives
//
//   - s, the snapshot that the delivery named and that was in force then;
//   - reader, whose mailbox it came to: the client's own account, or the account
//     that the report was made by;
//   - frame, which parses F.
//
// Whether a group of the evidence is the conversation that the message is shown
// in, and the certificate's account the token's, is for the recipient to check
// as well (Attribute).
func Verify(e *Evidence, s *Snapshot, reader ids.Address, frame FrameReader) (*Verified, error) {
	received, ok := e.receipt().day()
	switch {
	case e.Snapshot != s.id || e.Received < s.f.From:
		return nil, FaultSnapshot
	case e.Token.Issuer != s.f.Issuer:
		return nil, FaultIssuer
	case reader.Domain() != s.f.Provider:
		return nil, FaultOwner
	case !ok || e.Hour.Day() != e.Token.Epoch || e.Day != e.Token.Epoch || !ids.InTime(e.Day, received):
		return nil, FaultTime
	}
	position, err := frame(e.Frame)
	if err != nil {
		return nil, FaultFrame
	}
	// MACs before signatures.
	v := &Verified{e: e.clone(), reader: reader, provider: s.f.Provider, snapshot: s, token: e.Token.Hash(), position: position}
	v.d = e.Key.Digest(e.Frame)
	com := e.Key.Commit(&v.d, &Place{Provider: s.f.Provider, Mailbox: e.Mailbox, Day: e.Day})
	if subtle.ConstantTimeCompare(com[:], e.Com[:]) != 1 {
		return nil, FaultCommitment
	}
	all := keysOf(s.f.Epochs, e.Token.Epoch)
	over := func(k *EpochKey) bool { return k.Revoked != 0 && e.Received >= k.Revoked }
	switch {
	case len(all) == 0:
		return nil, FaultEpoch
	case over(&all[len(all)-1]):
		return nil, FaultRevoked // all of them are
	}
	v.aud = e.Audience.Hash(reader)
	v.bind = e.Key.bindingOf(&e.Audience, &v.d, &com, s.f.Provider)
	// What did not come from a parser may hold a key that verifies what nobody
	// signed.
	key, err := keys.ParseVerifyKey(e.Token.Key[:])
	if err != nil || key.Verify(keys.ContextAuthor, authorInput(&v.token, &v.bind, &v.aud, s.f.Provider, e.Hour), e.Author[:]) != nil {
		return nil, FaultAuthor
	}
	signed, err := s.verifyToken(&e.Token, v.token)
	if err != nil {
		return nil, err
	}
	if over(signed) {
		return nil, FaultRevoked
	}
	if err := v.checkLeaves(); err != nil {
		return nil, err
	}
	return v, nil
}

// Evidence returns what was verified, for storing until it can no longer be
// reported. The caller does not change it.
func (v *Verified) Evidence() *Evidence { return v.e }

// Frame returns F. The caller does not change it.
func (v *Verified) Frame() []byte { return v.e.Frame }

// Digest returns d.
func (v *Verified) Digest() Digest { return v.d }

// Token returns H(T).
func (v *Verified) Token() TokenHash { return v.token }

// Position returns where the frame stands.
func (v *Verified) Position() Position { return v.position }

// Ownership is a provider's record of whose a mailbox was, and from when until
// when: Unix milliseconds; Until is 0 while it is.
type Ownership struct {
	Account     ids.Address
	Mailbox     ids.MailboxID
	From, Until uint64
}

// Delivered is evidence that reviewers know to have been delivered by their own
// relay to the reporter, in time to be reported: what only they can check.
type Delivered struct {
	e      *Evidence
	reader ids.Address
	keys.Redacted
}

// CheckDelivery checks age, ownership and stamp, all without a signature, so
// that bogus reports are cheap to shed. reader is the authenticated reporter,
// own the record of the evidence's mailbox. Errors are FaultAge, FaultOwner and
// FaultStamp.
func CheckDelivery(e *Evidence, reader ids.Address, own *Ownership, ring *StampRing, now time.Time) (*Delivered, error) {
	ms := now.UnixMilli()
	if e.Received > math.MaxInt64 {
		return nil, FaultAge
	}
	age := ms - int64(e.Received)
	if age < 0 || age > ReportDays*msPerDay {
		return nil, FaultAge
	}
	if own == nil || own.Account != reader || own.Mailbox != e.Mailbox || e.Received < own.From || own.Until != 0 && e.Received >= own.Until {
		return nil, FaultOwner
	}
	if ring.Check(e.receipt(), &e.Stamp) != nil {
		return nil, FaultStamp
	}
	return &Delivered{e: e.clone(), reader: reader}, nil
}

// DeliveredBefore is evidence for which CheckDelivery held when its report came, and
// which the desk has kept sealed since: reviewers may take longer than the stamp's
// key is kept. Evidence from anywhere else goes through CheckDelivery.
func DeliveredBefore(e *Evidence, reader ids.Address) *Delivered {
	return &Delivered{e: e.clone(), reader: reader}
}

// Verify takes the decision on delivered evidence with the snapshot that was in
// force at receipt, whatever the reporter says. Errors are Faults.
func (d *Delivered) Verify(h *History, frame FrameReader) (*Substantiated, error) {
	s := h.At(d.e.Received)
	if s == nil {
		return nil, FaultIssuer
	}
	v, err := Verify(d.e, s, d.reader, frame)
	if err != nil {
		return nil, err
	}
	return &Substantiated{v}, nil
}

// Substantiated is a reported message that was delivered and verified: what
// verdicts are made of.
type Substantiated struct{ *Verified }
