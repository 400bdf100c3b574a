package ratchet

import (
	"crypto/mlkem"
	"slices"

	"waxwing/core/keys"
	"waxwing/core/wire"
)

// SignedPrekey is the private part of a signed prekey. A device replaces its
// own every week and keeps the previous ones for as long as first messages may
// be under way.
type SignedPrekey struct {
	_         keys.NotComparable
	id        PrekeyID
	key       *keys.DHKey
	signature [keys.SignatureSize]byte
	keys.Redacted
}

// GenerateSignedPrekey draws a signed prekey and signs it with the device key.
func GenerateSignedPrekey(id PrekeyID, device *keys.SigningKey) *SignedPrekey {
	return signPrekey(id, keys.NewDHKey(), device)
}

func signPrekey(id PrekeyID, key *keys.DHKey, device *keys.SigningKey) *SignedPrekey {
	p := &SignedPrekey{id: id, key: key}
	pub := p.Public()
	copy(p.signature[:], device.Sign(keys.ContextPrekey, pub.signed()))
	return p
}

// ID returns the number under which first messages name the prekey.
func (p *SignedPrekey) ID() PrekeyID { return p.id }

// Public returns what is published.
func (p *SignedPrekey) Public() PublicSignedPrekey {
	return PublicSignedPrekey{ID: p.id, Key: p.key.Public(), Signature: p.signature}
}

// Marshal returns the prekey for storing, with its private key.
func (p *SignedPrekey) Marshal() []byte {
	private := p.key.Bytes()
	s := storedSigned{id: p.id, private: secret(private), signature: p.signature}
	clear(private)
	defer clear(s.private[:])
	return wire.MustMarshal(&s)
}

// UnmarshalSignedPrekey returns a prekey written by Marshal, or ErrState.
func UnmarshalSignedPrekey(b []byte) (*SignedPrekey, error) {
	var s storedSigned
	defer clear(s.private[:])
	if wire.Unmarshal(b, &s) != nil {
		return nil, ErrState
	}
	key, err := keys.DHKeyFrom(s.private[:])
	if err != nil {
		return nil, ErrState
	}
	return &SignedPrekey{id: s.id, key: key, signature: s.signature}, nil
}

// OneTimePair is the private part of a prekey pair. A one-time pair begins one
// session and is then deleted. A last-resort pair is handed out when those have
// run out; it begins several and remembers which, so that a first message
// cannot be replayed.
type OneTimePair struct {
	_          keys.NotComparable
	id         PrekeyID
	lastResort bool
	dh         *keys.DHKey
	kem        *mlkem.DecapsulationKey1024
	signature  [keys.SignatureSize]byte
	begun      []keys.DHPublic // EKs of the sessions begun, in order; last resort only
	keys.Redacted
}

// GenerateOneTime draws a one-time or last-resort pair and signs it with the
// device key.
func GenerateOneTime(id PrekeyID, device *keys.SigningKey, lastResort bool) *OneTimePair {
	kem, err := mlkem.GenerateKey1024()
	if err != nil {
		panic(err) // crypto/rand does not fail
	}
	return signPair(id, keys.NewDHKey(), kem, device, lastResort)
}

func signPair(id PrekeyID, dh *keys.DHKey, kem *mlkem.DecapsulationKey1024, device *keys.SigningKey, lastResort bool) *OneTimePair {
	p := &OneTimePair{id: id, lastResort: lastResort, dh: dh, kem: kem}
	pub := p.Public()
	copy(p.signature[:], device.Sign(keys.ContextKEMPrekey, pub.signed()))
	return p
}

// ID returns the number under which first messages name the pair, and
// LastResort of which kind it is; the two kinds are numbered apart.
func (p *OneTimePair) ID() PrekeyID { return p.id }

// LastResort reports whether the pair may begin more than one session.
func (p *OneTimePair) LastResort() bool { return p.lastResort }

// Initiations returns how many sessions a last-resort pair has begun. At
// MaxInitiations it refuses more: replace it long before.
func (p *OneTimePair) Initiations() int { return len(p.begun) }

// Public returns what is published.
func (p *OneTimePair) Public() PublicOneTime {
	return PublicOneTime{
		ID: p.id, LastResort: p.lastResort, DH: p.dh.Public(),
		KEM: [KEMPublicSize]byte(p.kem.EncapsulationKey().Bytes()), Signature: p.signature,
	}
}

// accepts refuses a first message that a last-resort pair has seen before, or
// cannot remember.
func (p *OneTimePair) accepts(ek keys.DHPublic) error {
	if slices.Contains(p.begun, ek) {
		return ErrReplay
	}
	if len(p.begun) >= MaxInitiations {
		return ErrLastResortFull
	}
	return nil
}

// Remember records that a last-resort pair began a session, as returned by
// AcceptSession; the pair is then stored again, in one batch with the session.
// Errors are ErrReplay, ErrLastResortFull and, for another pair's use or a
// one-time pair (which is deleted instead), ErrPrekeyUnknown.
func (p *OneTimePair) Remember(u Used) error {
	if !p.lastResort || !u.LastResort || u.ID != p.id {
		return ErrPrekeyUnknown
	}
	if err := p.accepts(u.EK); err != nil {
		return err
	}
	p.begun = append(p.begun, u.EK)
	return nil
}

// Marshal returns the pair for storing, with its private keys.
func (p *OneTimePair) Marshal() []byte {
	private, seed := p.dh.Bytes(), p.kem.Bytes()
	s := storedPair{
		id: p.id, lastResort: p.lastResort, private: secret(private), seed: [kemSeedSize]byte(seed),
		signature: p.signature, begun: p.begun,
	}
	clear(private)
	clear(seed)
	defer clear(s.private[:])
	defer clear(s.seed[:])
	return wire.MustMarshal(&s)
}

// UnmarshalOneTimePair returns a pair written by Marshal, or ErrState.
func UnmarshalOneTimePair(b []byte) (*OneTimePair, error) {
	var s storedPair
	defer clear(s.private[:])
	defer clear(s.seed[:])
	if wire.Unmarshal(b, &s) != nil {
		return nil, ErrState
	}
	dh, err := keys.DHKeyFrom(s.private[:])
	if err != nil {
		return nil, ErrState
	}
	kem, err := mlkem.NewDecapsulationKey1024(s.seed[:])
	if err != nil {
		return nil, ErrState
	}
	return &OneTimePair{id: s.id, lastResort: s.lastResort, dh: dh, kem: kem, signature: s.signature, begun: s.begun}, nil
}
