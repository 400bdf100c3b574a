package sealedsender

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

// SealedBody is an encrypted body, to which a head is to be sealed.
type SealedBody struct {
	_     keys.NotComparable
	outer Outer
	kind  Kind
	d     [HashSize]byte
	key   *keys.Secret
	bytes []byte
	hash  [HashSize]byte
	keys.Redacted
}

// SealSyncBody encrypts the content of a batch for the account's own devices.
// It has no frame, and neither kf nor com, because nobody can report it. Errors
// are those of SealBody, and ErrKind for a content that has a frame or kf.
func SealSyncBody(class wire.Class, day ids.Day, content *Content) (*SealedBody, error) {
	if len(content.Frame) > 0 || content.KF != [32]byte{} || !class.ForSync() {
		return nil, ErrKind
	}
	return sealBody(Outer{Class: class, Day: day}, KindSync, [HashSize]byte{}, content)
}

// SealBody encrypts the content of a message to one account under a fresh key.
// Errors are ErrClass if it does not fit or there is no such class, and ErrHour
// if the content's hour does not lie in the envelope's day.
func SealBody(o Outer, content *Content) (*SealedBody, error) {
	return sealBody(o, KindOne, [HashSize]byte{}, content)
}

func sealBody(o Outer, kind Kind, d [HashSize]byte, content *Content) (*SealedBody, error) {
	switch {
	case !o.Class.Valid(), Room(o.Class)-len(content.Frame) < len(content.Control):
		return nil, ErrClass
	case content.Hour.Day() != o.Day:
		return nil, ErrHour
	case kind == KindGroup && len(content.Control) > 0:
		// Tickets in a group's body would let any member spend another's.
		return nil, ErrKind
	}
	plain, err := wire.MarshalPadded(content, o.Class.BodySize()-gcmTag)
	if err != nil {
		return nil, err
	}
	b := &SealedBody{outer: o, kind: kind, d: d, key: keys.NewSecret()}
	b.bytes = gcm(b.key.Bytes()).Seal(nil, zeroNonce[:], plain, bodyAAD(kind, &o.Com, &d))
	b.hash = sha256.Sum256(b.bytes)
	clear(plain)
	return b, nil
}

// bodyAAD is com for one recipient; d for a group, whose members have
// different coms over one body.
func bodyAAD(kind Kind, com, d *[HashSize]byte) []byte {
	if kind == KindGroup {
		return d[:]
	}
	return com[:]
}

// Bytes returns the sealed body, as long as its class says.
func (b *SealedBody) Bytes() []byte { return b.bytes }

// Key returns the body key, to be sealed under the session with each device and
// erased then. It is not for anything else.
func (b *SealedBody) Key() *keys.Secret { return b.key }

// SessionData is the associated data under which each session seals Key.
func (b *SealedBody) SessionData() []byte { return sessionData(&b.outer.Com, &b.hash) }

// Head is what a sender puts into a head.
type Head struct {
	Sender      *keys.DHKey          // the sending device's session identity
	Certificate *VerifiedCertificate // of the sending device
	Confirmed   bool                 // the recipient's devices have confirmed the certificate: send its hash
	Recipient   keys.DHPublic        // the recipient ACCOUNT's key, from its manifest
	Salt        [SaltSize]byte       // audience salt
	Bundle      []byte               // token bundle (franking.MakeBundle); nil for none, or where a reference is enough
	Reference   *[HashSize]byte      // of a bundle that all devices of the recipient have confirmed; nil for none
	Entries     []Entry              // one for each device of the recipient
}

// SealHeadWithSecret seals the head under the secret S of the batch that the
// ticket comes from. A ticket seals one head, ever: the caller stores the
// envelope before it sends it (doc.go). Errors are ErrClass, ErrIdentityMismatch
// (the sender's key is not the certificate's), ErrNoEntry, keys.ErrKey and
// wire.ErrMalformed (two entries for one device, or a part of wrong length).
func (b *SealedBody) SealHeadWithSecret(h *Head, s *keys.Secret, ticket *[wire.TicketSize]byte) ([]byte, error) {
	if b.kind == KindSync {
		return nil, ErrKind
	}
	return b.sealHead(h, steadyKey(s, ticket))
}

// SealHeadSync seals the head of a batch for the account's own devices, under
// the account's root of seal secrets and a salt that is drawn for this one
// head. Errors are those of SealHeadWithSecret, and ErrKind for another body.
func (b *SealedBody) SealHeadSync(h *Head, root *keys.Secret, salt *[wire.TicketSize]byte) ([]byte, error) {
	if b.kind != KindSync {
		return nil, ErrKind
	}
	return b.sealHead(h, syncKey(root, salt))
}

// sealHead seals the head under a key of its own, which it erases.
func (b *SealedBody) sealHead(h *Head, key []byte) ([]byte, error) {
	defer clear(key)
	plain, err := b.plainHead(h, false)
	if err != nil {
		return nil, err
	}
	sealed := gcm(key).Seal(nil, zeroNonce[:], plain, b.outer.aad())
	clear(plain)
	return sealed, nil
}

// SealHeadFirst seals the head to a mailbox's weekly key, for a first contact.
// Errors are those of SealHeadWithSecret.
func (b *SealedBody) SealHeadFirst(h *Head, to keys.SealPublic, at Mailbox) ([]byte, error) {
	if b.kind == KindSync {
		return nil, ErrKind
	}
	if !roomForFirst(b.outer.Class) {
		return nil, ErrClass
	}
	plain, err := b.plainHead(h, true)
	if err != nil {
		return nil, err
	}
	sealed, _, err := to.Seal(at.info(), b.outer.aad(), plain)
	clear(plain)
	return sealed, err
}

// plainHead builds the plaintext of the head, padded to its class.
func (b *SealedBody) plainHead(in *Head, first bool) ([]byte, error) {
	if in.Sender.Public() != in.Certificate.f.DH {
		return nil, ErrIdentityMismatch
	}
	if len(in.Entries) == 0 {
		return nil, ErrNoEntry
	}
	prekeys := 0
	for i := range in.Entries {
		if in.Entries[i].Prekey != nil {
			prekeys++
		}
	}
	size := headPlain(b.outer.Class, overhead(first))
	room := size - headSize(in.Confirmed, in.Bundle != nil, len(in.Entries)-prekeys, prekeys)
	if len(in.Entries) > MaxEntries || prekeys > MaxPrekeyEntries || room < 0 {
		return nil, ErrClass
	}
	tag, err := deniableTag(in.Sender, in.Recipient, in.Certificate.f.DH, in.Recipient, &b.outer.Com, &b.hash)
	if err != nil {
		return nil, err
	}
	h := &head{kind: b.kind, d: b.d, bodyHash: b.hash, tag: tag, salt: in.Salt, certForm: formFull, cert: in.Certificate.f}
	if in.Confirmed {
		h.certForm, h.certHash = formHash, in.Certificate.hash
	}
	switch {
	case in.Bundle != nil:
		h.bundle, h.whole = formFull, in.Bundle
	case in.Reference != nil:
		h.bundle, h.ref = formHash, *in.Reference
	}
	h.entries = fill(in.Entries, room/sessionEntry)
	return wire.MarshalPadded(h, size)
}

// fill returns the entries and, as far as there is room, entries of random
// bytes up to the bucket, in random order. What a session seals looks random
// too.
func fill(real []Entry, room int) []Entry {
	entries := slices.Clone(real)
	for n := min(bucket(len(real))-len(real), room); n > 0; n-- {
		e := Entry{Device: freeDevice(entries)}
		rand.Read(e.Session[:])
		entries = append(entries, e)
	}
	for i := len(entries) - 1; i > 0; i-- {
		j := below(i + 1)
		entries[i], entries[j] = entries[j], entries[i]
	}
	return entries
}

// freeDevice draws a device id that no entry has.
func freeDevice(entries []Entry) ids.DeviceID {
	for {
		var b [4]byte
		rand.Read(b[:])
		id := ids.DeviceID(binary.BigEndian.Uint32(b[:]))
		if id != 0 && !slices.ContainsFunc(entries, func(e Entry) bool { return e.Device == id }) {
			return id
		}
	}
}

// below draws uniformly from 0 to n-1, n at most MaxEntries.
func below(n int) int {
	for {
		var b [1]byte
		rand.Read(b[:])
		if v := int(b[0]); v < 256-256%n {
			return v % n
		}
	}
}

// equalCertificate reports whether the head names this certificate.
func (h *head) equalCertificate(v *VerifiedCertificate) bool {
	if h.certForm == formHash {
		return h.certHash == v.hash
	}
	return bytes.Equal(wire.MustMarshal(&h.cert), v.raw)
}
