package client

import (
	"testing"

	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/keys"
)

// next signs a manifest after the user's own one.
func (u *user) next(identity *keys.SigningKey, change func(*directory.ManifestFields)) (m *directory.Manifest) {
	u.w.t.Helper()
	u.do(func(w *work) (err error) {
		if identity == nil {
			identity = w.self.identity
		}
		f := w.self.manifest.Next()
		change(&f)
		m, err = directory.SignManifest(f, identity)
		return err
	})
	return m
}

func (u *user) manifest() (m *directory.Manifest) {
	u.w.t.Helper()
	u.do(func(w *work) error { m = w.self.manifest; return nil })
	return m
}

func (u *user) learn(m *directory.Manifest) error {
	return u.try(func(w *work) error { return w.ownManifest(m.Bytes()) })
}

func addDevice(f *directory.ManifestFields) {
	f.AddDevice(keys.NewSigningKey().Public(), keys.NewDHKey().Public())
}

func (u *user) without(id ids.DeviceID) (m *directory.Manifest, err error) {
	err = u.try(func(w *work) error { m, err = w.withoutDevice(id); return err })
	return m, err
}

// A device learns of another one, removes it, and remembers both.
func TestOwnDevices(t *testing.T) {
	bob := newWorld(t).user("bob@beta.example")
	old := bob.manifest()
	two := bob.next(nil, addDevice)
	is(t, bob.learn(two), nil)
	bob.reopen()
	if !bob.manifest().Equal(two) {
		t.Fatal("forgotten")
	}
	_, err := bob.without(1)
	is(t, err, ErrThisDevice)
	_, err = bob.without(3)
	is(t, err, ErrUnknownDevice)
	three, err := bob.without(2)
	is(t, err, nil)
	is(t, bob.learn(three), nil)
	is(t, bob.learn(three), nil)
	_, err = bob.without(2)
	is(t, err, ErrUnknownDevice)
	// The provider does not take a removal back.
	is(t, bob.learn(two), ErrServer)
	is(t, bob.learn(old), ErrServer)
	if !bob.manifest().Equal(three) {
		t.Error("taken over")
	}
}

func TestOwnManifestRefused(t *testing.T) {
	w := newWorld(t)
	bob, carol := w.user("bob@beta.example"), w.user("carol@beta.example")
	for name, m := range map[string]*directory.Manifest{
		"another account":            carol.next(nil, addDevice),
		"another tag key":            bob.next(nil, func(f *directory.ManifestFields) { f.DH = keys.NewDHKey().Public() }),
		"another key of this device": bob.next(nil, func(f *directory.ManifestFields) { f.Devices[0].Sign = keys.NewSigningKey().Public() }),
		"does not follow":            bob.next(nil, func(f *directory.ManifestFields) { f.Previous[0] ^= 1 }),
	} {
		if err := bob.learn(m); err != ErrServer {
			t.Errorf("%s: %v", name, err)
		}
	}
	is(t, bob.try(func(w *work) error { return w.ownManifest([]byte{1}) }), ErrServer)
	is(t, bob.learn(bob.next(nil, func(f *directory.ManifestFields) {
		addDevice(f)
		f.RemoveDevice(1)
	})), ErrRemoved)
	// Several versions at once, as after a while offline.
	later := bob.next(nil, func(f *directory.ManifestFields) { addDevice(f); f.Version += 3; f.Previous[0] ^= 1 })
	is(t, bob.learn(later), nil)
}
