package ratchet

import (
	"bytes"
	"errors"
	"testing"

	"waxwing/core/ids"
	"waxwing/core/keys"
)

// device is one side of a test: what a client keeps of its own device.
type device struct {
	Identity
	signing *keys.SigningKey
	signed  map[PrekeyID]*SignedPrekey
	pairs   map[PrekeyID]*OneTimePair
	last    map[PrekeyID]*OneTimePair
}

func newDevice(address string) *device {
	d := &device{
		Identity: Identity{Address: ids.MustParseAddress(address), Device: 1, IK: keys.NewDHKey(), ManifestVersion: 3},
		signing:  keys.NewSigningKey(),
		signed:   map[PrekeyID]*SignedPrekey{},
		pairs:    map[PrekeyID]*OneTimePair{},
		last:     map[PrekeyID]*OneTimePair{},
	}
	d.signed[7] = GenerateSignedPrekey(7, d.signing)
	d.pairs[9] = GenerateOneTime(9, d.signing, false)
	d.last[9] = GenerateOneTime(9, d.signing, true)
	return d
}

func (d *device) SignedPrekey(id PrekeyID) (*SignedPrekey, error) {
	if p := d.signed[id]; p != nil {
		return p, nil
	}
	return nil, ErrPrekeyUnknown
}

func (d *device) OneTime(id PrekeyID, lastResort bool) (*OneTimePair, error) {
	from := d.pairs
	if lastResort {
		from = d.last
	}
	if p := from[id]; p != nil {
		return p, nil
	}
	return nil, ErrPrekeyUnknown
}

func (d *device) peer() Peer {
	return Peer{Address: d.Address, Device: d.Device, IK: d.IK.Public(), ManifestVersion: d.ManifestVersion, Capabilities: d.Capabilities}
}

func (d *device) bundle(lastResort bool) Bundle {
	b := Bundle{Device: d.Device, Identity: d.IK.Public(), Signed: d.signed[7].Public()}
	p, _ := d.OneTime(9, lastResort)
	b.OneTime = p.Public()
	return b
}

// settle does what the caller of AcceptSession must do.
func (d *device) settle(t testing.TB, u Used) {
	t.Helper()
	if !u.LastResort {
		delete(d.pairs, u.ID)
	} else if err := d.last[u.ID].Remember(u); err != nil {
		t.Fatal(err)
	}
}

// alice and bob cost milliseconds to make; tests that do not change them share
// one of each.
var alice, bob = newDevice("alice@alpha.example"), newDevice("bob@beta.example")

func initiateTo(t testing.TB, from, to *device, lastResort bool) *Session {
	t.Helper()
	b, err := VerifyBundle(to.bundle(lastResort), to.signing.Public())
	if err != nil {
		t.Fatal(err)
	}
	s, err := InitiateSession(Config{}, from.Identity, to.peer(), b)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// pair returns two sessions that have exchanged one message each way.
func pair(t testing.TB) (a, b *Session) {
	t.Helper()
	a = initiateTo(t, alice, bob, false)
	first, ok := a.PrekeyHeader()
	if !ok {
		t.Fatal("no prekey header")
	}
	b, _, _, err := AcceptSession(Config{}, bob.Identity, bob, first, alice.peer(), encrypt(t, a, "first"), nil)
	if err != nil {
		t.Fatal(err)
	}
	decrypt(t, a, encrypt(t, b, "reply"), "reply")
	return a, b
}

func encrypt(t testing.TB, s *Session, plaintext string) []byte {
	t.Helper()
	m, err := s.Encrypt([]byte(plaintext), nil)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func decrypt(t testing.TB, s *Session, message []byte, want string) {
	t.Helper()
	got, err := s.Decrypt(message, nil)
	if err != nil || string(got) != want {
		t.Fatalf("decrypted %q, %v; want %q", got, err, want)
	}
}

// refuse wants an error and not the least change of the session.
func refuse(t testing.TB, s *Session, message, ad []byte, want error) {
	t.Helper()
	before := s.Marshal()
	if got, err := s.Decrypt(message, ad); !errors.Is(err, want) || got != nil {
		t.Fatalf("got %q, %v; want %v", got, err, want)
	}
	if !bytes.Equal(before, s.Marshal()) {
		t.Fatalf("refusing with %v changed the session", want)
	}
}

// reload is a crash and restart.
func reload(t testing.TB, s *Session) *Session {
	t.Helper()
	b := s.Marshal()
	if len(b) > MaxSessionSize {
		t.Fatalf("a session of %d bytes", len(b))
	}
	r, err := UnmarshalSession(s.cfg, b)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b, r.Marshal()) {
		t.Fatal("stored session changes")
	}
	return r
}
