package privacypass

import (
	"crypto/sha256"
	"encoding/binary"
)

// All bytes of this package; integers are big-endian.
//
//	challenge   type 2 | issuer length 2 | issuer | context length 1 (0 or 32) | context |
//	            origin length 2 | origin                              RFC 9577, 2.1
//	token       type 2 | nonce 32 | SHA-256(challenge) 32 | key id 32 | authenticator
//	                                                                  RFC 9577, 2.2
//	key id      SHA-256(public key)
//	request     type 2 | last byte of the key id 1 | element          RFC 9578, 5.1
//	response    element | proof                                       RFC 9578, 5.2
//	batch       type 2 | last byte of the key id 1 | length varint | n*element
//	batch answer  length varint | n*element | proof                   batched draft, amortised
//
// varint is that of RFC 9000, 16, of minimal length. element, scalar and
// authenticator: 49, 48, 48 bytes for P384; 32, 32, 64 for Ristretto255; a
// proof is two scalars.
const (
	// NonceSize is the size of a token's nonce, in bytes.
	NonceSize = 32
	// KeyIDSize is the size of a key id and of a challenge's digest, in bytes.
	KeyIDSize = sha256.Size
	// ContextSize is the size of a redemption context that there is, in bytes.
	ContextSize = 32

	inputSize   = 2 + NonceSize + 2*KeyIDSize
	requestHead = 3
)

// Challenge is a TokenChallenge of RFC 9577.
type Challenge struct {
	Type    Type
	Issuer  string
	Context []byte // empty or ContextSize bytes
	Origin  string
}

// Bytes encodes the challenge, or returns ErrMalformed for one that cannot be.
func (c *Challenge) Bytes() ([]byte, error) {
	if len(c.Issuer) > MaxName || len(c.Origin) > MaxName || len(c.Context) != 0 && len(c.Context) != ContextSize {
		return nil, ErrMalformed
	}
	be := binary.BigEndian
	b := be.AppendUint16(nil, uint16(c.Type))
	b = append(be.AppendUint16(b, uint16(len(c.Issuer))), c.Issuer...)
	b = append(append(b, byte(len(c.Context))), c.Context...)
	return append(be.AppendUint16(b, uint16(len(c.Origin))), c.Origin...), nil
}

// ParseChallenge is the inverse of Bytes. The error is ErrMalformed.
func ParseChallenge(b []byte) (*Challenge, error) {
	r := reader{b: b}
	c := &Challenge{Type: Type(r.uint(2))}
	c.Issuer = string(r.take(int(r.uint(2))))
	c.Context = append([]byte(nil), r.take(int(r.uint(1)))...)
	c.Origin = string(r.take(int(r.uint(2))))
	if _, err := c.Bytes(); err != nil || r.end() != nil {
		return nil, ErrMalformed
	}
	return c, nil
}

// Digest returns SHA-256 of the challenge, or ErrMalformed.
func (c *Challenge) Digest() (d [KeyIDSize]byte, err error) {
	b, err := c.Bytes()
	if err != nil {
		return d, err
	}
	return sha256.Sum256(b), nil
}

// Token is a token of RFC 9577. Its authenticator is the right to send once, so
// tokens are neither logged nor shown.
type Token struct {
	Type          Type
	Nonce         [NonceSize]byte
	Challenge     [KeyIDSize]byte // digest
	KeyID         [KeyIDSize]byte
	Authenticator []byte
}

// appendInput appends what the authenticator authenticates.
func (t *Token) appendInput(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(t.Type))
	b = append(append(b, t.Nonce[:]...), t.Challenge[:]...)
	return append(b, t.KeyID[:]...)
}

// Bytes encodes the token.
func (t *Token) Bytes() []byte { return append(t.appendInput(nil), t.Authenticator...) }

// ParseToken is the inverse of Bytes for a token of a known type. The error is
// ErrMalformed.
func ParseToken(b []byte) (*Token, error) {
	r := reader{b: b}
	t := &Token{Type: Type(r.uint(2))}
	copy(t.Nonce[:], r.take(NonceSize))
	copy(t.Challenge[:], r.take(KeyIDSize))
	copy(t.KeyID[:], r.take(KeyIDSize))
	p, ok := t.Type.params()
	if !ok {
		return nil, ErrMalformed
	}
	t.Authenticator = append([]byte(nil), r.take(p.authenticator)...)
	return t, r.end()
}

// TokenSize is the size of a token of a known type, in bytes; 0 for others.
func TokenSize(t Type) int {
	p, ok := t.params()
	if !ok {
		return 0
	}
	return inputSize + p.authenticator
}

// reader takes fields from the front of b; the first failure sticks.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n int) []byte {
	if r.bad || len(r.b) < n {
		r.bad = true
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) uint(n int) (v uint64) {
	for _, b := range r.take(n) {
		v = v<<8 | uint64(b)
	}
	return v
}

// varint reads a length of at most four bytes, minimal.
func (r *reader) varint() int {
	if len(r.b) == 0 {
		r.bad = true
		return 0
	}
	size := 1 << (r.b[0] >> 6)
	if size > 4 {
		r.bad = true
		return 0
	}
	v := int(r.uint(size) &^ (3 << (8*size - 2)))
	if len(appendVarint(nil, v)) != size {
		r.bad = true
	}
	return v
}

// end returns ErrMalformed unless everything was taken.
func (r *reader) end() error {
	if r.bad || len(r.b) != 0 {
		return ErrMalformed
	}
	return nil
}

// appendVarint appends a length below 2^30.
func appendVarint(b []byte, v int) []byte {
	switch {
	case v < 1<<6:
		return append(b, byte(v))
	case v < 1<<14:
		return binary.BigEndian.AppendUint16(b, uint16(v)|1<<14)
	default:
		return binary.BigEndian.AppendUint32(b, uint32(v)|2<<30)
	}
}
