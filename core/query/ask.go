package query

import (
	"bytes"
	"crypto/rand"
	"time"

	"waxwing/core/keys"
	"waxwing/core/wire"
)

// Pending is a question that was asked. It opens the answer, any number of
// times.
type Pending struct {
	_      keys.NotComparable
	kind   Kind
	enc    []byte
	secret []byte
	keys.Redacted
}

// Ask seals a question to a provider's relay key, which its descriptor names
// with an id. When the answer is lost the same bytes are sent again, within
// MaxAge. Errors are ErrKind, ErrTooLong and keys.ErrKey.
func Ask(to keys.SealPublic, keyID uint8, kind Kind, payload []byte, now time.Time) (sealed []byte, p *Pending, err error) {
	if !kind.Valid() {
		return nil, nil, ErrKind
	}
	if len(payload) > kind.MaxPayload() {
		return nil, nil, ErrTooLong
	}
	q := &question{time: uint64(now.UnixMilli()), payload: payload}
	rand.Read(q.random[:])
	plain, err := wire.MarshalPadded(q, kind.questionPlain())
	if err != nil {
		return nil, nil, err
	}
	ct, exporter, err := to.Seal(info(kind), aad(keyID), plain)
	clear(plain)
	if err != nil {
		return nil, nil, err
	}
	secret, err := exporter.Export(labelAnswer, keys.SecretSize)
	if err != nil {
		return nil, nil, err
	}
	sealed = append([]byte{keyID}, ct...)
	return sealed, &Pending{kind: kind, enc: bytes.Clone(ct[:keys.SealEncSize]), secret: secret}, nil
}

// Open opens the answer and returns its payload. Errors are ErrSealed
// and wire.ErrMalformed.
func (p *Pending) Open(answer []byte) ([]byte, error) {
	if len(answer) != p.kind.AnswerSize() {
		return nil, ErrSealed
	}
	k := deriveAnswer(p.enc, answer[:NonceSize], p.secret)
	plain, err := k.aead().Open(nil, k.nonce, answer[NonceSize:], nil)
	if err != nil {
		return nil, ErrSealed
	}
	var r reply
	if err := wire.Unmarshal(plain, &r); err != nil {
		return nil, err
	}
	return r.payload, nil
}
