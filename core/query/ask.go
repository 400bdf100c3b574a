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
	return AskWith(to, keyID, kind, func([]byte) ([]byte, error) { return payload, nil }, now)
}

// AskWith is Ask for a payload that depends on the question's encapsulated key,
// such as a proof that is bound to this one question (Question.Enc). An error of
// payload is returned as it is.
func AskWith(to keys.SealPublic, keyID uint8, kind Kind, payload func(enc []byte) ([]byte, error), now time.Time) (sealed []byte, p *Pending, err error) {
	if !kind.Valid() {
		return nil, nil, ErrKind
	}
	var plain []byte
	ct, exporter, err := to.SealWith(info(kind), aad(keyID), func(enc []byte) ([]byte, error) {
		q := &question{time: uint64(now.UnixMilli())}
		rand.Read(q.random[:])
		var err error
		if q.payload, err = payload(enc); err != nil {
			return nil, err
		}
		if len(q.payload) > kind.MaxPayload() {
			return nil, ErrTooLong
		}
		plain, err = wire.MarshalPadded(q, kind.questionPlain())
		return plain, err
	})
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
