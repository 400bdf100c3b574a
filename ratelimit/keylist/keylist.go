package keylist

import (
	"bytes"
	"crypto/sha256"
	"slices"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
	"waxwing/ratelimit"
	"waxwing/ratelimit/arc"
	"waxwing/ratelimit/privacypass"
)

// List is a signed list that was checked. It never changes and is safe for
// concurrent use.
type List struct {
	f           Fields
	raw         []byte
	tokens      []*privacypass.PublicKey
	memberships []*arc.PublicKey
	credentials []*arc.PublicKey
}

// Sign returns the signed list, or ErrMalformed for what a list cannot be.
func Sign(f Fields, root *keys.SigningKey) ([]byte, error) {
	body, err := wire.Marshal(&f)
	if err != nil || len(body)+keys.SignatureSize > MaxSize {
		return nil, ErrMalformed
	}
	return append(body, root.Sign(keys.ContextAdmission, body)...), nil
}

// Parse reads a provider's list, signed by the root key of its descriptor.
// Errors are ErrMalformed (also: a key that is none) and ErrSignature.
func Parse(b []byte, provider ids.Domain, root keys.VerifyKey) (*List, error) {
	var s signedFields
	if len(b) > MaxSize || wire.Unmarshal(b, &s) != nil {
		return nil, ErrMalformed
	}
	body := b[:len(b)-keys.SignatureSize]
	if s.list.Provider != provider || root.Verify(keys.ContextAdmission, body, s.Signature[:]) != nil {
		return nil, ErrSignature
	}
	l := &List{f: s.list, raw: slices.Clone(b)}
	for i := range s.list.Tokens {
		k, err := privacypass.ParsePublicKey(privacypass.Ristretto255, s.list.Tokens[i].Key[:])
		if err != nil {
			return nil, ErrMalformed
		}
		l.tokens = append(l.tokens, k)
	}
	suite := arc.Ristretto255()
	for i := range s.list.Memberships {
		k, err := suite.ParsePublicKey(s.list.Memberships[i].Key[:])
		if err != nil {
			return nil, ErrMalformed
		}
		l.memberships = append(l.memberships, k)
	}
	for i := range s.list.Credentials {
		k, err := suite.ParsePublicKey(s.list.Credentials[i].Key[:])
		if err != nil {
			return nil, ErrMalformed
		}
		l.credentials = append(l.credentials, k)
	}
	return l, nil
}

// Bytes returns the signed list.
func (l *List) Bytes() []byte { return slices.Clone(l.raw) }

// Hash names the list: what is compared with others'.
func (l *List) Hash() [sha256.Size]byte { return sha256.Sum256(l.raw) }

// Number returns the list's number.
func (l *List) Number() uint32 { return l.f.Number }

// Term returns the list's term.
func (l *List) Term() uint32 { return l.f.Term }

// Follows returns nil if the list can come after a known one of the same
// provider, or be the same. ErrOld; ErrForked: the same number says something
// else, or a key that both have differs, or the limits of a day. A list that is taken is stored before
// anything is asked under it.
//
// A provider that lost what was spent, or keys, has to draw others for days of
// which it has published keys. It says so to everybody by a later term, whose
// lists are compared among themselves. Whoever keeps a list tells people of
// another term: one that nobody else was shown is a list for one account alone.
func (l *List) Follows(known *List) error {
	switch {
	case known == nil || bytes.Equal(l.raw, known.raw):
		return nil
	case l.f.Provider != known.f.Provider || l.f.Number == known.f.Number:
		return ErrForked
	case l.f.Term < known.f.Term:
		return ErrOld
	case l.f.Term > known.f.Term && l.f.Number > known.f.Number:
		return nil
	case l.f.Term != known.f.Term, contradict(l.f.Tokens, known.f.Tokens, compareTokens),
		contradict(l.f.Memberships, known.f.Memberships, compareMemberships),
		contradict(l.f.Credentials, known.f.Credentials, compareCredentials):
		return ErrForked
	case l.f.Number < known.f.Number:
		return ErrOld
	}
	return nil
}

// contradict reports whether two ascending lists have different entries in one
// place.
func contradict[T comparable](a, b []T, compare func(x, y T) int) bool {
	return slices.ContainsFunc(a, func(x T) bool {
		i, there := slices.BinarySearchFunc(b, x, compare)
		return there && b[i] != x
	})
}

// Token returns the key of an epoch's submission tokens, if it is listed.
func (l *List) Token(e privacypass.Epoch) (*privacypass.PublicKey, bool) {
	return find(l.f.Tokens, l.tokens, TokenKey{Epoch: e}, compareTokens)
}

// Membership returns the key under which this provider issues memberships for
// use at a provider in a month.
func (l *List) Membership(at ids.Domain, m ratelimit.Month) (*arc.PublicKey, bool) {
	return find(l.f.Memberships, l.memberships, MembershipKey{At: at, Month: m}, compareMemberships)
}

// Credential returns the key of a day's credentials.
func (l *List) Credential(d ids.Day) (*arc.PublicKey, bool) {
	return find(l.f.Credentials, l.credentials, CredentialKey{Day: d}, compareCredentials)
}

func find[T, K any](rows []T, parsed []K, want T, compare func(a, b T) int) (k K, ok bool) {
	i, ok := slices.BinarySearchFunc(rows, want, compare)
	if !ok {
		return k, false
	}
	return parsed[i], true
}

// LastDay returns the last day of which the list has a credential's key, 0 for
// none.
func (l *List) LastDay() ids.Day {
	if n := len(l.f.Credentials); n > 0 {
		return l.f.Credentials[n-1].Day
	}
	return 0
}

// Limits returns how many introductions a day's credential is good for, of new
// and other accounts; zeros if the day's key is not listed.
func (l *List) Limits(d ids.Day) (fresh, member uint32) {
	row, _ := find(l.f.Credentials, l.f.Credentials, CredentialKey{Day: d}, compareCredentials)
	return row.New, row.Member
}
