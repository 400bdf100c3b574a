package directory

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/ratchet"
	"waxwing/core/wire"
)

func typed(err error) bool {
	return errors.Is(err, wire.ErrMalformed) || errors.Is(err, keys.ErrSignature)
}

// everyByte changes, cuts and extends a signed structure everywhere: nothing
// of it may be accepted.
func everyByte(t *testing.T, b []byte, parse func([]byte) error) {
	t.Helper()
	must(t, parse(b))
	stride := max(1, len(b)/600) // keys of a kilobyte need not be tried byte by byte
	for i := 0; i < len(b); i++ {
		if i > 200 && i < len(b)-200 && i%stride != 0 {
			continue
		}
		m := bytes.Clone(b)
		m[i] ^= 1 << (i % 8)
		if err := parse(m); !typed(err) {
			t.Fatalf("byte %d changed: %v", i, err)
		}
		if err := parse(b[:i]); !errors.Is(err, wire.ErrMalformed) {
			t.Fatalf("cut at %d: %v", i, err)
		}
	}
	if err := parse(append(bytes.Clone(b), 0)); !errors.Is(err, wire.ErrMalformed) {
		t.Fatalf("extended: %v", err)
	}
}

func parseManifestErr(b []byte) error { _, err := ParseManifest(b); return err }

func parseDescriptorErr(b []byte) error { _, err := parseDescriptor(b); return err }

func TestEveryByteIsSigned(t *testing.T) {
	a := newAccount(t, bob, 2)
	everyByte(t, a.manifest.Bytes(), parseManifestErr)
	k := a.mailboxKey(t, ids.MailboxID{1}, WeekOf(today))
	everyByte(t, k.Bytes(), func(b []byte) error { _, err := ParseMailboxKey(b, a.identity.Public()); return err })
	everyByte(t, sampleDescriptor(t, keys.NewSigningKey()).Bytes(), parseDescriptorErr)
}

func TestManifestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f, identity := drawManifest(t)
		m, err := SignManifest(f, identity)
		if err != nil {
			t.Fatalf("%v", err)
		}
		got, err := ParseManifest(m.Bytes())
		if err != nil {
			t.Fatalf("%v", err)
		}
		f.Signature = got.f.Signature
		if !reflect.DeepEqual(got.f, f) || !got.Equal(m) || len(m.raw) > wire.MaxManifest {
			t.Fatalf("got %+v, want %+v", got.f, f)
		}
		if again := wire.MustMarshal(&got.f); !bytes.Equal(again, m.raw) {
			t.Fatalf("not canonical")
		}
	})
}

func TestMailboxKeyRoundTrip(t *testing.T) {
	identity := keys.NewSigningKey()
	rapid.Check(t, func(t *rapid.T) {
		f := MailboxKeyFields{
			Mailbox: ids.MailboxID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "mailbox")),
			Address: bob, Week: Week(rapid.Uint32Range(0, 1<<28).Draw(t, "week")), Key: keys.NewSealKey().Public(),
			Generation: rapid.Uint32Min(1).Draw(t, "generation"),
		}
		f.W = drawProven(t, mailboxKeySession(labelW, bob, f.Mailbox, f.Generation))
		f.Z = drawProven(t, mailboxKeySession(labelZ, bob, f.Mailbox, f.Generation))
		if f.W.Key == f.Z.Key {
			t.Skip("one secret drawn twice")
		}
		f.Expiry = ids.Day(f.Week)*daysPerWeek + ids.Day(rapid.Uint32Range(0, MailboxKeyDays).Draw(t, "days"))
		k, err := SignMailboxKey(f, identity)
		if err != nil {
			t.Fatalf("%v", err)
		}
		if k.Mailbox() != f.Mailbox || k.Address() != bob || k.Week() != f.Week || k.Expiry() != f.Expiry ||
			k.Generation() != f.Generation || k.W() != f.W.Key || k.Z() != f.Z.Key ||
			!bytes.Equal(k.Key().Bytes(), f.Key.Bytes()) || len(k.raw) > wire.MaxSealKey {
			t.Fatalf("got %+v", k.f)
		}
		if again := wire.MustMarshal(&k.f); !bytes.Equal(again, k.raw) {
			t.Fatalf("not canonical")
		}
	})
}

func TestDescriptorRoundTrip(t *testing.T) {
	relay := []keys.SealPublic{keys.NewSealKey().Public(), keys.NewSealKey().Public()}
	rapid.Check(t, func(t *rapid.T) {
		root := drawSigning(t)
		f := DescriptorFields{
			Domain: alpha, Sequence: rapid.Uint64Range(2, 1<<60).Draw(t, "sequence"),
			Previous:  [32]byte(rapid.SliceOfN(rapid.Byte(), 32, 32).Filter(notZero).Draw(t, "previous")),
			Endpoints: rapid.SliceOfN(rapid.StringMatching(`[a-z0-9][a-z0-9.-]{0,60}:[1-9][0-9]{0,3}`), 1, MaxEndpoints).Draw(t, "endpoints"),
			Expiry:    ids.Day(rapid.Uint32().Draw(t, "expiry")), Versions: []uint16{1, 2, 70},
		}
		for range rapid.IntRange(0, MaxCertificateKeys).Draw(t, "certificate keys") {
			first := rapid.Uint32().Draw(t, "first")
			f.Certificates = append(f.Certificates, CertificateKey{keys.NewSigningKey().Public(), ids.Day(first), ids.Day(max(first, 1<<20))})
		}
		for i := range rapid.IntRange(0, MaxRelayKeys).Draw(t, "relay keys") {
			f.Relay = append(f.Relay, RelayKey{uint8(9 - i), relay[i%2]})
		}
		d, err := SignDescriptor(f, root)
		if err != nil {
			t.Fatalf("%v", err)
		}
		f.Root, f.Signature = root.Public(), d.f.Signature
		again := wire.MustMarshal(&d.f)
		if !bytes.Equal(again, d.raw) || !bytes.Equal(again, wire.MustMarshal(&f)) || len(again) > wire.MaxDescriptor {
			t.Fatalf("not canonical")
		}
	})
}

// The largest structures that the limits allow fit the control messages.
func TestLargestFit(t *testing.T) {
	long := ids.MustParseAddress(strings.Repeat("a", ids.MaxAddress-len("@beta.example")) + "@beta.example")
	a := newAccount(t, long, MaxDevices)
	f := a.manifest.Next()
	f.Capabilities = nil
	for i := range MaxCapabilities {
		f.Capabilities = append(f.Capabilities, bytes.Repeat([]byte{byte('a' + i)}, MaxCapability))
	}
	for i := range f.Devices {
		f.Devices[i].Suites = nil
		for s := range ratchet.MaxCapabilities {
			f.Devices[i].Suites = append(f.Devices[i].Suites, ratchet.Suite(s+1))
		}
	}
	if n := len(a.signed(t, f).raw); n > wire.MaxManifest {
		t.Errorf("manifest of %d bytes", n)
	}
	if n := len(a.mailboxKey(t, ids.MailboxID{1}, 5).raw); n > wire.MaxSealKey {
		t.Errorf("mailbox key of %d bytes", n)
	}
	d := sampleDescriptor(t, keys.NewSigningKey()).f
	d.Endpoints, d.Certificates, d.Relay, d.Versions = nil, nil, nil, nil
	for i := range MaxEndpoints {
		d.Endpoints = append(d.Endpoints, strings.Repeat("h", MaxEndpoint-6)+":1000"+string(byte('1'+i)))
	}
	for range MaxCertificateKeys {
		d.Certificates = append(d.Certificates, CertificateKey{keys.NewSigningKey().Public(), 1, 2})
	}
	for i := range MaxRelayKeys {
		d.Relay = append(d.Relay, RelayKey{uint8(i), keys.NewSealKey().Public()})
	}
	for i := range MaxVersions {
		d.Versions = append(d.Versions, uint16(i))
	}
	if _, err := SignDescriptor(d, keys.NewSigningKey()); err != nil {
		t.Errorf("descriptor: %v", err)
	}
}

// Values that a signature would cover but that must not exist.
func TestManifestRefusesFields(t *testing.T) {
	a := newAccount(t, bob, 2)
	small := keys.DHPublic{} // zero: small order
	for name, change := range map[string]func(*ManifestFields){
		"no address":            func(f *ManifestFields) { f.Address = ids.Address{} },
		"version zero":          func(f *ManifestFields) { f.Version = 0 },
		"previous in version 1": func(f *ManifestFields) { f.Previous[3] = 1 },
		"no previous":           func(f *ManifestFields) { f.Version = 2 },
		"account key":           func(f *ManifestFields) { f.DH = small },
		"X_S the identity":      func(f *ManifestFields) { f.AccountKey.Key = [32]byte{} },
		"X_S not canonical":     func(f *ManifestFields) { f.AccountKey.Key = notCanonical },
		"X_S on no curve":       func(f *ManifestFields) { f.AccountKey.Key = [32]byte{2} },
		"empty capability":      func(f *ManifestFields) { f.Capabilities[0] = nil },
		"long capability":       func(f *ManifestFields) { f.Capabilities[1] = bytes.Repeat([]byte("x"), MaxCapability+1) },
		"capability order":      func(f *ManifestFields) { f.Capabilities[0], f.Capabilities[1] = f.Capabilities[1], f.Capabilities[0] },
		"capability twice":      func(f *ManifestFields) { f.Capabilities[0] = f.Capabilities[1] },
		"many capabilities": func(f *ManifestFields) {
			f.Capabilities = nil
			for i := range MaxCapabilities + 1 {
				f.Capabilities = append(f.Capabilities, []byte{byte(i)})
			}
		},
		"no device":     func(f *ManifestFields) { f.Devices = nil },
		"device zero":   func(f *ManifestFields) { f.Devices[0].ID = 0 },
		"device order":  func(f *ManifestFields) { f.Devices[0], f.Devices[1] = f.Devices[1], f.Devices[0] },
		"device twice":  func(f *ManifestFields) { f.Devices[1].ID = f.Devices[0].ID },
		"device key":    func(f *ManifestFields) { f.Devices[0].Sign = keys.VerifyKey{1} },
		"device DH key": func(f *ManifestFields) { f.Devices[0].DH = small },
		"no suite":      func(f *ManifestFields) { f.Devices[0].Suites = nil },
		"suite zero":    func(f *ManifestFields) { f.Devices[0].Suites = ratchet.Capabilities{0} },
		"suite twice":   func(f *ManifestFields) { f.Devices[0].Suites = ratchet.Capabilities{1, 1} },
		"many suites":   func(f *ManifestFields) { f.Devices[0].Suites = make(ratchet.Capabilities, ratchet.MaxCapabilities+1) },
		"version":       func(f *ManifestFields) { f.Version, f.Previous[0] = 1<<32, 1 },
		"last device":   func(f *ManifestFields) { f.LastDevice = 1 },
		"many devices": func(f *ManifestFields) {
			for len(f.Devices) <= MaxDevices {
				f.AddDevice(f.Devices[0].Sign, f.Devices[0].DH)
			}
		},
	} {
		f := a.manifest.Next()
		f.Version, f.Previous = 1, [32]byte{}
		change(&f)
		if _, err := SignManifest(f, a.identity); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMailboxKeyRefusesFields(t *testing.T) {
	a := newAccount(t, bob, 1)
	identity := a.identity
	good := a.mailboxKeyFields(t, ids.MailboxID{1}, 100)
	good.Expiry = 707
	for name, change := range map[string]func(*MailboxKeyFields){
		"address":       func(f *MailboxKeyFields) { f.Address = ids.Address{} },
		"key":           func(f *MailboxKeyFields) { f.Key = keys.SealPublic{} },
		"expiry before": func(f *MailboxKeyFields) { f.Expiry = 699 },
		"expiry late":   func(f *MailboxKeyFields) { f.Expiry = 700 + MailboxKeyDays + 1 },
		"generation":    func(f *MailboxKeyFields) { f.Generation = 0 },
		"W identity":    func(f *MailboxKeyFields) { f.W.Key = [32]byte{} },
		"Z identity":    func(f *MailboxKeyFields) { f.Z.Key = [32]byte{} },
		"W canonical":   func(f *MailboxKeyFields) { f.W.Key = notCanonical },
		"Z canonical":   func(f *MailboxKeyFields) { f.Z.Key = notCanonical },
		"W is Z":        func(f *MailboxKeyFields) { f.Z.Key = f.W.Key },
	} {
		f := good
		change(&f)
		if _, err := SignMailboxKey(f, identity); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	k, err := SignMailboxKey(good, identity)
	must(t, err)
	if _, err := ParseMailboxKey(k.Bytes(), keys.NewSigningKey().Public()); !errors.Is(err, keys.ErrSignature) {
		t.Errorf("another identity: %v", err)
	}
	for day, want := range map[ids.Day]error{692: ErrEarly, 693: nil, 700: nil, 707: nil, 708: ErrExpired} {
		if err := k.In(day); !errors.Is(err, want) {
			t.Errorf("day %d: %v", day, err)
		}
	}
}

func TestDescriptorRefusesFields(t *testing.T) {
	root := keys.NewSigningKey()
	base := sampleDescriptor(t, root)
	for name, change := range map[string]func(*DescriptorFields){
		"domain":              func(f *DescriptorFields) { f.Domain = ids.Domain{} },
		"sequence zero":       func(f *DescriptorFields) { f.Sequence = 0 },
		"previous in first":   func(f *DescriptorFields) { f.Sequence = 1 },
		"previous missing":    func(f *DescriptorFields) { f.Previous = [32]byte{} },
		"no endpoint":         func(f *DescriptorFields) { f.Endpoints = nil },
		"certificate twice":   func(f *DescriptorFields) { f.Certificates[1].Key = f.Certificates[0].Key },
		"certificate key":     func(f *DescriptorFields) { f.Certificates[1].Key = keys.VerifyKey{} },
		"certificate days":    func(f *DescriptorFields) { f.Certificates[0].Last = f.Certificates[0].First - 1 },
		"relay key":           func(f *DescriptorFields) { f.Relay[0].Key = keys.SealPublic{} },
		"relay key twice":     func(f *DescriptorFields) { f.Relay[1].ID = f.Relay[0].ID },
		"no protocol version": func(f *DescriptorFields) { f.Versions = nil },
		"version order":       func(f *DescriptorFields) { f.Versions = []uint16{2, 1} },
		"many endpoints":      func(f *DescriptorFields) { f.Endpoints = make([]string, MaxEndpoints+1) },
		"many certificates":   func(f *DescriptorFields) { f.Certificates = make([]CertificateKey, MaxCertificateKeys+1) },
		"many relay keys":     func(f *DescriptorFields) { f.Relay = make([]RelayKey, MaxRelayKeys+1) },
		"many versions":       func(f *DescriptorFields) { f.Versions = make([]uint16, MaxVersions+1) },
	} {
		f := base.Next()
		change(&f)
		if _, err := SignDescriptor(f, root); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for s, want := range map[string]bool{
		"a:1": true, "relay.example:65535": true, "10.0.0.1:80": true, "[::1]:443": true, "[fe80::1.2.3.4]:9": true,
		"": false, "a": false, ":1": false, "a:": false, "a:0": false, "a:01": false, "a:65536": false, "a:+1": false,
		"A:1": false, "a b:1": false, "a/b:1": false, "::1:443": false, "[]:1": false, "[::1:1": false, "[g]:1": false, "a:1 ": false,
	} {
		if ValidEndpoint(s) != want {
			t.Errorf("endpoint %q: want %v", s, want)
		}
	}
}

func TestManifestFollows(t *testing.T) {
	a := newAccount(t, bob, 2)
	v1 := a.manifest
	f := v1.Next()
	f.RemoveDevice(2)
	v2 := a.signed(t, f)
	must(t, v2.Follows(v1))
	f = v2.Next()
	if id := f.AddDevice(keys.NewSigningKey().Public(), keys.NewDHKey().Public()); id != 3 {
		t.Fatalf("device id %d", id)
	}
	must(t, a.signed(t, f).Follows(v2))

	for name, c := range map[string]struct {
		change func(*ManifestFields)
		want   error
	}{
		"address":      {func(f *ManifestFields) { f.Address, f.AccountKey = alice, a.accountKey(t, alice) }, ErrMismatch},
		"same version": {func(f *ManifestFields) { f.Version = 2 }, ErrRolledBack},
		"gap":          {func(f *ManifestFields) { f.Version = 4 }, ErrForked},
		"other past":   {func(f *ManifestFields) { f.Previous[0] ^= 1 }, ErrForked},
		"device id again": {func(f *ManifestFields) {
			f.Devices = append(f.Devices, Device{2, f.Identity, f.DH, f.Devices[0].Suites})
		}, ErrForked},
		"device changed": {func(f *ManifestFields) { f.Devices[0].DH = f.DH }, ErrForked},
		"ids skipped":    {func(f *ManifestFields) { f.LastDevice = 9 }, ErrForked},
		"ids forgotten":  {func(f *ManifestFields) { f.LastDevice = 1 }, ErrForked},
		"another X_S": {func(f *ManifestFields) {
			other := newAccount(t, bob, 1)
			other.identity = a.identity
			f.AccountKey = other.accountKey(t, bob)
		}, ErrAccountKeyChanged},
	} {
		f := v2.Next()
		c.change(&f)
		if err := a.signed(t, f).Follows(v2); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := a.resigned(t, v2.Next()).Follows(v2); !errors.Is(err, ErrMismatch) {
		t.Errorf("another identity key: %v", err)
	}
}

func TestVerifyDescriptor(t *testing.T) {
	root := keys.NewSigningKey()
	d := sampleDescriptor(t, root)
	trust := DescriptorTrust{Domain: alpha, Pin: keys.PinOf(root.Public()), Today: today}
	got, err := VerifyDescriptor(d.Bytes(), trust)
	must(t, err)
	if k, ok := got.RelayKey(); !ok || k.ID != 7 || !got.Speaks(3) || got.Speaks(2) || len(got.CertificateKeys(today)) != 1 || len(got.CertificateKeys(today+1)) != 2 {
		t.Errorf("got %+v", got.f)
	}
	sign := func(f DescriptorFields) *Descriptor {
		d, err := SignDescriptor(f, root)
		must(t, err)
		return d
	}
	second := sign(d.Next())
	f := d.Next()
	f.Expiry++
	twin := sign(f)
	f = second.Next()
	f.Previous[0] ^= 1
	foreignPast := sign(f)
	f = second.Next()
	f.Sequence = 9
	gap := sign(f)
	for name, c := range map[string]struct {
		d     *Descriptor
		trust func(*DescriptorTrust)
		want  error
	}{
		"pin":         {d, func(t *DescriptorTrust) { t.Pin[5] ^= 1 }, ErrPin},
		"domain":      {d, func(t *DescriptorTrust) { t.Domain = beta }, ErrMismatch},
		"last day":    {d, func(t *DescriptorTrust) { t.Today = today + 30 }, nil},
		"expired":     {d, func(t *DescriptorTrust) { t.Today = today + 31 }, ErrExpired},
		"same":        {second, func(t *DescriptorTrust) { t.Known = second }, nil},
		"next":        {second, func(t *DescriptorTrust) { t.Known = d }, nil},
		"gap":         {gap, func(t *DescriptorTrust) { t.Known = second }, nil},
		"rolled back": {d, func(t *DescriptorTrust) { t.Known = second }, ErrRolledBack},
		"forked":      {twin, func(t *DescriptorTrust) { t.Known = second }, ErrForked},
		"other past":  {foreignPast, func(t *DescriptorTrust) { t.Known = second }, ErrForked},
	} {
		trust := trust
		c.trust(&trust)
		if got, err := VerifyDescriptor(c.d.Bytes(), trust); !errors.Is(err, c.want) || (err == nil) != (got != nil) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The pin is SHA-256 of the SubjectPublicKeyInfo as RFC 8410 section 4 has it.
func TestRootPin(t *testing.T) {
	key := keys.NewSigningKey().Public()
	prefix, _ := hex.DecodeString("302a300506032b6570032100")
	if keys.PinOf(key) != sha256.Sum256(append(prefix, key[:]...)) {
		t.Error("not the hash of the SPKI")
	}
}

// The encodings of fixed inputs: formats do not change by accident. The values
// were made by this package.
func TestFormatsStay(t *testing.T) {
	seed := func(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }
	identity, err := keys.SigningKeyFromSeed(seed(1))
	must(t, err)
	dh, err := keys.DHKeyFrom(seed(2))
	must(t, err)
	seal, err := keys.SealKeyFromSeed(seed(3))
	must(t, err)
	scalar := func(b byte) group.Scalar { return group.Ristretto255().HashToScalar([]byte{b}, "test") }
	xs, err := ProveAccountKey(scalar(4), bob, identity.Public())
	must(t, err)
	w, z, err := ProveMailboxKeys(scalar(5), scalar(6), bob, ids.MailboxID{4}, 7)
	must(t, err)
	f := ManifestFields{Address: bob, Version: 1, DH: dh.Public(), AccountKey: xs, Capabilities: [][]byte{[]byte("files")}}
	f.AddDevice(identity.Public(), dh.Public())
	m, err := SignManifest(f, identity)
	must(t, err)
	k, err := SignMailboxKey(MailboxKeyFields{
		Mailbox: ids.MailboxID{4}, Address: bob, Week: 5, Key: seal.Public(), Expiry: 50, Generation: 7, W: w, Z: z,
	}, identity)
	must(t, err)
	d, err := SignDescriptor(DescriptorFields{
		Domain: beta, Sequence: 1, Endpoints: []string{"relay.beta.example:4433"},
		Certificates: []CertificateKey{{identity.Public(), 6, 7}}, Relay: []RelayKey{{8, seal.Public()}},
		Versions: []uint16{1}, Expiry: 9,
	}, identity)
	must(t, err)
	for name, c := range map[string]struct {
		b    []byte
		want string
	}{
		"manifest":    {m.Bytes(), "101aad6fa013cbbe458cbe107f34fb94b16ffb61f9be9044cc453bc5065120ee"},
		"mailbox key": {k.Bytes(), "626c1db2664e8484f895f2b12cb7f7b203314e8aac2b26bcb5ba8797bbf37c84"},
		"descriptor":  {d.Bytes(), "e35142b5ddf3b2bf5e6ffa93e6ca8332e26474d84b2d571cdc3efdc9e8cf2ca2"},
	} {
		if h := sha256.Sum256(c.b); hex.EncodeToString(h[:]) != c.want {
			t.Errorf("%s: %d bytes, SHA-256 %x", name, len(c.b), h)
		}
	}
}

func fuzzCanonical(f *testing.F, parse func([]byte) (wire.Schema, error)) {
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parse(b)
		if err != nil {
			if !typed(err) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		if again, err := wire.Marshal(s); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("accepted bytes are not canonical (%v)", err)
		}
	})
}

func FuzzManifest(f *testing.F) {
	f.Add(newAccount(f, bob, 1).manifest.Bytes())
	f.Add(newAccount(f, alice, MaxDevices).manifest.Bytes())
	fuzzCanonical(f, func(b []byte) (wire.Schema, error) {
		var m ManifestFields // without the signature, so that the fuzzer gets past it
		return &m, wire.Unmarshal(b, &m)
	})
}

func FuzzMailboxKey(f *testing.F) {
	f.Add(newAccount(f, bob, 1).mailboxKey(f, ids.MailboxID{1}, 3).Bytes())
	fuzzCanonical(f, func(b []byte) (wire.Schema, error) {
		var k MailboxKeyFields
		return &k, wire.Unmarshal(b, &k)
	})
}

func FuzzDescriptor(f *testing.F) {
	f.Add(sampleDescriptor(f, keys.NewSigningKey()).Bytes())
	fuzzCanonical(f, func(b []byte) (wire.Schema, error) {
		var d DescriptorFields
		return &d, wire.Unmarshal(b, &d)
	})
}
