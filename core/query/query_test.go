package query

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

var (
	noon  = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	alpha = ids.MustParseDomain("alpha.example")
	gamma = ids.MustParseDomain("gamma.example")
)

// ring is a provider's relay keys.
type ring map[uint8]*keys.SealKey

func (r ring) RelayKey(id uint8) (*keys.SealKey, bool) {
	k, ok := r[id]
	return k, ok
}

func newRing() ring { return ring{7: keys.NewSealKey()} }

func (r ring) ask(t testing.TB, payload []byte, now time.Time) ([]byte, *Pending) {
	t.Helper()
	sealed, p, err := Ask(r[7].Public(), 7, KindLookup, payload, now)
	if err != nil {
		t.Fatal(err)
	}
	return sealed, p
}

func (r ring) open(t testing.TB, sealed []byte, now time.Time) *Question {
	t.Helper()
	q, err := Open(r, KindLookup, sealed, now)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func (r ring) answered(t testing.TB, payload []byte) (sealed []byte, p *Pending, answer []byte) {
	t.Helper()
	sealed, p = r.ask(t, []byte("carol"), noon)
	a, err := r.open(t, sealed, noon).answer(payload)
	if err != nil {
		t.Fatal(err)
	}
	return sealed, p, a.seal()
}

func TestRoundTrip(t *testing.T) {
	r := newRing()
	rapid.Check(t, func(t *rapid.T) {
		now := noon.Add(time.Duration(rapid.Int64Range(0, 1e18).Draw(t, "time")))
		asked := rapid.SliceOfN(rapid.Byte(), 0, MaxLookup).Draw(t, "question")
		answered := make([]byte, rapid.IntRange(0, MaxLookupAnswer).Draw(t, "answer"))
		rand.Read(answered)
		sealed, p, err := Ask(r[7].Public(), 7, KindLookup, asked, now)
		if err != nil || len(sealed) != KindLookup.QuestionSize() {
			t.Fatal(len(sealed), err)
		}
		q, err := Open(r, KindLookup, sealed, now)
		if err != nil || !bytes.Equal(q.Payload(), asked) || q.Kind() != KindLookup {
			t.Fatal(err)
		}
		a, err := q.answer(answered)
		if err != nil || len(a.seal()) != KindLookup.AnswerSize() {
			t.Fatal(err)
		}
		for range 2 {
			if got, err := p.Open(a.seal()); err != nil || !bytes.Equal(got, answered) {
				t.Fatal(err)
			}
		}
	})
}

// Lengths are those of the kind alone, and what wire allows.
func TestSizes(t *testing.T) {
	if q, a := KindLookup.QuestionSize(), KindLookup.AnswerSize(); q != 1293 || a != 16436 || q > wire.MaxSealedQuery || a > wire.MaxSealedAnswer {
		t.Errorf("question %d, answer %d bytes", q, a)
	}
	r := newRing()
	for _, n := range []int{0, 1, MaxLookup} {
		if sealed, _ := r.ask(t, make([]byte, n), noon); len(sealed) != KindLookup.QuestionSize() {
			t.Errorf("payload of %d: question of %d bytes", n, len(sealed))
		}
	}
	for _, n := range []int{0, 1, MaxLookupAnswer} {
		if _, _, a := r.answered(t, make([]byte, n)); len(a) != KindLookup.AnswerSize() {
			t.Errorf("payload of %d: answer of %d bytes", n, len(a))
		}
	}
	if _, _, err := Ask(r[7].Public(), 7, KindLookup, make([]byte, MaxLookup+1), noon); !errors.Is(err, ErrTooLong) {
		t.Error("long question:", err)
	}
	sealed, _ := r.ask(t, nil, noon)
	if _, err := r.open(t, sealed, noon).answer(make([]byte, MaxLookupAnswer+1)); !errors.Is(err, ErrTooLong) {
		t.Error("long answer:", err)
	}
	if asked, answered := Layouts(); len(asked) != 4 || len(answered) != 2 {
		t.Error("layouts", asked, answered)
	}
}

// Known answers of RFC 9458 appendix A. It uses AES-128-GCM, whose key is the
// beginning of the one that HKDF-Expand gives for AES-256.
func TestAnswerKeyOfRFC9458(t *testing.T) {
	unhex := func(s string) []byte {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	k := deriveAnswer(unhex("4b28f881333e7c164ffc499ad9796f877f4e1051ee6d31bad19dec96c208b472"),
		unhex("c789e7151fcba46158ca84b04464910d"), unhex("62d87a6ba569ee81014c2641f52bea36"))
	if len(k.key) != 32 || !bytes.Equal(k.key[:16], unhex("5d0172a080e428b16d298c4ea0db620d")) {
		t.Errorf("key %x", k.key)
	}
	if !bytes.Equal(k.nonce, unhex("f6bf1aeb88d6df87007fa263")) {
		t.Errorf("nonce %x", k.nonce)
	}
}

func TestKinds(t *testing.T) {
	r := newRing()
	sealed, _ := r.ask(t, nil, noon)
	for _, k := range []Kind{0, KindLogProof, KindKeys, 6, 255} {
		if _, _, err := Ask(r[7].Public(), 7, k, nil, noon); !errors.Is(err, ErrKind) {
			t.Errorf("asked kind %d: %v", k, err)
		}
		if _, err := Open(r, k, sealed, noon); !errors.Is(err, ErrKind) {
			t.Errorf("opened kind %d: %v", k, err)
		}
	}
	// The kind beside a question is bound to it, also between kinds of one size.
	q := &question{time: uint64(noon.UnixMilli())}
	plain, err := wire.MarshalPadded(q, KindLookup.questionPlain())
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		info, aad []byte
		want      error
	}{
		"right":           {info(KindLookup), aad(7), nil},
		"other kind":      {info(KindKeys), aad(7), ErrSealed},
		"no kind":         {[]byte(labelQuestion), aad(7), ErrSealed},
		"an introduction": {[]byte("waxwing introduction"), aad(7), ErrSealed},
		"other key id":    {info(KindLookup), aad(8), ErrSealed},
		"other version":   {info(KindLookup), []byte{2, 7}, ErrSealed},
		"no aad":          {info(KindLookup), nil, ErrSealed},
	} {
		ct, _, err := r[7].Public().Seal(tt.info, tt.aad, plain)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Open(r, KindLookup, append([]byte{7}, ct...), noon); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestKeyRotation(t *testing.T) {
	r := ring{7: keys.NewSealKey(), 8: keys.NewSealKey()}
	sealed, _ := r.ask(t, nil, noon)
	r.open(t, sealed, noon) // the previous key is still held
	// The id selects the key; no other is tried.
	sealed[0] = 8
	if _, err := Open(r, KindLookup, sealed, noon); !errors.Is(err, ErrSealed) || errors.Is(err, ErrKeyID) {
		t.Error("under the other key:", err)
	}
	// Two ids for one key are two keys.
	r[8] = r[7]
	if _, err := Open(r, KindLookup, sealed, noon); !errors.Is(err, ErrSealed) {
		t.Error("under another id of the key:", err)
	}
	sealed[0] = 9
	if _, err := Open(r, KindLookup, sealed, noon); !errors.Is(err, ErrKeyID) || !errors.Is(err, ErrSealed) {
		t.Error("under a key that is gone:", err)
	}
	if _, _, err := Ask(keys.SealPublic{}, 7, KindLookup, nil, noon); !errors.Is(err, keys.ErrKey) {
		t.Error("to no key:", err)
	}
}

func TestTimeWindow(t *testing.T) {
	r := newRing()
	sealed, _ := r.ask(t, nil, noon)
	for _, tt := range []struct {
		later time.Duration
		want  error
	}{
		{0, nil},
		{MaxAge, nil},
		{MaxAge + time.Millisecond, ErrStale},
		{24 * time.Hour, ErrStale},
		{-MaxAhead, nil},
		{-MaxAhead - time.Millisecond, ErrStale},
		{-24 * time.Hour, ErrStale},
	} {
		if _, err := Open(r, KindLookup, sealed, noon.Add(tt.later)); !errors.Is(err, tt.want) {
			t.Errorf("%v later: %v", tt.later, err)
		}
	}
	for _, ms := range []uint64{0, 1 << 62, 1<<63 - 1, 1 << 63, 1<<64 - 1} {
		if fresh(ms, noon) {
			t.Errorf("time %d is fresh", ms)
		}
	}
}

// Every bit of question and answer is authenticated (one bit of each byte; the
// ML-KEM part is implicitly rejected).
func TestEveryByte(t *testing.T) {
	r := newRing()
	sealed, p, answer := r.answered(t, []byte("keys of carol"))
	for i := range sealed {
		m := bytes.Clone(sealed)
		m[i] ^= 1 << (i % 8)
		if _, err := Open(r, KindLookup, m, noon); !errors.Is(err, ErrSealed) {
			t.Fatalf("question's byte %d: %v", i, err)
		}
	}
	for i := range answer {
		m := bytes.Clone(answer)
		m[i] ^= 1 << (i % 8)
		if _, err := p.Open(m); !errors.Is(err, ErrSealed) {
			t.Fatalf("answer's byte %d: %v", i, err)
		}
	}
	for _, n := range []int{0, 1, len(sealed) - 1, len(sealed) + 1, 1 << 20} {
		m := make([]byte, n)
		copy(m, sealed)
		if _, err := Open(r, KindLookup, m, noon); !errors.Is(err, ErrSealed) {
			t.Errorf("question of %d bytes: %v", n, err)
		}
	}
	for _, n := range []int{0, 1, 32, 48, len(answer) - 1, len(answer) + 1} {
		m := make([]byte, n)
		copy(m, answer)
		if _, err := p.Open(m); !errors.Is(err, ErrSealed) {
			t.Errorf("answer of %d bytes: %v", n, err)
		}
	}
}

// An answer is for one question: the first hop cannot exchange two, nor
// reflect a question as its answer.
func TestAnswersAreNotExchangeable(t *testing.T) {
	r := newRing()
	sealed1, p1, a1 := r.answered(t, []byte("one"))
	_, p2, a2 := r.answered(t, []byte("two"))
	if _, err := p1.Open(a2); !errors.Is(err, ErrSealed) {
		t.Error(err)
	}
	if _, err := p2.Open(a1); !errors.Is(err, ErrSealed) {
		t.Error(err)
	}
	// The nonce of one before the ciphertext of the other.
	if _, err := p1.Open(append(bytes.Clone(a2[:NonceSize]), a1[NonceSize:]...)); !errors.Is(err, ErrSealed) {
		t.Error(err)
	}
	reflected := make([]byte, KindLookup.AnswerSize())
	copy(reflected, sealed1)
	if _, err := p1.Open(reflected); !errors.Is(err, ErrSealed) {
		t.Error(err)
	}
}

// Should a question be answered twice (after a restart), the two answers have
// different keys and nonces: their XOR tells nothing.
func TestTwoAnswersShareNothing(t *testing.T) {
	r := newRing()
	sealed, p := r.ask(t, nil, noon)
	a1, err1 := r.open(t, sealed, noon).answer([]byte("one"))
	a2, err2 := r.open(t, sealed, noon).answer([]byte("two"))
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	if bytes.Equal(a1.key.key, a2.key.key) || bytes.Equal(a1.key.nonce, a2.key.nonce) || a1.nonce == a2.nonce {
		t.Fatal("two answers under one key")
	}
	for _, a := range []*answer{a1, a2} {
		if got, err := p.Open(a.seal()); err != nil || !bytes.Equal(got, a.payload) {
			t.Error(err)
		}
	}
}

func TestID(t *testing.T) {
	r := newRing()
	sealed, _ := r.ask(t, []byte("carol"), noon)
	again, _ := r.ask(t, []byte("carol"), noon)
	id := r.open(t, sealed, noon).ID()
	if id != r.open(t, sealed, noon.Add(time.Minute)).ID() {
		t.Error("a repeat has another id")
	}
	if id == r.open(t, again, noon).ID() || id == idOf(KindKeys, sealed) {
		t.Error("two questions have one id")
	}
}

// The owner of another provider's key cannot read a question.
func TestWrongRecipient(t *testing.T) {
	sealed, _ := newRing().ask(t, nil, noon)
	if _, err := Open(newRing(), KindLookup, sealed, noon); !errors.Is(err, ErrSealed) {
		t.Error(err)
	}
}

// A hostile asker seals what is no question; a hostile provider what is no answer.
func TestMalformedInside(t *testing.T) {
	r := newRing()
	good, err := wire.MarshalPadded(&question{time: uint64(noon.UnixMilli()), payload: []byte("carol")}, KindLookup.questionPlain())
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(b []byte){
		"length of 4 GB":       func(b []byte) { copy(b[24:], []byte{0xff, 0xff, 0xff, 0xff}) },
		"length past the end":  func(b []byte) { b[27] = byte(MaxLookup + 1) },
		"padding":              func(b []byte) { b[len(b)-1] = 1 },
		"payload in no length": func(b []byte) { b[27] = 4 },
	} {
		b := bytes.Clone(good)
		change(b)
		ct, _, err := r[7].Public().Seal(info(KindLookup), aad(7), b)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Open(r, KindLookup, append([]byte{7}, ct...), noon); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	sealed, p := r.ask(t, nil, noon)
	a, err := r.open(t, sealed, noon).answer(nil)
	if err != nil {
		t.Fatal(err)
	}
	plain := make([]byte, KindLookup.answerPlain())
	plain[len(plain)-1] = 1
	if _, err := p.Open(a.key.aead().Seal(a.nonce[:], a.key.nonce, plain, nil)); !errors.Is(err, wire.ErrMalformed) {
		t.Errorf("padding of an answer: %v", err)
	}
}

func TestSecretsPrintRedacted(t *testing.T) {
	r := newRing()
	sealed, p := r.ask(t, []byte("carol"), noon)
	for _, v := range []any{p, r.open(t, sealed, noon)} {
		if out := fmt.Sprintf("%v %+v %#v", v, v, v); strings.Contains(out, "carol") || !strings.Contains(out, "redacted") {
			t.Errorf("%T prints %s", v, out)
		}
	}
}

// canonical checks that what a parser accepts encodes to the same bytes.
func canonical(t *testing.T, b []byte, s wire.Schema) {
	if err := wire.Unmarshal(b, s); err != nil {
		if !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("untyped error %v", err)
		}
		return
	}
	if again, err := wire.MarshalPadded(s, len(b)); err != nil || !bytes.Equal(again, b) {
		t.Errorf("accepted bytes are not canonical (%v)", err)
	}
}

func FuzzPlaintexts(f *testing.F) {
	f.Add(wire.MustMarshal(&question{time: 9, payload: []byte("carol")}))
	f.Add(wire.MustMarshal(&reply{[]byte("keys")}))
	f.Add(make([]byte, KindLookup.questionPlain()))
	alpha := ids.MustParseDomain("alpha.example")
	f.Add(wire.MustMarshal(&Refill{alpha, 690, 2, 20000, make([]byte, MaxRefill)}))
	f.Add(wire.MustMarshal(&RefillAnswer{Status: RefillLater, Retry: 5}))
	f.Add(wire.MustMarshal(&RefillAnswer{Status: RefillIssued, Answer: [RefillAnswerSize]byte{7}}))
	f.Add(wire.MustMarshal(&Standing{Home: alpha, Epoch: 20000}))
	f.Add(wire.MustMarshal(&StandingAnswer{[StampSize]byte{1}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		canonical(t, b, new(question))
		canonical(t, b, new(reply))
		canonical(t, b, new(Refill))
		canonical(t, b, new(RefillAnswer))
		canonical(t, b, new(Standing))
		canonical(t, b, new(StandingAnswer))
	})
}

func FuzzOpen(f *testing.F) {
	// The same key in every process, so that all open what one has sealed.
	key, err := keys.SealKeyFromSeed(bytes.Repeat([]byte{7}, keys.SealSeedSize))
	if err != nil {
		f.Fatal(err)
	}
	r := ring{7: key}
	var p *Pending
	for kind := range Kind(len(kinds)) {
		if !kind.Valid() {
			continue
		}
		var sealed []byte
		if sealed, p, err = Ask(key.Public(), 7, kind, []byte(fmt.Sprint("question ", kind)), noon); err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(kind), sealed)
		f.Add(uint8(kind), make([]byte, kind.AnswerSize()))
	}
	f.Fuzz(func(t *testing.T, kind uint8, b []byte) {
		if q, err := Open(r, Kind(kind), b, noon); err == nil && string(q.Payload()) != fmt.Sprint("question ", kind) {
			t.Error("opened what nobody sealed")
		}
		if _, err := p.Open(b); err == nil {
			t.Error("answer that nobody gave")
		}
	})
}

func BenchmarkFloor(b *testing.B) { // one encapsulation and decapsulation of X-Wing
	k := keys.NewSealKey()
	for b.Loop() {
		sealed, _, err := k.Public().Seal(nil, nil, nil)
		if err != nil {
			b.Fatal(err)
		}
		if _, _, err := k.Open(nil, nil, sealed); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkQuestionAndAnswer(b *testing.B) {
	r := newRing()
	payload := make([]byte, 4000)
	for b.Loop() {
		sealed, p := r.ask(b, nil, noon)
		a, err := r.open(b, sealed, noon).answer(payload)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := p.Open(a.seal()); err != nil {
			b.Fatal(err)
		}
	}
}

// A payload can be bound to its question: what depends on the encapsulated key
// is the same on both sides, and another question has another key.
func TestAskWith(t *testing.T) {
	r := newRing()
	ask := func() (*Question, []byte) {
		var enc []byte
		sealed, p, err := AskWith(r[7].Public(), 7, KindLookup, func(e []byte) ([]byte, error) {
			enc = bytes.Clone(e)
			h := sha256.Sum256(e)
			return h[:], nil
		}, noon)
		if err != nil || p == nil {
			t.Fatal(err)
		}
		return r.open(t, sealed, noon), enc
	}
	q, enc := ask()
	h := sha256.Sum256(enc)
	if !bytes.Equal(q.Enc(), enc) || !bytes.Equal(q.Payload(), h[:]) {
		t.Error("the answering side sees another key")
	}
	if other, _ := ask(); bytes.Equal(other.Enc(), enc) {
		t.Error("two questions, one key")
	}
	mine := errors.New("mine")
	if _, _, err := AskWith(r[7].Public(), 7, KindLookup, func([]byte) ([]byte, error) { return nil, mine }, noon); err != mine {
		t.Errorf("payload's error: %v", err)
	}
	long := func([]byte) ([]byte, error) { return make([]byte, MaxLookup+1), nil }
	if _, _, err := AskWith(r[7].Public(), 7, KindLookup, long, noon); !errors.Is(err, ErrTooLong) {
		t.Errorf("too long: %v", err)
	}
}
