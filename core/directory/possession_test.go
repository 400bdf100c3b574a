package directory

import (
	"bytes"
	"crypto/sha3"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"sync"
	"testing"

	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/store"
)

// unreduced is the order of ristretto255, which is 0 written otherwise.
var unreduced = []byte{
	0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
}

// related returns X + G with the proof of X: a key made of another's.
func related(t *testing.T, k ProvenKey) ProvenKey {
	e, err := k.Element()
	must(t, err)
	k.Key = [ElementSize]byte(e.Add(group.Ristretto255().Generator()).Bytes())
	return k
}

// Whoever signs a manifest has to know k, and to have proven it for this address
// and identity key.
func TestAccountKeyNeedsItsProof(t *testing.T) {
	a, other := newAccount(t, bob, 1), newAccount(t, bob, 1)
	sameIdentity := &account{identity: a.identity, k: other.k}
	elsewhere := newAccount(t, alice, 1)
	prove := func(x group.Scalar, s group.Session) ProvenKey {
		p, err := prove(x, s)
		must(t, err)
		return p
	}
	mailbox := ids.MailboxID{1}
	for name, c := range map[string]struct {
		key  ProvenKey
		want error
	}{
		"own":                {a.accountKey(t, bob), nil},
		"another own":        {sameIdentity.accountKey(t, bob), nil},
		"no proof":           {ProvenKey{Key: a.manifest.XS()}, ErrPossession},
		"of another account": {elsewhere.f().AccountKey, ErrPossession},
		"another identity":   {other.f().AccountKey, ErrPossession},
		"another address":    {a.accountKey(t, alice), ErrPossession},
		"of another key":     {ProvenKey{Key: other.manifest.XS(), Proof: a.f().AccountKey.Proof}, ErrPossession},
		"related key":        {related(t, a.f().AccountKey), ErrPossession},
		"proof of W":         {prove(a.k, mailboxKeySession(labelW, bob, mailbox, 1)), ErrPossession},
		"another label":      {prove(a.k, group.NewSession("waxwing", []byte(bob.String()), identityOf(a))), ErrPossession},
	} {
		f := *a.f()
		f.AccountKey = c.key
		if _, err := SignManifest(f, a.identity); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for i := range PossessionSize {
		f := *a.f()
		f.AccountKey.Proof[i] ^= 1
		if _, err := SignManifest(f, a.identity); !errors.Is(err, ErrPossession) {
			t.Errorf("byte %d of the proof: %v", i, err)
		}
	}
	for _, at := range []int{0, PossessionSize / 2} {
		f := *a.f()
		copy(f.AccountKey.Proof[at:], unreduced)
		if _, err := SignManifest(f, a.identity); !errors.Is(err, ErrPossession) {
			t.Errorf("unreduced scalar at %d: %v", at, err)
		}
	}
}

func (a *account) f() *ManifestFields { return &a.manifest.f }

func identityOf(a *account) []byte { id := a.identity.Public(); return id[:] }

// W and Z are proven for their address, mailbox and generation, and for their
// part.
func TestMailboxKeysNeedTheirProofs(t *testing.T) {
	a, other := newAccount(t, bob, 1), newAccount(t, bob, 1)
	box := ids.MailboxID{1}
	good := a.mailboxKeyFields(t, box, 100)
	foreign := other.mailboxKeyFields(t, box, 100)
	for name, c := range map[string]struct {
		change func(*MailboxKeyFields)
		want   error
	}{
		"own":                {func(*MailboxKeyFields) {}, nil},
		"next week":          {func(f *MailboxKeyFields) { f.Week, f.Expiry = 101, 710 }, nil},
		"new generation":     {func(f *MailboxKeyFields) { f.Generation = 2; a.proveMailboxKeys(t, f) }, nil},
		"generation":         {func(f *MailboxKeyFields) { f.Generation = 2 }, ErrPossession},
		"mailbox":            {func(f *MailboxKeyFields) { f.Mailbox = ids.MailboxID{2} }, ErrPossession},
		"address":            {func(f *MailboxKeyFields) { f.Address = alice }, ErrPossession},
		"no proof of W":      {func(f *MailboxKeyFields) { f.W.Proof = [PossessionSize]byte{} }, ErrPossession},
		"no proof of Z":      {func(f *MailboxKeyFields) { f.Z.Proof = [PossessionSize]byte{} }, ErrPossession},
		"W and Z exchanged":  {func(f *MailboxKeyFields) { f.W, f.Z = f.Z, f.W }, ErrPossession},
		"proofs exchanged":   {func(f *MailboxKeyFields) { f.W.Proof, f.Z.Proof = f.Z.Proof, f.W.Proof }, ErrPossession},
		"W of another":       {func(f *MailboxKeyFields) { f.W.Key = foreign.W.Key }, ErrPossession},
		"Z of another":       {func(f *MailboxKeyFields) { f.Z.Key = foreign.Z.Key }, ErrPossession},
		"related W":          {func(f *MailboxKeyFields) { f.W = related(t, f.W) }, ErrPossession},
		"related Z":          {func(f *MailboxKeyFields) { f.Z = related(t, f.Z) }, ErrPossession},
		"X_S with its proof": {func(f *MailboxKeyFields) { f.W = a.f().AccountKey }, ErrPossession},
	} {
		f := good
		c.change(&f)
		if _, err := SignMailboxKey(f, a.identity); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for i := range 2 * PossessionSize {
		f := good
		if i < PossessionSize {
			f.W.Proof[i] ^= 0x10
		} else {
			f.Z.Proof[i-PossessionSize] ^= 0x10
		}
		if _, err := SignMailboxKey(f, a.identity); !errors.Is(err, ErrPossession) {
			t.Errorf("byte %d of the proofs: %v", i, err)
		}
	}
}

func TestProve(t *testing.T) {
	a := newAccount(t, bob, 1)
	g := group.Ristretto255()
	if a.accountKey(t, bob) != a.f().AccountKey {
		t.Error("the same proof made twice differs")
	}
	for name, x := range map[string]group.Scalar{
		"none": {}, "zero": g.ScalarFromUint64(0), "of another group": group.P256().ScalarFromUint64(1),
	} {
		if _, err := ProveAccountKey(x, bob, a.identity.Public()); !errors.Is(err, group.ErrStatement) {
			t.Errorf("k %s: %v", name, err)
		}
		if _, _, err := ProveMailboxKeys(x, a.z, bob, ids.MailboxID{1}, 1); !errors.Is(err, group.ErrStatement) {
			t.Errorf("w %s: %v", name, err)
		}
		if _, _, err := ProveMailboxKeys(a.w, x, bob, ids.MailboxID{1}, 1); !errors.Is(err, group.ErrStatement) {
			t.Errorf("z %s: %v", name, err)
		}
	}
	e, err := a.f().AccountKey.Element()
	must(t, err)
	if !e.Equal(g.MulGenerator(a.k)) || a.manifest.XS() != [32]byte(e.Bytes()) {
		t.Error("X_S is not k*G")
	}
	// Proofs of one key under different sessions share nothing (a nonce used
	// twice would show as equal commitments).
	p, err := ProveAccountKey(a.k, alice, a.identity.Public())
	must(t, err)
	if bytes.Equal(p.Proof[:32], a.f().AccountKey.Proof[:32]) || bytes.Equal(p.Proof[32:], a.f().AccountKey.Proof[32:]) {
		t.Error("two proofs share a scalar")
	}
}

// The proof is what docs/protocol.md describes, computed here from the bytes.
func TestProofAsDocumented(t *testing.T) {
	a := newAccount(t, bob, 1)
	key, g := a.f().AccountKey, group.Ristretto255()
	prefixed := func(b, p []byte) []byte { return append(binary.BigEndian.AppendUint32(b, uint32(len(p))), p...) }
	session := append([]byte{byte(len("waxwing account key"))}, "waxwing account key"...)
	session = prefixed(session, []byte("bob@beta.example"))
	session = prefixed(session, identityOf(a))
	var label []byte
	for _, n := range []uint32{1, 1, 1, 0, 0} {
		label = binary.LittleEndian.AppendUint32(label, n)
	}
	label = append(append(label, g.Generator().Bytes()...), key.Key[:]...)

	c, err := g.DecodeScalar(key.Proof[:32])
	must(t, err)
	r, err := g.DecodeScalar(key.Proof[32:])
	must(t, err)
	x, err := key.Element()
	must(t, err)
	commitment := g.MulGenerator(r).Sub(x.Mul(c))
	in := make([]byte, 168)
	copy(in, "sigma-proofs_Shake128_ristretto255")
	in = append(prefixed(prefixed(in, session), label), commitment.Bytes()...)
	want := new(big.Int).SetBytes(sha3.SumSHAKE128(in, 48))
	order := slices.Clone(unreduced)
	slices.Reverse(order)
	want.Mod(want, new(big.Int).SetBytes(order))
	got := slices.Clone(key.Proof[:32])
	slices.Reverse(got)
	if want.Cmp(new(big.Int).SetBytes(got)) != 0 {
		t.Error("the challenge is not the documented hash")
	}
}

// withKey is an account at beta with the secret of another.
func withKey(t testing.TB, name string, k group.Scalar) *account {
	a := newAccount(t, ids.MustParseAddress(name+"@beta.example"), 1)
	a.k = k
	f := *a.f()
	f.AccountKey = a.accountKey(t, f.Address)
	a.manifest = a.signed(t, f)
	return a
}

func (a *account) tryRegister(t testing.TB, p *provider) error {
	_, err := p.Register(t.Context(), a.registration(t, a.manifest), now)
	return err
}

func TestOneAccountPerAccountKey(t *testing.T) {
	p := newProvider(t, Config{})
	a := newAccount(t, bob, 1)
	a.register(t, p)
	second := withKey(t, "second", a.k)
	if err := second.tryRegister(t, p); !errors.Is(err, ErrAccountKeyTaken) {
		t.Errorf("X_S again: %v", err)
	}
	if _, err := p.Account(t.Context(), second.manifest.Address()); !errors.Is(err, ErrUnknown) {
		t.Errorf("the refused account: %v", err)
	}
	a.register(t, p) // the same request is still the account's
	// Someone who wanted bob's address with an own k keeps that k for another.
	k := group.Ristretto255().RandomScalar()
	if err := withKey(t, "bob", k).tryRegister(t, p); !errors.Is(err, ErrExists) {
		t.Errorf("taken address: %v", err)
	}
	must(t, withKey(t, "third", k).tryRegister(t, p))
}

// A registration broken off between its two writes holds its X_S for its address
// alone, until the address is another's for good.
func TestAccountKeyOfABrokenRegistration(t *testing.T) {
	p := newProvider(t, Config{})
	k := group.Ristretto255().RandomScalar()
	first, second := withKey(t, "first", k), withKey(t, "second", k)
	p.st.afterCAS = func() { p.st.fail, p.st.afterCAS = true, nil }
	if err := first.tryRegister(t, p); !errors.Is(err, store.ErrUnavailable) {
		t.Fatalf("broken off: %v", err)
	}
	if err := second.tryRegister(t, p); !errors.Is(err, ErrAccountKeyTaken) {
		t.Errorf("X_S of a registration under way: %v", err)
	}
	stranger := withKey(t, "first", group.Ristretto255().RandomScalar())
	must(t, stranger.tryRegister(t, p))
	if err := first.tryRegister(t, p); !errors.Is(err, ErrExists) {
		t.Errorf("its address is taken: %v", err)
	}
	must(t, second.tryRegister(t, p))
	if err := withKey(t, "fourth", k).tryRegister(t, p); !errors.Is(err, ErrAccountKeyTaken) {
		t.Errorf("after it was taken over: %v", err)
	}

	// Finished by its own address instead.
	k = group.Ristretto255().RandomScalar()
	p.st.afterCAS = func() { p.st.fail, p.st.afterCAS = true, nil }
	again := withKey(t, "again", k)
	if err := again.tryRegister(t, p); !errors.Is(err, store.ErrUnavailable) {
		t.Fatalf("broken off: %v", err)
	}
	must(t, again.tryRegister(t, p))

	key := accountKeyKey(again.manifest.XS())
	doc, err := p.st.Get(t.Context(), key)
	must(t, err)
	_, err = p.st.CAS(t.Context(), key, doc.Version, []byte{9})
	must(t, err)
	if err := withKey(t, "fifth", k).tryRegister(t, p); !errors.Is(err, ErrState) {
		t.Errorf("damaged record: %v", err)
	}
}

// Of many addresses that want one X_S at once, one gets it; also where a claim
// of it has become void.
func TestAccountKeyRace(t *testing.T) {
	for _, void := range []bool{false, true} {
		p := newProvider(t, Config{})
		k := group.Ristretto255().RandomScalar()
		if void {
			p.st.afterCAS = func() { p.st.fail, p.st.afterCAS = true, nil }
			if err := withKey(t, "gone", k).tryRegister(t, p); !errors.Is(err, store.ErrUnavailable) {
				t.Fatal(err)
			}
			must(t, withKey(t, "gone", group.Ristretto255().RandomScalar()).tryRegister(t, p))
		}
		const racers = 12
		var errs [racers]error
		var requests [racers]*Registration
		for i := range requests {
			a := withKey(t, fmt.Sprintf("racer%d", i/2), k) // two for each address
			requests[i] = a.registration(t, a.manifest)
		}
		var wg sync.WaitGroup
		for i, r := range requests {
			wg.Go(func() { _, errs[i] = p.Register(t.Context(), r, now) })
		}
		wg.Wait()
		winners, accounts := 0, 0
		for i, err := range errs {
			switch {
			case err == nil:
				winners++
			case !errors.Is(err, ErrAccountKeyTaken) && !errors.Is(err, ErrExists):
				t.Errorf("racer %d: %v", i, err)
			}
			if a, err := p.Account(t.Context(), requests[i].Manifest().Address()); err == nil && a.Manifest.Equal(requests[i].Manifest()) {
				accounts++
			}
		}
		if winners != 1 || accounts != 1 {
			t.Errorf("%d winners, %d accounts (void claim: %v)", winners, accounts, void)
		}
	}
}

// An X_S that is another's costs an invite's use: its claim may yet be void.
func TestInviteAndTakenAccountKey(t *testing.T) {
	p := newProvider(t, Config{})
	a := newAccount(t, bob, 1)
	a.register(t, p)
	code := p.invite(t, 2)
	twin := withKey(t, "twin", a.k)
	for range 2 {
		if _, err := p.RegisterInvited(t.Context(), twin.registration(t, twin.manifest), code, p.clock); !errors.Is(err, ErrAccountKeyTaken) {
			t.Errorf("X_S of another: %v", err)
		}
	}
	if n := p.used(t, code); n != 1 {
		t.Errorf("%d uses", n)
	}
}

func TestMailboxKeyGenerations(t *testing.T) {
	p := newProvider(t, Config{})
	a := newAccount(t, bob, 1)
	auth := a.register(t, p)
	week := WeekOf(today) - 1
	seals := map[Week]keys.SealPublic{}
	publish := func(week Week, generation uint32, a *account) error {
		f := a.mailboxKeyFields(t, auth.Mailbox(), week)
		if k, ok := seals[week]; ok {
			f.Key = k // one for each week
		}
		seals[week], f.Generation = f.Key, generation
		a.proveMailboxKeys(t, &f)
		return p.PublishMailboxKey(t.Context(), auth, a.signedKey(t, f).Bytes(), now)
	}
	next := *a
	next.w = group.Ristretto255().RandomScalar()
	must(t, publish(week, 3, a))
	for name, err := range map[string]error{
		"older generation":               publish(week+1, 2, a),
		"other W of the same generation": publish(week+1, 3, &next),
		"other W of the same week":       publish(week, 3, &next),
		"earlier week":                   publish(week-1, 4, &next),
		"another key of the same week": func() error {
			f := next.mailboxKeyFields(t, auth.Mailbox(), week)
			f.Generation = 4
			next.proveMailboxKeys(t, &f)
			return p.PublishMailboxKey(t.Context(), auth, next.signedKey(t, f).Bytes(), now)
		}(),
	} {
		if !errors.Is(err, ErrConflict) {
			t.Errorf("%s: %v", name, err)
		}
	}
	must(t, publish(week, 4, &next)) // another W in the middle of the week
	must(t, publish(week, 4, &next))
	if err := publish(week, 3, a); !errors.Is(err, ErrConflict) {
		t.Errorf("back to the first pair in the same week: %v", err)
	}
	must(t, publish(week+1, 4, &next))
	if err := publish(week+2, 4, a); !errors.Is(err, ErrConflict) {
		t.Errorf("back to the first pair: %v", err)
	}
	must(t, publish(week+2, 4, &next))
}

// Nobody but who knows the secret makes a proof that verifies.
func FuzzProvenKey(f *testing.F) {
	a := newAccount(f, bob, 1)
	session := accountKeySession(bob, a.identity.Public())
	good := a.f().AccountKey
	f.Add(append(good.Key[:], good.Proof[:]...))
	f.Add(make([]byte, ElementSize+PossessionSize))
	f.Add(append(bytes.Repeat([]byte{1}, ElementSize), unreduced...))
	f.Fuzz(func(t *testing.T, b []byte) {
		var k ProvenKey
		if len(b) != ElementSize+PossessionSize {
			return
		}
		copy(k.Key[:], b)
		copy(k.Proof[:], b[ElementSize:])
		switch err := k.verify(session); {
		case err == nil && k != good:
			t.Fatalf("accepted %x", b)
		case err != nil && !errors.Is(err, ErrPossession):
			t.Fatalf("untyped error %v", err)
		}
	})
}

// Beside the floor of one signature's verification.
func BenchmarkParseManifest(b *testing.B) {
	a := newAccount(b, bob, 1)
	raw := a.manifest.Bytes()
	msg, sig := splitSigned(raw)
	identity := a.identity.Public()
	b.Run("floor", func(b *testing.B) {
		for b.Loop() {
			if identity.Verify(keys.ContextManifest, msg, sig) != nil {
				b.Fatal("signature")
			}
		}
	})
	b.Run("manifest", func(b *testing.B) {
		for b.Loop() {
			if _, err := ParseManifest(raw); err != nil {
				b.Fatal(err)
			}
		}
	})
}
