package franking

import (
	"crypto/rand"
	"errors"

	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

// What senders branch on, with errors.Is.
var (
	// ErrEpoch: the token is not of the day on which something is franked.
	ErrEpoch = errors.New("franking: token of another day")
	// ErrAudience: the token was assigned to another audience, or to none. One
	// token for two audiences would link them.
	ErrAudience = errors.New("franking: token of another audience")
	// ErrNoToken: there is no token left for a new audience on that day.
	ErrNoToken = errors.New("franking: no token left")
)

// Audience says whom a message was written for, opened: with the reader's
// address it gives aud. The salt hides it from whoever sees aud alone.
type Audience struct {
	Group bool
	ID    [GroupSize]byte // of a group
	Epoch uint64          // of a group
	Salt  [SaltSize]byte
}

// AudienceHash is aud.
type AudienceHash [32]byte

// Hash returns aud. For one recipient the reader is part of it, for a group the
// group: a member can show it to a reviewer as any other can.
func (a *Audience) Hash(reader ids.Address) AudienceHash {
	if a.Group {
		return hashed(labelAudGroup, a.ID[:], be64(a.Epoch), a.Salt[:])
	}
	return hashed(labelAudOne, wire.AppendPrefixed(nil, []byte(reader.String())), a.Salt[:])
}

// Binding is bind: what the author signs in place of d. It cannot be compared
// with com or d by whoever lacks kf.
type Binding [32]byte

// innerBinding is HMAC(kf, "bind" | com), which with d gives bind.
func (k *Key) innerBinding(com *Commitment) [32]byte {
	var m keys.MAC
	m.Start(&k.b)
	label(&m, labelBind)
	m.Write(com[:])
	return m.Sum()
}

func bindOne(d *Digest, inner *[32]byte) Binding { return hashed(labelBind, d[:], inner[:]) }

// Bind returns bind for one recipient. It contains com and so mailbox and day:
// the recipient cannot move the message to another.
func (k *Key) Bind(d *Digest, com *Commitment) Binding {
	inner := k.innerBinding(com)
	return bindOne(d, &inner)
}

// BindGroup returns bind for a group's members at one provider.
func (k *Key) BindGroup(d *Digest, provider ids.Domain) Binding {
	var m keys.MAC
	m.Start(&k.b)
	label(&m, labelBindGroup)
	domain(&m, provider)
	m.Write(d[:])
	return m.Sum()
}

// bindingOf returns bind for an audience.
func (k *Key) bindingOf(a *Audience, d *Digest, com *Commitment, provider ids.Domain) Binding {
	if a.Group {
		return k.BindGroup(d, provider)
	}
	return k.Bind(d, com)
}

// Signature is sigma2.
type Signature [keys.SignatureSize]byte

// OwnToken is a token with its secrets, at the client that asked for it. It is
// assigned to one audience when first used, for ever.
type OwnToken struct {
	token    Token
	key      *keys.SigningKey
	r        group.Scalar
	assigned bool
	audience [32]byte // what it is filed under
	salt     [SaltSize]byte
	keys.Redacted
}

// ownRecord is an OwnToken as it is stored.
type ownRecord struct {
	token    Token
	seed, r  [32]byte
	assigned bool
	audience [32]byte
	salt     [SaltSize]byte
}

// Marshal returns the record to store, which is secret.
func (o *OwnToken) Marshal() []byte {
	return wire.MustMarshal(&ownRecord{
		token: o.token, seed: [32]byte(o.key.Seed()), r: [32]byte(o.r.Bytes()),
		assigned: o.assigned, audience: o.audience, salt: o.salt,
	})
}

// ParseOwnToken reads a record. Errors wrap wire.ErrMalformed.
func ParseOwnToken(b []byte) (*OwnToken, error) {
	var rec ownRecord
	if err := wire.Unmarshal(b, &rec); err != nil {
		return nil, err
	}
	key, err := keys.SigningKeyFromSeed(rec.seed[:])
	if err != nil || key.Public() != rec.token.Key {
		return nil, &wire.FieldError{Field: "seed", Reason: "not the token's"}
	}
	r, err := group.Ristretto255().DecodeScalar(rec.r[:])
	if err != nil {
		return nil, &wire.FieldError{Field: "r", Reason: "not a usable scalar"}
	}
	return &OwnToken{token: rec.token, key: key, r: r, assigned: rec.assigned, audience: rec.audience, salt: rec.salt}, nil
}

// Token returns T.
func (o *OwnToken) Token() *Token { return &o.token }

// Erase overwrites the secrets, when the epoch has ended.
func (o *OwnToken) Erase() {
	o.key.Erase()
	o.r.Erase()
}

// Target is whom a sender writes to: one account, or the members of a group at
// one provider.
type Target struct {
	Provider ids.Domain
	Reader   ids.Address // one recipient
	Group    bool
	ID       [GroupSize]byte
	Epoch    uint64
}

// filed is what a token for the target is filed under. The members of a group
// at two providers are two targets: one token and salt for both would link the
// two providers' verdicts.
func (t *Target) filed() [32]byte {
	provider := wire.AppendPrefixed(nil, []byte(t.Provider.String()))
	if t.Group {
		return hashed(labelPurse, provider, []byte{1}, t.ID[:], be64(t.Epoch))
	}
	return hashed(labelPurse, provider, []byte{0}, []byte(t.Reader.String()))
}

// assign gives an unused token to a target.
func (o *OwnToken) assign(t *Target) {
	o.assigned, o.audience = true, t.filed()
	rand.Read(o.salt[:])
}

// Audience returns the audience of a message to the target, or ErrAudience.
func (o *OwnToken) Audience(t *Target) (Audience, error) {
	if !o.assigned || o.audience != t.filed() {
		return Audience{}, ErrAudience
	}
	return Audience{Group: t.Group, ID: t.ID, Epoch: t.Epoch, Salt: o.salt}, nil
}

// Frank signs a message to one recipient: d of the frame, for a mailbox and an
// hour. It returns the commitment and sigma2. Errors are ErrAudience and
// ErrEpoch: hour and place are of the token's day.
func (o *OwnToken) Frank(k *Key, d *Digest, t *Target, mailbox ids.MailboxID, hour ids.Hour) (com Commitment, s Signature, err error) {
	a, err := o.Audience(t)
	switch {
	case err != nil:
		return com, s, err
	case t.Group:
		return com, s, ErrAudience
	case hour.Day() != o.token.Epoch:
		return com, s, ErrEpoch
	}
	com = k.Commit(d, &Place{Provider: t.Provider, Mailbox: mailbox, Day: o.token.Epoch})
	b := k.Bind(d, &com)
	return com, o.sign(&b, &a, t, hour), nil
}

// FrankGroup signs a message to the members of a group at one provider. Each
// member's commitment is Key.Commit of d and its place, on the token's day.
// Errors as for Frank.
func (o *OwnToken) FrankGroup(k *Key, d *Digest, t *Target, hour ids.Hour) (s Signature, err error) {
	a, err := o.Audience(t)
	switch {
	case err != nil:
		return s, err
	case !t.Group:
		return s, ErrAudience
	case hour.Day() != o.token.Epoch:
		return s, ErrEpoch
	}
	b := k.BindGroup(d, t.Provider)
	return o.sign(&b, &a, t, hour), nil
}

func (o *OwnToken) sign(b *Binding, a *Audience, t *Target, hour ids.Hour) Signature {
	h, aud := o.token.Hash(), a.Hash(t.Reader)
	return Signature(o.key.Sign(keys.ContextAuthor, authorInput(&h, b, &aud, t.Provider, hour)))
}
