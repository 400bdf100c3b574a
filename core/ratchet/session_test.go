package ratchet

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestConversation(t *testing.T) {
	a, b := pair(t)
	if a.ID() != b.ID() || a.RemoteIdentity() != bob.IK.Public() || b.RemoteIdentity() != alice.IK.Public() {
		t.Error("the two sides disagree about the session")
	}
	for i := range 20 {
		from, to := a, b
		if i%3 == 1 {
			from, to = b, a
		}
		text := strings.Repeat("x", i*i)
		m := encrypt(t, from, text)
		if len(m) != len(text)+Overhead {
			t.Fatalf("message of %d bytes for %d", len(m), len(text))
		}
		if !to.CanOpenHeader(m) || from.CanOpenHeader(m) {
			t.Fatal("CanOpenHeader is wrong")
		}
		decrypt(t, to, m, text)
		refuse(t, to, m, nil, ErrReplay)
	}
	if n := len(a.Marshal()); n != minSessionSize {
		t.Errorf("a session without missing messages has %d bytes", n)
	}
}

func TestPrekeyHeaderUntilReply(t *testing.T) {
	a := initiateTo(t, alice, bob, true)
	first, _ := a.PrekeyHeader()
	m1, m2, m3 := encrypt(t, a, "1"), encrypt(t, a, "2"), encrypt(t, a, "3")
	a = reload(t, a)
	if again, ok := a.PrekeyHeader(); !ok || again != first {
		t.Fatal("prekey header is not repeated")
	}
	// The second message arrives first; the others are of the session then.
	b, got, used, err := AcceptSession(Config{}, bob.Identity, bob, first, alice.peer(), m2, nil)
	if err != nil || string(got) != "2" || used != (Used{9, true, first.EK}) {
		t.Fatal(err, used)
	}
	if _, ok := b.PrekeyHeader(); ok {
		t.Error("a responder has a prekey header")
	}
	decrypt(t, b, m1, "1")
	decrypt(t, b, m3, "3")
	decrypt(t, a, encrypt(t, b, "reply"), "reply")
	if _, ok := a.PrekeyHeader(); ok {
		t.Error("prekey header after a reply")
	}
	if n := len(reload(t, a).Marshal()); n != minSessionSize {
		t.Errorf("%d bytes", n)
	}
}

// Whatever byte of a message is changed, it is refused and changes nothing;
// afterwards the message itself still opens.
func TestEveryByteOfAMessage(t *testing.T) {
	ad := []byte("version and com")
	a, b := pair(t)
	skipped, _ := a.Encrypt([]byte("skipped"), ad)
	decrypt(t, b, encrypt(t, a, "current"), "current")
	ahead, _ := a.Encrypt([]byte("ahead"), ad)
	decrypt(t, a, encrypt(t, b, "turn"), "turn")
	next, _ := a.Encrypt([]byte("next chain"), ad)
	for _, c := range []struct {
		message []byte
		text    string
	}{{skipped, "skipped"}, {ahead, "ahead"}, {next, "next chain"}} {
		for i := range c.message {
			bad := bytes.Clone(c.message)
			bad[i] ^= 0x10
			want := ErrDecrypt
			if i < HeaderSize {
				want = ErrWrongSession
			}
			refuse(t, b, bad, ad, want)
		}
		for n := range c.message {
			if n < Overhead {
				refuse(t, b, c.message[:n], ad, ErrDecrypt)
			}
		}
		refuse(t, b, append(bytes.Clone(c.message), 0), ad, ErrDecrypt)
		for _, wrong := range [][]byte{nil, []byte("version and co"), []byte("version and com "), []byte("Version and com")} {
			refuse(t, b, c.message, wrong, ErrDecrypt)
		}
		if got, err := b.Decrypt(c.message, ad); err != nil || string(got) != c.text {
			t.Fatalf("%s: %v", c.text, err)
		}
		if !errors.Is(lastErr(b.Decrypt(c.message, ad)), ErrReplay) {
			t.Errorf("%s opens twice", c.text)
		}
	}
}

func lastErr(_ []byte, err error) error { return err }

// Header of one message, body of another.
func TestMixedMessages(t *testing.T) {
	a, b := pair(t)
	m1, m2 := encrypt(t, a, "one"), encrypt(t, a, "two")
	refuse(t, b, append(bytes.Clone(m1[:HeaderSize]), m2[HeaderSize:]...), nil, ErrDecrypt)
	refuse(t, b, append(bytes.Clone(m2[:HeaderSize]), m1[HeaderSize:]...), nil, ErrDecrypt)
	decrypt(t, b, m1, "one")
	decrypt(t, b, m2, "two")
}

// No byte of a message is constant over a session.
func TestMessagesHaveNothingConstant(t *testing.T) {
	a, _ := pair(t)
	const n = 64
	var seen [HeaderSize + 32 + TagSize]map[byte]bool
	for range n {
		for i, v := range encrypt(t, a, strings.Repeat("k", 32)) {
			if seen[i] == nil {
				seen[i] = map[byte]bool{}
			}
			seen[i][v] = true
		}
	}
	for i := range seen {
		if len(seen[i]) < n/4 {
			t.Errorf("byte %d takes %d values in %d messages", i, len(seen[i]), n)
		}
	}
}

func TestMaxJump(t *testing.T) {
	a, b := pair(t)
	b.cfg.MaxJump = 10
	for range 11 {
		encrypt(t, a, "lost")
	}
	m := encrypt(t, a, "far")
	refuse(t, b, m, nil, ErrTooFarAhead)
	b.cfg.MaxJump = 11
	decrypt(t, b, m, "far")

	// Of a chain that is left as many are kept; what is beyond is given up, and
	// the session goes on.
	var lost [][]byte
	for range 12 {
		lost = append(lost, encrypt(t, a, "lost"))
	}
	refuse(t, b, encrypt(t, a, "far"), nil, ErrTooFarAhead)
	decrypt(t, a, encrypt(t, b, "turn"), "turn")
	for range 12 {
		encrypt(t, a, "lost")
	}
	m = encrypt(t, a, "far")
	refuse(t, b, m, nil, ErrTooFarAhead)
	b.cfg.MaxJump = 12
	decrypt(t, b, m, "far")
	if n := b.skipped.count(); n != 11+12+12 {
		t.Errorf("%d keys kept", n)
	}
	decrypt(t, b, lost[11], "lost")

	decrypt(t, a, encrypt(t, b, "turn"), "turn")
	m = encrypt(t, a, "new chain")
	a = reload(t, a)
	decrypt(t, b, m, "new chain")
	lost = nil
	for range 14 {
		lost = append(lost, encrypt(t, a, "lost"))
	}
	decrypt(t, a, encrypt(t, b, "turn"), "turn")
	decrypt(t, b, encrypt(t, a, "goes on"), "goes on")
	decrypt(t, b, lost[11], "lost")
	refuse(t, b, lost[12], nil, ErrReplay)
}

func TestDefaultLimits(t *testing.T) {
	a, b := pair(t)
	early := encrypt(t, a, "early")
	for range DefaultMaxJump - 1 {
		encrypt(t, a, "lost")
	}
	snapshot := reload(t, a)
	decrypt(t, b, encrypt(t, a, "at the limit"), "at the limit")
	if n := len(b.Marshal()); n > MaxSessionSize || b.skipped.count() != MaxSkippedKeys {
		t.Errorf("%d keys kept, %d bytes", b.skipped.count(), n)
	}
	encrypt(t, a, "lost")
	decrypt(t, b, encrypt(t, a, "one more"), "one more")
	refuse(t, b, early, nil, ErrReplay) // its key was the oldest and had to go
	reload(t, b)

	encrypt(t, snapshot, "")
	c := reload(t, b)
	for range DefaultMaxJump + 1 {
		encrypt(t, a, "lost")
	}
	refuse(t, c, encrypt(t, a, "beyond"), nil, ErrTooFarAhead)
}

func TestSkippedChainsAreBounded(t *testing.T) {
	a, b := pair(t)
	var lost [][]byte
	for range MaxSkippedSets + 2 {
		lost = append(lost, encrypt(t, a, "lost"))
		decrypt(t, b, encrypt(t, a, "kept"), "kept")
		decrypt(t, a, encrypt(t, b, "turn"), "turn")
	}
	b = reload(t, b)
	for i, m := range lost {
		if i < 2 {
			refuse(t, b, m, nil, ErrWrongSession)
		} else {
			decrypt(t, b, m, "lost")
			refuse(t, b, m, nil, map[bool]error{true: ErrReplay, false: ErrWrongSession}[i == len(lost)-1])
		}
	}
	if len(b.skipped.sets) != 0 {
		t.Error("empty chains are kept")
	}
}

func TestConfig(t *testing.T) {
	a, _ := pair(t)
	for _, bad := range []Config{{MaxJump: -1}, {MaxJump: LimitMaxJump + 1}, {MaxSkipped: -1}, {MaxSkipped: MaxSkippedKeys + 1}} {
		if _, err := UnmarshalSession(bad, a.Marshal()); !errors.Is(err, ErrConfig) {
			t.Errorf("%+v: %v", bad, err)
		}
		v, _ := VerifyBundle(bob.bundle(false), bob.signing.Public())
		if _, err := InitiateSession(bad, alice.Identity, bob.peer(), v); !errors.Is(err, ErrConfig) {
			t.Errorf("%+v: %v", bad, err)
		}
		if _, _, _, err := AcceptSession(bad, bob.Identity, bob, PrekeyMessage{}, alice.peer(), nil, nil); !errors.Is(err, ErrConfig) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

func TestPlaintextLimit(t *testing.T) {
	a, b := pair(t)
	long := strings.Repeat("x", MaxPlaintext)
	decrypt(t, b, encrypt(t, a, long), long)
	before := a.Marshal()
	if _, err := a.Encrypt(make([]byte, MaxPlaintext+1), nil); !errors.Is(err, ErrTooLong) {
		t.Error(err)
	}
	refuse(t, b, make([]byte, Overhead+MaxPlaintext+1), nil, ErrDecrypt)
	if b.CanOpenHeader(make([]byte, Overhead-1)) || !bytes.Equal(before, a.Marshal()) {
		t.Error("length is not checked first")
	}
}

func TestChainEnds(t *testing.T) {
	a, b := pair(t)
	decrypt(t, b, encrypt(t, a, "begins a chain"), "begins a chain")
	a.c.sent = maxChain
	before := a.Marshal()
	if _, err := a.Encrypt(nil, nil); !errors.Is(err, ErrExhausted) || !bytes.Equal(before, a.Marshal()) {
		t.Error(err)
	}
	a.c.sent = maxChain - 1
	last := encrypt(t, a, "last")
	refuse(t, b, last, nil, ErrTooFarAhead)
	// Reached step by step, the last number is a message, and there is none
	// after it, even from a peer that goes on.
	b.c.received = maxChain - 1
	b.c.recvChain = a.c.sendChain
	a.c.sent = maxChain - 1
	decrypt(t, b, encrypt(t, a, "last"), "last")
	seed := chainStep(&a.c.sendChain)
	m := sealHeader(nil, &a.c.sendHeader, &a.id, new([nonceSize]byte), &header{ratchet: a.c.public, prev: a.c.prevSent, n: maxChain})
	refuse(t, b, sealBody(m, &seed, nil, &a.id, nil, nil), nil, ErrTooFarAhead)
}

// A peer that breaks the protocol, holding all keys.
func TestMaliciousHeaders(t *testing.T) {
	one := [32]byte{1}
	for name, c := range map[string]struct {
		edit func(*header)
		turn bool // in the first message of a new chain
		want error
	}{
		"unchanged":              {func(*header) {}, true, nil},
		"post-quantum part":      {func(h *header) { h.pq = []byte{1} }, false, ErrDecrypt},
		"ratchet key in chain":   {func(h *header) { h.ratchet[0] ^= 1 }, false, ErrDecrypt},
		"small order":            {func(h *header) { h.ratchet = one }, true, ErrDecrypt},
		"zero key":               {func(h *header) { clear(h.ratchet[:]) }, true, ErrDecrypt},
		"other key":              {func(h *header) { h.ratchet[0] ^= 1 }, true, ErrDecrypt},
		"n of no message":        {func(h *header) { h.n = 1<<32 - 1 }, false, ErrTooFarAhead},
		"pn of no chain":         {func(h *header) { h.prev = 1<<32 - 1 }, true, ErrTooFarAhead},
		"n changed":              {func(h *header) { h.n++ }, true, ErrDecrypt},
		"pn too small, harmless": {func(h *header) { h.prev = 0 }, true, nil},
	} {
		a, b := pair(t)
		decrypt(t, b, encrypt(t, a, "x"), "x")
		if c.turn {
			decrypt(t, a, encrypt(t, b, "turn"), "turn")
		}
		next := a.c
		if !next.sending {
			if err := next.startSending(system.dh()); err != nil {
				t.Fatal(err)
			}
		}
		seed := chainStep(&next.sendChain)
		h := header{ratchet: next.public, prev: next.prevSent, n: next.sent}
		c.edit(&h)
		m := sealHeader(nil, &next.sendHeader, &a.id, &[nonceSize]byte{}, &h)
		m = sealBody(m, &seed, nil, &a.id, nil, []byte("body"))
		if c.want == nil {
			decrypt(t, b, m, "body")
			continue
		}
		t.Run(name, func(t *testing.T) { refuse(t, b, m, nil, c.want) })
	}
}

// An answer to a ratchet key that was never sent.
func TestAnswerToNothing(t *testing.T) {
	a, b := pair(t)
	decrypt(t, b, encrypt(t, a, "x"), "x") // b owes a ratchet step now
	var nonce [nonceSize]byte
	m := sealHeader(nil, &b.c.recvNext, &b.id, &nonce, &header{ratchet: system.dh().Public()})
	m = sealBody(m, new(secret), nil, &b.id, nil, nil)
	refuse(t, b, m, nil, ErrDecrypt)
}

func TestSessionsAreApart(t *testing.T) {
	a1, b1 := pair(t)
	a2, b2 := pair(t)
	m := encrypt(t, a1, "x")
	if b2.CanOpenHeader(m) || a2.CanOpenHeader(m) {
		t.Error("a foreign session opens the header")
	}
	refuse(t, b2, m, nil, ErrWrongSession)
	decrypt(t, b1, m, "x")
}

func TestErase(t *testing.T) {
	a, b := pair(t)
	encrypt(t, a, "lost")
	m := encrypt(t, a, "x")
	decrypt(t, b, m, "x")
	set := b.skipped.sets[0].keys
	b.Erase()
	if b.c != (chains{}) || set[0] != (skippedKey{}) || !b.pqSeed.isZero() {
		t.Error("keys are left")
	}
}

func TestSecretsPrintRedacted(t *testing.T) {
	a, _ := pair(t)
	for _, v := range []any{a, *a, bob.signed[7], bob.pairs[9]} {
		if out := fmt.Sprintf("%v %+v %#v %x", v, v, v, v); strings.Count(out, "redacted") != 4 {
			t.Errorf("%T prints %s", v, out)
		}
	}
}
