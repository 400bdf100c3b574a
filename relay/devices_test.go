package relay

import (
	"context"
	"testing"

	"waxwing/core/directory"
	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/store"
	"waxwing/core/wire"
)

// linked is an account with a second device, which is on a connection of its
// own; ended counts how often that was told to end.
type linked struct {
	*applicant
	second *Session
	sign   *keys.SigningKey
	two    *directory.Manifest
	ended  int
}

func (p *provider) linked() *linked {
	p.t.Helper()
	l := &linked{applicant: p.applicant("carol@beta.example", group.Ristretto255().RandomScalar()), sign: keys.NewSigningKey()}
	if m, ok := l.register(l.manifest.Bytes()).(*wire.Session); !ok {
		p.t.Fatalf("registration: %+v", m)
	}
	f := l.manifest.Next()
	f.AddDevice(l.sign.Public(), keys.NewDHKey().Public())
	l.two = l.signed(f)
	l.is(l.ask(&wire.UpdateManifest{Manifest: l.two.Bytes()}), 0)
	l.second = l.connect()
	l.is(l.login(l.second), 0)
	return l
}

func (l *linked) connect() *Session {
	return NewSession([32]byte{}, [wire.NonceSize]byte{2}, func() { l.ended++ })
}

func (l *linked) login(s *Session) wire.Message {
	a := l.manifest.Address()
	sig := directory.SignAuth(l.sign, a, 2, beta, directory.Challenge{Nonce: [32]byte{2}})
	return l.p.Handle(context.Background(), l.p.now, s, &wire.Auth{Address: a, Device: 2, Signature: sig})
}

func (l *linked) signed(f directory.ManifestFields) *directory.Manifest {
	l.p.t.Helper()
	m, err := directory.SignManifest(f, l.identity)
	must(l.p.t, err)
	return m
}

// without is the manifest after m in which a device is missing.
func (l *linked) without(m *directory.Manifest, id ids.DeviceID) *directory.Manifest {
	f := m.Next()
	f.RemoveDevice(id)
	return l.signed(f)
}

// is checks a refusal's code; 0 means that it is none.
func (l *linked) is(m wire.Message, code wire.Code) {
	l.p.t.Helper()
	var got wire.Code
	if r, ok := m.(*wire.Refusal); ok {
		got = r.Code
	}
	if got != code {
		l.p.t.Fatalf("answered with %T %q, want %q", m, got, code)
	}
}

// waits reports whether messages of the mailbox wait for the second device.
func (l *linked) waits() bool {
	l.p.t.Helper()
	box := l.session.Device().Mailbox()
	err := l.p.store.Ack(context.Background(), []store.AckReq{{Mailbox: box, Reader: 2}})[0]
	return err == nil
}

func TestRemovedDevice(t *testing.T) {
	p := newProvider(t, nil)
	l := p.linked()
	if !l.waits() {
		t.Fatal("no reader of the second device")
	}
	a, ok := p.Handle(context.Background(), p.now, l.second, new(wire.Account)).(*wire.AccountState)
	if !ok || string(a.Manifest) != string(l.two.Bytes()) {
		t.Fatal("the second device does not see the newest manifest")
	}
	three := l.without(l.two, 2)
	for range 2 { // the second time after a lost answer
		l.is(l.ask(&wire.UpdateManifest{Manifest: three.Bytes()}), 0)
	}
	if l.ended != 1 || l.second.Device() != nil {
		t.Errorf("connection told %d times to end", l.ended)
	}
	l.is(p.Handle(context.Background(), p.now, l.second, new(wire.Certify)), wire.CodeUnauthenticated)
	l.is(l.login(l.connect()), wire.CodeUnauthenticated)
	if l.waits() {
		t.Error("messages wait for the removed device")
	}
	if a, err := p.directory.Account(context.Background(), l.manifest.Address()); err != nil || len(a.Removed) != 0 {
		t.Errorf("not settled: %v", err)
	}
	if l.session.Device() == nil {
		t.Error("the remaining device lost its connection")
	}
}

func TestManifestRefused(t *testing.T) {
	p := newProvider(t, nil)
	l := p.linked()
	self := l.without(l.two, 1)
	l.is(l.ask(&wire.UpdateManifest{Manifest: self.Bytes()}), wire.CodeForbidden)
	l.is(l.ask(&wire.UpdateManifest{Manifest: l.manifest.Bytes()}), wire.CodeConflict) // rolled back
	l.is(l.ask(&wire.UpdateManifest{Manifest: []byte{1}}), wire.CodeMalformed)
	forged := l.without(l.two, 2).Bytes()
	forged[len(forged)-1] ^= 1
	l.is(l.ask(&wire.UpdateManifest{Manifest: forged}), wire.CodeUnauthenticated)
	stranger := l.connect()
	l.is(p.Handle(context.Background(), p.now, stranger, &wire.UpdateManifest{Manifest: l.two.Bytes()}), wire.CodeUnauthenticated)
	l.is(p.Handle(context.Background(), p.now, stranger, new(wire.Account)), wire.CodeUnauthenticated)
	if l.ended != 0 || !l.waits() {
		t.Error("a refused manifest removed a device")
	}
}

// The manifest is stored, and the server dies before the reader is closed: the
// next login of the account closes it.
func TestRemovalAfterCrash(t *testing.T) {
	p := newProvider(t, nil)
	l := p.linked()
	three := l.without(l.two, 2)
	must(t, p.directory.UpdateManifest(context.Background(), l.session.Device(), three.Bytes()))
	if !l.waits() {
		t.Fatal("the reader is gone already")
	}
	l.session = NewSession([32]byte{}, [wire.NonceSize]byte{1}, func() {})
	a := l.manifest.Address()
	sig := directory.SignAuth(l.applicant.sign, a, 1, beta, directory.Challenge{Nonce: [32]byte{1}})
	l.is(l.ask(&wire.Auth{Address: a, Device: 1, Signature: sig}), 0)
	if l.waits() || l.ended != 1 {
		t.Error("messages still wait for the removed device")
	}
}

// A device that proved its key just before its removal opens its reader after
// it: the reader does not stay.
func TestRemovalDuringLogin(t *testing.T) {
	p := newProvider(t, nil)
	l := p.linked()
	who := l.second.Device()
	three := l.without(l.two, 2)
	l.is(l.ask(&wire.UpdateManifest{Manifest: three.Bytes()}), 0)
	late := l.connect()
	l.is(p.enter(context.Background(), p.now, late, who), wire.CodeUnauthenticated)
	if l.waits() || late.Device() != nil {
		t.Error("the removed device came in")
	}
}

func TestLeave(t *testing.T) {
	p := newProvider(t, nil)
	l := p.linked()
	p.Leave(l.second)
	p.Leave(l.connect()) // never authenticated
	if n := len(p.sessions.set); n != 1 {
		t.Errorf("%d devices have connections, want 1", n)
	}
	l.is(l.ask(&wire.UpdateManifest{Manifest: l.without(l.two, 2).Bytes()}), 0)
	if l.ended != 0 {
		t.Error("a connection that has ended was told to end")
	}
}
