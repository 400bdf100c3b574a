package sealedsender

import (
	"bytes"
	"crypto/rand"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"waxwing/core/ids"
	"waxwing/core/wire"
)

// letters draws any message that can be sent.
func letters(t *rapid.T) *letter {
	l := newLetter(wire.Class(rapid.IntRange(1, 5).Draw(t, "class")))
	l.first = l.outer.Class >= wire.Class16K && rapid.Bool().Draw(t, "first")
	if l.outer.Class > wire.Class1K {
		l.confirmed = rapid.Bool().Draw(t, "confirmed")
	}
	n := rapid.IntRange(1, l.outer.Class.Devices()).Draw(t, "devices")
	if l.outer.Class >= wire.Class16K {
		l.prekeys = rapid.IntRange(0, min(n, MaxPrekeyEntries)).Draw(t, "prekeys")
		if l.prekeys == MaxPrekeyEntries {
			n = MaxPrekeyEntries
		}
	}
	l.devices = rapid.Permutation([]ids.DeviceID{1, 2, 3, 4, 5, 6, 7, 1 << 31}).Draw(t, "ids")[:n]
	switch room := (Needs{First: l.first, Sessions: n - l.prekeys, Prekeys: l.prekeys, Confirmed: l.confirmed, Bundle: true}).fit(l.outer.Class); rapid.IntRange(0, 2).Draw(t, "bundle") {
	case 1:
		l.ref = &[HashSize]byte{7}
	case 2:
		if room {
			l.bundle = make([]byte, rapid.IntRange(1, MaxBundle).Draw(t, "bundle size"))
			rand.Read(l.bundle)
		}
	}
	frame := rapid.IntRange(0, Room(l.outer.Class)).Draw(t, "frame")
	control := rapid.IntRange(0, Room(l.outer.Class)-frame).Draw(t, "control")
	l.content.Frame, l.content.Control = make([]byte, frame), make([]byte, control)
	rand.Read(l.content.Frame)
	rand.Read(l.content.Control)
	return l
}

func sameContent(a, b *Content) bool {
	return a.KF == b.KF && a.Sigma2 == b.Sigma2 && a.Hour == b.Hour &&
		bytes.Equal(a.Frame, b.Frame) && bytes.Equal(a.Control, b.Control)
}

func TestRoundTrip(t *testing.T) {
	w := newWorld(t, longest)
	rapid.Check(t, func(t *rapid.T) {
		l := letters(t)
		s, err := w.seal(l)
		if err != nil {
			t.Fatal(err)
		}
		if len(s.head) != l.outer.Class.HeadSize() || len(s.body) != l.outer.Class.BodySize() {
			t.Fatalf("class %d has a head of %d and a body of %d bytes", l.outer.Class, len(s.head), len(s.body))
		}
		from, err := w.sender(s)
		if err != nil {
			t.Fatal(err)
		}
		if from.Certificate().Address() != longest {
			t.Fatal("another sender")
		}
		whole, ref := from.Bundle()
		if !bytes.Equal(whole, l.bundle) || (ref == nil) != (l.ref == nil) || ref != nil && *ref != *l.ref {
			t.Fatal("another bundle")
		}
		for i, d := range l.devices {
			content, err := w.open(s, d)
			if err != nil || !sameContent(content, &l.content) {
				t.Fatalf("device %d: %v", d, err)
			}
			if e, err := from.Entry(d); err != nil || (e.Prekey != nil) != (i < l.prekeys) {
				t.Fatalf("device %d: prekey part %v, %v", d, e.Prekey != nil, err)
			}
		}
		if _, err := from.Entry(0); !errors.Is(err, ErrNoEntry) {
			t.Fatal("device 0:", err)
		}
	})
}

// Adversarial test 42: messages of one class have one length, whatever they are.
func TestEqualSizes(t *testing.T) {
	w := newWorld(t, alice)
	for c := wire.Class1K; c <= wire.Class64K; c++ {
		for name, change := range map[string]func(l *letter){
			"text":             func(*letter) {},
			"receipt":          func(l *letter) { l.content.Frame, l.content.Control = nil, []byte{1} },
			"empty":            func(l *letter) { l.content.Frame, l.content.Control = nil, nil },
			"full":             func(l *letter) { l.content.Frame, l.content.Control = make([]byte, Room(c)), nil },
			"full of tickets":  func(l *letter) { l.content.Frame, l.content.Control = nil, make([]byte, Room(c)) },
			"group":            func(l *letter) { l.kind, l.d, l.content.Control = KindGroup, [32]byte{1}, nil },
			"copy":             func(l *letter) { l.kind = KindSync },
			"all devices":      func(l *letter) { l.devices = []ids.DeviceID{1, 2, 3, 4, 5, 6, 7, 8}[:c.Devices()] },
			"confirmed":        func(l *letter) { l.confirmed = true },
			"first contact":    func(l *letter) { l.first = roomForFirst(c) },
			"first, new phone": func(l *letter) { l.first, l.prekeys = roomForFirst(c), int(c)/4 },
		} {
			l := newLetter(c)
			change(l)
			s, err := w.seal(l)
			if err != nil {
				t.Errorf("class %d, %s: %v", c, name, err)
				continue
			}
			e := wire.Envelope{Ticket: &w.ticket, Binder: new([16]byte), Com: &l.outer.Com, Day: today, Class: c, TTL: 1, Head: s.head, Body: s.body}
			if b := e.Append(nil); len(b) != c.Size() {
				t.Errorf("class %d, %s: %d bytes", c, name, len(b))
			}
		}
	}
}

// Adversarial test 45: nothing in head or body is constant, be it over one
// conversation or between messages of different kinds. Every bit is set in
// about half of the messages. With 7 standard deviations a fair bit fails once
// in 10^11.
func TestBitsLookRandom(t *testing.T) {
	const samples = 400 // deviation sqrt(n)/2 = 10
	for name, c := range map[string]wire.Class{"steady": wire.Class1K, "first": wire.Class16K} {
		w := newWorld(t, alice)
		var ones []int
		for i := range samples {
			rand.Read(w.ticket[:]) // a ticket seals one envelope
			l := newLetter(c)
			l.first = name == "first"
			if i%2 == 0 {
				l.content.Frame, l.content.Control = nil, nil
			}
			s := w.mustSeal(t, l)
			all := append(bytes.Clone(s.head), s.body...)
			if ones == nil {
				ones = make([]int, 8*len(all))
			}
			for j := range ones {
				ones[j] += int(all[j/8] >> (j % 8) & 1)
			}
		}
		// The last bit of an X25519 key is always 0 (RFC 7748 section 5): how an
		// X-Wing encapsulation ends. The ML-KEM part before it is nearly uniform.
		x25519Bit := -1
		if name == "first" {
			x25519Bit = 8*1120 - 1
		}
		for j, n := range ones {
			if off := max(n-samples/2, samples/2-n); off > 70 && j != x25519Bit {
				t.Errorf("%s: bit %d is set in %d of %d", name, j, n, samples)
			}
		}
	}
}

// A steady message twice with all the same inputs shares nothing, as each body
// has its own key and each message its own ticket.
func TestSealedTwiceDiffers(t *testing.T) {
	w := newWorld(t, alice)
	l := newLetter(wire.Class1K)
	a := w.mustSeal(t, l)
	rand.Read(w.ticket[:])
	b := w.mustSeal(t, l)
	equal := 0
	x, y := append(a.head, a.body...), append(b.head, b.body...)
	for i := range x {
		if x[i] == y[i] {
			equal++
		}
	}
	// 907 bytes, each equal with 1/256: 3.5 expected.
	if equal > 30 {
		t.Errorf("%d bytes of %d are equal", equal, len(x))
	}
}

// Adversarial test 41, this package's part: opening holds no state, so
// that a message opens alike at any time and in any order.
func TestOpeningChangesNothing(t *testing.T) {
	w := newWorld(t, alice)
	l := newLetter(wire.Class2K)
	s := w.mustSeal(t, l)
	head, body := bytes.Clone(s.head), bytes.Clone(s.body)
	for range 3 {
		if content, err := w.open(s, 1); err != nil || !sameContent(content, &l.content) {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(head, s.head) || !bytes.Equal(body, s.body) {
		t.Error("opening wrote into the envelope")
	}
}
