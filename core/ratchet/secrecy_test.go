package ratchet

import (
	"bytes"
	"testing"
)

// watch collects every chain key, message seed and private ratchet key that a
// session goes through, and checks that those that have served are nowhere in
// its state.
type watch struct {
	served [][]byte
}

func (w *watch) note(keys ...secret) {
	for _, k := range keys {
		if !k.isZero() {
			w.served = append(w.served, bytes.Clone(k[:]))
		}
	}
}

func (w *watch) check(t *testing.T, s *Session, when string) {
	t.Helper()
	stored := s.Marshal()
	for i, k := range w.served {
		if bytes.Contains(stored, k) {
			t.Fatalf("%s: key %d is still in the state", when, i)
		}
	}
}

// After a message was encrypted or decrypted, the state has no key that opens
// it, nor one from which such a key follows.
func TestServedKeysAreGone(t *testing.T) {
	a, b := pair(t)
	var wa, wb watch
	for i := range 30 {
		from, to, wf, wt := a, b, &wa, &wb
		if i%4 == 2 {
			from, to, wf, wt = b, a, &wb, &wa
		}
		if from.c.sending {
			chain := from.c.sendChain
			wf.note(from.c.sendChain, chainStep(&chain))
		} else {
			wf.note(from.c.root)
		}
		m := encrypt(t, from, "x")
		wf.check(t, from, "sent")

		before := to.c
		decrypt(t, to, m, "x")
		if to.c.recvHeader == before.recvHeader {
			wt.note(before.recvChain)
			chain := before.recvChain
			wt.note(chainStep(&chain))
		} else {
			wt.note(before.root, before.private, before.recvChain, before.sendChain, before.sendHeader)
		}
		wt.check(t, to, "received")
	}
	if len(wa.served) < 30 || len(wb.served) < 30 {
		t.Error("the test watched nothing")
	}
}

// A skipped message's key is there until the message opens, then it is gone,
// from the state and from the memory that held it.
func TestSkippedKeysAreGone(t *testing.T) {
	a, b := pair(t)
	m := encrypt(t, a, "skipped")
	encrypt(t, a, "lost")
	decrypt(t, b, encrypt(t, a, "x"), "x")
	held := b.skipped.sets[0].keys
	seed := held[0].seed
	if !bytes.Contains(b.Marshal(), seed[:]) {
		t.Fatal("no seed kept")
	}
	decrypt(t, b, m, "skipped")
	if bytes.Contains(b.Marshal(), seed[:]) {
		t.Error("seed is still in the state")
	}
	for _, k := range held {
		if k.seed == seed {
			t.Error("seed is still in memory")
		}
	}
}

// What a limit drops, what is moved to a larger array and a private ratchet key
// that has served are not left in memory either.
func TestDroppedKeysAreErased(t *testing.T) {
	var s skippedKeys
	s.add(&secret{1}, manyKeys(3), MaxSkippedKeys)
	s.sets[0].keys[0].seed = secret{5}
	first := s.sets[0].keys
	s.add(&secret{1}, []skippedKey{{n: 9, seed: secret{9}}}, MaxSkippedKeys)
	second := s.sets[0].keys
	if !bytes.Equal(first[0].seed[:], make([]byte, 32)) || second[0].seed != (secret{5}) {
		t.Error("moved keys are left where they were")
	}
	s.add(&secret{2}, manyKeys(1), 2) // room for two
	if s.count() != 2 || second[0].seed != (secret{}) || second[2] != (skippedKey{}) || second[3].seed != (secret{9}) {
		t.Error("dropped keys are left in memory")
	}

	a, b := pair(t)
	encrypt(t, a, "x") // a's ratchet key is in use
	decrypt(t, b, encrypt(t, a, "y"), "y")
	if a.ratchet == nil {
		t.Fatal("no ratchet key")
	}
	decrypt(t, a, encrypt(t, b, "turn"), "turn")
	if a.ratchet != nil {
		t.Error("a ratchet key that has served is still held")
	}
}

// A thief of the state reads nothing that was opened before.
func TestStolenStateReadsNothingOld(t *testing.T) {
	a, b := pair(t)
	var old [][]byte
	for i := range 12 {
		from, to := a, b
		if i%3 == 2 {
			from, to = b, a
		}
		m := encrypt(t, from, "old")
		decrypt(t, to, m, "old")
		old = append(old, m)
		for _, m := range old {
			for _, s := range []*Session{a, b} {
				if _, err := reload(t, s).Decrypt(m, nil); err == nil {
					t.Fatal("a message opens twice")
				}
			}
		}
	}
}

// A thief of one side's state reads what comes until the session turned; after
// one round trip both directions are closed to it again.
func TestHealing(t *testing.T) {
	a, b := pair(t)
	thief := reload(t, b)
	m := encrypt(t, a, "same chain")
	decrypt(t, thief, m, "same chain")
	decrypt(t, b, m, "same chain")

	// b answers with a ratchet key that the thief does not know, and a with one
	// that depends on it.
	fromB := encrypt(t, b, "answer")
	decrypt(t, a, fromB, "answer")
	if thief.CanOpenHeader(fromB) {
		t.Error("the thief of the receiver opens what it sends")
	}
	fromA := encrypt(t, a, "healed")
	if _, err := thief.Decrypt(fromA, nil); err == nil {
		t.Error("the thief reads on after a round trip")
	}
	decrypt(t, b, fromA, "healed")

	// The thief knows the header key of the chain that it may have missed, not
	// its messages, and nothing of the chain after it.
	decrypt(t, a, encrypt(t, b, "x"), "x")
	later := encrypt(t, a, "later")
	if thief.CanOpenHeader(later) {
		t.Error("header of a healed session opens")
	}

	// Nor can it put messages in: what it seals is of a chain that a left.
	forged, err := thief.Encrypt([]byte("forged"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Decrypt(forged, nil); err == nil {
		t.Error("the thief's message is accepted after healing")
	}
	decrypt(t, b, later, "later")
}

// The thief of a prekey's private part after it was deleted has nothing: what
// the session keeps of the handshake does not contain it.
func TestSessionDoesNotKeepPrekeys(t *testing.T) {
	a := initiateTo(t, alice, bob, false)
	first, _ := a.PrekeyHeader()
	b, _, _, err := AcceptSession(Config{}, bob.Identity, bob, first, alice.peer(), encrypt(t, a, "x"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*Session{a, b} {
		stored := s.Marshal()
		for name, k := range map[string][]byte{
			"signed prekey": bob.signed[7].key.Bytes(), "pair": bob.pairs[9].dh.Bytes(),
			"KEM seed": bob.pairs[9].kem.Bytes()[:32], "alice": alice.IK.Bytes(), "bob": bob.IK.Bytes(),
		} {
			if bytes.Contains(stored, k) {
				t.Errorf("state holds the private key of %s", name)
			}
		}
	}
}
