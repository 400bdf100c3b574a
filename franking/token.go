package franking

import (
	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

// Token is T: a provider's statement that an account of its own may frank for
// one audience on one day. It tells nobody but the provider which account.
type Token struct {
	Issuer    ids.Domain        // A
	Epoch     ids.Day           // the UTC day on which it is used
	Key       keys.VerifyKey    // pkT, made by the client
	Identity  [ElementSize]byte // idcom = X_S + r*H
	Wrapped   [wrappedSize]byte // x1: account and serial, for A's wrapping key
	Signature [keys.SignatureSize]byte
}

// TokenHash is H(T).
type TokenHash [32]byte

// Hash returns H(T).
func (t *Token) Hash() TokenHash { return hashed(labelToken, t.bytes()) }

// bytes is the encoding. A token with a zero field cannot come out of a parser;
// its encoding then is only an input that nothing matches.
func (t *Token) bytes() []byte {
	b, err := wire.Marshal(t)
	if err != nil {
		return nil
	}
	return b
}

// wrapData is what x1 is bound to: all before it. Moved to another token, x1
// does not open.
func (t *Token) wrapData() []byte {
	b := t.bytes()
	return b[:len(b)-wrappedSize-keys.SignatureSize]
}

// verify checks sigma1 under the provider's key of the epoch.
func (t *Token) verify(key keys.VerifyKey) error {
	b := t.bytes()
	if b == nil {
		return FaultToken
	}
	msg, sig := unsigned(b)
	if key.Verify(keys.ContextToken, msg, sig) != nil {
		return FaultToken
	}
	return nil
}

// commitment returns idcom, or FaultToken.
func (t *Token) commitment() (group.Element, error) {
	e, err := group.Ristretto255().DecodeElement(t.Identity[:])
	if err != nil {
		return e, FaultToken
	}
	return e, nil
}

// ParseToken parses a token. Errors wrap wire.ErrMalformed.
func ParseToken(b []byte) (*Token, error) {
	t := new(Token)
	if err := wire.Unmarshal(b, t); err != nil {
		return nil, err
	}
	return t, nil
}
