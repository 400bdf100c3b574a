package privacypass

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"waxwing/core/ids"
	"waxwing/core/wire"
)

// Epoch is the number of a week since 1970, whose key issues in it.
type Epoch uint32

// EpochOf returns the epoch of a day.
func EpochOf(d ids.Day) Epoch { return Epoch(d / EpochDays) }

// First and Last are the days in which the epoch's key issues.
func (e Epoch) First() ids.Day { return ids.Day(e) * EpochDays }

// Last is the epoch's last day.
func (e Epoch) Last() ids.Day { return e.First() + EpochDays - 1 }

// Redeemable reports whether tokens of the epoch are taken on a day.
func (e Epoch) Redeemable(d ids.Day) bool { return d >= e.First() && d <= e.Last()+OverlapDays }

// SubmissionChallenge is the challenge of submission tokens: of one provider,
// for itself, of one epoch, and for nothing else.
func SubmissionChallenge(provider ids.Domain, e Epoch) *Challenge {
	b := wire.AppendPrefixed([]byte("waxwing submission"), []byte(provider.String()))
	context := sha256.Sum256(binary.BigEndian.AppendUint32(b, uint32(e)))
	return &Challenge{Type: Ristretto255, Issuer: provider.String(), Context: context[:], Origin: provider.String()}
}

// Claimant is for whom a submission token is spent: SHA-256(dest | envelope id),
// dest behind its length. The relay computes it from what it received; chosen by
// a client, it would let one token pay for any number of envelopes.
func Claimant(dest ids.Domain, id ids.EnvelopeID) [sha256.Size]byte {
	b := wire.AppendPrefixed([]byte("waxwing submission claimant"), []byte(dest.String()))
	return sha256.Sum256(append(b, id[:]...))
}

// Spend is a verified token's right to one submission.
type Spend struct {
	Epoch Epoch
	// ID is the token's name in the set of spent ones.
	ID [sha256.Size]byte
}

// Ring holds an issuer's keys of the epochs in use. It never changes after it
// was filled and is then safe for concurrent use.
type Ring struct {
	provider ids.Domain
	slots    []slot
}

type slot struct {
	epoch  Epoch
	key    *Key
	digest [KeyIDSize]byte
}

// NewRing returns a ring without keys.
func NewRing(provider ids.Domain) *Ring { return &Ring{provider: provider} }

// Add adds the key of an epoch. ErrKey: of another type, a second one of the
// epoch, or more than MaxKeys.
func (r *Ring) Add(e Epoch, k *Key) error {
	if k.public.t != Ristretto255 || len(r.slots) == MaxKeys || slices.ContainsFunc(r.slots, func(s slot) bool { return s.epoch == e }) {
		return ErrKey
	}
	digest, err := SubmissionChallenge(r.provider, e).Digest()
	if err != nil {
		return ErrKey
	}
	r.slots = append(r.slots, slot{e, k, digest})
	return nil
}

// Issuing returns the key that issues on a day, or ErrKey.
func (r *Ring) Issuing(d ids.Day) (*Key, error) {
	for _, s := range r.slots {
		if s.epoch == EpochOf(d) {
			return s.key, nil
		}
	}
	return nil, ErrKey
}

// Redeem verifies a token on a day and returns what is to be spent, with
// Claimant, before anything is done for it. Errors are ErrKey and ErrToken.
func (r *Ring) Redeem(t *Token, d ids.Day) (Spend, error) {
	for _, s := range r.slots {
		if s.key.public.id != t.KeyID {
			continue
		}
		if !s.epoch.Redeemable(d) {
			return Spend{}, ErrKey
		}
		if err := s.key.Redeem(t, s.digest); err != nil {
			return Spend{}, err
		}
		// Type, challenge and key are those of the epoch, so the nonce alone
		// tells its tokens apart; the hash keeps it out of the store.
		return Spend{s.epoch, sha256.Sum256(t.appendInput([]byte("waxwing submission token")))}, nil
	}
	return Spend{}, ErrKey
}
