package directory

import (
	"bytes"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

const daysPerWeek = 7

// Week counts periods of seven UTC days since the Unix epoch. A mailbox key
// has its week as its id.
type Week uint32

// WeekOf returns the week that a day lies in.
func WeekOf(d ids.Day) Week { return Week(d / daysPerWeek) }

// MailboxKey is the X-Wing key that first contacts seal to, shared by the
// devices of the account. One exists only with a valid signature by the
// account's identity key.
type MailboxKey struct {
	f   MailboxKeyFields
	raw []byte
}

// SignMailboxKey signs f with the account's identity key; W and Z are what
// ProveMailboxKeys made. It fails only for fields that break a limit, and with
// ErrPossession.
func SignMailboxKey(f MailboxKeyFields, identity *keys.SigningKey) (*MailboxKey, error) {
	b, err := wire.Marshal(&f)
	if err != nil {
		return nil, err
	}
	msg, sig := splitSigned(b)
	copy(sig, identity.Sign(keys.ContextMailboxKey, msg))
	return ParseMailboxKey(b, identity.Public())
}

// ParseMailboxKey parses a mailbox key and verifies it under an account's
// identity key, with the proofs in it. Errors are wire.ErrMalformed,
// keys.ErrSignature and ErrPossession. The caller checks with In that it may be
// used today.
func ParseMailboxKey(b []byte, identity keys.VerifyKey) (*MailboxKey, error) {
	if len(b) > wire.MaxSealKey {
		return nil, &wire.FieldError{Field: "mailbox key", Reason: "too long"}
	}
	k := &MailboxKey{raw: bytes.Clone(b)}
	if err := wire.Unmarshal(k.raw, &k.f); err != nil {
		return nil, err
	}
	msg, sig := splitSigned(k.raw)
	if err := identity.Verify(keys.ContextMailboxKey, msg, sig); err != nil {
		return nil, err
	}
	if err := k.f.verifyPossession(); err != nil {
		return nil, err
	}
	return k, nil
}

func (k *MailboxKeyFields) verifyPossession() error {
	if err := k.W.verify(mailboxKeySession(labelW, k.Address, k.Mailbox, k.Generation)); err != nil {
		return err
	}
	return k.Z.verify(mailboxKeySession(labelZ, k.Address, k.Mailbox, k.Generation))
}

// renews returns nil if k may be stored in place of old, both of one mailbox: the
// same bytes; or of a later week or a later generation, and of an earlier one of
// neither. The error is ErrConflict.
func (k *MailboxKeyFields) renews(old *MailboxKeyFields, same bool) error {
	switch {
	case same:
		return nil
	case k.Week < old.Week, k.Generation < old.Generation:
		return ErrConflict
	case k.Week == old.Week && (k.Generation == old.Generation || !bytes.Equal(k.Key.Bytes(), old.Key.Bytes())):
		// The week is the key's id: one has one key to seal to, whatever becomes of
		// W and Z in it.
		return ErrConflict
	case k.Generation == old.Generation && (k.W.Key != old.W.Key || k.Z.Key != old.Z.Key):
		// Proofs are bound to the generation, so one has one pair.
		return ErrConflict
	}
	return nil
}

// Mailbox returns the mailbox that the key belongs to.
func (k *MailboxKey) Mailbox() ids.MailboxID { return k.f.Mailbox }

// Address returns the account that the mailbox belongs to.
func (k *MailboxKey) Address() ids.Address { return k.f.Address }

// Week returns the key's id.
func (k *MailboxKey) Week() Week { return k.f.Week }

// Key returns the key to seal to.
func (k *MailboxKey) Key() keys.SealPublic { return k.f.Key }

// Expiry returns the last day on which something may be sealed to the key.
func (k *MailboxKey) Expiry() ids.Day { return k.f.Expiry }

// Generation returns the number of the pair of W and Z, from 1.
func (k *MailboxKey) Generation() uint32 { return k.f.Generation }

// W returns w*G, encoded: an element other than the identity whose logarithm
// the mailbox's owner knew.
func (k *MailboxKey) W() [ElementSize]byte { return k.f.W.Key }

// Z returns z*G, encoded, likewise.
func (k *MailboxKey) Z() [ElementSize]byte { return k.f.Z.Key }

// Bytes returns the encoding.
func (k *MailboxKey) Bytes() []byte { return bytes.Clone(k.raw) }

// In returns nil if the key may be used on a day: ErrEarly more than a week
// before its own, ErrExpired after its expiry.
func (k *MailboxKey) In(today ids.Day) error {
	switch {
	case k.f.Week > WeekOf(today)+1:
		return ErrEarly
	case today > k.f.Expiry:
		return ErrExpired
	}
	return nil
}
