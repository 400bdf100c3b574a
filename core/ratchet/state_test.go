package ratchet

import (
	"bytes"
	"errors"
	"testing"

	"waxwing/core/keys"
	"waxwing/core/wire"
)

// Offsets in a stored session, as in wire.go.
const (
	offFlags     = 1
	offPrivate   = 2 + 5*32
	offPublic    = offPrivate + 32
	offSendChain = offPublic + 32
	offRecvChain = offSendChain + 3*32 + 8
	offSkipped   = offRecvChain + 3*32 + 4
)

// States that Marshal does not write are refused as a whole.
func TestCorruptState(t *testing.T) {
	fresh := initiateTo(t, alice, bob, true).Marshal()
	a, b := pair(t)
	encrypt(t, a, "lost")
	encrypt(t, a, "lost")
	decrypt(t, b, encrypt(t, a, "x"), "x")
	receiving := b.Marshal() // owes a ratchet step, misses two messages
	both := a.Marshal()
	if len(fresh) != minSessionSize+PrekeySize || len(receiving) != minSessionSize+34+2*36 || len(both) != minSessionSize {
		t.Fatal("not the states meant")
	}
	for name, c := range map[string]struct {
		state []byte
		edit  func([]byte) []byte
	}{
		"empty":                        {both, func([]byte) []byte { return nil }},
		"version":                      {both, func(b []byte) []byte { b[0]++; return b }},
		"unknown flag":                 {both, func(b []byte) []byte { b[offFlags] |= 8; return b }},
		"truncated":                    {both, func(b []byte) []byte { return b[:len(b)-1] }},
		"trailing":                     {both, func(b []byte) []byte { return append(b, 0) }},
		"not sending, with keys":       {both, func(b []byte) []byte { b[offFlags] &^= flagSending; return b }},
		"not receiving, with keys":     {both, func(b []byte) []byte { b[offFlags] &^= flagReceiving; return b }},
		"private key without a chain":  {receiving, func(b []byte) []byte { b[offPrivate] = 1; return b }},
		"public key without a chain":   {receiving, func(b []byte) []byte { b[offPublic] = 1; return b }},
		"chain key without a chain":    {receiving, func(b []byte) []byte { b[offSendChain] = 1; return b }},
		"responder that never had any": {fresh, func(b []byte) []byte { b[offFlags] = 0; return b }},
		"sent beyond a chain":          {both, func(b []byte) []byte { b[offSendChain+96] = 0xff; return b }},
		"received beyond a chain":      {both, func(b []byte) []byte { b[offRecvChain+96] = 0xff; return b }},
		"received without a chain":     {fresh, func(b []byte) []byte { b[offRecvChain] = 1; return b }},
		"prekey message gone":          {fresh, func(b []byte) []byte { return append(b[:minSessionSize-4:minSessionSize-4], 0, 0, 0, 0) }},
		"prekey message broken":        {fresh, func(b []byte) []byte { b[minSessionSize]++; return b }},
		"prekey message after a reply": {fresh, func(b []byte) []byte { b[offFlags] |= flagReceiving; return b }},
		"missing out of order":         {receiving, func(b []byte) []byte { b[offSkipped+2+34+3] = 7; return b }},
		"missing beyond a chain":       {receiving, func(b []byte) []byte { b[offSkipped+2+34+36] = 0xff; return b }},
		"too large":                    {both, func(b []byte) []byte { return make([]byte, MaxSessionSize+1) }},
	} {
		if s, err := UnmarshalSession(Config{}, c.edit(bytes.Clone(c.state))); !errors.Is(err, ErrState) || s != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, sets := range map[string][]skippedSet{
		"chain without keys":  {{}},
		"one chain twice":     {{keys: make([]skippedKey, 1)}, {keys: make([]skippedKey, 1)}},
		"too many keys":       {{keys: manyKeys(1500)}, {header: secret{1}, keys: manyKeys(501)}},
		"too many for a list": {{keys: manyKeys(MaxSkippedKeys + 1)}},
	} {
		s := reload(t, a)
		s.skipped.sets = sets
		b, err := wire.Marshal((*storedSession)(s))
		if err != nil {
			continue // cannot even be written
		}
		if _, err := UnmarshalSession(Config{}, b); !errors.Is(err, ErrState) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func manyKeys(n int) []skippedKey {
	k := make([]skippedKey, n)
	for i := range k {
		k[i].n = uint32(i)
	}
	return k
}

// A private ratchet key that does not fit its public one is noticed when it is
// used, and the session stays as it is.
func TestDamagedRatchetKey(t *testing.T) {
	a, b := pair(t)
	encrypt(t, a, "x") // a is sending now
	decrypt(t, b, encrypt(t, a, "y"), "y")
	m := encrypt(t, b, "turn")
	stored := a.Marshal()
	stored[offPrivate+5] ^= 1
	damaged, err := UnmarshalSession(Config{}, stored)
	if err != nil {
		t.Fatal(err)
	}
	refuse(t, damaged, m, nil, ErrState)
	decrypt(t, reload(t, a), m, "turn")
}

// The fullest session that there can be keeps the byte limit.
func TestLargestSession(t *testing.T) {
	s := initiateTo(t, alice, bob, true)
	encrypt(t, s, "x")
	for i := range MaxSkippedSets {
		s.skipped.add(&secret{1, byte(i)}, manyKeys(MaxSkippedKeys/MaxSkippedSets), MaxSkippedKeys)
	}
	if n := len(s.Marshal()); s.skipped.count() != MaxSkippedKeys || n > MaxSessionSize {
		t.Errorf("%d bytes with %d keys", n, s.skipped.count())
	}
	reload(t, s)
}

// Each field of the transcript has a say in the session's name.
func TestTranscript(t *testing.T) {
	if _, err := new(transcript).hash(); !errors.Is(err, ErrIdentity) {
		t.Error("a transcript without addresses:", err)
	}
	seen := map[[32]byte]bool{}
	full := func() transcript {
		return transcript{
			suite:     SuiteNative,
			initiator: party{alice.Address, 1, keys.DHPublic{1}, 1}, responder: party{bob.Address, 1, keys.DHPublic{2}, 1},
		}
	}
	edits := []func(*transcript){
		func(*transcript) {},
		func(t *transcript) { t.suite++ },
		func(t *transcript) { t.initiator, t.responder = t.responder, t.initiator },
		func(t *transcript) { t.initiator.address = bob.Address },
		func(t *transcript) { t.initiator.device++ },
		func(t *transcript) { t.initiator.identity[31]++ },
		func(t *transcript) { t.initiator.manifest++ },
		func(t *transcript) { t.responder.address = alice.Address },
		func(t *transcript) { t.responder.device++ },
		func(t *transcript) { t.responder.identity[31]++ },
		func(t *transcript) { t.responder.manifest++ },
		func(t *transcript) { t.capabilities[0]++ },
		func(t *transcript) { t.signedID++ },
		func(t *transcript) { t.signedKey[0]++ },
		func(t *transcript) { t.oneTimeID++ },
		func(t *transcript) { t.lastResort = true },
		func(t *transcript) { t.oneTimeDH[0]++ },
		func(t *transcript) { t.oneTimeKEM[0]++ },
		func(t *transcript) { t.ek[0]++ },
		func(t *transcript) { t.ciphertext[0]++ },
	}
	for _, edit := range edits {
		x := full()
		edit(&x)
		h, err := x.hash()
		if err != nil {
			t.Fatal(err)
		}
		seen[h] = true
	}
	if len(seen) != len(edits) {
		t.Errorf("%d transcripts, %d hashes", len(edits), len(seen))
	}
}
