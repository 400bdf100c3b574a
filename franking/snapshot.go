package franking

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"slices"
	"sync"
	"time"

	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

// What callers branch on, with errors.Is.
var (
	// ErrForked: a provider shows another key for an epoch than before, withdraws
	// a revocation, or counts backwards.
	ErrForked = errors.New("franking: provider's keys are not what they were")
	// ErrPossession: a key of reviewers has no proof that somebody knows it.
	ErrPossession = errors.New("franking: proof of possession does not hold")
)

// EpochKey is a token-signing key of one epoch. An epoch has one that is in force,
// and before it those that were revoked.
type EpochKey struct {
	Epoch ids.Day
	Key   keys.VerifyKey
	// Revoked is the time, Unix milliseconds, from which receipts of its
	// tokens do not count; 0 for never.
	Revoked uint64
}

// EpochKeys is a provider's signed list of its token-signing keys.
type EpochKeys struct {
	Issuer    ids.Domain
	Number    uint64
	Epochs    []EpochKey // ascending; of one epoch in the order in which they were drawn
	Signature [keys.SignatureSize]byte
}

// SignEpochKeys signs a list with the provider's root key. Errors wrap
// wire.ErrMalformed.
func SignEpochKeys(k EpochKeys, root *keys.SigningKey) ([]byte, error) {
	return signTrailing(&k, root, keys.ContextEpochKeys)
}

// signTrailing marshals s and fills its trailing signature.
func signTrailing(s wire.Schema, key *keys.SigningKey, c keys.Context) ([]byte, error) {
	b, err := wire.Marshal(s)
	if err != nil {
		return nil, err
	}
	msg, sig := unsigned(b)
	copy(sig, key.Sign(c, msg))
	return b, nil
}

// ParseEpochKeys verifies a list and that it continues the one known before,
// nil if there is none. Errors are wire.ErrMalformed, keys.ErrSignature and
// ErrForked.
func ParseEpochKeys(b []byte, issuer ids.Domain, root keys.VerifyKey, known *EpochKeys) (*EpochKeys, error) {
	k := new(EpochKeys)
	if err := wire.Unmarshal(b, k); err != nil {
		return nil, err
	}
	msg, sig := unsigned(b)
	if err := root.Verify(keys.ContextEpochKeys, msg, sig); err != nil {
		return nil, err
	}
	if k.Issuer != issuer {
		return nil, ErrForked
	}
	return k, k.continues(known)
}

func (k *EpochKeys) continues(known *EpochKeys) error {
	if known == nil {
		return nil
	}
	if k.Number < known.Number || k.Number == known.Number && !slices.Equal(k.Epochs, known.Epochs) {
		return ErrForked
	}
	for _, old := range known.Epochs {
		now := keysOf(k.Epochs, old.Epoch)
		if len(now) == 0 {
			continue
		}
		i := slices.IndexFunc(now, func(e EpochKey) bool { return e.Key == old.Key })
		if i < 0 || old.Revoked != 0 && now[i].Revoked != old.Revoked {
			return ErrForked
		}
	}
	return nil
}

// keysOf returns the keys of an epoch, in the order of the list.
func keysOf(list []EpochKey, epoch ids.Day) []EpochKey {
	first := slices.IndexFunc(list, func(e EpochKey) bool { return e.Epoch == epoch })
	if first < 0 {
		return nil
	}
	n := 1
	for first+n < len(list) && list[first+n].Epoch == epoch {
		n++
	}
	return list[first : first+n]
}

// Of returns the key of an epoch that is in force; ok is false if there is none.
func (k *EpochKeys) Of(epoch ids.Day) (key keys.VerifyKey, ok bool) {
	all := keysOf(k.Epochs, epoch)
	if len(all) == 0 || all[len(all)-1].Revoked != 0 {
		return key, false
	}
	return all[len(all)-1].Key, true
}

// Revoked reports whether a token is under a key that the list revokes. Its owner
// asks for another one.
func (k *EpochKeys) Revoked(t *Token) bool {
	e := signer(keysOf(k.Epochs, t.Epoch), t)
	return e != nil && e.Revoked != 0
}

// signer returns which of an epoch's keys signed a token, nil if none did.
func signer(all []EpochKey, t *Token) *EpochKey {
	for i := len(all) - 1; i >= 0; i-- {
		if t.verify(all[i].Key) == nil {
			return &all[i]
		}
	}
	return nil
}

// ProvenKey is a key of a provider's reviewers with its proof of possession: J
// of an epoch, with the epoch as its id, or PK_TS.
type ProvenKey struct {
	ID    uint32
	Key   [ElementSize]byte
	Proof [possessionSize]byte
}

// ProveJoin returns J = j*G of an epoch for the provider's snapshots.
func ProveJoin(provider ids.Domain, s *EpochSecret) (ProvenKey, error) {
	return prove(labelJoin, provider, uint32(s.epoch), s.Scalar())
}

// ProveReviewers returns PK_TS = x*G, the reviewers' key number id.
func ProveReviewers(provider ids.Domain, id uint32, x group.Scalar) (ProvenKey, error) {
	return prove(labelReviewers, provider, id, x)
}

func prove(label string, provider ids.Domain, id uint32, x group.Scalar) (p ProvenKey, err error) {
	public := group.Ristretto255().MulGenerator(x)
	st, err := group.Possession(public)
	if err != nil {
		return p, err
	}
	proof, err := st.Prove(provenSession(label, provider, id), x)
	if err != nil {
		return p, err
	}
	p = ProvenKey{ID: id, Key: [ElementSize]byte(public.Bytes())}
	copy(p.Proof[:], proof)
	return p, nil
}

// provenSession: provider | id 4.
func provenSession(label string, provider ids.Domain, id uint32) group.Session {
	return group.NewSession(label, []byte(provider.String()), be32(id))
}

// verify returns the element, or ErrPossession.
func (p *ProvenKey) verify(label string, provider ids.Domain) (group.Element, error) {
	e, err := group.Ristretto255().DecodeElement(p.Key[:])
	if err != nil {
		return e, ErrPossession
	}
	st, err := group.Possession(e)
	if err != nil || st.Verify(provenSession(label, provider, p.ID), p.Proof[:]) != nil {
		return e, ErrPossession
	}
	return e, nil
}

// SnapshotFields is the content of a snapshot.
type SnapshotFields struct {
	Provider  ids.Domain // B, which signs
	Number    uint64
	From      uint64     // Unix milliseconds: in force until the next of the same issuer
	Issuer    ids.Domain // A
	Epochs    []EpochKey // none if A is not federated any more
	Joins     []ProvenKey
	Reviewers []ProvenKey
	Signature [keys.SignatureSize]byte
}

// SnapshotID names a snapshot: SHA-256 of its bytes. Deliveries carry it.
type SnapshotID [32]byte

// Snapshot is what a provider held for true about another's keys from a time on:
// what its recipients and its reviewers verify with. It exists only with a valid
// signature and proofs.
type Snapshot struct {
	f         SnapshotFields
	raw       []byte
	id        SnapshotID
	joins     map[uint32]group.Element
	reviewers map[uint32]group.Element

	mu     sync.Mutex
	tokens map[TokenHash]*EpochKey // by which key sigma1 was verified; guarded by mu
}

// verifyToken verifies sigma1 under the snapshot's keys of the epoch, and returns
// which one it is: once for a token, which stands under all messages of a day. The
// error is FaultToken.
func (s *Snapshot) verifyToken(t *Token, hash TokenHash) (*EpochKey, error) {
	s.mu.Lock()
	e := s.tokens[hash]
	s.mu.Unlock()
	if e != nil {
		return e, nil
	}
	if e = signer(keysOf(s.f.Epochs, t.Epoch), t); e == nil {
		return nil, FaultToken
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tokens == nil || len(s.tokens) >= maxTokens {
		s.tokens = map[TokenHash]*EpochKey{}
	}
	s.tokens[hash] = e
	return e, nil
}

// Vouches returns nil if what is franked with a token now is accepted by whom the
// snapshot's provider delivers it to. Errors are FaultRevoked, FaultToken (the
// provider does not know the key yet) and FaultSnapshot (it will in a moment: a
// key that took the place of another counts from the snapshot's time on).
func (s *Snapshot) Vouches(t *Token, now time.Time) error {
	e, err := s.verifyToken(t, t.Hash())
	switch {
	case err != nil:
		return err
	case e.Revoked != 0:
		return FaultRevoked
	case len(keysOf(s.f.Epochs, t.Epoch)) > 1 && uint64(now.Add(-vouchSkew*time.Second).UnixMilli()) < s.f.From:
		return FaultSnapshot
	}
	return nil
}

// SignSnapshot signs f with the provider's root key. Errors are those of
// ParseSnapshot.
func SignSnapshot(f SnapshotFields, root *keys.SigningKey) (*Snapshot, error) {
	b, err := signTrailing(&f, root, keys.ContextSnapshot)
	if err != nil {
		return nil, err
	}
	return ParseSnapshot(b, f.Provider, root.Public())
}

// ParseSnapshot verifies a snapshot under the provider's root key. Errors are
// wire.ErrMalformed, keys.ErrSignature, ErrForked (another provider's) and
// ErrPossession.
func ParseSnapshot(b []byte, provider ids.Domain, root keys.VerifyKey) (*Snapshot, error) {
	s := &Snapshot{raw: bytes.Clone(b), id: sha256.Sum256(b), joins: map[uint32]group.Element{}, reviewers: map[uint32]group.Element{}}
	if err := wire.Unmarshal(s.raw, &s.f); err != nil {
		return nil, err
	}
	msg, sig := unsigned(s.raw)
	if err := root.Verify(keys.ContextSnapshot, msg, sig); err != nil {
		return nil, err
	}
	if s.f.Provider != provider {
		return nil, ErrForked
	}
	for i := range s.f.Joins {
		e, err := s.f.Joins[i].verify(labelJoin, provider)
		if err != nil {
			return nil, err
		}
		s.joins[s.f.Joins[i].ID] = e
	}
	for i := range s.f.Reviewers {
		e, err := s.f.Reviewers[i].verify(labelReviewers, provider)
		if err != nil {
			return nil, err
		}
		s.reviewers[s.f.Reviewers[i].ID] = e
	}
	return s, nil
}

// ID returns the snapshot's name.
func (s *Snapshot) ID() SnapshotID { return s.id }

// Provider returns B.
func (s *Snapshot) Provider() ids.Domain { return s.f.Provider }

// Issuer returns A.
func (s *Snapshot) Issuer() ids.Domain { return s.f.Issuer }

// From returns from when on it is in force, Unix milliseconds.
func (s *Snapshot) From() uint64 { return s.f.From }

// Bytes returns the encoding.
func (s *Snapshot) Bytes() []byte { return bytes.Clone(s.raw) }

// join returns J of an epoch.
func (s *Snapshot) join(epoch ids.Day) (group.Element, bool) {
	e, ok := s.joins[uint32(epoch)]
	return e, ok
}

// NewestReviewers returns the number of the reviewers' key to use.
func (s *Snapshot) NewestReviewers() (id uint32, ok bool) {
	if len(s.f.Reviewers) == 0 {
		return 0, false
	}
	return s.f.Reviewers[len(s.f.Reviewers)-1].ID, true
}

// Serves reports whether bundles can be made under the snapshot for a day.
func (s *Snapshot) Serves(epoch ids.Day) bool {
	_, ok := s.join(epoch)
	all := keysOf(s.f.Epochs, epoch)
	return ok && len(s.f.Reviewers) > 0 && len(all) > 0 && all[len(all)-1].Revoked == 0
}

// NextSnapshot returns the fields of the snapshot after old, nil if there is
// none: A's newest list as B holds it for true at now. A revocation counts from
// its time or from now, whichever is later, so that A cannot take back what was
// delivered before B saw it; what an older snapshot says of a revocation or key
// stays. changed is false if nothing but the time would differ.
func NextSnapshot(old *Snapshot, provider ids.Domain, list *EpochKeys, joins, reviewers []ProvenKey, now time.Time) (f SnapshotFields, changed bool) {
	ms, today := uint64(now.UnixMilli()), int64(ids.DayOf(now))
	f = SnapshotFields{Provider: provider, Number: 1, From: ms, Issuer: list.Issuer, Joins: joins, Reviewers: reviewers}
	if old != nil {
		f.Number, f.From = old.f.Number+1, max(ms, old.f.From+1)
	}
	for _, e := range list.Epochs {
		if age := today - int64(e.Epoch); age < -2 || age > ids.MaxDelay+1 {
			continue
		}
		if e.Revoked != 0 {
			e.Revoked = max(e.Revoked, f.From)
		}
		if old != nil {
			for _, before := range keysOf(old.f.Epochs, e.Epoch) {
				if before.Key == e.Key && before.Revoked != 0 {
					e.Revoked = before.Revoked
				}
			}
		}
		f.Epochs = append(f.Epochs, e)
	}
	changed = old == nil || !slices.Equal(f.Epochs, old.f.Epochs) || !slices.Equal(joins, old.f.Joins) || !slices.Equal(reviewers, old.f.Reviewers)
	return f, changed
}

// History is the snapshots of one issuer's keys, by time. The delivering relay
// names the one that At gives; reviewers take the same and no other, or a
// reporter could choose one from before a revocation.
type History struct{ list []*Snapshot }

// Add appends the next snapshot. The error is ErrForked: it is of another
// issuer or not later.
func (h *History) Add(s *Snapshot) error {
	if n := len(h.list); n > 0 {
		last := h.list[n-1]
		if last.f.Issuer != s.f.Issuer || last.f.Provider != s.f.Provider || s.f.From <= last.f.From || s.f.Number <= last.f.Number {
			return ErrForked
		}
	}
	if len(h.list) == MaxSnapshots {
		h.list = slices.Delete(h.list, 0, 1)
	}
	h.list = append(h.list, s)
	return nil
}

// At returns the snapshot in force at a time, Unix milliseconds, or nil.
func (h *History) At(received uint64) *Snapshot {
	for _, s := range slices.Backward(h.list) {
		if s.f.From <= received {
			return s
		}
	}
	return nil
}

// Find returns the snapshot with an id, or nil.
func (h *History) Find(id SnapshotID) *Snapshot {
	for _, s := range slices.Backward(h.list) {
		if s.id == id {
			return s
		}
	}
	return nil
}
