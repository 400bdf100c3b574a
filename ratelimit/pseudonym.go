package ratelimit

import "waxwing/core/group"

// Matches reports whether a pseudonym at Bob's mailbox is the account's whose
// certificate says X_S: w*X_S = N_R, in constant time. It ties what the relay
// let through to the identity that Bob sees.
func Matches(w group.Scalar, account, pseudonym group.Element) bool {
	return account.Mul(w).Equal(pseudonym)
}

// OfAccount returns the pseudonym that an account has at Bob's mailbox, whether
// it ever wrote or not: with it Bob blocks by identity.
func OfAccount(w group.Scalar, account group.Element) group.Element { return account.Mul(w) }

// Remap returns what a pseudonym under the key w becomes under the next one, so
// that a blocklist outlives the change of the key. The error is group.ErrZero.
func Remap(w, next group.Scalar, pseudonym group.Element) (group.Element, error) {
	inverse, err := w.Invert()
	if err != nil {
		return group.Element{}, err
	}
	defer inverse.Erase()
	return pseudonym.Mul(inverse.Mul(next)), nil
}
