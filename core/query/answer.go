package query

import (
	"bytes"
	"crypto/rand"
	"time"

	"waxwing/core/keys"
	"waxwing/core/wire"
)

const (
	// MaxAge is how long after its sealing a question is still answered: long
	// enough for an asker whose answer was lost to ask again.
	MaxAge = 10 * time.Minute
	// MaxAhead is how far a question's time may lie ahead of the answering
	// provider's clock. Askers follow their own provider's clock.
	MaxAhead = 2 * time.Minute
)

// Keys finds the private key that a question names.
type Keys interface {
	// RelayKey returns the key of an id; ok is false if there is none, or no
	// longer.
	RelayKey(id uint8) (k *keys.SealKey, ok bool)
}

// Question is a question that opened and is fresh.
type Question struct {
	_       keys.NotComparable
	id      [IDSize]byte
	kind    Kind
	payload []byte
	enc     []byte
	secret  []byte
	keys.Redacted
}

// Open opens a question. Checks go from cheap to costly: kind, length, key id,
// then the seal and the time within. Errors are ErrKind, ErrSealed, ErrKeyID,
// ErrStale and wire.ErrMalformed.
func Open(ring Keys, kind Kind, sealed []byte, now time.Time) (*Question, error) {
	if !kind.Valid() {
		return nil, ErrKind
	}
	if len(sealed) != kind.QuestionSize() {
		return nil, ErrSealed
	}
	key, ok := ring.RelayKey(sealed[0])
	if !ok {
		return nil, ErrKeyID
	}
	ct := sealed[keyIDSize:]
	plain, exporter, err := key.Open(info(kind), aad(sealed[0]), ct)
	if err != nil {
		return nil, ErrSealed
	}
	var q question
	err = wire.Unmarshal(plain, &q)
	clear(plain)
	if err != nil {
		return nil, err
	}
	if !fresh(q.time, now) {
		return nil, ErrStale
	}
	secret, err := exporter.Export(labelAnswer, keys.SecretSize)
	if err != nil {
		return nil, ErrSealed
	}
	return &Question{id: idOf(kind, sealed), kind: kind, payload: q.payload, enc: bytes.Clone(ct[:keys.SealEncSize]), secret: secret}, nil
}

// fresh reports whether -MaxAhead <= age <= MaxAge, in whole milliseconds as in
// ReplayCache.
func fresh(sealed uint64, now time.Time) bool {
	if sealed > 1<<62 {
		return false // would wrap around
	}
	age := now.UnixMilli() - int64(sealed)
	return -MaxAhead.Milliseconds() <= age && age <= MaxAge.Milliseconds()
}

// ID returns the question's id: the claimant for what is given out only once.
func (q *Question) ID() [IDSize]byte { return q.id }

// Kind returns what is asked.
func (q *Question) Kind() Kind { return q.kind }

// Enc returns the question's encapsulated key, to which its payload may be bound
// (AskWith).
func (q *Question) Enc() []byte { return bytes.Clone(q.enc) }

// Payload returns what the asker sent.
func (q *Question) Payload() []byte { return q.payload }

// answer makes an answer under a key of its own, or returns ErrTooLong.
// ReplayCache sees to it that a question has one.
func (q *Question) answer(payload []byte) (*answer, error) {
	if len(payload) > q.kind.MaxAnswerPayload() {
		return nil, ErrTooLong
	}
	a := &answer{kind: q.kind, payload: bytes.Clone(payload)}
	rand.Read(a.nonce[:])
	a.key = deriveAnswer(q.enc, a.nonce[:], q.secret)
	return a, nil
}

// answer is the answer to one question. It is kept unpadded: most are far
// shorter than the length of their kind.
type answer struct {
	kind    Kind
	nonce   [NonceSize]byte
	key     answerKey
	payload []byte
}

// seal returns the sealed answer, the same bytes each time: one plaintext under
// one key and nonce.
func (a *answer) seal() []byte {
	plain, err := wire.MarshalPadded(&reply{a.payload}, a.kind.answerPlain())
	if err != nil {
		panic(err) // the length was checked
	}
	return a.key.aead().Seal(bytes.Clone(a.nonce[:]), a.key.nonce, plain, nil)
}
