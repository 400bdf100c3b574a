package state

import "waxwing/core/group"

// DrawSecrets draws the secrets of a new account, W and Z in generation 1.
func DrawSecrets() (s AccountSecrets) {
	for _, b := range []*[32]byte{&s.K, &s.W, &s.Z} {
		drawScalar(b)
	}
	s.Generation = 1
	return s
}

func drawScalar(b *[32]byte) {
	x := group.Ristretto255().RandomScalar()
	enc := x.Bytes()
	copy(b[:], enc)
	clear(enc)
	x.Erase()
}

// Mailbox returns what there is of W and Z, for the caller to erase.
func (s *AccountSecrets) Mailbox() MailboxKeys { return MailboxKeys{W: s.W, Z: s.Z} }

// AccountKey returns k, for the caller to erase. The error is group.ErrDecode;
// secrets that were drawn or read from a record have none.
func (s *AccountSecrets) AccountKey() (k group.Scalar, err error) {
	return group.Ristretto255().DecodeScalar(s.K[:])
}

// MailboxKeys returns w and z, likewise.
func (s *AccountSecrets) MailboxKeys() (w, z group.Scalar, err error) {
	k := s.Mailbox()
	defer k.Erase()
	return k.Scalars()
}

// Erase overwrites a copy that is not needed any more.
func (s *AccountSecrets) Erase() {
	clear(s.K[:])
	clear(s.W[:])
	clear(s.Z[:])
}
