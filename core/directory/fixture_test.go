package directory

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/keys"
)

var (
	alpha = ids.MustParseDomain("alpha.example")
	beta  = ids.MustParseDomain("beta.example")
	alice = ids.MustParseAddress("alice@alpha.example")
	bob   = ids.MustParseAddress("bob@beta.example")
	now   = time.Unix(1_790_000_000, 0)
	today = ids.DayOf(now)
)

// account is an account's private side, as a client would hold it.
type account struct {
	identity *keys.SigningKey
	dh       *keys.DHKey
	k, w, z  group.Scalar
	sign     []*keys.SigningKey // by device
	deviceDH []*keys.DHKey
	manifest *Manifest
}

func newAccount(t fataler, address ids.Address, devices int) *account {
	g := group.Ristretto255()
	a := &account{
		identity: keys.NewSigningKey(), dh: keys.NewDHKey(),
		k: g.RandomScalar(), w: g.RandomScalar(), z: g.RandomScalar(),
	}
	f := ManifestFields{
		Address: address, Version: 1, DH: a.dh.Public(), AccountKey: a.accountKey(t, address),
		Capabilities: [][]byte{[]byte("files"), []byte("groups")},
	}
	for range devices {
		a.sign = append(a.sign, keys.NewSigningKey())
		a.deviceDH = append(a.deviceDH, keys.NewDHKey())
		f.AddDevice(a.sign[len(a.sign)-1].Public(), a.deviceDH[len(a.deviceDH)-1].Public())
	}
	a.manifest = a.signed(t, f)
	return a
}

func (a *account) accountKey(t fataler, address ids.Address) ProvenKey {
	p, err := ProveAccountKey(a.k, address, a.identity.Public())
	if err != nil {
		t.Fatalf("prove account key: %v", err)
	}
	return p
}

func (a *account) signed(t fataler, f ManifestFields) *Manifest {
	m, err := SignManifest(f, a.identity)
	if err != nil {
		t.Fatalf("sign manifest: %v", err)
	}
	return m
}

// resigned signs f with another identity key, which takes the account's X_S
// along: its owner has both.
func (a *account) resigned(t fataler, f ManifestFields) *Manifest {
	thief := &account{identity: keys.NewSigningKey(), k: a.k}
	f.AccountKey = thief.accountKey(t, f.Address)
	return thief.signed(t, f)
}

func (a *account) mailboxKey(t fataler, mailbox ids.MailboxID, week Week) *MailboxKey {
	return a.signedKey(t, a.mailboxKeyFields(t, mailbox, week))
}

func (a *account) mailboxKeyFields(t fataler, mailbox ids.MailboxID, week Week) MailboxKeyFields {
	f := MailboxKeyFields{
		Mailbox: mailbox, Address: a.manifest.Address(), Week: week, Key: keys.NewSealKey().Public(),
		Expiry: ids.Day(week)*daysPerWeek + 20, Generation: 1,
	}
	a.proveMailboxKeys(t, &f)
	return f
}

// proveMailboxKeys makes W and Z anew for the fields as they are.
func (a *account) proveMailboxKeys(t fataler, f *MailboxKeyFields) {
	var err error
	if f.W, f.Z, err = ProveMailboxKeys(a.w, a.z, f.Address, f.Mailbox, f.Generation); err != nil {
		t.Fatalf("prove mailbox keys: %v", err)
	}
}

func (a *account) signedKey(t fataler, f MailboxKeyFields) *MailboxKey {
	k, err := SignMailboxKey(f, a.identity)
	if err != nil {
		t.Fatalf("sign mailbox key: %v", err)
	}
	return k
}

type fataler interface{ Fatalf(string, ...any) }

func sampleDescriptor(t fataler, root *keys.SigningKey) *Descriptor {
	d, err := SignDescriptor(DescriptorFields{
		Domain: alpha, Sequence: 1,
		Endpoints: []string{"relay.alpha.example:4433", "127.0.0.1:4433", "[::1]:1"},
		Certificates: []CertificateKey{
			{keys.NewSigningKey().Public(), today - 3, today + 30},
			{keys.NewSigningKey().Public(), today + 1, today + 60},
		},
		Relay:    []RelayKey{{7, keys.NewSealKey().Public()}, {3, keys.NewSealKey().Public()}},
		Versions: []uint16{1, 3}, Expiry: today + 30,
	}, root)
	if err != nil {
		t.Fatalf("sign descriptor: %v", err)
	}
	return d
}

// drawManifest draws fields that are all valid.
func drawManifest(t *rapid.T) (ManifestFields, *keys.SigningKey) {
	identity := drawSigning(t)
	f := ManifestFields{
		Address:  ids.MustParseAddress(rapid.StringMatching(`[a-z]{1,20}`).Draw(t, "local") + "@beta.example"),
		Version:  rapid.Uint64Range(1, 1<<32-1).Draw(t, "version"),
		Identity: identity.Public(), DH: drawDH(t),
	}
	f.AccountKey = drawProven(t, accountKeySession(f.Address, f.Identity))
	if f.Version > 1 {
		f.Previous = [32]byte(rapid.SliceOfN(rapid.Byte(), 32, 32).Filter(notZero).Draw(t, "previous"))
	}
	for i := range rapid.IntRange(0, MaxCapabilities).Draw(t, "capabilities") {
		f.Capabilities = append(f.Capabilities, fmt.Appendf(nil, "capability %02d", i))
	}
	for range rapid.IntRange(1, MaxDevices).Draw(t, "devices") {
		f.LastDevice += ids.DeviceID(rapid.Uint32Range(0, 1000).Draw(t, "removed"))
		f.AddDevice(drawSigning(t).Public(), drawDH(t))
	}
	f.LastDevice += ids.DeviceID(rapid.Uint32Range(0, 1000).Draw(t, "removed"))
	return f, identity
}

func drawSigning(t *rapid.T) *keys.SigningKey {
	k, err := keys.SigningKeyFromSeed(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "seed"))
	if err != nil {
		t.Fatalf("%v", err)
	}
	return k
}

func drawProven(t *rapid.T, session group.Session) ProvenKey {
	x := group.Ristretto255().HashToScalar(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "secret"), "test")
	p, err := prove(x, session)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return p
}

func drawDH(t *rapid.T) keys.DHPublic {
	k, err := keys.DHKeyFrom(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "scalar"))
	if err != nil {
		t.Fatalf("%v", err)
	}
	return k.Public()
}

// notCanonical is 0 written as the field's prime, which RFC 9496 section 4.3.1
// refuses.
var notCanonical = [32]byte{
	0xed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,
}

func notZero(b []byte) bool { return [32]byte(b) != [32]byte{} }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
