package ratchet

import (
	"bytes"
	"errors"
	"testing"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

func TestBundleSignaturesAndKeys(t *testing.T) {
	good := bob.bundle(false)
	other := newDevice("bob@beta.example")
	if v, err := VerifyBundle(good, bob.signing.Public()); err != nil || v.Bundle() != good {
		t.Fatal(err)
	}
	resign := func(b *Bundle) {
		copy(b.Signed.Signature[:], bob.signing.Sign(keys.ContextPrekey, b.Signed.signed()))
		copy(b.OneTime.Signature[:], bob.signing.Sign(keys.ContextKEMPrekey, b.OneTime.signed()))
	}
	for name, edit := range map[string]func(*Bundle){
		"no device":               func(b *Bundle) { b.Device = 0 },
		"identity of small order": func(b *Bundle) { b.Identity = keys.DHPublic{1} },
		"other signed prekey":     func(b *Bundle) { b.Signed = other.signed[7].Public() },
		"other pair":              func(b *Bundle) { b.OneTime = other.pairs[9].Public() },
		"signed by other context": func(b *Bundle) {
			copy(b.Signed.Signature[:], bob.signing.Sign(keys.ContextKEMPrekey, b.Signed.signed()))
		},
		"pair by other context": func(b *Bundle) {
			copy(b.OneTime.Signature[:], bob.signing.Sign(keys.ContextPrekey, b.OneTime.signed()))
		},
		"signed prekey id":         func(b *Bundle) { b.Signed.ID++ },
		"swapped pair id":          func(b *Bundle) { b.OneTime.ID++ },
		"pair passed as other one": func(b *Bundle) { b.OneTime.LastResort = true },
		"prekey of small order":    func(b *Bundle) { b.Signed.Key = keys.DHPublic{}; resign(b) },
		"pair of small order":      func(b *Bundle) { b.OneTime.DH = keys.DHPublic{1}; resign(b) },
		"KEM key not reduced":      func(b *Bundle) { b.OneTime.KEM[0], b.OneTime.KEM[1] = 0xff, 0xff; resign(b) },
	} {
		b := good
		edit(&b)
		if v, err := VerifyBundle(b, bob.signing.Public()); !errors.Is(err, ErrBundle) || v != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := VerifyBundle(good, other.signing.Public()); !errors.Is(err, ErrBundle) {
		t.Errorf("other device key: %v", err)
	}
}

// Every byte of what is published matters to the one who verifies it.
func TestEveryByteOfABundle(t *testing.T) {
	good := wire.MustMarshal(&Bundle{Device: 1, Identity: bob.IK.Public(), Signed: bob.signed[7].Public(), OneTime: bob.last[9].Public()})
	step := 1
	if testing.Short() {
		step = 17
	}
	for i := 4 + keys.DHSize; i < len(good); i += step { // device and identity are compared with the manifest
		bad := bytes.Clone(good)
		bad[i] ^= 1
		var b Bundle
		if wire.Unmarshal(bad, &b) != nil {
			continue
		}
		if _, err := VerifyBundle(b, bob.signing.Public()); !errors.Is(err, ErrBundle) {
			t.Fatalf("byte %d: %v", i, err)
		}
	}
}

func TestInitiateRefuses(t *testing.T) {
	good, us := bob.peer(), alice.Identity
	v, err := VerifyBundle(bob.bundle(false), bob.signing.Public())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		us   func(*Identity)
		peer func(*Peer)
		want error
	}{
		"identity mismatch": {peer: func(p *Peer) { p.IK = keys.NewDHKey().Public() }, want: ErrIdentity},
		"device mismatch":   {peer: func(p *Peer) { p.Device = 2 }, want: ErrIdentity},
		"no address":        {peer: func(p *Peer) { p.Address = ids.Address{} }, want: ErrIdentity},
		"our own key":       {us: func(i *Identity) { i.IK = bob.IK }, want: ErrIdentity},
		"our own device":    {us: func(i *Identity) { i.Address = bob.Address }, want: ErrIdentity},
		"no key of ours":    {us: func(i *Identity) { i.IK = nil }, want: ErrIdentity},
		"no device of ours": {us: func(i *Identity) { i.Device = 0 }, want: ErrIdentity},
		"nothing in common": {peer: func(p *Peer) { p.Capabilities = Capabilities{2, 3} }, want: ErrSuite},
		"only unknown":      {us: func(i *Identity) { i.Capabilities = Capabilities{1, 9} }, peer: func(p *Peer) { p.Capabilities = Capabilities{1, 9} }, want: ErrSuite},
		"empty list":        {peer: func(p *Peer) { p.Capabilities = Capabilities{} }, want: ErrSuite},
		"unordered list":    {peer: func(p *Peer) { p.Capabilities = Capabilities{2, 1} }, want: ErrSuite},
		"doubled entry":     {peer: func(p *Peer) { p.Capabilities = Capabilities{1, 1} }, want: ErrSuite},
		"suite zero":        {peer: func(p *Peer) { p.Capabilities = Capabilities{0, 1} }, want: ErrSuite},
		"too many":          {peer: func(p *Peer) { p.Capabilities = make(Capabilities, MaxCapabilities+1) }, want: ErrSuite},
	} {
		i, p := us, good
		if c.us != nil {
			c.us(&i)
		}
		if c.peer != nil {
			c.peer(&p)
		}
		if _, err := InitiateSession(Config{}, i, p, v); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := InitiateSession(Config{}, us, good, nil); !errors.Is(err, ErrBundle) {
		t.Errorf("no bundle: %v", err)
	}
	good.Capabilities = Capabilities{1, 2} // a newer peer
	if _, err := InitiateSession(Config{}, us, good, v); err != nil {
		t.Errorf("refusals used the bundle up: %v", err)
	}
	if _, err := InitiateSession(Config{}, us, good, v); !errors.Is(err, ErrBundle) {
		t.Errorf("one bundle, two sessions: %v", err)
	}
}

// Every byte of the prekey message, every party and every list is bound: no
// session comes of a change, and nothing is used up by trying.
func TestEveryByteOfAPrekeyMessage(t *testing.T) {
	a := initiateTo(t, alice, bob, false)
	first, _ := a.PrekeyHeader()
	m := encrypt(t, a, "first")
	good := wire.MustMarshal(&first)
	step := 1
	if testing.Short() {
		step = 29
	}
	for i := 0; i < len(good); i += step {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		var p PrekeyMessage
		if err := wire.Unmarshal(bad, &p); err != nil {
			if i != 0 {
				t.Errorf("byte %d: %v", i, err)
			}
			continue
		}
		peer := alice.peer()
		peer.ManifestVersion = 0
		want := ErrDecrypt
		switch {
		case i == 1:
			want = ErrSuite
		case 10 <= i && i < 19: // ids and kind: there are last resort 9, one-time 9, signed 7
			want = ErrPrekeyUnknown
			if i == 18 {
				want = ErrDecrypt
			}
		}
		s, text, _, err := AcceptSession(Config{}, bob.Identity, bob, p, peer, m, nil)
		if !errors.Is(err, want) || s != nil || text != nil {
			t.Fatalf("byte %d: %v", i, err)
		}
	}
	if _, _, _, err := AcceptSession(Config{}, bob.Identity, bob, first, alice.peer(), m, nil); err != nil {
		t.Errorf("the real one, afterwards: %v", err)
	}
}

func TestAcceptRefuses(t *testing.T) {
	a := initiateTo(t, alice, bob, false)
	good, _ := a.PrekeyHeader()
	m := encrypt(t, a, "first")
	for name, c := range map[string]struct {
		first func(*PrekeyMessage)
		us    func(*Identity)
		peer  func(*Peer)
		want  error
	}{
		"other initiator":          {peer: func(p *Peer) { p.IK = keys.NewDHKey().Public() }, want: ErrDecrypt},
		"other initiator address":  {peer: func(p *Peer) { p.Address = ids.MustParseAddress("mallory@alpha.example") }, want: ErrDecrypt},
		"other initiator device":   {peer: func(p *Peer) { p.Device = 2 }, want: ErrDecrypt},
		"other manifest version":   {peer: func(p *Peer) { p.ManifestVersion = 4 }, want: ErrIdentity},
		"initiator of small order": {peer: func(p *Peer) { p.IK = keys.DHPublic{1} }, want: ErrIdentity},
		"shortened offer":          {peer: func(p *Peer) { p.Capabilities = Capabilities{1, 2} }, want: ErrDecrypt},
		"shortened own list":       {us: func(i *Identity) { i.Capabilities = Capabilities{1, 7} }, want: ErrDecrypt},
		"a better suite hidden":    {us: func(i *Identity) { i.Capabilities = Capabilities{1, 7} }, peer: func(p *Peer) { p.Capabilities = Capabilities{1, 7} }, want: ErrSuite},
		"meant for another device": {us: func(i *Identity) { i.Device = 2 }, want: ErrDecrypt},
		"meant for another key":    {us: func(i *Identity) { i.IK = keys.NewDHKey() }, want: ErrDecrypt},
		"ourselves":                {us: func(i *Identity) { i.IK = alice.IK }, want: ErrIdentity},
		"unknown signed prekey":    {first: func(p *PrekeyMessage) { p.SignedPrekey = 8 }, want: ErrPrekeyUnknown},
		"unknown pair":             {first: func(p *PrekeyMessage) { p.OneTime = 8 }, want: ErrPrekeyUnknown},
		"EK of small order":        {first: func(p *PrekeyMessage) { p.EK = keys.DHPublic{1} }, want: ErrDecrypt},
		"EK not reduced":           {first: func(p *PrekeyMessage) { p.EK[31] |= 0x80 }, want: ErrDecrypt},
		"unknown suite":            {first: func(p *PrekeyMessage) { p.Suite = 2 }, want: ErrSuite},
	} {
		f, i, p := good, bob.Identity, alice.peer()
		if c.first != nil {
			c.first(&f)
		}
		if c.us != nil {
			c.us(&i)
		}
		if c.peer != nil {
			c.peer(&p)
		}
		if _, _, _, err := AcceptSession(Config{}, i, bob, f, p, m, nil); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for i := range m {
		bad := bytes.Clone(m)
		bad[i] ^= 4
		if i%8 == 0 {
			if _, _, _, err := AcceptSession(Config{}, bob.Identity, bob, good, alice.peer(), bad, nil); !errors.Is(err, ErrDecrypt) {
				t.Fatalf("byte %d: %v", i, err)
			}
		}
	}
	if _, _, _, err := AcceptSession(Config{}, bob.Identity, bob, good, alice.peer(), m, []byte("ad")); !errors.Is(err, ErrDecrypt) {
		t.Error("other associated data")
	}
}

// wrongPrekeys answers with other prekeys than were asked for, or fails.
type wrongPrekeys struct {
	*device
	signed *SignedPrekey
	pair   *OneTimePair
	err    error
}

func (w wrongPrekeys) SignedPrekey(PrekeyID) (*SignedPrekey, error) { return w.signed, w.err }
func (w wrongPrekeys) OneTime(PrekeyID, bool) (*OneTimePair, error) { return w.pair, nil }

func TestPrekeySourceIsNotTrusted(t *testing.T) {
	a := initiateTo(t, alice, bob, false)
	first, _ := a.PrekeyHeader()
	m := encrypt(t, a, "first")
	broken := errors.New("store is broken")
	for name, c := range map[string]struct {
		w    wrongPrekeys
		want error
	}{
		"nothing":            {wrongPrekeys{}, ErrPrekeyUnknown},
		"no signed":          {wrongPrekeys{pair: bob.pairs[9]}, ErrPrekeyUnknown},
		"last resort":        {wrongPrekeys{pair: bob.last[9], signed: bob.signed[7]}, ErrPrekeyUnknown},
		"another pair":       {wrongPrekeys{pair: GenerateOneTime(10, bob.signing, false), signed: bob.signed[7]}, ErrPrekeyUnknown},
		"another signed one": {wrongPrekeys{pair: bob.pairs[9], signed: GenerateSignedPrekey(8, bob.signing)}, ErrPrekeyUnknown},
		"replaced key":       {wrongPrekeys{pair: bob.pairs[9], signed: GenerateSignedPrekey(7, bob.signing)}, ErrDecrypt},
		"broken store":       {wrongPrekeys{pair: bob.pairs[9], err: broken}, broken},
		"right":              {wrongPrekeys{pair: bob.pairs[9], signed: bob.signed[7]}, nil},
	} {
		if _, _, _, err := AcceptSession(Config{}, bob.Identity, c.w, first, alice.peer(), m, nil); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOneTimePairIsUsedOnce(t *testing.T) {
	bob := newDevice("bob@beta.example")
	a := initiateTo(t, alice, bob, false)
	first, _ := a.PrekeyHeader()
	m := encrypt(t, a, "first")
	for range 2 { // a crash before the batch: the same again
		_, got, used, err := AcceptSession(Config{}, bob.Identity, bob, first, alice.peer(), m, nil)
		if err != nil || string(got) != "first" || used != (Used{9, false, first.EK}) {
			t.Fatal(err)
		}
	}
	if err := bob.pairs[9].Remember(Used{ID: 9}); !errors.Is(err, ErrPrekeyUnknown) {
		t.Error("a one-time pair is kept")
	}
	bob.settle(t, Used{ID: 9})
	if _, _, _, err := AcceptSession(Config{}, bob.Identity, bob, first, alice.peer(), m, nil); !errors.Is(err, ErrPrekeyUnknown) {
		t.Error(err)
	}
}

func TestLastResortReplay(t *testing.T) {
	bob := newDevice("bob@beta.example")
	for i := range 3 {
		a := initiateTo(t, alice, bob, true)
		first, _ := a.PrekeyHeader()
		m := encrypt(t, a, "first")
		_, _, used, err := AcceptSession(Config{}, bob.Identity, bob, first, alice.peer(), m, nil)
		if err != nil || !used.LastResort {
			t.Fatal(err)
		}
		bob.settle(t, used)
		bob.last[9], err = UnmarshalOneTimePair(bob.last[9].Marshal())
		if err != nil || bob.last[9].Initiations() != i+1 {
			t.Fatal(err)
		}
		if _, _, _, err := AcceptSession(Config{}, bob.Identity, bob, first, alice.peer(), m, nil); !errors.Is(err, ErrReplay) {
			t.Errorf("replayed: %v", err)
		}
		if err := bob.last[9].Remember(used); !errors.Is(err, ErrReplay) {
			t.Error(err)
		}
		for _, u := range []Used{{ID: 9, EK: used.EK}, {ID: 10, LastResort: true}} {
			if err := bob.last[9].Remember(u); !errors.Is(err, ErrPrekeyUnknown) {
				t.Error(err)
			}
		}
	}
	for i := bob.last[9].Initiations(); i < MaxInitiations; i++ {
		bob.settle(t, Used{9, true, keys.DHPublic{0: byte(i), 1: byte(i >> 8), 2: 1}})
	}
	a := initiateTo(t, alice, bob, true)
	first, _ := a.PrekeyHeader()
	if _, _, _, err := AcceptSession(Config{}, bob.Identity, bob, first, alice.peer(), encrypt(t, a, "first"), nil); !errors.Is(err, ErrLastResortFull) {
		t.Error(err)
	}
	if err := bob.last[9].Remember(Used{9, true, first.EK}); !errors.Is(err, ErrLastResortFull) {
		t.Error(err)
	}
	if _, err := UnmarshalOneTimePair(bob.last[9].Marshal()); err != nil {
		t.Error(err)
	}
}

// Both initiate at once. Both choose the same session, and messages under way
// on the other one still arrive.
func TestCrossedSessions(t *testing.T) {
	for range 4 {
		alice, bob := newDevice("alice@alpha.example"), newDevice("bob@beta.example")
		ownA, ownB := initiateTo(t, alice, bob, false), initiateTo(t, bob, alice, false)
		firstA, _ := ownA.PrekeyHeader()
		firstB, _ := ownB.PrekeyHeader()
		mA, mB, mB2 := encrypt(t, ownA, "from alice"), encrypt(t, ownB, "from bob"), encrypt(t, ownB, "from bob again")
		if ownA.CanOpenHeader(mB) {
			t.Fatal("wrong session")
		}
		accA, _, _, err := AcceptSession(Config{}, alice.Identity, alice, firstB, bob.peer(), mB, nil)
		if err != nil {
			t.Fatal(err)
		}
		accB, _, _, err := AcceptSession(Config{}, bob.Identity, bob, firstA, alice.peer(), mA, nil)
		if err != nil {
			t.Fatal(err)
		}
		useA, useB := Crossed(ownA, accA), Crossed(ownB, accB)
		if useA.ID() != useB.ID() {
			t.Fatal("the two sides chose differently")
		}
		decrypt(t, useB, encrypt(t, useA, "on the chosen one"), "on the chosen one")
		decrypt(t, useA, encrypt(t, useB, "answer"), "answer")
		decrypt(t, accA, mB2, "from bob again")
		// A session that the peer began anew wins over one that was answered.
		if _, waiting := useA.PrekeyHeader(); waiting || Crossed(useA, accA) != accA {
			t.Error("an acknowledged session competes with a new one")
		}
	}
}

func TestStoredPrekeys(t *testing.T) {
	s := bob.signed[7]
	stored := s.Marshal()
	again, err := UnmarshalSignedPrekey(stored)
	if err != nil || again.Public() != s.Public() || again.ID() != 7 || !bytes.Equal(again.Marshal(), stored) {
		t.Error("signed prekey changes", err)
	}
	if err := func() error { p := s.Public(); return p.Verify(bob.signing.Public()) }(); err != nil {
		t.Error(err)
	}
	for _, p := range []*OneTimePair{bob.pairs[9], bob.last[9]} {
		b := p.Marshal()
		again, err := UnmarshalOneTimePair(b)
		if err != nil || again.Public() != p.Public() || again.ID() != 9 || again.LastResort() != p.LastResort() || !bytes.Equal(again.Marshal(), b) {
			t.Error("pair changes", err)
		}
		pub := p.Public()
		if err := pub.Verify(bob.signing.Public()); err != nil {
			t.Error(err)
		}
		for i := range b {
			if _, err := UnmarshalOneTimePair(b[:i]); !errors.Is(err, ErrState) {
				t.Fatalf("%d bytes: %v", i, err)
			}
		}
	}
	for i := range stored {
		if _, err := UnmarshalSignedPrekey(stored[:i]); !errors.Is(err, ErrState) {
			t.Fatalf("%d bytes: %v", i, err)
		}
	}
	begun := wire.MustMarshal(&storedPair{lastResort: true, begun: make([]keys.DHPublic, 1)})
	begun[5] = 0 // now a one-time pair that remembers
	if _, err := UnmarshalOneTimePair(begun); !errors.Is(err, ErrState) {
		t.Error(err)
	}
}

func TestSizes(t *testing.T) {
	signed, pair, bundle := bob.signed[7].Public(), bob.pairs[9].Public(), bob.bundle(false)
	first, _ := initiateTo(t, alice, bob, false).PrekeyHeader()
	for name, c := range map[string]struct{ got, constant, want int }{
		"signed prekey":  {len(wire.MustMarshal(&signed)), SignedPrekeySize, 100},
		"pair":           {len(wire.MustMarshal(&pair)), OneTimeSize, 1669},
		"bundle":         {len(wire.MustMarshal(&bundle)), BundleSize, 1805},
		"prekey message": {len(wire.MustMarshal(&first)), PrekeySize, 1619},
		"header":         {HeaderSize, HeaderSize, 124},
		"overhead":       {Overhead, HeaderSize + TagSize, 156},
		"stored signed":  {len(bob.signed[7].Marshal()), 101, 101},
		"stored pair":    {len(bob.pairs[9].Marshal()), 168, 168},
	} {
		if c.got != c.want || c.constant != c.want {
			t.Errorf("%s: %d bytes, constant %d, want %d", name, c.got, c.constant, c.want)
		}
	}
	if SignedPrekeySize > wire.MaxPrekey || OneTimeSize > wire.MaxPrekey {
		t.Error("prekeys do not fit into the frame that publishes them")
	}
}
