package privacypass

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"

	"github.com/cloudflare/circl/group"
	"github.com/cloudflare/circl/oprf"

	"waxwing/core/keys"
)

// Pending is a client's request until its answer. It prints redacted.
type Pending struct {
	_       keys.NotComparable
	pk      *PublicKey
	tokens  []Token // without authenticators
	fin     *oprf.FinalizeData
	request []byte
	batched bool
	keys.Redacted
}

// Request starts a batch of n tokens, one of Sizes, for a challenge. Errors are
// ErrBatch and ErrMalformed (the challenge).
func (pk *PublicKey) Request(c *Challenge, n int) (*Pending, error) {
	var seed keys.Secret
	rand.Read(seed.Bytes())
	defer seed.Erase()
	return pk.RequestSeeded(&seed, 0, c, n)
}

// RequestSeeded is Request with randomness from a secret that the account's
// devices share and the number of the batch: the same batch is the same bytes
// from each of them, and again after a crash, so that it is issued and counted
// once. Each device has batch numbers of its own, or it would hold the tokens of
// another.
func (pk *PublicKey) RequestSeeded(seed *keys.Secret, batch uint64, c *Challenge, n int) (*Pending, error) {
	if !offered(n) {
		return nil, ErrBatch
	}
	digest, err := c.Digest()
	if err != nil {
		return nil, err
	}
	info := binary.BigEndian.AppendUint64([]byte("waxwing token batch"), batch)
	info = append(append(info, pk.id[:]...), digest[:]...)
	info = binary.BigEndian.AppendUint16(info, uint16(n))
	nonces := make([][NonceSize]byte, n)
	blinds := make([]group.Scalar, n)
	for i := range nonces {
		// One output for both, so that a nonce tells nothing of a blind.
		out, err := hkdf.Key(sha256.New, seed.Bytes(), nil, string(binary.BigEndian.AppendUint16(info, uint16(i))), NonceSize+64)
		if err != nil {
			return nil, ErrMalformed // never: the length is a constant
		}
		copy(nonces[i][:], out)
		blinds[i] = pk.p.g.HashToScalar(out[NonceSize:], []byte("waxwing token blind"))
		clear(out)
	}
	return pk.request(c, nonces, blinds, true)
}

// RequestOne starts a single token (RFC 9578, 5.1). The error is ErrMalformed.
func (pk *PublicKey) RequestOne(c *Challenge) (*Pending, error) {
	var nonce [NonceSize]byte
	rand.Read(nonce[:])
	return pk.request(c, [][NonceSize]byte{nonce}, []group.Scalar{pk.p.g.RandomNonZeroScalar(rand.Reader)}, false)
}

func (pk *PublicKey) request(c *Challenge, nonces [][NonceSize]byte, blinds []group.Scalar, batched bool) (*Pending, error) {
	digest, err := c.Digest()
	if err != nil || c.Type != pk.t {
		return nil, ErrMalformed
	}
	pd := &Pending{pk: pk, batched: batched}
	inputs := make([][]byte, len(nonces))
	for i, nonce := range nonces {
		t := Token{Type: pk.t, Nonce: nonce, Challenge: digest, KeyID: pk.id}
		pd.tokens = append(pd.tokens, t)
		inputs[i] = t.appendInput(nil)
	}
	fin, ev, err := oprf.NewVerifiableClient(pk.p.suite, pk.oprf).DeterministicBlind(inputs, blinds)
	if err != nil {
		return nil, ErrMalformed
	}
	pd.fin = fin
	b := binary.BigEndian.AppendUint16(nil, uint16(pk.t))
	b = append(b, pk.id[KeyIDSize-1])
	if batched {
		b = appendVarint(b, len(nonces)*pk.p.element)
	}
	pd.request = appendElements(b, ev.Elements)
	return pd, nil
}

// Bytes returns the request.
func (pd *Pending) Bytes() []byte { return append([]byte(nil), pd.request...) }

// Finish opens the answer. It may be called again, with another answer. Errors
// are ErrMalformed and ErrIssuance: the answer was not made with the logged
// key, or not for this request.
func (pd *Pending) Finish(answer []byte) ([]Token, error) {
	p := pd.pk.p
	r := reader{b: answer}
	n := len(pd.tokens)
	if pd.batched && r.varint() != n*p.element {
		return nil, ErrMalformed
	}
	es, err := p.decodeElements(r.take(n*p.element), n)
	if err != nil {
		return nil, err
	}
	proof, err := p.decodeProof(r.take(p.proofSize()))
	if err != nil || r.end() != nil {
		return nil, ErrMalformed
	}
	outs, err := oprf.NewVerifiableClient(p.suite, pd.pk.oprf).Finalize(pd.fin, &oprf.Evaluation{Elements: es, Proof: proof})
	if err != nil {
		return nil, ErrIssuance
	}
	tokens := append([]Token(nil), pd.tokens...)
	for i := range tokens {
		tokens[i].Authenticator = outs[i]
	}
	return tokens, nil
}
