package keys

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// A signature verifies in its own context, over its own message, by its own
// key, and nowhere else.
func TestSigningContextsAreApart(t *testing.T) {
	k, other := NewSigningKey(), NewSigningKey()
	msg := []byte("message")
	for c := ContextInvalid + 1; c < contextEnd; c++ {
		sig := k.Sign(c, msg)
		for v := ContextInvalid + 1; v < contextEnd; v++ {
			if err := k.Public().Verify(v, msg, sig); (err == nil) != (v == c) {
				t.Errorf("signed in %d, verified in %d: %v", c, v, err)
			}
		}
		if err := other.Public().Verify(c, msg, sig); !errors.Is(err, ErrSignature) {
			t.Errorf("foreign key: %v", err)
		}
		for i := range sig {
			bad := bytes.Clone(sig)
			bad[i] ^= 1
			if k.Public().Verify(c, msg, bad) == nil {
				t.Fatalf("flipped byte %d of a signature verifies", i)
			}
		}
	}
}

func TestContextLabelsAreUniqueAndComplete(t *testing.T) {
	seen := map[string]bool{}
	for c := ContextInvalid + 1; c < contextEnd; c++ {
		l := contextLabels[c]
		if l == "" || seen[l] {
			t.Errorf("context %d has label %q", c, l)
		}
		seen[l] = true
	}
	defer func() {
		if recover() == nil {
			t.Error("an unknown context signs")
		}
	}()
	NewSigningKey().Sign(contextEnd, nil)
}

func TestParseVerifyKeyRefuses(t *testing.T) {
	identity := make([]byte, 32)
	identity[0] = 1
	unreduced := bytes.Repeat([]byte{0xff}, 32) // y = 2^255-1 is not reduced
	notOnCurve := make([]byte, 32)
	notOnCurve[0] = 2
	for name, b := range map[string][]byte{
		"short": make([]byte, 31), "order 4": make([]byte, 32), "identity": identity,
		"unreduced": unreduced, "not on curve": notOnCurve,
	} {
		if _, err := ParseVerifyKey(b); !errors.Is(err, ErrKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := (VerifyKey{}).Verify(ContextAuth, nil, make([]byte, 64)); !errors.Is(err, ErrSignature) {
		t.Errorf("zero key: %v", err)
	}
	k := NewSigningKey().Public()
	if got, err := ParseVerifyKey(k[:]); err != nil || got != k {
		t.Errorf("own key: %v", err)
	}
}

func TestParseDHPublicRefuses(t *testing.T) {
	p := bytes.Repeat([]byte{0xff}, 32)
	p[0], p[31] = 0xed, 0x7f
	high := NewDHKey().Public()
	high[31] |= 0x80
	one := make([]byte, 32)
	one[0] = 1
	for name, b := range map[string][]byte{
		"short": make([]byte, 31), "zero": make([]byte, 32), "one": one, "p": p, "high bit": high[:],
	} {
		if _, err := ParseDHPublic(b); !errors.Is(err, ErrKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDHAgrees(t *testing.T) {
	a, b := NewDHKey(), NewDHKey()
	ab, err1 := a.DH(b.Public())
	ba, err2 := b.DH(a.Public())
	if err1 != nil || err2 != nil || !bytes.Equal(ab, ba) {
		t.Fatal("no agreement", err1, err2)
	}
	if _, err := a.DH(DHPublic{}); !errors.Is(err, ErrKey) {
		t.Errorf("zero key: %v", err)
	}
	again, err := DHKeyFrom(a.Bytes())
	if err != nil || again.Public() != a.Public() {
		t.Error("stored key differs")
	}
}

func TestSealRoundTrip(t *testing.T) {
	k := NewSealKey()
	stored, err := SealKeyFromSeed(k.Seed())
	if err != nil {
		t.Fatal(err)
	}
	pub, err := ParseSealPublic(k.Public().Bytes())
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		info, aad := rapid.SliceOf(rapid.Byte()).Draw(t, "info"), rapid.SliceOf(rapid.Byte()).Draw(t, "aad")
		msg := rapid.SliceOf(rapid.Byte()).Draw(t, "msg")
		sealed, _, err := pub.Seal(info, aad, msg)
		if err != nil || len(sealed) != len(msg)+SealOverhead {
			t.Fatalf("seal: %d bytes, %v", len(sealed), err)
		}
		got, _, err := stored.Open(info, aad, sealed)
		if err != nil || !bytes.Equal(got, msg) {
			t.Fatalf("open: %v", err)
		}
		sealed[rapid.IntRange(0, len(sealed)-1).Draw(t, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if _, _, err := stored.Open(info, aad, sealed); !errors.Is(err, ErrSealed) {
			t.Fatalf("flipped: %v", err)
		}
	})
	sealed, _, _ := pub.Seal([]byte("i"), []byte("a"), []byte("m"))
	for name, open := range map[string]func() error{
		"info":  func() error { _, _, err := k.Open([]byte("j"), []byte("a"), sealed); return err },
		"aad":   func() error { _, _, err := k.Open([]byte("i"), []byte("b"), sealed); return err },
		"key":   func() error { _, _, err := NewSealKey().Open([]byte("i"), []byte("a"), sealed); return err },
		"short": func() error { _, _, err := k.Open([]byte("i"), []byte("a"), sealed[:SealOverhead-1]); return err },
	} {
		if err := open(); !errors.Is(err, ErrSealed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParseSealPublicRefuses(t *testing.T) {
	good := NewSealKey().Public().Bytes()
	unreduced := bytes.Clone(good)
	unreduced[0], unreduced[1] = 0xff, 0xff // a coefficient of 0xfff is above q
	loworder := bytes.Clone(good)
	clear(loworder[SealPublicSize-32:])
	for name, b := range map[string][]byte{"short": good[1:], "long": append(good, 0), "ML-KEM": unreduced, "X25519": loworder} {
		if _, err := ParseSealPublic(b); !errors.Is(err, ErrKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSecretsPrintRedacted(t *testing.T) {
	seed := bytes.Repeat([]byte{0xab}, 32)
	secret, _ := SecretFrom(seed)
	signing, _ := SigningKeyFromSeed(seed)
	dh, _ := DHKeyFrom(seed)
	seal, _ := SealKeyFromSeed(seed)
	for _, v := range []any{secret, signing, dh, seal} {
		var log bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "v", v)
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "v", v)
		j, _ := json.Marshal(v)
		out := fmt.Sprintf("%v %+v %#v %s %x %d", v, v, v, v, v, v) + log.String() + string(j)
		if strings.Contains(strings.ToLower(out), "abab") || strings.Contains(out, "171") || !strings.Contains(out, redactedText) {
			t.Errorf("%T prints %s", v, out)
		}
	}
}

func TestEraseErases(t *testing.T) {
	s := NewSecret()
	s.Erase()
	if !s.Equal(new(Secret)) {
		t.Error("secret kept")
	}
	k := NewSigningKey()
	k.Erase()
	if !bytes.Equal(k.Seed(), make([]byte, 32)) {
		t.Error("seed kept")
	}
}

func FuzzParseKeys(f *testing.F) {
	v, d := NewSigningKey().Public(), NewDHKey().Public()
	f.Add(v[:])
	f.Add(d[:])
	f.Add(NewSealKey().Public().Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		if k, err := ParseVerifyKey(b); err == nil && !bytes.Equal(k[:], b) {
			t.Error("verify key changes")
		}
		if k, err := ParseDHPublic(b); err == nil && !bytes.Equal(k[:], b) {
			t.Error("X25519 key changes")
		}
		if k, err := ParseSealPublic(b); err == nil && !bytes.Equal(k.Bytes(), b) {
			t.Error("seal key changes")
		}
	})
}

// What SealWith seals opens like what Seal seals, and its plaintext may depend
// on the seal.
func TestSealWith(t *testing.T) {
	k := NewSealKey()
	sealed, _, err := k.Public().SealWith([]byte("info"), []byte("aad"), func(enc []byte) ([]byte, error) {
		return append([]byte(nil), enc[:8]...), nil
	})
	if err != nil || len(sealed) != SealOverhead+8 {
		t.Fatalf("%d bytes, %v", len(sealed), err)
	}
	plain, _, err := k.Open([]byte("info"), []byte("aad"), sealed)
	if err != nil || string(plain) != string(sealed[:8]) {
		t.Errorf("opened %x: %v", plain, err)
	}
	mine := errors.New("mine")
	if _, _, err := k.Public().SealWith(nil, nil, func([]byte) ([]byte, error) { return nil, mine }); err != mine {
		t.Errorf("plaintext's error: %v", err)
	}
	if _, _, err := (SealPublic{}).SealWith(nil, nil, nil); err != ErrKey {
		t.Errorf("no key: %v", err)
	}
}

// FuzzSealOpen: what a key opens was sealed to it, and anything else is an error.
func FuzzSealOpen(f *testing.F) {
	k, err := SealKeyFromSeed(bytes.Repeat([]byte{7}, SealSeedSize))
	if err != nil {
		f.Fatal(err)
	}
	sealed, _, err := k.Public().Seal([]byte("info"), []byte("aad"), []byte("plain"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte("info"), []byte("aad"), sealed)
	f.Add([]byte{}, []byte{}, make([]byte, SealOverhead))
	f.Fuzz(func(t *testing.T, info, aad, b []byte) {
		if plain, _, err := k.Open(info, aad, b); err == nil && string(plain) != "plain" {
			t.Errorf("opened %x", plain)
		}
	})
}
