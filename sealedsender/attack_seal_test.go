package sealedsender

import (
	"bytes"
	"crypto/rand"
	"errors"
	"testing"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

// Adversarial test 33: wrong recipient, mailbox, key id, provider, ticket,
// secret; com exchanged.
func TestWrongContextDoesNotOpen(t *testing.T) {
	w := newWorld(t, alice)
	steady := w.mustSeal(t, newLetter(wire.Class1K))
	l := newLetter(wire.Class16K)
	l.first = true
	first := w.mustSeal(t, l)
	for _, s := range []*sent{steady, first} {
		if _, err := w.openHead(s); err != nil {
			t.Fatal(err)
		}
		other := *s
		other.outer.Com[31] ^= 1
		if _, err := w.openHead(&other); !errors.Is(err, ErrSeal) {
			t.Errorf("com exchanged: %v", err)
		}
	}

	for name, change := range map[string]func(at *Mailbox){
		"provider":         func(at *Mailbox) { at.Provider = alpha },
		"no provider":      func(at *Mailbox) { at.Provider = ids.Domain{} },
		"mailbox":          func(at *Mailbox) { at.ID[15] ^= 1 },
		"key id":           func(at *Mailbox) { at.KeyID++ },
		"key id's top bit": func(at *Mailbox) { at.KeyID |= 1 << 31 },
	} {
		at := w.mailbox
		change(&at)
		if _, err := OpenHeadFirst(first.outer, first.head, w.sealKey, at); !errors.Is(err, ErrSeal) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := OpenHeadFirst(first.outer, first.head, keys.NewSealKey(), w.mailbox); !errors.Is(err, ErrSeal) {
		t.Errorf("another recipient: %v", err)
	}
	if _, err := OpenHeadWithSecret(steady.outer, steady.head, keys.NewSecret(), &w.ticket); !errors.Is(err, ErrSeal) {
		t.Errorf("another secret: %v", err)
	}
	for i := range w.ticket {
		ticket := w.ticket
		ticket[i] ^= 1
		if _, err := OpenHeadWithSecret(steady.outer, steady.head, w.s, &ticket); !errors.Is(err, ErrSeal) {
			t.Errorf("ticket's byte %d: %v", i, err)
		}
	}
	// The two ways are not exchangeable.
	if _, err := OpenHeadWithSecret(first.outer, first.head, w.s, &w.ticket); !errors.Is(err, ErrSeal) {
		t.Errorf("first contact as steady: %v", err)
	}
	l.first = false
	if s := w.mustSeal(t, l); true {
		if _, err := OpenHeadFirst(s.outer, s.head, w.sealKey, w.mailbox); !errors.Is(err, ErrSeal) {
			t.Errorf("steady as first contact: %v", err)
		}
	}
}

// A head sealed with another info than this package's, or as a query, is not one.
func TestForeignInfoDoesNotOpen(t *testing.T) {
	w := newWorld(t, alice)
	l := newLetter(wire.Class16K)
	l.first = true
	b, err := SealBody(l.outer, &l.content)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := b.plainHead(w.headOf(b, l), true)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		info, aad []byte
		want      error
	}{
		"right":           {w.mailbox.info(), l.outer.aad(), nil},
		"no info":         {nil, l.outer.aad(), ErrSeal},
		"info of a query": {append([]byte("waxwing query"), 1), l.outer.aad(), ErrSeal},
		// Adversarial test 35: a version that the sender or a relay claims.
		"version 0":  {w.mailbox.info(), append([]byte{0}, l.outer.Com[:]...), ErrSeal},
		"version 2":  {w.mailbox.info(), append([]byte{2}, l.outer.Com[:]...), ErrSeal},
		"no version": {w.mailbox.info(), l.outer.Com[:], ErrSeal},
	} {
		sealed, _, err := w.sealKey.Public().Seal(tt.info, tt.aad, plain)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := OpenHeadFirst(l.outer, sealed, w.sealKey, w.mailbox); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	plain, err = b.plainHead(w.headOf(b, l), false)
	if err != nil {
		t.Fatal(err)
	}
	for version, want := range map[byte]error{0: ErrSeal, wire.Version: nil, 2: ErrSeal, 0xff: ErrSeal} {
		sealed := gcm(steadyKey(w.s, &w.ticket)).Seal(nil, zeroNonce[:], plain, append([]byte{version}, l.outer.Com[:]...))
		if _, err := OpenHeadWithSecret(l.outer, sealed, w.s, &w.ticket); !errors.Is(err, want) {
			t.Errorf("steady version %d: %v", version, err)
		}
	}
}

// Adversarial test 34: the parts of an X-Wing encapsulation. ML-KEM does not
// say that a ciphertext is wrong but gives another secret; the AEAD finds out.
func TestEncapsulation(t *testing.T) {
	w := newWorld(t, alice)
	l := newLetter(wire.Class16K)
	l.first = true
	s := w.mustSeal(t, l)
	other := w.mustSeal(t, l)
	const kem = keys.SealEncSize - keys.DHSize
	unreduced := bytes.Repeat([]byte{0xff}, 32)
	unreduced[0], unreduced[31] = 0xed+9, 0x7f // p + 9 stands for 9
	one := make([]byte, 32)
	one[0] = 1
	for name, change := range map[string]func(h []byte){
		"ML-KEM's first byte":       func(h []byte) { h[0] ^= 1 },
		"ML-KEM's last byte":        func(h []byte) { h[kem-1] ^= 0x80 },
		"ML-KEM part zero":          func(h []byte) { clear(h[:kem]) },
		"ML-KEM part of another":    func(h []byte) { copy(h[:kem], other.head) },
		"X25519's first byte":       func(h []byte) { h[kem] ^= 1 },
		"X25519's unused bit":       func(h []byte) { h[keys.SealEncSize-1] ^= 0x80 },
		"X25519 part zero":          func(h []byte) { clear(h[kem:keys.SealEncSize]) },
		"X25519 part of order 4":    func(h []byte) { copy(h[kem:], one) },
		"X25519 part not reduced":   func(h []byte) { copy(h[kem:], unreduced) },
		"X25519 part of another":    func(h []byte) { copy(h[kem:keys.SealEncSize], other.head[kem:]) },
		"encapsulation of another":  func(h []byte) { copy(h[:keys.SealEncSize], other.head) },
		"ciphertext of another":     func(h []byte) { copy(h[keys.SealEncSize:], other.head[keys.SealEncSize:]) },
		"everything zero":           func(h []byte) { clear(h) },
		"everything from elsewhere": func(h []byte) { rand.Read(h) },
	} {
		m := *s
		m.head = bytes.Clone(s.head)
		change(m.head)
		if _, err := w.openHead(&m); !errors.Is(err, ErrSeal) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The same with ephemeral keys that a sender chose: a recipient key of small
	// order never becomes a key (package keys), so nothing is sealed to it.
	pub := w.sealKey.Public().Bytes()
	clear(pub[len(pub)-32:])
	if _, err := keys.ParseSealPublic(pub); !errors.Is(err, keys.ErrKey) {
		t.Errorf("seal key of small order: %v", err)
	}
	b, _ := SealBody(l.outer, &l.content)
	if _, err := b.SealHeadFirst(w.headOf(b, l), keys.SealPublic{}, w.mailbox); !errors.Is(err, keys.ErrKey) {
		t.Errorf("no seal key: %v", err)
	}
}

// Every bit of a steady envelope, and every byte of a first contact's
// encapsulation and a sample of the rest, is authenticated.
func TestEveryBit(t *testing.T) {
	w := newWorld(t, alice)
	s := w.mustSeal(t, newLetter(wire.Class1K))
	for i := range 8 * len(s.head) {
		m := *s
		m.head = bytes.Clone(s.head)
		m.head[i/8] ^= 1 << (i % 8)
		if _, err := w.openHead(&m); !errors.Is(err, ErrSeal) {
			t.Fatalf("head's bit %d: %v", i, err)
		}
	}
	o, err := w.openHead(s)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 8 * len(s.body) {
		m := bytes.Clone(s.body)
		m[i/8] ^= 1 << (i % 8)
		if _, err := o.CheckBody(m); !errors.Is(err, ErrBodyHash) {
			t.Fatalf("body's bit %d: %v", i, err)
		}
	}
	l := newLetter(wire.Class16K)
	l.first = true
	s = w.mustSeal(t, l)
	for i := 0; i < len(s.head); i++ {
		if i >= keys.SealEncSize {
			i = min(i+36, len(s.head)-1)
		}
		m := *s
		m.head = bytes.Clone(s.head)
		m.head[i] ^= 1 << (i % 8)
		if _, err := w.openHead(&m); !errors.Is(err, ErrSeal) {
			t.Fatalf("first contact's byte %d: %v", i, err)
		}
	}
}

func TestLengthsOfOtherClassesAreRefused(t *testing.T) {
	w := newWorld(t, alice)
	s := w.mustSeal(t, newLetter(wire.Class2K))
	for name, change := range map[string]func(s *sent){
		"short head":    func(s *sent) { s.head = s.head[1:] },
		"long head":     func(s *sent) { s.head = append(bytes.Clone(s.head), 0) },
		"no head":       func(s *sent) { s.head = nil },
		"other class":   func(s *sent) { s.outer.Class = wire.Class1K },
		"no class":      func(s *sent) { s.outer.Class = 0 },
		"unknown class": func(s *sent) { s.outer.Class = 77 },
		"first in 2K":   func(s *sent) { s.first = true },
		"short body":    func(s *sent) { s.body = s.body[1:] },
		"long body":     func(s *sent) { s.body = append(bytes.Clone(s.body), 0) },
		"no body":       func(s *sent) { s.body = nil },
	} {
		m := *s
		change(&m)
		if _, err := w.sender(&m); !errors.Is(err, ErrClass) {
			t.Errorf("%s: %v", name, err)
		}
		m.first = true
		if _, err := w.openHead(&m); !errors.Is(err, ErrClass) {
			t.Errorf("%s as first contact: %v", name, err)
		}
	}
	// Heads of 16 and 64 KiB have one length: the body's tells them apart.
	s = w.mustSeal(t, newLetter(wire.Class16K))
	s.outer.Class = wire.Class64K
	if _, err := w.sender(s); !errors.Is(err, ErrClass) {
		t.Errorf("16 as 64 KiB: %v", err)
	}
}
