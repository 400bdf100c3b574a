package sealedsender

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

func TestCertificateRoundTrip(t *testing.T) {
	key := keys.NewSigningKey()
	trusted := []keys.VerifyKey{keys.NewSigningKey().Public(), key.Public(), keys.NewSigningKey().Public()}
	identity, device := keys.NewSigningKey(), keys.NewDHKey()
	rapid.Check(t, func(t *rapid.T) {
		f := CertificateFields{
			Address:  ids.MustParseAddress(rapid.StringMatching(`[a-z0-9]{1,40}@alpha\.example`).Draw(t, "address")),
			Device:   ids.DeviceID(rapid.Uint32Min(1).Draw(t, "device")),
			Identity: identity.Public(), DH: device.Public(),
			XS:     [32]byte(group.Ristretto255().HashToElement(rapid.SliceOfN(rapid.Byte(), 8, 8).Draw(t, "X_S"), "test").Bytes()),
			Expiry: today + ids.Day(rapid.IntRange(0, MaxLifetimeDays).Draw(t, "days")),
		}
		b, err := Issue(key, f)
		if err != nil || len(b) > MaxCertificateSize {
			t.Fatal(len(b), err)
		}
		v, err := Verify(b, trusted, alpha, today)
		if err != nil {
			t.Fatal(err)
		}
		if v.Address() != f.Address || v.Device() != f.Device || v.Identity() != f.Identity || v.DH() != f.DH ||
			v.Expiry() != f.Expiry || v.XS() != f.XS || !bytes.Equal(v.Bytes(), b) || v.Hash() != CertificateHash(b) {
			t.Fatalf("%+v comes back different", f)
		}
		if d, err := CertificateDomain(b); err != nil || d != alpha {
			t.Fatal(d, err)
		}
	})
}

func TestLargestCertificate(t *testing.T) {
	w := newWorld(t, longest)
	if n := len(w.certify(t, w.fields).Bytes()); n != MaxCertificateSize || n > wire.MaxCertificate {
		t.Errorf("largest certificate has %d bytes, not %d", n, MaxCertificateSize)
	}
}

// Adversarial test 37, the certificate's part.
func TestVerifyRefuses(t *testing.T) {
	w := newWorld(t, alice)
	trusted := []keys.VerifyKey{w.certKey.Public()}
	for name, tt := range map[string]struct {
		expiry  int
		trusted []keys.VerifyKey
		domain  ids.Domain
		want    error
	}{
		"last day":               {0, trusted, alpha, nil},
		"longest life":           {MaxLifetimeDays, trusted, alpha, nil},
		"second key":             {7, []keys.VerifyKey{keys.NewSigningKey().Public(), trusted[0]}, alpha, nil},
		"expired":                {-1, trusted, alpha, ErrCertificateExpired},
		"expired long ago":       {-20000, trusted, alpha, ErrCertificateExpired},
		"too long a life":        {MaxLifetimeDays + 1, trusted, alpha, ErrCertificateExpired},
		"unknown key":            {7, []keys.VerifyKey{keys.NewSigningKey().Public()}, alpha, ErrCertificateSignature},
		"no key":                 {7, nil, alpha, ErrCertificateSignature},
		"zero key":               {7, []keys.VerifyKey{{}}, alpha, ErrCertificateSignature},
		"keys of beta":           {7, trusted, beta, ErrCertificateForeign},
		"keys of nobody":         {7, trusted, ids.Domain{}, ErrCertificateForeign},
		"more keys than allowed": {7, make([]keys.VerifyKey, MaxTrusted+1), alpha, ErrTrustedSet},
	} {
		f := w.fields
		f.Expiry = ids.Day(int(today) + tt.expiry)
		b, err := Issue(w.certKey, f)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Verify(b, tt.trusted, tt.domain, today)
		if !errors.Is(err, tt.want) || tt.want != nil && !errors.Is(err, ErrCertificate) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
}

// Days count to the end of their range without wrapping around.
func TestExpiryDoesNotWrap(t *testing.T) {
	w := newWorld(t, alice)
	for _, tt := range []struct {
		expiry, day ids.Day
		ok          bool
	}{{0xffffffff, 0xffffffff, true}, {0xffffffff, 0, false}, {0, 0xffffffff, false}, {3, 0xfffffffa, false}} {
		f := w.fields
		f.Expiry = tt.expiry
		b, _ := Issue(w.certKey, f)
		if _, err := Verify(b, []keys.VerifyKey{w.certKey.Public()}, alpha, tt.day); (err == nil) != tt.ok {
			t.Errorf("expiry %d on day %d: %v", tt.expiry, tt.day, err)
		}
	}
}

func TestUnusableKeysAreNotCertified(t *testing.T) {
	w := newWorld(t, alice)
	for name, change := range map[string]func(f *CertificateFields){
		"no identity key":               func(f *CertificateFields) { f.Identity = keys.VerifyKey{} },
		"identity key of small order":   func(f *CertificateFields) { f.Identity = keys.VerifyKey{1} },
		"no device key":                 func(f *CertificateFields) { f.DH = keys.DHPublic{} },
		"device key of small order":     func(f *CertificateFields) { f.DH = keys.DHPublic{1} },
		"device key not in lowest form": func(f *CertificateFields) { f.DH[31] |= 0x80 },
		"X_S the identity":              func(f *CertificateFields) { f.XS = [32]byte{} },
		"X_S not in lowest form":        func(f *CertificateFields) { f.XS[31] |= 0x80 },
		"X_S negative":                  func(f *CertificateFields) { f.XS = [32]byte{1} },
		"X_S no element":                func(f *CertificateFields) { f.XS = [32]byte{2} },
	} {
		f := w.fields
		change(&f)
		if _, err := Issue(w.certKey, f); !errors.Is(err, ErrCertificateKeys) {
			t.Errorf("%s: issued, %v", name, err)
		}
		// A hostile provider signs it all the same.
		b := wire.MustMarshal(&f)
		msg, sig := splitSigned(b)
		copy(sig, w.certKey.Sign(keys.ContextCertificate, msg))
		if _, err := w.verify(b); !errors.Is(err, ErrCertificateKeys) {
			t.Errorf("%s: verified, %v", name, err)
		}
	}
	for name, change := range map[string]func(f *CertificateFields){
		"no address": func(f *CertificateFields) { f.Address = ids.Address{} },
		"no device":  func(f *CertificateFields) { f.Device = 0 },
	} {
		f := w.fields
		change(&f)
		if _, err := Issue(w.certKey, f); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSignatureInAnotherContextDoesNotCertify(t *testing.T) {
	w := newWorld(t, alice)
	b := w.cert.Bytes()
	msg, sig := splitSigned(b)
	copy(sig, w.certKey.Sign(keys.ContextManifest, msg))
	if _, err := w.verify(b); !errors.Is(err, ErrCertificateSignature) {
		t.Error(err)
	}
}

// Every bit of a certificate is signed or the signature.
func TestCertificateEveryBit(t *testing.T) {
	w := newWorld(t, alice)
	b := w.cert.Bytes()
	for i := range 8 * len(b) {
		m := bytes.Clone(b)
		m[i/8] ^= 1 << (i % 8)
		if _, err := w.verify(m); !errors.Is(err, ErrCertificate) && !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("bit %d flipped: %v", i, err)
		}
	}
	for n := range len(b) {
		if _, err := w.verify(b[:n]); err == nil {
			t.Errorf("cut to %d bytes and accepted", n)
		}
	}
	if _, err := w.verify(append(b, 0)); !errors.Is(err, wire.ErrMalformed) {
		t.Error("trailing byte:", err)
	}
	if _, err := w.verify(make([]byte, 1<<20)); !errors.Is(err, wire.ErrMalformed) {
		t.Error("a megabyte:", err)
	}
	if _, err := CertificateDomain(make([]byte, 1<<20)); !errors.Is(err, wire.ErrMalformed) {
		t.Error("a megabyte:", err)
	}
}

func TestNothingPrintsNames(t *testing.T) {
	w := newWorld(t, alice)
	s := w.mustSeal(t, newLetter(wire.Class1K))
	from, err := w.sender(s)
	if err != nil {
		t.Fatal(err)
	}
	content, err := w.open(s, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{w.cert, from, from.b, from.b.o, content} {
		if out := fmt.Sprintf("%v %+v %#v %s", v, v, v, v); strings.Contains(out, "alice") || strings.Contains(out, "hello") || !strings.Contains(out, "redacted") {
			t.Errorf("%T prints %s", v, out)
		}
	}
}
