package quicnet

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

func TestPinOfIsTheCertificates(t *testing.T) {
	id := newIdentity(t, alpha, time.Now())
	root := must(x509.ParseCertificate(must(id.certificate(time.Now())).Certificate[1]))
	if !id.Pin().Matches(root.RawSubjectPublicKeyInfo) {
		t.Fatal("the root certificate does not match the pin")
	}
	if (keys.Pin{}).Matches(root.RawSubjectPublicKeyInfo) {
		t.Fatal("no pin matches")
	}
}

func TestRenewal(t *testing.T) {
	start := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	id := newIdentity(t, alpha, start)
	first := must(id.certificate(start))
	for _, c := range []struct {
		name string
		at   time.Duration
		same bool
	}{
		{"later", 24 * time.Hour, true},
		{"just before renewal", 60*24*time.Hour - time.Second, true},
		{"renewal", 60 * 24 * time.Hour, false},
		{"after a long sleep", 1000 * 24 * time.Hour, false},
		{"clock set back", -25 * time.Hour, false},
	} {
		id.leaf = first
		now := start.Add(c.at)
		got := must(id.certificate(now))
		if (got == first) != c.same {
			t.Errorf("%s: renewed %v", c.name, got != first)
		}
		chain := []*x509.Certificate{got.Leaf, must(x509.ParseCertificate(got.Certificate[1]))}
		if err := checkChain(chain, alpha, id.Pin(), x509.ExtKeyUsageServerAuth, now); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestIdentityIsRedacted(t *testing.T) {
	id := newIdentity(t, alpha, time.Now())
	for _, f := range []string{"%v", "%+v", "%#v", "%s"} {
		if s := fmt.Sprintf(f, id); !strings.Contains(s, "redacted") || len(s) > 50 {
			t.Errorf("%s prints %q", f, s)
		}
	}
}

func TestIdentityMisuse(t *testing.T) {
	if _, err := NewIdentity(ids.Domain{}, keys.NewSigningKey(), time.Now()); !errors.Is(err, ErrConfig) {
		t.Error(err)
	}
	if _, err := NewIdentity(alpha, nil, time.Now()); !errors.Is(err, ErrConfig) {
		t.Error(err)
	}
}

// forge makes a chain like newLeaf's, changed by edit.
func forge(t *testing.T, root *keys.SigningKey, now time.Time, edit func(leaf *x509.Certificate, public *any)) []*x509.Certificate {
	t.Helper()
	base := must(newLeaf(alpha, root, now.Add(-time.Hour), now.Add(time.Hour)))
	rootCert := must(x509.ParseCertificate(base.Certificate[1]))
	template := &x509.Certificate{
		DNSNames: []string{"alpha.example"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	public, _, _ := ed25519.GenerateKey(rand.Reader)
	var key any = public
	edit(template, &key)
	der := must(x509.CreateCertificate(rand.Reader, template, rootCert, key, root.Ed25519()))
	return []*x509.Certificate{must(x509.ParseCertificate(der)), rootCert}
}

func TestCheckChain(t *testing.T) {
	now := time.Now()
	root, other := keys.NewSigningKey(), keys.NewSigningKey()
	plain := func(*x509.Certificate, *any) {}
	leaf := func(f func(c *x509.Certificate)) []*x509.Certificate {
		return forge(t, root, now, func(c *x509.Certificate, _ *any) { f(c) })
	}
	good, foreign := forge(t, root, now, plain), forge(t, other, now, plain)
	ecdsaKey := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	for _, c := range []struct {
		name  string
		chain []*x509.Certificate
		want  error
	}{
		{"good", good, nil},
		{"nothing", nil, ErrCertificate},
		{"leaf alone", good[:1], ErrCertificate},
		{"three", append(good[:2:2], good[1]), ErrCertificate},
		{"other root", foreign, ErrPin},
		{"root swapped", []*x509.Certificate{good[0], foreign[1]}, ErrPin},
		{"leaf swapped", []*x509.Certificate{foreign[0], good[1]}, ErrCertificate},
		{"root as leaf", []*x509.Certificate{good[1], good[1]}, ErrCertificate},
		{"other domain", leaf(func(c *x509.Certificate) { c.DNSNames = []string{"beta.example"} }), ErrCertificate},
		{"wildcard", leaf(func(c *x509.Certificate) { c.DNSNames = []string{"*.example"} }), ErrCertificate},
		{"upper case", leaf(func(c *x509.Certificate) { c.DNSNames = []string{"ALPHA.example"} }), ErrCertificate},
		{"two domains", leaf(func(c *x509.Certificate) { c.DNSNames = append(c.DNSNames, "beta.example") }), ErrCertificate},
		{"no domain", leaf(func(c *x509.Certificate) { c.DNSNames, c.Subject.CommonName = nil, "alpha.example" }), ErrCertificate},
		{"mail address too", leaf(func(c *x509.Certificate) { c.EmailAddresses = []string{"a@b.example"} }), ErrCertificate},
		{"expired", leaf(func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Minute) }), ErrExpired},
		{"not yet", leaf(func(c *x509.Certificate) { c.NotBefore = now.Add(time.Minute) }), ErrExpired},
		{"too long", leaf(func(c *x509.Certificate) { c.NotAfter = now.Add(maxLeafLifetime) }), ErrCertificate},
		{"authority", leaf(func(c *x509.Certificate) { c.IsCA = true }), ErrCertificate},
		{"other use", leaf(func(c *x509.Certificate) { c.ExtKeyUsage = c.ExtKeyUsage[1:] }), ErrCertificate},
		{"ECDSA", forge(t, root, now, func(_ *x509.Certificate, k *any) { *k = ecdsaKey.Public() }), ErrCertificate},
	} {
		err := checkChain(c.chain, alpha, keys.PinOf(root.Public()), x509.ExtKeyUsageServerAuth, now)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	if err := checkChain(good, alpha, keys.Pin{}, x509.ExtKeyUsageServerAuth, now); !errors.Is(err, ErrPin) {
		t.Errorf("no pin: %v", err)
	}
}

func TestCheckParameters(t *testing.T) {
	good := tls.ConnectionState{Version: tls.VersionTLS13, CurveID: tls.X25519MLKEM768, NegotiatedProtocol: wire.ALPN}
	if err := checkParameters(good); err != nil {
		t.Fatal(err)
	}
	for name, edit := range map[string]func(*tls.ConnectionState){
		"TLS 1.2":   func(cs *tls.ConnectionState) { cs.Version = tls.VersionTLS12 },
		"classical": func(cs *tls.ConnectionState) { cs.CurveID = tls.X25519 },
		"no ALPN":   func(cs *tls.ConnectionState) { cs.NegotiatedProtocol = "" },
		"resumed":   func(cs *tls.ConnectionState) { cs.DidResume = true },
	} {
		cs := good
		edit(&cs)
		if err := checkParameters(cs); !errors.Is(err, ErrHandshake) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParsePin(f *testing.F) {
	f.Add(keys.PinOf(keys.NewSigningKey().Public()).String())
	f.Fuzz(func(t *testing.T, s string) {
		switch p, err := keys.ParsePin(s); {
		case err != nil && !errors.Is(err, keys.ErrPinText):
			t.Errorf("untyped error %v", err)
		case err == nil && p.String() != s:
			t.Errorf("%q is the pin %s", s, p)
		}
	})
}
