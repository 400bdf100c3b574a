package ratchet

import (
	"fmt"
	"testing"

	"waxwing/core/keys"
)

// The floor: one X25519, of which a turn of the ratchet needs three (draw,
// agree, agree) and a message in the same direction none.
func BenchmarkFloorX25519(b *testing.B) {
	k, p := keys.NewDHKey(), keys.NewDHKey().Public()
	for b.Loop() {
		if _, err := k.DH(p); err != nil {
			b.Fatal(err)
		}
	}
}

var benchBody = make([]byte, 32)

// One-way sending as a client does it: restore, encrypt, store.
func BenchmarkEncryptStored(b *testing.B) {
	s, _ := pair(b)
	encrypt(b, s, "draws a ratchet key")
	stored := s.Marshal()
	b.ReportAllocs()
	for b.Loop() {
		s, err := UnmarshalSession(Config{}, stored)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := s.Encrypt(benchBody, nil); err != nil {
			b.Fatal(err)
		}
		stored = s.Marshal()
	}
}

// One-way receiving as a client does it: restore, find the session, decrypt,
// store; with as many missing messages as the name says.
func BenchmarkDecryptStored(b *testing.B) {
	for _, missing := range []int{0, 10, MaxSkippedKeys} {
		b.Run(fmt.Sprintf("missing=%d", missing), func(b *testing.B) {
			from, to := pair(b)
			for range missing {
				encrypt(b, from, "lost")
			}
			decrypt(b, to, encrypt(b, from, "x"), "x")
			stored := to.Marshal()
			m, err := from.Encrypt(benchBody, nil)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				s, err := UnmarshalSession(Config{}, stored)
				if err != nil {
					b.Fatal(err)
				}
				if !s.CanOpenHeader(m) {
					b.Fatal("not of this session")
				}
				if _, err := s.Decrypt(m, nil); err != nil {
					b.Fatal(err)
				}
				s.Marshal()
			}
		})
	}
}

// A message of another session, with the most header keys to try.
func BenchmarkWrongSession(b *testing.B) {
	from, to := pair(b)
	for range MaxSkippedSets {
		encrypt(b, from, "lost")
		decrypt(b, to, encrypt(b, from, "x"), "x")
		decrypt(b, from, encrypt(b, to, "turn"), "turn")
	}
	decrypt(b, to, encrypt(b, from, "x"), "x")
	other, _ := pair(b)
	m := encrypt(b, other, "x")
	for b.Loop() {
		if to.CanOpenHeader(m) {
			b.Fatal("opens")
		}
	}
}

// One message and its answer: two turns of the ratchet, sessions in memory.
func BenchmarkPingPong(b *testing.B) {
	x, y := pair(b)
	for b.Loop() {
		decrypt(b, y, encrypt(b, x, "ping"), "ping")
		decrypt(b, x, encrypt(b, y, "pong"), "pong")
	}
}

// The most that one message of a hostile contact costs.
func BenchmarkJump(b *testing.B) {
	from, to := pair(b)
	decrypt(b, to, encrypt(b, from, "x"), "x")
	for range DefaultMaxJump {
		encrypt(b, from, "lost")
	}
	m, stored := encrypt(b, from, "far"), to.Marshal()
	for b.Loop() {
		s, err := UnmarshalSession(Config{}, stored)
		if err != nil {
			b.Fatal(err)
		}
		decrypt(b, s, m, "far")
	}
}

func BenchmarkVerifyBundle(b *testing.B) {
	bundle := bob.bundle(false)
	for b.Loop() {
		if _, err := VerifyBundle(bundle, bob.signing.Public()); err != nil {
			b.Fatal(err)
		}
	}
}

// Verifying the bundle, beginning the session and its first message.
func BenchmarkInitiate(b *testing.B) {
	bundle := bob.bundle(false)
	for b.Loop() {
		v, err := VerifyBundle(bundle, bob.signing.Public())
		if err != nil {
			b.Fatal(err)
		}
		s, err := InitiateSession(Config{}, alice.Identity, bob.peer(), v)
		if err != nil {
			b.Fatal(err)
		}
		encrypt(b, s, "first")
	}
}

func BenchmarkAccept(b *testing.B) {
	s := initiateTo(b, alice, bob, false)
	first, _ := s.PrekeyHeader()
	m := encrypt(b, s, "first")
	for b.Loop() {
		if _, _, _, err := AcceptSession(Config{}, bob.Identity, bob, first, alice.peer(), m, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGenerateOneTime(b *testing.B) {
	for b.Loop() {
		GenerateOneTime(1, bob.signing, false)
	}
}
