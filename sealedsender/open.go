package sealedsender

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"slices"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

// OpenedHead is a head that opened: made for this ticket or mailbox, com and
// version. Who made it is not known yet.
type OpenedHead struct {
	outer Outer
	h     head
	keys.Redacted
}

// OpenHeadWithSecret opens a head that was sealed under the secret S which the
// ticket's serial selects. Errors are ErrClass (a length that the class does not
// have), ErrSeal, wire.ErrMalformed and ErrKind.
func OpenHeadWithSecret(o Outer, sealed []byte, s *keys.Secret, ticket *[wire.TicketSize]byte) (*OpenedHead, error) {
	if !o.Class.Valid() || len(sealed) != o.Class.HeadSize() {
		return nil, ErrClass
	}
	return openHead(o, sealed, steadyKey(s, ticket), KindOne)
}

// OpenHeadSync opens the head of a batch that came with the delivery origin
// wire.BySync, by a root of seal secrets and the salt that stands in place of a
// ticket. Errors are those of OpenHeadWithSecret; every other kind is ErrKind.
//
// Whoever has the root made it. CheckSender and the session tell which device
// that is; the caller checks that the device is in its manifest and not itself.
func OpenHeadSync(class wire.Class, day ids.Day, sealed []byte, root *keys.Secret, salt *[wire.TicketSize]byte) (*OpenedHead, error) {
	if !class.ForSync() || len(sealed) != class.HeadSize() {
		return nil, ErrClass
	}
	return openHead(Outer{Class: class, Day: day}, sealed, syncKey(root, salt), KindSync)
}

// openHead opens a head of one kind under a key, which it erases.
func openHead(o Outer, sealed, key []byte, kind Kind) (*OpenedHead, error) {
	plain, err := gcm(key).Open(nil, zeroNonce[:], sealed, o.aad())
	clear(key)
	if err != nil {
		return nil, ErrSeal
	}
	return parseHead(o, plain, kind)
}

// OpenHeadFirst opens a head that was sealed to a mailbox's weekly key. The
// caller gives the mailbox that it fetched from and the key's own id. Errors are
// those of OpenHeadWithSecret.
func OpenHeadFirst(o Outer, sealed []byte, key *keys.SealKey, at Mailbox) (*OpenedHead, error) {
	if !o.Class.Valid() || !roomForFirst(o.Class) || len(sealed) != o.Class.HeadSize() {
		return nil, ErrClass
	}
	plain, _, err := key.Open(at.info(), o.aad(), sealed)
	if err != nil {
		return nil, ErrSeal
	}
	return parseHead(o, plain, KindOne)
}

// parseHead takes the plaintext of a head and erases it. Kinds that are not
// listed are refused: a copy for own devices that came under a ticket would
// get around the rule against self-send.
func parseHead(o Outer, plain []byte, accept ...Kind) (*OpenedHead, error) {
	opened := &OpenedHead{outer: o}
	err := wire.Unmarshal(plain, &opened.h)
	clear(plain)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(accept, opened.h.kind) {
		return nil, ErrKind
	}
	return opened, nil
}

// Kind returns what the envelope is.
func (o *OpenedHead) Kind() Kind { return o.h.kind }

// Certificate returns the certificate's bytes, to be given to Verify: those in
// the head or, if it has a hash, what known returns for it. The caller's known
// looks only among certificates of the account that the ticket's serial was
// given to. ErrCertificateUnknown means that the message is held.
func (o *OpenedHead) Certificate(known func(hash [HashSize]byte) ([]byte, bool)) ([]byte, error) {
	if o.h.certForm == formFull {
		return wire.MustMarshal(&o.h.cert), nil
	}
	if cert, ok := known(o.h.certHash); ok {
		return cert, nil
	}
	return nil, ErrCertificateUnknown
}

// BoundHead is a head together with the body that it was made for.
type BoundHead struct {
	o    *OpenedHead
	body []byte
	keys.Redacted
}

// CheckBody compares the body's length and hash with the head. Errors are
// ErrClass and ErrBodyHash.
func (o *OpenedHead) CheckBody(body []byte) (*BoundHead, error) {
	if len(body) != o.outer.Class.BodySize() {
		return nil, ErrClass
	}
	if sum := sha256.Sum256(body); subtle.ConstantTimeCompare(sum[:], o.h.bodyHash[:]) != 1 {
		return nil, ErrBodyHash
	}
	return &BoundHead{o: o, body: body}, nil
}

// Sender is who made a head and body: the certificate is the one that the head
// names and valid on the day, and the tag shows that its device, or the
// recipient itself, made head and body for this account. That the device
// is at the other end of the session is checked by OpenBody.
type Sender struct {
	b    *BoundHead
	cert *VerifiedCertificate
	keys.Redacted
}

// CheckSender checks certificate and tag. The account's key is the one in the
// recipient's manifest, shared by its devices; self is its address. Errors are
// ErrCertificateOther, ErrCertificateExpired, ErrSelfSend, ErrKind (a copy for
// own devices from another account) and ErrTag.
func (b *BoundHead) CheckSender(cert *VerifiedCertificate, account *keys.DHKey, self ids.Address) (*Sender, error) {
	h, outer := &b.o.h, &b.o.outer
	if !h.equalCertificate(cert) {
		return nil, ErrCertificateOther
	}
	// Again, as the certificate may have been verified for another message.
	if err := cert.ValidOn(outer.Day); err != nil {
		return nil, err
	}
	switch own := cert.f.Address == self; {
	case own && h.kind != KindSync:
		return nil, ErrSelfSend
	case !own && h.kind == KindSync:
		return nil, ErrKind
	}
	tag, err := deniableTag(account, cert.f.DH, cert.f.DH, account.Public(), &outer.Com, &h.bodyHash)
	if err != nil || !hmac.Equal(tag[:], h.tag[:]) {
		return nil, ErrTag
	}
	return &Sender{b: b, cert: cert}, nil
}

// Certificate returns the sender's certificate.
func (s *Sender) Certificate() *VerifiedCertificate { return s.cert }

// Salt returns the audience salt.
func (s *Sender) Salt() [SaltSize]byte { return s.b.o.h.salt }

// Bundle returns the token bundle in the head, or the reference of one that came
// before; neither for a message without a frame, which nobody can report.
func (s *Sender) Bundle() (whole []byte, ref *[HashSize]byte) {
	h := &s.b.o.h
	switch h.bundle {
	case formFull:
		return h.whole, nil
	case formHash:
		ref := h.ref
		return nil, &ref
	}
	return nil, nil
}

// Entry returns this device's part of the head, or ErrNoEntry.
func (s *Sender) Entry(device ids.DeviceID) (*Entry, error) {
	entries := s.b.o.h.entries
	for i := range entries {
		if entries[i].Device == device {
			return &entries[i], nil
		}
	}
	return nil, ErrNoEntry
}

// SessionData is the associated data under which the session sealed the body
// key.
func (s *Sender) SessionData() []byte { return sessionData(&s.b.o.outer.Com, &s.b.o.h.bodyHash) }

// CheckSession compares the peer's identity key in a session with the
// certificate's, in constant time. A caller may check before it lets a
// session open or begin; OpenBody checks again. The error is ErrIdentityMismatch.
func (s *Sender) CheckSession(remote keys.DHPublic) error {
	if subtle.ConstantTimeCompare(remote[:], s.cert.f.DH[:]) != 1 {
		return ErrIdentityMismatch
	}
	return nil
}

// OpenBody decrypts the body. The key is what the session with remote's
// identity key had sealed for this device. Errors are ErrIdentityMismatch,
// ErrBody, wire.ErrMalformed, ErrKind (a control part in a group's body, a frame in a sync batch) and
// ErrHour.
//
// The content is not for display before the caller has recomputed com from it.
func (s *Sender) OpenBody(remote keys.DHPublic, key *keys.Secret) (*Content, error) {
	if err := s.CheckSession(remote); err != nil {
		return nil, err
	}
	h, outer := &s.b.o.h, &s.b.o.outer
	plain, err := gcm(key.Bytes()).Open(nil, zeroNonce[:], s.b.body, bodyAAD(h.kind, &outer.Com, &h.d))
	if err != nil {
		return nil, ErrBody
	}
	content := new(Content)
	err = wire.Unmarshal(plain, content)
	clear(plain)
	switch {
	case err != nil:
	case h.kind == KindGroup && len(content.Control) > 0,
		h.kind == KindSync && (len(content.Frame) > 0 || content.KF != [32]byte{}):
		err = ErrKind
	case content.Hour.Day() != outer.Day:
		err = ErrHour
	default:
		return content, nil
	}
	content.erase()
	return nil, err
}
