package privacypass

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"slices"

	"github.com/cloudflare/circl/group"
	"github.com/cloudflare/circl/oprf"
	"github.com/cloudflare/circl/zk/dleq"

	"waxwing/core/keys"
)

// PublicKey is what clients check an issuer's answers against.
type PublicKey struct {
	t    Type
	p    params
	enc  []byte
	id   [KeyIDSize]byte
	oprf *oprf.PublicKey
}

// ParsePublicKey reads an element. Errors are ErrKey (unknown type) and
// ErrMalformed.
func ParsePublicKey(t Type, b []byte) (*PublicKey, error) {
	p, ok := t.params()
	if !ok {
		return nil, ErrKey
	}
	if _, err := p.decodeElement(b); err != nil {
		return nil, err
	}
	pk := &PublicKey{t: t, p: p, enc: append([]byte(nil), b...), id: sha256.Sum256(b), oprf: new(oprf.PublicKey)}
	if pk.oprf.UnmarshalBinary(p.suite, b) != nil {
		return nil, ErrMalformed
	}
	return pk, nil
}

// Bytes returns the encoded element.
func (pk *PublicKey) Bytes() []byte { return append([]byte(nil), pk.enc...) }

// ID returns the key's id, SHA-256 of Bytes.
func (pk *PublicKey) ID() [KeyIDSize]byte { return pk.id }

// Type returns the token type that the key issues.
func (pk *PublicKey) Type() Type { return pk.t }

// Key issues and redeems. It prints redacted and is safe for concurrent use.
type Key struct {
	_      keys.NotComparable
	public *PublicKey
	k      group.Scalar
	enc    []byte
	server oprf.VerifiableServer
	keys.Redacted
}

// NewKey draws a key, or returns ErrKey for an unknown type.
func NewKey(t Type) (*Key, error) {
	p, ok := t.params()
	if !ok {
		return nil, ErrKey
	}
	sk, err := oprf.GenerateKey(p.suite, rand.Reader)
	if err != nil {
		return nil, ErrKey
	}
	b, err := sk.MarshalBinary()
	if err != nil {
		return nil, ErrKey
	}
	return ParseKey(t, b)
}

// ParseKey reads a key's scalar. Errors are ErrKey (unknown type) and
// ErrMalformed.
func ParseKey(t Type, b []byte) (*Key, error) {
	p, ok := t.params()
	if !ok {
		return nil, ErrKey
	}
	k, err := p.decodeScalar(b)
	if err != nil {
		return nil, err
	}
	sk := new(oprf.PrivateKey)
	if sk.UnmarshalBinary(p.suite, b) != nil {
		return nil, ErrMalformed
	}
	enc, err := sk.Public().MarshalBinary()
	if err != nil {
		return nil, ErrMalformed
	}
	pk, err := ParsePublicKey(t, enc)
	if err != nil {
		return nil, err
	}
	return &Key{public: pk, k: k, enc: append([]byte(nil), b...), server: oprf.NewVerifiableServer(p.suite, sk)}, nil
}

// Bytes returns the scalar itself, for storage.
func (k *Key) Bytes() []byte { return append([]byte(nil), k.enc...) }

// Public returns the public key.
func (k *Key) Public() *PublicKey { return k.public }

// Issue answers a batch whose size is one of Sizes. The same request gets the
// same bytes. Whether the account may have so many is Quota's question, asked
// before. Errors are ErrMalformed, ErrKey (the request is for another key) and
// ErrBatch.
func (k *Key) Issue(request []byte) ([]byte, error) {
	es, err := k.parseBatch(request)
	if err != nil {
		return nil, err
	}
	if !offered(len(es)) {
		return nil, ErrBatch
	}
	return k.issueBatch(request, es)
}

// BatchSize returns the number of tokens that a request asks for, for Quota;
// errors are those of Issue.
func (k *Key) BatchSize(request []byte) (int, error) {
	r := reader{b: request}
	if err := k.head(&r); err != nil {
		return 0, err
	}
	size := k.public.p.element
	n := r.varint()
	if r.bad || n != len(r.b) || n%size != 0 {
		return 0, ErrMalformed
	}
	if !offered(n / size) {
		return 0, ErrBatch
	}
	return n / size, nil
}

func offered(n int) bool {
	return slices.Contains(Sizes[:], n)
}

func (k *Key) head(r *reader) error {
	if Type(r.uint(2)) != k.public.t || byte(r.uint(1)) != k.public.id[KeyIDSize-1] {
		return ErrKey
	}
	return nil
}

func (k *Key) parseBatch(request []byte) ([]group.Element, error) {
	r := reader{b: request}
	if err := k.head(&r); err != nil {
		return nil, err
	}
	n := r.varint()
	if size := k.public.p.element; n%size != 0 || n == 0 || n > MaxBatch*size {
		return nil, ErrMalformed
	}
	body := r.take(n)
	if err := r.end(); err != nil {
		return nil, err
	}
	return k.public.p.decodeElements(body, n/k.public.p.element)
}

func (k *Key) issueBatch(request []byte, es []group.Element) ([]byte, error) {
	evaluated, proof, err := k.evaluate(request, es)
	if err != nil {
		return nil, err
	}
	return append(appendElements(appendVarint(nil, len(es)*k.public.p.element), evaluated), proof...), nil
}

// IssueOne answers a request for one token (RFC 9578, 5.2). Errors are
// ErrMalformed and ErrKey.
func (k *Key) IssueOne(request []byte) ([]byte, error) {
	r := reader{b: request}
	if err := k.head(&r); err != nil {
		return nil, err
	}
	es, err := k.public.p.decodeElements(r.b, 1)
	if err != nil {
		return nil, err
	}
	evaluated, proof, err := k.evaluate(request, es)
	if err != nil {
		return nil, err
	}
	return append(appendElements(nil, evaluated), proof...), nil
}

// evaluate is BlindEvaluate of RFC 9497, 3.3.2. The proof's nonce is derived
// from key and request, which determine the whole statement: the same request
// gets the same proof, and no two statements share a nonce.
func (k *Key) evaluate(request []byte, es []group.Element) ([]group.Element, []byte, error) {
	p := k.public.p
	out := make([]group.Element, len(es))
	for i, e := range es {
		out[i] = p.g.NewElement().Mul(e, k.k)
	}
	pk, err := p.decodeElement(k.public.enc)
	if err != nil {
		return nil, nil, err
	}
	m := hmac.New(sha256.New, k.enc)
	m.Write([]byte("waxwing token issuance nonce"))
	m.Write(request)
	nonce := p.g.HashToScalar(m.Sum(nil), []byte("waxwing token issuance nonce"))
	proof, err := dleq.Prover{Params: p.dleq()}.ProveBatchWithRandomnessRFC9497(k.k, pk, es, out, nonce)
	if err != nil {
		return nil, nil, ErrMalformed
	}
	b, err := proof.MarshalBinary()
	if err != nil {
		return nil, nil, ErrMalformed
	}
	return out, b, nil
}

// Redeem returns nil if the token is of this key and for the challenge with
// this digest, else ErrKey or ErrToken. Whether it was spent before is the
// caller's question, asked after.
func (k *Key) Redeem(t *Token, digest [KeyIDSize]byte) error {
	switch {
	case t.Type != k.public.t || t.KeyID != k.public.id:
		return ErrKey
	case t.Challenge != digest || !k.server.VerifyFinalize(t.appendInput(nil), t.Authenticator):
		return ErrToken
	}
	return nil
}
