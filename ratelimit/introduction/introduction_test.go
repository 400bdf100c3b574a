package introduction

import (
	"bytes"
	"testing"

	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
	"waxwing/ratelimit"
	"waxwing/ratelimit/arc"
)

var (
	alpha = ids.MustParseDomain("alpha.example")
	beta  = ids.MustParseDomain("beta.example")
	gamma = ids.MustParseDomain("gamma.example")
	today = ids.Day(20000)
	g     = group.Ristretto255()
)

type fataler interface {
	Helper()
	Fatalf(string, ...any)
}

// world is beta with bob's mailbox, and alice of alpha with a credential.
type world struct {
	t     fataler
	relay *keys.SealKey
	key   *arc.SecretKey
	v     *Verifier
	w     group.Scalar
	bob   *Mailbox
	alice *Sender
	env   Envelope
}

func newWorld(t fataler) *world {
	t.Helper()
	w := &world{t: t, relay: keys.NewSealKey(), key: suite().NewSecretKey(), w: g.RandomScalar()}
	var err error
	if w.v, err = NewVerifier(w.key, beta, today, DefaultLimits); err != nil {
		t.Fatalf("%v", err)
	}
	bigW, _ := g.DecodeElement(g.MulGenerator(w.w).Bytes())
	w.bob = &Mailbox{ID: ids.NewMailboxID(), Generation: 3, W: bigW}
	w.alice = w.sender(ratelimit.TierMember)
	w.env = Envelope{Com: [32]byte{1}, Day: today, Class: wire.Class16K, TTL: 3600, Payload: [32]byte{2}}
	return w
}

// sender is an account of alpha with a credential of a tier, as package
// membership gives it.
func (w *world) sender(tier ratelimit.Tier) *Sender { return w.senderOf(g.RandomScalar(), tier, w.key) }

func (w *world) senderOf(k group.Scalar, tier ratelimit.Tier, key *arc.SecretKey) *Sender {
	w.t.Helper()
	s := suite()
	bl := &arc.Blinding{M1: k, R1: g.RandomScalar(), M2: s.Attribute(ratelimit.EpochContext(alpha, beta, today, tier)), R2: g.ScalarFromUint64(0)}
	session := group.NewSession("test")
	resp, err := key.Issue(s.Commit(bl.M1, bl.R1), g.MulGenerator(bl.M2), session, s.Fresh())
	if err != nil {
		w.t.Fatalf("%v", err)
	}
	c, err := key.Public().Open(bl, resp, session)
	if err != nil {
		w.t.Fatalf("%v", err)
	}
	return &Sender{Credential: c, Home: alpha, Provider: beta, Tier: tier, Epoch: today, Limits: DefaultLimits}
}

func (w *world) introduce(s *Sender, nonce uint32, code *keys.Secret) []byte {
	w.t.Helper()
	a, err := s.Introduce(w.relay.Public(), 5, w.bob, &w.env, nonce, code)
	if err != nil || len(a) != AddressSize {
		w.t.Fatalf("%d bytes, %v", len(a), err)
	}
	return a
}

func (w *world) open(a []byte) *Introduction {
	w.t.Helper()
	in, err := Open(w.relay, beta, &w.env, a)
	if err != nil {
		w.t.Fatalf("%v", err)
	}
	return in
}

func (w *world) asked(s *Sender, nonce uint32) Asked {
	w.t.Helper()
	return Asked{Home: alpha, W: w.bob.W, In: w.open(w.introduce(s, nonce, nil))}
}

func TestIntroduction(t *testing.T) {
	w := newWorld(t)
	for _, tier := range []ratelimit.Tier{ratelimit.TierNew, ratelimit.TierMember} {
		s := w.sender(tier)
		limit, _ := DefaultLimits.Of(tier)
		tags := map[[32]byte]bool{}
		for _, nonce := range []uint32{0, 1, limit - 1} {
			a := w.introduce(s, nonce, nil)
			in := w.open(a)
			if id, err := KeyID(a); id != 5 || err != nil || in.Mailbox != w.bob.ID || in.Generation != 3 || in.Tier != tier {
				t.Fatalf("opened %+v", in)
			}
			v, err := w.v.Verify(Asked{Home: alpha, W: w.bob.W, In: in})
			if err != nil {
				t.Fatalf("tier %d nonce %d: %v", tier, nonce, err)
			}
			// What bob checks against the certificate.
			nr, _ := g.DecodeElement(v.NR[:])
			if !ratelimit.Matches(w.w, g.MulGenerator(s.Credential.Secret()), nr) || v.NR != in.NR {
				t.Error("N_R is not the account's")
			}
			if tags[v.Tag] {
				t.Error("two nonces, one tag")
			}
			tags[v.Tag] = true
		}
	}
	if AddressSize != 1+keys.SealOverhead+fixed+presentation(t, MaxLimit) || StandingSize != fixed-CodeSize+presentation(t, StandingLimit) {
		t.Error("sizes are not those of the presentations")
	}
}

func presentation(t *testing.T, limit uint32) int {
	terms, err := suite().NewTerms(nil, limit)
	if err != nil {
		t.Fatal(err)
	}
	return terms.PresentationSize(1)
}

// By the numbers of docs/admission.md.
func TestAttack(t *testing.T) {
	w := newWorld(t)
	good := w.asked(w.alice, 7)
	verified, err := w.v.Verify(good)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(name string, v *Verifier, change func(a *Asked)) {
		t.Helper()
		a, in := good, *good.In
		a.In = &in
		change(&a)
		if got, err := v.Verify(a); err != ErrProof || got != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	verifier := func(key *arc.SecretKey, provider ids.Domain, day ids.Day, l Limits) *Verifier {
		v, err := NewVerifier(key, provider, day, l)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}

	t.Run("6 epochs", func(t *testing.T) {
		for _, day := range []ids.Day{today - 2, today - 1, today + 1} {
			refused("another day", verifier(w.key, beta, day, DefaultLimits), func(*Asked) {})
		}
		env := w.env
		env.Day++
		if _, err := w.alice.Introduce(w.relay.Public(), 5, w.bob, &env, 0, nil); err != ErrTerms {
			t.Errorf("an envelope of another day: %v", err)
		}
	})
	t.Run("8 nonce and limit", func(t *testing.T) {
		again := w.asked(w.alice, 7)
		v, err := w.v.Verify(again)
		if err != nil || v.Tag != verified.Tag {
			t.Error("one nonce, two tags: no limit")
		}
		if _, err := w.alice.Introduce(w.relay.Public(), 5, w.bob, &w.env, DefaultLimits.Member, nil); err != ErrTerms {
			t.Errorf("nonce = limit: %v", err)
		}
		for _, l := range []Limits{{1, 32}, {4, 0}, {4, MaxLimit + 1}} {
			if _, err := NewVerifier(w.key, beta, today, l); err != ErrTerms {
				t.Errorf("limits %v: %v", l, err)
			}
		}
		refused("another limit of as many bits", verifier(w.key, beta, today, Limits{4, 31}), func(*Asked) {})
		refused("another limit", verifier(w.key, beta, today, Limits{4, 16}), func(*Asked) {})
		// A new account that says member: the tier is in its credential.
		fresh := w.sender(ratelimit.TierNew)
		fresh.Tier = ratelimit.TierMember
		a := w.asked(fresh, 20)
		if _, err := w.v.Verify(a); err != ErrProof {
			t.Errorf("a tier of its own choice: %v", err)
		}
	})
	t.Run("9 replay elsewhere", func(t *testing.T) {
		other := g.HashToElement([]byte("W'"), "test")
		refused("another W", w.v, func(a *Asked) { a.W = other })
		refused("another mailbox", w.v, func(a *Asked) { a.In.Mailbox = ids.NewMailboxID() })
		refused("another home", w.v, func(a *Asked) { a.Home = gamma })
		refused("another provider", verifier(w.key, gamma, today, DefaultLimits), func(*Asked) {})
		refused("another key", verifier(suite().NewSecretKey(), beta, today, DefaultLimits), func(*Asked) {})
		refused("another seal", w.v, func(a *Asked) { a.In.enc = append([]byte{1}, a.In.enc[1:]...) })
		refused("another tier", w.v, func(a *Asked) { a.In.Tier = ratelimit.TierNew })
		refused("as a standing request", w.v, func(a *Asked) { a.Standing = true })
		// The message is in the seal, not in the proof: with another envelope the
		// address does not open, at another provider neither.
		a := w.introduce(w.alice, 8, nil)
		for name, change := range map[string]func(*Envelope){
			"com":     func(e *Envelope) { e.Com[31] ^= 1 },
			"day":     func(e *Envelope) { e.Day++ },
			"class":   func(e *Envelope) { e.Class++ },
			"ttl":     func(e *Envelope) { e.TTL++ },
			"payload": func(e *Envelope) { e.Payload[0] ^= 1 },
		} {
			env := w.env
			change(&env)
			if _, err := Open(w.relay, beta, &env, a); err != ErrSealed {
				t.Errorf("another %s: %v", name, err)
			}
		}
		if _, err := Open(w.relay, gamma, &w.env, a); err != ErrSealed {
			t.Errorf("another provider: %v", err)
		}
		if _, err := Open(keys.NewSealKey(), beta, &w.env, a); err != ErrSealed {
			t.Errorf("another relay key: %v", err)
		}
		renamed := append([]byte{6}, a[1:]...)
		if _, err := Open(w.relay, beta, &w.env, renamed); err != ErrSealed {
			t.Errorf("another key id: %v", err)
		}
	})
	t.Run("10 a tag knows neither message nor mailbox", func(t *testing.T) {
		env, bob := w.env, w.bob
		w.env.Com[0], w.bob = 9, &Mailbox{ID: ids.NewMailboxID(), W: g.HashToElement([]byte("carol"), "test")}
		v, err := w.v.Verify(w.asked(w.alice, 7))
		w.env, w.bob = env, bob
		if err != nil || v.Tag != verified.Tag {
			t.Errorf("a limit per message or mailbox is none: %v", err)
		}
		if v.NR == verified.NR {
			t.Error("one pseudonym at two mailboxes")
		}
	})
	t.Run("11 identity", func(t *testing.T) {
		refused("N_R", w.v, func(a *Asked) { a.In.NR = [32]byte{} })
		refused("W", w.v, func(a *Asked) { a.W = g.Identity() })
	})
	t.Run("14 N_R of another mailbox", func(t *testing.T) {
		other := g.HashToElement([]byte("W'"), "test").Mul(w.alice.Credential.Secret())
		refused("N_R", w.v, func(a *Asked) { a.In.NR = [32]byte(other.Bytes()) })
	})
	t.Run("15 related keys", func(t *testing.T) {
		// N_R for c*W is c*N_R: without a proof of possession mallory could
		// publish c*W and match alice's pseudonyms. The directory asks for one.
		c := g.ScalarFromUint64(2)
		nr, _ := g.DecodeElement(verified.NR[:])
		refused("2*N_R", w.v, func(a *Asked) { a.In.NR = [32]byte(nr.Mul(c).Bytes()) })
	})
	t.Run("21 evasion", func(t *testing.T) {
		k := w.alice.Credential.Secret()
		for name, s := range map[string]*Sender{
			"after a refill":       w.senderOf(k, ratelimit.TierMember, w.key),
			"from another device":  w.alice,
			"as another tier":      w.senderOf(k, ratelimit.TierNew, w.key),
			"after re-registering": w.senderOf(k, ratelimit.TierMember, w.key),
		} {
			v, err := w.v.Verify(w.asked(s, 2))
			if err != nil || v.NR != verified.NR {
				t.Errorf("%s: another pseudonym (%v)", name, err)
			}
		}
		if v, err := w.v.Verify(w.asked(w.sender(ratelimit.TierNew), 2)); err != nil || v.NR == verified.NR {
			t.Errorf("two accounts, one pseudonym (%v)", err)
		}
	})
	t.Run("22 unknown mailboxes", func(t *testing.T) {
		secret := keys.NewSecret()
		id := ids.NewMailboxID()
		if !DummyW(secret, id).Equal(DummyW(secret, id)) || DummyW(secret, id).Equal(DummyW(secret, ids.NewMailboxID())) {
			t.Error("a dummy changes, or is one for all")
		}
		refused("against a dummy", w.v, func(a *Asked) { a.W = DummyW(secret, id) })
	})
	t.Run("27 a key for one sender", func(t *testing.T) {
		// A credential of an unlogged key cannot come to be (arc, membership); if
		// it did, nobody else's verifier would take it.
		a := w.asked(w.senderOf(g.RandomScalar(), ratelimit.TierMember, suite().NewSecretKey()), 0)
		if _, err := w.v.Verify(a); err != ErrProof {
			t.Error(err)
		}
	})
	t.Run("43 batches", func(t *testing.T) {
		batch := []Asked{good, w.asked(w.alice, 9), w.asked(w.sender(ratelimit.TierNew), 0)}
		bad := *batch[1].In
		bad.Mailbox[0] ^= 1
		batch[1].In = &bad
		vs, errs := w.v.VerifyBatch(batch)
		if errs[0] != nil || errs[1] != ErrProof || errs[2] != nil || vs[0].Tag != verified.Tag || vs[1] != nil || vs[2] == nil {
			t.Errorf("%v", errs)
		}
		for _, err := range second(w.v.VerifyBatch(make3(good, MaxBatch+1))) {
			if err != ErrProof {
				t.Error("too large a batch")
			}
		}
	})
}

func make3(a Asked, n int) (out []Asked) {
	for range n {
		out = append(out, a)
	}
	return out
}

func second[A, B any](_ A, b B) B { return b }

// Model-findings 5: a contact code that stands alone would let a blocked contact
// return. It accompanies the presentation, for one seal and one mailbox.
func TestAttackCode(t *testing.T) {
	w := newWorld(t)
	code := keys.NewSecret()
	in := w.open(w.introduce(w.alice, 0, code))
	if !in.HasCode(code, beta) {
		t.Fatal("code not seen")
	}
	if in.HasCode(keys.NewSecret(), beta) || in.HasCode(code, gamma) || w.open(w.introduce(w.alice, 1, nil)).HasCode(code, beta) {
		t.Error("another code, or none, passes")
	}
	other := *in
	other.enc = append([]byte{in.enc[0] ^ 1}, in.enc[1:]...)
	if other.HasCode(code, beta) {
		t.Error("a code in another seal passes")
	}
	other = *in
	other.Mailbox[0] ^= 1
	if other.HasCode(code, beta) {
		t.Error("a code at another mailbox passes")
	}
	// A code does not replace the proof.
	bad := *in
	bad.rest = append([]byte{1}, in.rest[1:]...)
	if _, err := w.v.Verify(Asked{Home: alpha, W: w.bob.W, In: &bad}); err != ErrProof {
		t.Errorf("a code without a proof: %v", err)
	}
}

// Credentials.md 4, 11: every byte of an address, changed, is refused, and every
// byte of what it carries.
func TestAttackEveryByte(t *testing.T) {
	w := newWorld(t)
	a := w.introduce(w.alice, 3, nil)
	for i := 0; i < len(a); i += 11 {
		bad := bytes.Clone(a)
		bad[i] ^= 1 << (i % 8)
		if _, err := Open(w.relay, beta, &w.env, bad); err != ErrSealed {
			t.Fatalf("byte %d: %v", i, err)
		}
	}
	for _, bad := range [][]byte{nil, a[:len(a)-1], append(bytes.Clone(a), 0)} {
		if _, err := Open(w.relay, beta, &w.env, bad); err != ErrMalformed {
			t.Errorf("%d bytes: %v", len(bad), err)
		}
	}
	in := w.open(a)
	plain := wire.MustMarshal(in)
	code := fixed - CodeSize // not the proof's concern
	for i := range plain {
		if i >= code && i < fixed || i >= 17 && i < 21 {
			continue // the code, and the generation, by which the caller chose W
		}
		bad := bytes.Clone(plain)
		bad[i] ^= 1 << (i % 8)
		parsed := &Introduction{enc: in.enc}
		if err := wire.Unmarshal(bad, parsed); err != nil {
			continue
		}
		if _, err := w.v.Verify(Asked{Home: alpha, W: w.bob.W, In: parsed}); err != ErrProof {
			t.Fatalf("byte %d of the plain: %v", i, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	w := newWorld(f)
	in := w.open(w.introduce(w.alice, 0, keys.NewSecret()))
	f.Add(wire.MustMarshal(in))
	standing, _ := w.alice.AskStanding(make([]byte, keys.SealEncSize), w.bob, 0)
	f.Add(standing)
	f.Add(wire.MustMarshal(&Share{1, 2, 3}))
	f.Add(wire.MustMarshal(&Part{1, 2, partScale}))
	f.Fuzz(func(t *testing.T, b []byte) {
		var parsed Introduction
		if wire.Unmarshal(b, &parsed) == nil {
			if !bytes.Equal(wire.MustMarshal(&parsed), b) {
				t.Error("introduction")
			}
			w.v.Verify(Asked{Home: alpha, W: w.bob.W, In: &parsed})
		}
		if s, err := ParseStanding(nil, b); err == nil && !bytes.Equal(wire.MustMarshal(s), b) {
			t.Error("standing")
		}
		var share Share
		if wire.Unmarshal(b, &share) == nil && !bytes.Equal(wire.MustMarshal(&share), b) {
			t.Error("share")
		}
		var part Part
		if wire.Unmarshal(b, &part) == nil && !bytes.Equal(wire.MustMarshal(&part), b) {
			t.Error("part")
		}
	})
}
