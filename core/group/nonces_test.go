package group

import (
	"bytes"
	"testing"
)

// One seed gives one proof for the same input, and for other input other
// nonces: with equal ones, the two proofs would give the witness away.
func TestSeededProofs(t *testing.T) {
	forGroups(t, func(t *testing.T, g Group) {
		seed := &[SeedSize]byte{1}
		k := g.HashToScalar([]byte("k"), "test scalar")
		st, err := Possession(g.MulGenerator(k))
		if err != nil {
			t.Fatal(err)
		}
		prove := func(seed *[SeedSize]byte, label string) []byte {
			p, err := st.ProveSeeded(seed, NewSession(label), k)
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
		a := prove(seed, "a")
		if !bytes.Equal(a, prove(seed, "a")) {
			t.Error("not the same bytes")
		}
		if *seed != [SeedSize]byte{1} {
			t.Error("the seed was changed")
		}
		if bytes.Equal(a, prove(&[SeedSize]byte{2}, "a")) {
			t.Error("the seed does not count")
		}
		n := g.ScalarSize()
		extract := func(p, q []byte) Scalar { // (z1-z2)/(c1-c2)
			dc := mustScalar(t, g, p[:n]).Sub(mustScalar(t, g, q[:n]))
			inv, err := dc.Invert()
			if err != nil {
				t.Fatal("one challenge twice")
			}
			return mustScalar(t, g, p[n:]).Sub(mustScalar(t, g, q[n:])).Mul(inv)
		}
		if extract(a, prove(seed, "b")).Equal(k) {
			t.Error("one seed in two sessions gives k away")
		}
		one, err := st.Prove(testSession, k)
		two, err2 := st.Prove(testSession, k)
		if err != nil || err2 != nil || bytes.Equal(one, two) || extract(one, two).Equal(k) {
			t.Error("fresh proofs share a nonce")
		}
		// The attack works where nonces repeat: same commitment, two challenges.
		r, c1, c2 := g.RandomScalar(), g.RandomScalar(), g.RandomScalar()
		forge := func(c Scalar) []byte { return appendProof(nil, transcript{c, []Scalar{r.Add(c.Mul(k))}}) }
		if !extract(forge(c1), forge(c2)).Equal(k) {
			t.Error("the extractor is wrong")
		}
	})
}

// Nonces depend on every input of their own.
func TestNonceInputs(t *testing.T) {
	s := Ristretto255().closed()
	one, two := s.ScalarFromUint64(1), s.ScalarFromUint64(2)
	draw := func(s *suite, seed byte, session, label string, branch uint32, w ...Scalar) string {
		n := newNonces(s, &[SeedSize]byte{seed}, RawSession([]byte(session)), []byte(label), branch, w)
		defer n.erase()
		a, b := n.next(), n.next()
		if a.Equal(b) {
			t.Error("one nonce twice")
		}
		return string(a.Bytes())
	}
	p := P256().closed()
	seen := map[string]int{}
	for i, v := range []string{
		draw(s, 1, "s", "l", 0, one), draw(s, 2, "s", "l", 0, one), draw(s, 1, "t", "l", 0, one), draw(s, 1, "s", "m", 0, one),
		draw(s, 1, "s", "l", 1, one), draw(s, 1, "s", "l", 0, two), draw(s, 1, "s", "l", 0, one, two), draw(s, 1, "s", "l", 0),
		draw(s, 1, "sl", "", 0, one), draw(s, 1, "", "sl", 0, one), draw(p, 1, "s", "l", 0, p.ScalarFromUint64(1)),
	} {
		if j, ok := seen[v]; ok {
			t.Errorf("inputs %d and %d give one nonce", i, j)
		}
		seen[v] = i
	}
}
