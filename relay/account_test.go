package relay

import (
	"context"
	"testing"

	"waxwing/core/directory"
	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
	"waxwing/sealedsender"
)

// applicant is a device that asks for an account on a connection of its own.
type applicant struct {
	p        *provider
	session  *Session
	identity *keys.SigningKey
	sign     *keys.SigningKey
	manifest *directory.Manifest
}

func (p *provider) applicant(address string, k group.Scalar) *applicant {
	p.t.Helper()
	a := &applicant{
		p: p, session: NewSession([32]byte{}, [wire.NonceSize]byte{1}, func() {}), identity: keys.NewSigningKey(), sign: keys.NewSigningKey(),
	}
	f := directory.ManifestFields{Address: ids.MustParseAddress(address), Version: 1, DH: keys.NewDHKey().Public()}
	f.AddDevice(a.sign.Public(), keys.NewDHKey().Public())
	var err error
	f.AccountKey, err = directory.ProveAccountKey(k, f.Address, a.identity.Public())
	must(p.t, err)
	a.manifest, err = directory.SignManifest(f, a.identity)
	must(p.t, err)
	return a
}

func (a *applicant) ask(m wire.Message) wire.Message {
	return a.p.Handle(context.Background(), a.p.now, a.session, m)
}

func (a *applicant) register(manifest []byte) wire.Message {
	return a.ask(&wire.Register{
		Manifest: manifest, Signature: directory.SignRegistration(a.identity, a.manifest, beta, directory.Challenge{Nonce: [32]byte{1}}),
	})
}

// A certificate names the X_S of the stored manifest.
func TestCertificateHasTheAccountsKey(t *testing.T) {
	p := newProvider(t, nil)
	a := p.applicant("carol@beta.example", group.Ristretto255().RandomScalar())
	if m, ok := a.register(a.manifest.Bytes()).(*wire.Session); !ok {
		t.Fatalf("registration: %+v", m)
	}
	m, ok := a.ask(new(wire.Certify)).(*wire.Cert)
	if !ok {
		t.Fatal("no certificate")
	}
	key, _ := p.keys.Certificate(p.today())
	cert, err := sealedsender.Verify(m.Certificate, []keys.VerifyKey{key.Public()}, beta, p.today())
	must(t, err)
	if cert.XS() != a.manifest.XS() || cert.Identity() != a.manifest.Identity() {
		t.Error("the certificate is not of the account's manifest")
	}
}

// One account of a provider has an X_S, and only whoever proves to know k.
func TestRegistrationOfAnAccountKey(t *testing.T) {
	p := newProvider(t, nil)
	k := group.Ristretto255().RandomScalar()
	first := p.applicant("carol@beta.example", k)
	if m, ok := first.register(first.manifest.Bytes()).(*wire.Session); !ok {
		t.Fatalf("registration: %+v", m)
	}
	twin := p.applicant("dave@beta.example", k)
	if m, ok := twin.register(twin.manifest.Bytes()).(*wire.Refusal); !ok || m.Code != wire.CodeForbidden || m.RetryAfter != 0 {
		t.Errorf("X_S of another account: %+v", m)
	}
	// Its bytes under an identity key of one's own, signed anew.
	thief := p.applicant("erin@beta.example", group.Ristretto255().RandomScalar())
	f := directory.ManifestFields{Address: thief.manifest.Address(), Version: 1, DH: keys.NewDHKey().Public()}
	f.AddDevice(thief.sign.Public(), keys.NewDHKey().Public())
	var fields directory.ManifestFields
	must(t, wire.Unmarshal(first.manifest.Bytes(), &fields))
	f.Identity, f.AccountKey = thief.identity.Public(), fields.AccountKey
	b := wire.MustMarshal(&f)
	copy(b[len(b)-keys.SignatureSize:], thief.identity.Sign(keys.ContextManifest, b[:len(b)-keys.SignatureSize]))
	if m, ok := thief.register(b).(*wire.Refusal); !ok || m.Code != wire.CodeUnauthenticated {
		t.Errorf("transplanted X_S: %+v", m)
	}
}

// A name that passes for another is refused for what it is, and makes no
// account.
func TestRegisterConfusable(t *testing.T) {
	for name, ok := range map[string]bool{
		"carol": true, "борис": true, "山田たろう": true,
		"cаrol": false, "асе": false, "bοb": false,
	} {
		p := newProvider(t, nil)
		a := p.applicant(name+"@beta.example", group.Ristretto255().RandomScalar())
		switch m := a.register(a.manifest.Bytes()).(type) {
		case *wire.Session:
			if !ok {
				t.Errorf("%q was registered", name)
			}
		case *wire.Refusal:
			if ok || m.Code != wire.CodeConfusable || m.RetryAfter != 0 {
				t.Errorf("%q: %+v", name, m)
			}
		default:
			t.Errorf("%q: %+v", name, m)
		}
		if _, err := p.directory.Account(t.Context(), a.manifest.Address()); (err == nil) != ok {
			t.Errorf("%q: account: %v", name, err)
		}
	}
}
