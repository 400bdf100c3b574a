package arc

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"waxwing/core/group"
)

var (
	bothSuites  = []*Suite{P256(), Ristretto255()}
	testContext = []byte("a request context")
	testSession = group.NewSession("arc test", []byte("session"))
)

type fataler interface {
	Helper()
	Fatalf(string, ...any)
}

// issued is a key with a credential of it.
type issued struct {
	s    *Suite
	key  *SecretKey
	cred *Credential
}

func issue(t fataler, s *Suite) issued {
	t.Helper()
	i := issued{s: s, key: s.NewSecretKey()}
	req, bl, err := s.NewRequest(s.g.RandomScalar(), testContext, s.Fresh())
	if err != nil {
		t.Fatalf("%v", err)
	}
	resp, err := i.key.Respond(req, i.key.IssuanceSource(req.Bytes()))
	if err != nil {
		t.Fatalf("%v", err)
	}
	if i.cred, err = i.key.Public().Finalize(bl, resp); err != nil {
		t.Fatalf("%v", err)
	}
	return i
}

func terms(t fataler, s *Suite, context string, limit uint32) *Terms {
	t.Helper()
	tt, err := s.NewTerms([]byte(context), limit)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return tt
}

func forSuites(t *testing.T, f func(*testing.T, *Suite)) {
	for _, s := range bothSuites {
		t.Run(s.g.Name(), func(t *testing.T) { f(t, s) })
	}
}

// claim makes a presentation with one pseudonym, and its claim.
func (i issued) claim(t fataler, tt *Terms, nonce uint32) Claim {
	t.Helper()
	ps := i.cred.Pseudonym(i.s.g.HashToElement([]byte("W"), "test"))
	p, err := i.cred.PresentIn(testSession, tt, nonce, i.s.Fresh(), ps)
	if err != nil {
		t.Fatalf("%v", err)
	}
	// As it arrives.
	parsed, err := tt.ParsePresentation(p.Bytes(), 1)
	if err != nil || len(p.Bytes()) != tt.PresentationSize(1) {
		t.Fatalf("%d bytes: %v", len(p.Bytes()), err)
	}
	return Claim{i.key, i.s.Attribute(testContext), tt, testSession, parsed, []Pseudonym{ps}}
}

// Whatever the limit, every nonce below it is presented and verifies, each with
// a tag of its own that depends on secret, context and nonce only.
func TestRoundTrip(t *testing.T) {
	forSuites(t, func(t *testing.T, s *Suite) {
		i := issue(t, s)
		for _, limit := range []uint32{2, 3, 5, 6, 7, 32} {
			tt := terms(t, s, "epoch", limit)
			tags := map[string]uint32{}
			for _, nonce := range slices.Compact([]uint32{0, 1, limit / 2, limit - 1}) {
				c := i.claim(t, tt, nonce)
				if err := c.Verify(); err != nil {
					t.Fatalf("limit %d nonce %d: %v", limit, nonce, err)
				}
				tag := string(c.Presentation.Tag.Bytes())
				if other, ok := tags[tag]; ok && other != nonce {
					t.Errorf("nonces %d and %d have one tag", nonce, other)
				}
				tags[tag] = nonce
			}
		}
	})
}

// The bases give every number below the limit and none above.
func TestBases(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.Uint32Range(MinLimit, MaxLimit).Draw(t, "limit")
		tt := &Terms{s: Ristretto255(), limit: limit, bases: bases(limit)}
		var sum uint32
		for _, b := range tt.bases {
			sum += b
		}
		if sum != limit-1 || tt.bases[len(tt.bases)-1] != 1 || !slices.IsSortedFunc(tt.bases, func(a, b uint32) int { return int(b) - int(a) }) {
			t.Fatalf("limit %d: %v", limit, tt.bases)
		}
		nonce := rapid.Uint32Range(0, limit-1).Draw(t, "nonce")
		bits, _, _ := tt.decompose(nonce, tt.s.g.RandomScalar(), tt.s.Fresh())
		var got uint32
		for j, b := range bits {
			if !b.IsZero() {
				got += tt.bases[j]
			}
		}
		if got != nonce {
			t.Fatalf("limit %d: %d became %d", limit, nonce, got)
		}
	})
}

// The attacks on admission (docs/admission.md) that this package decides, by
// number.
func TestAttack(t *testing.T) {
	forSuites(t, func(t *testing.T, s *Suite) {
		i := issue(t, s)
		tt := terms(t, s, "epoch", 6)
		good := i.claim(t, tt, 5)
		if err := good.Verify(); err != nil {
			t.Fatal(err)
		}
		refused := func(name string, change func(c *Claim)) {
			t.Helper()
			c := good
			p := *c.Presentation
			p.D = slices.Clone(p.D)
			c.Presentation = &p
			c.Pseudonyms = slices.Clone(c.Pseudonyms)
			change(&c)
			if err := c.Verify(); err != ErrProof {
				t.Errorf("%s: %v", name, err)
			}
		}
		t.Run("8 nonce and limit", func(t *testing.T) {
			again := i.claim(t, tt, 5)
			if !again.Presentation.Tag.Equal(good.Presentation.Tag) {
				t.Error("one nonce, two tags")
			}
			for _, nonce := range []uint32{6, 7, 1 << 31} {
				if _, err := i.cred.Present(tt, nonce, s.Fresh()); err != ErrLimit {
					t.Errorf("nonce %d: %v", nonce, err)
				}
			}
			for _, limit := range []uint32{0, 1, MaxLimit + 1} {
				if _, err := s.NewTerms([]byte("epoch"), limit); err != ErrLimit {
					t.Errorf("limit %d: %v", limit, err)
				}
			}
			// A modified client that goes beyond: 6 of 6 is no sum of the bases,
			// so bits that are none are needed.
			over := *tt
			over.limit = 7
			p, err := i.cred.PresentIn(testSession, &over, 6, s.Fresh(), good.Pseudonyms...)
			if err != nil {
				t.Fatal(err)
			}
			refused("nonce = limit", func(c *Claim) { c.Presentation = p })
			// Another limit with as many bits, and with others.
			refused("limit 5", func(c *Claim) { c.Terms = terms(t, s, "epoch", 5) })
			refused("limit 8", func(c *Claim) { c.Terms = terms(t, s, "epoch", 8) })
			refused("limit 16", func(c *Claim) { c.Terms = terms(t, s, "epoch", 16) })
			// The tag does not know the limit: the context has to (docs/admission.md).
			if !i.claim(t, terms(t, s, "epoch", 8), 5).Presentation.Tag.Equal(good.Presentation.Tag) {
				t.Error("a tag depends on the limit after all")
			}
			if i.claim(t, terms(t, s, "epoch|8", 8), 5).Presentation.Tag.Equal(good.Presentation.Tag) {
				t.Error("one tag in two contexts")
			}
		})
		t.Run("9 replay elsewhere", func(t *testing.T) {
			refused("session", func(c *Claim) { c.Session = group.NewSession("arc test", []byte("another")) })
			refused("no session", func(c *Claim) { c.Session = group.Session{} })
			refused("context", func(c *Claim) { c.Terms = terms(t, s, "epoch+1", 6) })
			refused("key", func(c *Claim) { c.Key = s.NewSecretKey() })
			refused("attribute", func(c *Claim) { c.Attribute = s.Attribute([]byte("another tier")) })
		})
		t.Run("11 elements", func(t *testing.T) {
			// Each element another one: a false proof, never a panic.
			for n, set := range elementsOf() {
				refused(fmt.Sprintf("element %d", n), func(c *Claim) { *set(c.Presentation) = s.h })
				refused(fmt.Sprintf("identity %d", n), func(c *Claim) { *set(c.Presentation) = s.g.Identity() })
			}
		})
		t.Run("11 k = -i and k = 0", func(t *testing.T) {
			if _, _, err := s.NewRequest(s.g.ScalarFromUint64(0), testContext, s.Fresh()); err != ErrSecret {
				t.Errorf("secret 0: %v", err)
			}
			if _, _, err := s.NewRequest(group.Scalar{}, testContext, s.Fresh()); err != ErrSecret {
				t.Errorf("no secret: %v", err)
			}
			other := *bothSuites[0]
			if s == bothSuites[0] {
				other = *bothSuites[1]
			}
			if _, _, err := s.NewRequest(other.g.RandomScalar(), testContext, s.Fresh()); err != ErrSecret {
				t.Errorf("secret of another group: %v", err)
			}
			cred := *i.cred
			cred.m1 = s.g.ScalarFromUint64(3).Negate()
			if _, err := cred.Present(tt, 3, s.Fresh()); err != ErrSecret {
				t.Errorf("secret = -nonce: %v", err)
			}
		})
		t.Run("12 bits", func(t *testing.T) {
			refused("swapped", func(c *Claim) { c.Presentation.D[0], c.Presentation.D[1] = c.Presentation.D[1], c.Presentation.D[0] })
			refused("one short", func(c *Claim) { c.Presentation.D = c.Presentation.D[1:] })
			refused("one more", func(c *Claim) { c.Presentation.D = append(c.Presentation.D, s.h) })
			// Without the check of the sum this would pass: the proof is about
			// NonceCommit and D apart.
			nc := good.Presentation.NonceCommit.Add(s.g.Generator())
			refused("sum", func(c *Claim) { c.Presentation.NonceCommit = nc })
		})
		t.Run("14 pseudonym", func(t *testing.T) {
			refused("another base", func(c *Claim) { c.Pseudonyms[0].Base = s.h })
			refused("another value", func(c *Claim) { c.Pseudonyms[0].Value = s.h })
			refused("identity", func(c *Claim) { c.Pseudonyms[0] = Pseudonym{s.h, s.g.Identity()} })
			refused("none", func(c *Claim) { c.Pseudonyms = nil })
			refused("more", func(c *Claim) { c.Pseudonyms = append(c.Pseudonyms, c.Pseudonyms[0]) })
			refused("too many", func(c *Claim) { c.Pseudonyms = slices.Repeat(c.Pseudonyms, MaxPseudonyms+1) })
			other := issue(t, s)
			if _, err := other.cred.PresentIn(testSession, tt, 0, s.Fresh(), good.Pseudonyms...); err != ErrSecret {
				t.Errorf("another's pseudonym: %v", err)
			}
		})
		t.Run("30 a foreign credential", func(t *testing.T) {
			other := issue(t, s)
			c := other.claim(t, tt, 0)
			c.Key = i.key
			if err := c.Verify(); err != ErrProof {
				t.Errorf("credential of another key: %v", err)
			}
		})
	})
}

func elementsOf() []func(*Presentation) *group.Element {
	return []func(*Presentation) *group.Element{
		func(p *Presentation) *group.Element { return &p.U },
		func(p *Presentation) *group.Element { return &p.UPrimeCommit },
		func(p *Presentation) *group.Element { return &p.M1Commit },
		func(p *Presentation) *group.Element { return &p.Tag },
		func(p *Presentation) *group.Element { return &p.NonceCommit },
		func(p *Presentation) *group.Element { return &p.D[0] },
		func(p *Presentation) *group.Element { return &p.D[len(p.D)-1] },
	}
}

// Credentials.md 4, 11: every byte of every message, changed, is refused.
func TestAttackEveryByte(t *testing.T) {
	s := Ristretto255()
	i := issue(t, s)
	tt := terms(t, s, "epoch", 6)
	c := i.claim(t, tt, 1)
	req, bl, _ := s.NewRequest(s.g.RandomScalar(), testContext, s.Fresh())
	resp, err := i.key.Respond(req, s.Fresh())
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		good   []byte
		accept func([]byte) error
	}{
		"request": {req.Bytes(), func(b []byte) error {
			r, err := s.ParseRequest(b)
			if err != nil {
				return err
			}
			return s.VerifyRequest(r)
		}},
		"response": {resp.Bytes(), func(b []byte) error {
			r, err := s.ParseResponse(b)
			if err != nil {
				return err
			}
			_, err = i.key.Public().Finalize(bl, r)
			return err
		}},
		"presentation": {c.Presentation.Bytes(), func(b []byte) error {
			p, err := tt.ParsePresentation(b, 1)
			if err != nil {
				return err
			}
			bad := c
			bad.Presentation = p
			return bad.Verify()
		}},
	} {
		if err := tc.accept(tc.good); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for at := range tc.good {
			bad := bytes.Clone(tc.good)
			bad[at] ^= 1 << (at % 8)
			if err := tc.accept(bad); !errors.Is(err, ErrProof) && !errors.Is(err, ErrMalformed) {
				t.Fatalf("%s byte %d: %v", name, at, err)
			}
		}
		for _, n := range []int{0, 31, len(tc.good) - 1} {
			if err := tc.accept(tc.good[:n]); err != ErrMalformed {
				t.Errorf("%s of %d bytes: %v", name, n, err)
			}
		}
		if err := tc.accept(append(bytes.Clone(tc.good), 0)); err != ErrMalformed {
			t.Errorf("%s with a byte more: %v", name, err)
		}
		if err := tc.accept(append(make([]byte, 32), tc.good[32:]...)); err != ErrMalformed {
			t.Errorf("%s with the identity: %v", name, err)
		}
	}
}

// Credentials.md 4, 43, through the credential's own checks.
func TestAttackBatch(t *testing.T) {
	s := Ristretto255()
	i := issue(t, s)
	tt := terms(t, s, "epoch", 8)
	var claims []Claim
	for n := range 8 {
		claims = append(claims, i.claim(t, tt, uint32(n)))
	}
	for _, err := range VerifyBatch(claims) {
		if err != nil {
			t.Fatal(err)
		}
	}
	sum, session := *claims[2].Presentation, claims[5]
	sum.NonceCommit = sum.NonceCommit.Add(s.h)
	claims[2].Presentation = &sum
	session.Session = group.NewSession("another")
	claims[5] = session
	other := issue(t, P256())
	claims = append(claims, other.claim(t, terms(t, P256(), "epoch", 8), 0))
	for n, err := range VerifyBatch(claims) {
		want := error(nil)
		if n == 2 || n == 5 || n == 8 {
			want = ErrProof
		}
		if err != want {
			t.Errorf("claim %d: %v", n, err)
		}
	}
	for _, err := range VerifyBatch(slices.Repeat(claims[:1], MaxBatch+1)) {
		if err != ErrProof {
			t.Error("too large a batch")
		}
	}
}

// What is stored comes back, and only that.
func TestStored(t *testing.T) {
	forSuites(t, func(t *testing.T, s *Suite) {
		i := issue(t, s)
		k, err := s.ParseSecretKey(i.key.Bytes())
		if err != nil || !bytes.Equal(k.Public().Bytes(), i.key.Public().Bytes()) || len(i.key.Bytes()) != s.SecretKeySize() {
			t.Fatal("secret key")
		}
		pk, err := s.ParsePublicKey(k.Public().Bytes())
		if err != nil || !bytes.Equal(pk.Bytes(), k.Public().Bytes()) || len(pk.Bytes()) != s.PublicKeySize() {
			t.Fatal("public key")
		}
		c, err := s.ParseCredential(i.cred.Bytes())
		if err != nil || !bytes.Equal(c.Bytes(), i.cred.Bytes()) {
			t.Fatal("credential")
		}
		for name, err := range map[string]error{
			"short key":      second(s.ParseSecretKey(i.key.Bytes()[1:])),
			"zero scalar":    second(s.ParseSecretKey(append(make([]byte, 32), i.key.Bytes()[32:]...))),
			"identity key":   second(s.ParsePublicKey(make([]byte, s.PublicKeySize()))),
			"long public":    second(s.ParsePublicKey(append(pk.Bytes(), 0))),
			"bad credential": second(s.ParseCredential(i.cred.Bytes()[1:])),
			"pseudonyms":     second(terms(t, s, "x", 2).ParsePresentation(nil, MaxPseudonyms+1)),
		} {
			if err != ErrMalformed {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, v := range []any{i.key, *i.key, i.cred, s.Fresh(), &Blinding{}, &Opening{}} {
			if text := fmt.Sprintf("%v %+v %#v", v, v, v); !bytes.Contains([]byte(text), []byte("redacted")) {
				t.Errorf("%T prints as %s", v, text)
			}
		}
	})
}

func second[T any](_ T, err error) error { return err }
