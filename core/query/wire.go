package query

import (
	"waxwing/core/keys"
	"waxwing/core/wire"
)

// The byte layouts of this package. Integers are big-endian.
//
//	question  key id 1 | HPKE enc 1120 | ciphertext of (time 8 | random 16 | payload 4+n | zeros) | tag 16
//	  HPKE:   info = "waxwing query" | kind 1; aad = version 1 | key id 1
//	answer    response nonce 32 | ciphertext of (payload 4+n | zeros) | tag 16
//
// Zeros fill a plaintext up to the length that its kind has.
const (
	// NonceSize is the size of the response nonce.
	NonceSize = 32
	// IDSize is the size of a question's id.
	IDSize = 32

	keyIDSize     = 1
	questionFixed = 8 + 16 + 4 // of the plaintext, without the payload
	answerFixed   = 4
	gcmTag        = 16
)

// Kind is what is asked. It travels beside the question in the clear and is
// bound to it.
type Kind uint8

// The kinds. Numbers are never reused.
const (
	// KindLookup looks up an account: manifest, prekeys, mailbox key.
	KindLookup Kind = 1
	// KindLogProof and KindKeys are reserved for proofs from the provider's log and
	// its public keys. They are refused.
	KindLogProof Kind = 2
	KindKeys     Kind = 3
	// KindRefill asks for a day's credential (Refill).
	KindRefill Kind = 4
	// KindStanding asks for a week's standing stamp (Standing).
	KindStanding Kind = 5
)

const (
	// MaxLookup is the longest payload of a lookup: an address and options.
	MaxLookup = 128
	// MaxLookupAnswer is the longest answer to it: a manifest and the
	// prekeys of five devices.
	MaxLookupAnswer = 16 << 10
)

// kinds holds, by kind, the longest payload each way. A kind without is not spoken.
var kinds = [...]struct{ question, answer int }{
	KindLookup:   {MaxLookup, MaxLookupAnswer},
	KindRefill:   {maxRefillQuestion, maxRefillAnswer},
	KindStanding: {maxStandingQuestion, standingAnswer},
}

// Valid reports whether k is a kind that this version speaks.
func (k Kind) Valid() bool { return int(k) < len(kinds) && kinds[k].question > 0 }

// MaxPayload and MaxAnswerPayload return the longest payloads, in bytes.
func (k Kind) MaxPayload() int { return kinds[k].question }

// MaxAnswerPayload returns the longest payload of an answer, in bytes.
func (k Kind) MaxAnswerPayload() int { return kinds[k].answer }

// QuestionSize returns the length of every sealed question of the kind.
func (k Kind) QuestionSize() int { return keyIDSize + keys.SealOverhead + k.questionPlain() }

// AnswerSize returns the length of every sealed answer of the kind.
func (k Kind) AnswerSize() int { return NonceSize + k.answerPlain() + gcmTag }

func (k Kind) questionPlain() int { return questionFixed + kinds[k].question }

func (k Kind) answerPlain() int { return answerFixed + kinds[k].answer }

// question is the plaintext of a question.
type question struct {
	time    uint64   // Unix, milliseconds
	random  [16]byte // makes two questions differ whatever HPKE does
	payload []byte
}

func (q *question) Fields(c *wire.Codec) {
	wire.U64(c, "time", &q.time)
	c.Fixed("random", q.random[:])
	c.Bytes("payload", &q.payload, wire.MaxSealedQuery)
	c.Padding("padding")
}

// reply is the plaintext of an answer.
type reply struct{ payload []byte }

func (r *reply) Fields(c *wire.Codec) {
	c.Bytes("payload", &r.payload, wire.MaxSealedAnswer)
	c.Padding("padding")
}

// Layouts returns the layouts of both plaintexts for the documentation.
func Layouts() (asked, answered []wire.Row) {
	return wire.Layout(new(question)), wire.Layout(new(reply))
}
