package relay

import (
	"bytes"
	"context"
	"testing"

	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

// finder is somebody with an identity key on a connection of its own.
type finder struct {
	*linked
	at       *Session
	exporter [32]byte
}

func (l *linked) finder(exporter byte) *finder {
	f := &finder{linked: l, exporter: [32]byte{exporter}}
	f.at = NewSession(f.exporter, [wire.NonceSize]byte{3}, func() {})
	return f
}

func (f *finder) says(m wire.Message) wire.Message {
	return f.p.Handle(context.Background(), f.p.now, f.at, m)
}

// proof is a recovery signed for this connection.
func (f *finder) proof(identity *keys.SigningKey, address ids.Address) *wire.Recover {
	ch := directory.Challenge{Exporter: f.exporter, Nonce: [32]byte{3}}
	return &wire.Recover{Address: address, Signature: directory.SignRecovery(identity, address, beta, ch)}
}

func TestRecover(t *testing.T) {
	p := newProvider(t, nil)
	l := p.linked()
	f := l.finder(7)
	a, ok := f.says(f.proof(l.identity, l.manifest.Address())).(*wire.AccountState)
	if !ok || !bytes.Equal(a.Manifest, l.two.Bytes()) {
		t.Fatal("the newest manifest was not told")
	}
	next := l.two.Next()
	sign := keys.NewSigningKey()
	id := next.AddDevice(sign.Public(), keys.NewDHKey().Public())
	three := l.signed(next)
	for range 2 { // the second time after a lost answer
		f.is(f.says(&wire.UpdateManifest{Manifest: three.Bytes()}), 0)
	}
	// The new device authenticates on another connection; nobody lost one.
	s := l.connect()
	sig := directory.SignAuth(sign, l.manifest.Address(), id, beta, directory.Challenge{Nonce: [32]byte{2}})
	l.is(p.Handle(context.Background(), p.now, s, &wire.Auth{Address: l.manifest.Address(), Device: id, Signature: sig}), 0)
	if l.ended != 0 || l.session.Device() == nil {
		t.Error("a device lost its connection")
	}
}

// Whoever recovers adds a device, and can do nothing else.
func TestRecoveringConnectionIsNoDevice(t *testing.T) {
	p := newProvider(t, nil)
	l := p.linked()
	f := l.finder(7)
	f.is(f.says(f.proof(l.identity, l.manifest.Address())), 0)
	a := l.manifest.Address()
	auth := directory.SignAuth(l.sign, a, 2, beta, directory.Challenge{Exporter: f.exporter, Nonce: [32]byte{3}})
	for _, m := range []wire.Message{
		&wire.UpdateManifest{Manifest: l.without(l.two, 2).Bytes()}, // a removal
		&wire.Auth{Address: a, Device: 2, Signature: auth},
		f.proof(l.identity, a),
		new(wire.Register), new(wire.Prekeys), new(wire.SealKey), new(wire.Certify), &wire.Mint{Count: 1},
		new(wire.Block), new(wire.Unblock), &wire.Query{Dest: alpha}, &wire.Describe{Domain: beta},
		new(wire.RendezvousOpen), &wire.RendezvousPut{Side: wire.SideNew}, &wire.RendezvousGet{Side: wire.SideNew},
	} {
		f.is(f.says(m), wire.CodeForbidden)
	}
	if f.at.Device() != nil || l.ended != 0 || !l.waits() {
		t.Error("the connection is a device's, or a device lost something")
	}
	f.is(f.says(new(wire.Account)), 0)
}

func TestRecoverRefused(t *testing.T) {
	p := newProvider(t, nil)
	l := p.linked()
	a := l.manifest.Address()
	good := func(f *finder) *wire.Recover { return f.proof(l.identity, a) }
	for name, proof := range map[string]func(f *finder) *wire.Recover{
		"a device's key": func(f *finder) *wire.Recover { return f.proof(l.sign, a) },
		"another key":    func(f *finder) *wire.Recover { return f.proof(keys.NewSigningKey(), a) },
		"another account": func(f *finder) *wire.Recover {
			m := good(f)
			m.Address = ids.MustParseAddress("dave@beta.example")
			return m
		},
		"another provider":   func(f *finder) *wire.Recover { return f.proof(l.identity, ids.MustParseAddress("carol@alpha.example")) },
		"another connection": func(*finder) *wire.Recover { return good(l.finder(8)) },
		"a changed signature": func(f *finder) *wire.Recover {
			m := good(f)
			m.Signature[9] ^= 1
			return m
		},
		// The identity key signed this connection to register, not to recover.
		"a registration": func(f *finder) *wire.Recover {
			ch := directory.Challenge{Exporter: f.exporter, Nonce: [32]byte{3}}
			return &wire.Recover{Address: a, Signature: directory.SignRegistration(l.identity, l.manifest, beta, ch)}
		},
	} {
		f := l.finder(7)
		f.is(f.says(proof(f)), wire.CodeUnauthenticated)
		if f.at.recovered.Load() != nil {
			t.Errorf("%s: the connection may add a device", name)
		}
		f.is(f.says(&wire.UpdateManifest{Manifest: l.two.Bytes()}), wire.CodeUnauthenticated)
	}
	// Signatures that are checked are bounded, and a device's connection stays one.
	f := l.finder(7)
	for range maxAttempts {
		f.is(f.says(f.proof(l.sign, a)), wire.CodeUnauthenticated)
	}
	f.is(f.says(good(f)), wire.CodeConflict)
	l.is(l.ask(l.finder(0).proof(l.identity, a)), wire.CodeConflict)
}
