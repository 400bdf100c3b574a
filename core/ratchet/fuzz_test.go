package ratchet

import (
	"bytes"
	"errors"
	"testing"

	"waxwing/core/keys"
	"waxwing/core/wire"
)

// fuzzSchema feeds bytes to a parser: what it accepts is encoded to the same
// bytes.
func fuzzSchema[T any, P interface {
	*T
	wire.Schema
}](f *testing.F, seeds ...P) {
	for _, s := range seeds {
		f.Add(wire.MustMarshal(s))
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		var v T
		if err := wire.Unmarshal(b, P(&v)); err != nil {
			if !errors.Is(err, wire.ErrMalformed) {
				t.Fatal(err)
			}
			return
		}
		if again, err := wire.Marshal(P(&v)); err != nil || !bytes.Equal(again, b) {
			t.Fatal("accepted, but encoded to other bytes", err)
		}
	})
}

func FuzzPublicSignedPrekey(f *testing.F) {
	p := bob.signed[7].Public()
	fuzzSchema(f, &p)
}

func FuzzPublicOneTime(f *testing.F) {
	p, q := bob.pairs[9].Public(), bob.last[9].Public()
	fuzzSchema(f, &p, &q)
}

func FuzzPrekeyMessage(f *testing.F) {
	m, _ := initiateTo(f, alice, bob, true).PrekeyHeader()
	fuzzSchema(f, &m)
}

func FuzzBundle(f *testing.F) {
	b := bob.bundle(false)
	f.Add(wire.MustMarshal(&b))
	f.Fuzz(func(t *testing.T, b []byte) {
		var v Bundle
		if wire.Unmarshal(b, &v) != nil {
			return
		}
		if again := wire.MustMarshal(&v); !bytes.Equal(again, b) {
			t.Fatal("accepted, but encoded to other bytes")
		}
		if _, err := VerifyBundle(v, bob.signing.Public()); err != nil && !errors.Is(err, ErrBundle) {
			t.Fatal(err)
		}
	})
}

func FuzzHeader(f *testing.F) {
	add := func(h header) {
		b, err := wire.MarshalPadded(&h, headerPlain)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	add(header{})
	add(header{ratchet: bob.IK.Public(), prev: 3, n: 5, pq: make([]byte, maxHeaderPQ)})
	f.Fuzz(func(t *testing.T, b []byte) {
		var h header
		if len(b) != headerPlain || wire.Unmarshal(b, &h) != nil {
			return
		}
		if again, err := wire.MarshalPadded(&h, headerPlain); err != nil || !bytes.Equal(again, b) {
			t.Fatal("accepted, but encoded to other bytes", err)
		}
	})
}

func FuzzUnmarshalSession(f *testing.F) {
	f.Add(initiateTo(f, alice, bob, true).Marshal())
	a, b := pair(f)
	f.Add(a.Marshal())
	encrypt(f, a, "lost")
	decrypt(f, b, encrypt(f, a, "x"), "x")
	f.Add(b.Marshal())
	m := encrypt(f, a, "next")
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := UnmarshalSession(Config{}, b)
		if err != nil {
			if !errors.Is(err, ErrState) {
				t.Fatal(err)
			}
			return
		}
		if !bytes.Equal(s.Marshal(), b) {
			t.Fatal("accepted, but encoded to other bytes")
		}
		// Whatever was stored, using it does not panic.
		s.PrekeyHeader()
		_, _ = s.Encrypt(nil, nil)
		_, _ = s.Decrypt(m, nil)
	})
}

func FuzzUnmarshalOneTimePair(f *testing.F) {
	f.Add(bob.pairs[9].Marshal())
	f.Add(wire.MustMarshal(&storedPair{lastResort: true, begun: make([]keys.DHPublic, 2)}))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := UnmarshalOneTimePair(b)
		if err == nil && !bytes.Equal(p.Marshal(), b) {
			t.Fatal("accepted, but encoded to other bytes")
		}
	})
}

func FuzzUnmarshalSignedPrekey(f *testing.F) {
	f.Add(bob.signed[7].Marshal())
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := UnmarshalSignedPrekey(b)
		if err == nil && !bytes.Equal(p.Marshal(), b) {
			t.Fatal("accepted, but encoded to other bytes")
		}
	})
}

// Only the messages that were sent open, each once; the rest changes nothing.
func FuzzDecrypt(f *testing.F) {
	a, b := pair(f)
	encrypt(f, a, "lost")
	decrypt(f, b, encrypt(f, a, "x"), "x")
	real := map[string]bool{}
	for range 3 {
		m := encrypt(f, a, "real")
		real[string(m)] = true
		f.Add(m)
	}
	stored := b.Marshal()
	f.Fuzz(func(t *testing.T, m []byte) {
		s, err := UnmarshalSession(Config{}, stored)
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.Decrypt(m, nil)
		switch {
		case real[string(m)]:
			if err != nil || string(got) != "real" {
				t.Fatal(err)
			}
		case err == nil:
			t.Fatal("a message opens that nobody sent")
		case !bytes.Equal(stored, s.Marshal()):
			t.Fatal("a refused message changed the session")
		}
	})
}

// Only the first message that was sent makes a session.
func FuzzAcceptSession(f *testing.F) {
	a := initiateTo(f, alice, bob, true)
	first, _ := a.PrekeyHeader()
	goodFirst, goodMessage := wire.MustMarshal(&first), encrypt(f, a, "real")
	f.Add(goodFirst, goodMessage)
	f.Fuzz(func(t *testing.T, b, m []byte) {
		var p PrekeyMessage
		if wire.Unmarshal(b, &p) != nil {
			return
		}
		s, _, _, err := AcceptSession(Config{}, bob.Identity, bob, p, alice.peer(), m, nil)
		if good := bytes.Equal(b, goodFirst) && bytes.Equal(m, goodMessage); (err == nil) != good || (s != nil) != good {
			t.Fatal(err)
		}
	})
}
