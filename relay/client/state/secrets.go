package state

import "waxwing/core/group"

// DrawSecrets draws the secrets of a new account, W and Z in generation 1.
func DrawSecrets() (s AccountSecrets) {
	for _, b := range []*[32]byte{&s.K, &s.W, &s.Z} {
		x := group.Ristretto255().RandomScalar()
		enc := x.Bytes()
		copy(b[:], enc)
		clear(enc)
		x.Erase()
	}
	s.Generation = 1
	return s
}

// AccountKey returns k, for the caller to erase. The error is group.ErrDecode;
// secrets that were drawn or read from a record have none.
func (s *AccountSecrets) AccountKey() (k group.Scalar, err error) {
	return group.Ristretto255().DecodeScalar(s.K[:])
}

// MailboxKeys returns w and z, likewise.
func (s *AccountSecrets) MailboxKeys() (w, z group.Scalar, err error) {
	if w, err = group.Ristretto255().DecodeScalar(s.W[:]); err != nil {
		return w, z, err
	}
	z, err = group.Ristretto255().DecodeScalar(s.Z[:])
	return w, z, err
}

// Erase overwrites a copy that is not needed any more.
func (s *AccountSecrets) Erase() {
	clear(s.K[:])
	clear(s.W[:])
	clear(s.Z[:])
}
