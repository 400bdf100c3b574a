package group

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

var testSession = NewSession("test", []byte("context"))

// known is a statement with its witness.
type known struct {
	st      *Statement
	witness []Scalar
}

// drawKnown draws a relation of any shape and solves it: scalars first, left
// sides from them. The first term of each equation is a fresh scalar times G,
// so that no left side is the identity.
func drawKnown(t *rapid.T, g Group, name string) known {
	r := NewRelation(g)
	bases := []Element{g.Generator(), g.SecondGenerator()}
	for range rapid.IntRange(0, 2).Draw(t, name+" bases") {
		bases = append(bases, g.HashToElement(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, name+" base"), "test element"))
	}
	vars := r.AllocScalars(rapid.IntRange(0, 3).Draw(t, name+" shared"))
	var k known
	for range vars {
		k.witness = append(k.witness, drawScalar(t, g, name+" witness"))
	}
	elems := r.AllocElements(bases...)
	used := 0 // shared scalars that some equation has
	for used == 0 || used < len(vars) {
		fresh := g.HashToScalar(rapid.SliceOfN(rapid.Byte(), 8, 8).Draw(t, name+" fresh"), "test scalar")
		v := r.AllocScalars(1)[0]
		k.witness = append(k.witness, fresh)
		terms, lhs := []Term{v.Times(elems[0])}, g.MulGenerator(fresh)
		for range rapid.IntRange(0, 3).Draw(t, name+" terms") {
			if len(vars) == 0 {
				break
			}
			i := rapid.IntRange(0, len(vars)-1).Draw(t, name+" scalar")
			b := rapid.IntRange(0, len(bases)-1).Draw(t, name+" base index")
			terms, lhs = append(terms, vars[i].Times(elems[b])), lhs.Add(bases[b].Mul(k.witness[i]))
		}
		if used < len(vars) {
			terms, lhs = append(terms, vars[used].Times(elems[1])), lhs.Add(bases[1].Mul(k.witness[used]))
		}
		used++
		if lhs.IsIdentity() {
			t.Skip("a left side is the identity")
		}
		r.Constrain(r.AllocElements(lhs)[0], terms...)
	}
	var err error
	if k.st, err = r.Build(); err != nil {
		t.Fatal(err)
	}
	return k
}

func TestRandomRelations(t *testing.T) {
	forGroups(t, func(t *testing.T, g Group) {
		rapid.Check(t, func(t *rapid.T) {
			k := drawKnown(t, g, "relation")
			proof, err := k.st.Prove(testSession, k.witness...)
			if err != nil || len(proof) != k.st.ProofSize() {
				t.Fatalf("%d bytes, %v", len(proof), err)
			}
			if err := k.st.Verify(testSession, proof); err != nil {
				t.Fatal(err)
			}
			i := rapid.IntRange(0, len(k.witness)-1).Draw(t, "wrong")
			wrong := slices.Clone(k.witness)
			wrong[i] = wrong[i].Add(g.ScalarFromUint64(1))
			if _, err := k.st.Prove(testSession, wrong...); err != ErrWitness {
				t.Fatalf("wrong witness: %v", err)
			}
			bit := rapid.IntRange(0, len(proof)*8-1).Draw(t, "bit")
			proof[bit/8] ^= 1 << (bit % 8)
			if err := k.st.Verify(testSession, proof); err != ErrProof {
				t.Fatalf("bit %d flipped: %v", bit, err)
			}
		})
	})
}

// escrow is the largest statement of the protocol's own: commitment, ElGamal
// ciphertext of k*P to the key Y.
func escrow(t fataler, g Group, tweak func(elements []Element)) (*Statement, []Scalar) {
	t.Helper()
	k, r, e := g.HashToScalar([]byte("k"), "test scalar"), g.HashToScalar([]byte("r"), "test scalar"), g.HashToScalar([]byte("e"), "test scalar")
	h, p, y := g.SecondGenerator(), g.HashToElement([]byte("P"), "test element"), g.HashToElement([]byte("Y"), "test element")
	el := []Element{
		g.Generator(), h, p, y,
		g.MultiMul([]Scalar{k, r}, []Element{g.Generator(), h}),
		g.MulGenerator(e),
		g.MultiMul([]Scalar{k, e}, []Element{p, y}),
	}
	if tweak != nil {
		tweak(el)
	}
	rel := NewRelation(g)
	x, v := rel.AllocScalars(3), rel.AllocElements(el...)
	rel.Constrain(v[4], x[0].Times(v[0]), x[1].Times(v[1]))
	rel.Constrain(v[5], x[2].Times(v[0]))
	rel.Constrain(v[6], x[0].Times(v[2]), x[2].Times(v[3]))
	st, err := rel.Build()
	if err != nil {
		t.Fatalf("%v", err)
	}
	return st, []Scalar{k, r, e}
}

func mustProve(t fataler, st *Statement, witness ...Scalar) []byte {
	t.Helper()
	proof, err := st.Prove(testSession, witness...)
	if err != nil {
		t.Fatalf("%v", err)
	}
	if err := st.Verify(testSession, proof); err != nil {
		t.Fatalf("%v", err)
	}
	return proof
}

func TestEveryBitCounts(t *testing.T) {
	forGroups(t, func(t *testing.T, g Group) {
		st, w := escrow(t, g, nil)
		proof := mustProve(t, st, w...)
		for i := range len(proof) * 8 {
			bad := bytes.Clone(proof)
			bad[i/8] ^= 1 << (i % 8)
			if err := st.Verify(testSession, bad); err != ErrProof {
				t.Fatalf("bit %d: %v", i, err)
			}
		}
	})
}

// badProofs returns proofs that are malformed or made without a witness; size
// is that of a good one.
func badProofs(g Group, good []byte, challenges int) map[string][]byte {
	n := g.ScalarSize()
	bad := map[string][]byte{
		"nil": nil, "empty": {}, "zeros": make([]byte, len(good)), "ones": bytes.Repeat([]byte{0xff}, len(good)),
		"short by a byte": good[:len(good)-1], "long by a byte": append(bytes.Clone(good), 0),
		"short by a scalar": good[:len(good)-n], "long by a scalar": append(bytes.Clone(good), make([]byte, n)...),
		"twice": append(bytes.Clone(good), good...), "first byte off": good[1:],
	}
	for i := range len(good) / n {
		put := func(name string, field []byte) {
			b := bytes.Clone(good)
			copy(b[i*n:], field)
			bad[fmt.Sprintf("scalar %d: %s", i, name)] = b
		}
		// The same number, unreduced: a second name for the same proof.
		v := toInt(g, good[i*n:(i+1)*n])
		if v.Add(v, order(g)).BitLen() <= n*8 {
			put("plus the order", encodeInt(g, v))
		}
		put("zero", make([]byte, n))
		put("order", encodeInt(g, order(g)))
		x, _ := g.DecodeScalarAllowZero(good[i*n : (i+1)*n])
		put("negated", x.Negate().Bytes())
		put("plus one", x.Add(g.ScalarFromUint64(1)).Bytes())
		if i > 0 {
			b := bytes.Clone(good)
			copy(b[(i-1)*n:], good[i*n:(i+1)*n])
			copy(b[i*n:], good[(i-1)*n:i*n])
			bad[fmt.Sprintf("scalars %d and %d swapped", i-1, i)] = b
		}
	}
	zeros := bytes.Clone(good)
	clear(zeros[:challenges*n])
	bad["no challenge"] = zeros
	zeros = bytes.Clone(good)
	clear(zeros[challenges*n:])
	bad["no responses"] = zeros
	return bad
}

func TestBadProofs(t *testing.T) {
	forGroups(t, func(t *testing.T, g Group) {
		st, w := escrow(t, g, nil)
		for name, b := range badProofs(g, mustProve(t, st, w...), 1) {
			if err := st.Verify(testSession, b); err != ErrProof {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// One proof, every other statement: swapped, shifted and negated elements,
// equations left out, added and reordered, terms elsewhere.
func TestTransplants(t *testing.T) {
	forGroups(t, func(t *testing.T, g Group) {
		st, w := escrow(t, g, nil)
		proof := mustProve(t, st, w...)
		refuse := func(name string, other *Statement) {
			t.Helper()
			if err := other.Verify(testSession, proof); err != ErrProof {
				t.Errorf("%s: %v", name, err)
			}
		}
		for i := range st.elements {
			for j := range i {
				other, _ := escrow(t, g, func(el []Element) { el[i], el[j] = el[j], el[i] })
				refuse(fmt.Sprintf("elements %d and %d swapped", i, j), other)
			}
			other, _ := escrow(t, g, func(el []Element) { el[i] = el[i].Add(g.Generator()) })
			refuse(fmt.Sprintf("element %d plus G", i), other)
			other, _ = escrow(t, g, func(el []Element) { el[i] = el[i].Negate() })
			refuse(fmt.Sprintf("element %d negated", i), other)
		}

		// build makes the statement with other equations.
		build := func(extra []Element, equations func(r *Relation, x []ScalarVar, v []ElementVar)) *Statement {
			r := NewRelation(g)
			x, v := r.AllocScalars(3), r.AllocElements(append(slices.Clone(st.elements), extra...)...)
			equations(r, x, v)
			out, err := r.Build()
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		first := func(r *Relation, x []ScalarVar, v []ElementVar) {
			r.Constrain(v[4], x[0].Times(v[0]), x[1].Times(v[1]))
		}
		second := func(r *Relation, x []ScalarVar, v []ElementVar) { r.Constrain(v[5], x[2].Times(v[0])) }
		third := func(r *Relation, x []ScalarVar, v []ElementVar) {
			r.Constrain(v[6], x[0].Times(v[2]), x[2].Times(v[3]))
		}
		all := func(r *Relation, x []ScalarVar, v []ElementVar) { first(r, x, v); second(r, x, v); third(r, x, v) }
		if err := build(nil, all).Verify(testSession, proof); err != nil {
			t.Fatalf("the same statement built again: %v", err)
		}
		refuse("an equation left out", build(nil, func(r *Relation, x []ScalarVar, v []ElementVar) { first(r, x, v); third(r, x, v) }))
		refuse("an equation twice", build(nil, func(r *Relation, x []ScalarVar, v []ElementVar) { all(r, x, v); first(r, x, v) }))
		refuse("equations in another order", build(nil, func(r *Relation, x []ScalarVar, v []ElementVar) { second(r, x, v); first(r, x, v); third(r, x, v) }))
		refuse("terms in another order", build(nil, func(r *Relation, x []ScalarVar, v []ElementVar) {
			r.Constrain(v[4], x[1].Times(v[1]), x[0].Times(v[0]))
			second(r, x, v)
			third(r, x, v)
		}))
		refuse("a scalar from another equation", build(nil, func(r *Relation, x []ScalarVar, v []ElementVar) {
			first(r, x, v)
			second(r, x, v)
			r.Constrain(v[6], x[1].Times(v[2]), x[2].Times(v[3]))
		}))
		refuse("an element more, in no equation", build([]Element{g.HashToElement([]byte("message"), "test element")}, all))
	})
}

// The same bytes over the other group, for statements of one size.
func TestProofOfTheOtherGroup(t *testing.T) {
	a, wa := escrow(t, Ristretto255(), nil)
	b, wb := escrow(t, P256(), nil)
	if err := b.Verify(testSession, mustProve(t, a, wa...)); err != ErrProof {
		t.Error(err)
	}
	if err := a.Verify(testSession, mustProve(t, b, wb...)); err != ErrProof {
		t.Error(err)
	}
	if _, err := a.Prove(testSession, wb...); err != ErrStatement {
		t.Error(err)
	}
	if _, err := NewDisjunction(a, b); err != ErrStatement {
		t.Error(err)
	}
}

func TestSessionsAreApart(t *testing.T) {
	st, w := escrow(t, Ristretto255(), nil)
	part := func(s ...string) (b [][]byte) {
		for _, p := range s {
			b = append(b, []byte(p))
		}
		return b
	}
	sessions := []Session{
		NewSession("label"), NewSession("labe", part("l")...), NewSession("label", part("")...), NewSession("label", part("", "")...),
		NewSession("label", part("ab")...), NewSession("label", part("a", "b")...), NewSession("label", part("", "ab")...),
		NewSession("label", part("ab", "")...), NewSession("label", part("b", "a")...),
		NewSession("label2", part("ab")...), RawSession([]byte("label")), RawSession([]byte("labelab")),
		RawSession(bytes.Repeat([]byte{1}, MaxSession)), RawSession(bytes.Repeat([]byte{1}, MaxSession-1)),
	}
	for i, s := range sessions {
		proof, err := st.Prove(s, w...)
		if err != nil {
			t.Fatal(err)
		}
		for j, v := range sessions {
			if err := st.Verify(v, proof); (err == nil) != (i == j) {
				t.Errorf("made in session %d, verified in %d: %v", i, j, err)
			}
		}
	}
	for name, s := range map[string]Session{
		"zero": {}, "empty": RawSession(nil), "over the limit": RawSession(make([]byte, MaxSession+1)),
	} {
		if _, err := st.Prove(s, w...); err != ErrStatement {
			t.Errorf("%s: %v", name, err)
		}
		if err := st.Verify(s, nil); err != ErrStatement {
			t.Errorf("%s: %v", name, err)
		}
	}
	mustPanic(t, "no label", func() { NewSession("") })
	mustPanic(t, "long label", func() { NewSession(string(make([]byte, 256))) })
}

func TestWitnessesAreChecked(t *testing.T) {
	forGroups(t, func(t *testing.T, g Group) {
		st, w := escrow(t, g, nil)
		other := Ristretto255()
		if g == other {
			other = P256()
		}
		for name, tc := range map[string]struct {
			witness []Scalar
			want    error
		}{
			"none": {nil, ErrStatement}, "one short": {w[:2], ErrStatement}, "one more": {append(slices.Clone(w), w[0]), ErrStatement},
			"unset": {[]Scalar{w[0], w[1], {}}, ErrStatement}, "of another group": {[]Scalar{w[0], w[1], other.RandomScalar()}, ErrStatement},
			"swapped": {[]Scalar{w[1], w[0], w[2]}, ErrWitness}, "zeros": {[]Scalar{w[0], w[1], g.ScalarFromUint64(0)}, ErrWitness},
		} {
			if proof, err := st.Prove(testSession, tc.witness...); err != tc.want || proof != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestRelationsAreChecked(t *testing.T) {
	g := Ristretto255()
	h := g.SecondGenerator()
	for name, build := range map[string]func(r *Relation){
		"nothing":     func(*Relation) {},
		"no equation": func(r *Relation) { r.AllocElements(h) },
		"no terms":    func(r *Relation) { r.Constrain(r.AllocElements(h)[0]) },
		"scalar in no equation": func(r *Relation) {
			x, e := r.AllocScalars(2), r.AllocElements(h)
			r.Constrain(e[0], x[0].Times(e[0]))
		},
		"identity": func(r *Relation) {
			x, e := r.AllocScalars(1), r.AllocElements(h, g.Identity())
			r.Constrain(e[0], x[0].Times(e[0]))
		},
		"element unset": func(r *Relation) {
			x, e := r.AllocScalars(1), r.AllocElements(h, Element{})
			r.Constrain(e[0], x[0].Times(e[0]))
		},
		"element of another group": func(r *Relation) {
			x, e := r.AllocScalars(1), r.AllocElements(h, P256().Generator())
			r.Constrain(e[0], x[0].Times(e[0]))
		},
		"scalar of another relation": func(r *Relation) {
			x, e := NewRelation(g).AllocScalars(1), r.AllocElements(h)
			r.Constrain(e[0], x[0].Times(e[0]))
		},
		"base of another relation": func(r *Relation) {
			x, e := r.AllocScalars(1), r.AllocElements(h)
			r.Constrain(e[0], x[0].Times(NewRelation(g).AllocElements(h)[0]))
		},
		"left side of another relation": func(r *Relation) {
			x, e := r.AllocScalars(1), r.AllocElements(h)
			r.Constrain(NewRelation(g).AllocElements(h)[0], x[0].Times(e[0]))
		},
		"unset variables": func(r *Relation) { r.Constrain(ElementVar{}, ScalarVar{}.Times(ElementVar{})) },
		"scalars over the limit": func(r *Relation) {
			x, e := r.AllocScalars(MaxScalars+1), r.AllocElements(h)
			r.Constrain(e[0], x[0].Times(e[0]))
		},
		"negative scalars": func(r *Relation) {
			r.AllocScalars(-1)
			x, e := r.AllocScalars(1), r.AllocElements(h)
			r.Constrain(e[0], x[0].Times(e[0]))
		},
		"elements over the limit": func(r *Relation) {
			x, e := r.AllocScalars(1), r.AllocElements(h)
			r.Constrain(e[0], x[0].Times(e[0]))
			r.AllocElements(slices.Repeat([]Element{h}, MaxElements)...)
		},
		"terms over the limit": func(r *Relation) {
			x, e := r.AllocScalars(1), r.AllocElements(h)
			r.Constrain(e[0], slices.Repeat([]Term{x[0].Times(e[0])}, MaxTerms+1)...)
		},
		"equations over the limit": func(r *Relation) {
			x, e := r.AllocScalars(1), r.AllocElements(h)
			for range MaxEquations + 1 {
				r.Constrain(e[0], x[0].Times(e[0]))
			}
		},
	} {
		r := NewRelation(g)
		build(r)
		if st, err := r.Build(); !errors.Is(err, ErrStatement) || st != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The largest statement that can be built can be proven.
func TestLargestRelation(t *testing.T) {
	g := Ristretto255()
	r := NewRelation(g)
	x := r.AllocScalars(MaxScalars)
	e := r.AllocElements(slices.Repeat([]Element{g.Generator()}, MaxElements)...)
	w := make([]Scalar, MaxScalars)
	for i := range w {
		w[i] = g.ScalarFromUint64(0)
	}
	w[0] = g.ScalarFromUint64(1)
	for i := range MaxEquations {
		terms := []Term{x[0].Times(e[i])}
		for j := 1; j < MaxTerms; j++ {
			terms = append(terms, x[1+(i+j)%(MaxScalars-1)].Times(e[j]))
		}
		r.Constrain(e[i], terms...)
	}
	st, err := r.Build()
	if err != nil {
		t.Fatal(err)
	}
	mustProve(t, st, w...)
}

// A statement keeps its form when the relation goes on.
func TestStatementsDoNotFollowTheirRelation(t *testing.T) {
	g := Ristretto255()
	k := g.RandomScalar()
	r := NewRelation(g)
	x, e := r.AllocScalars(1), r.AllocElements(g.Generator(), g.MulGenerator(k))
	terms := []Term{x[0].Times(e[0])}
	r.Constrain(e[1], terms...)
	st, err := r.Build()
	if err != nil {
		t.Fatal(err)
	}
	terms[0] = x[0].Times(e[1])
	r.Constrain(e[0], x[0].Times(e[1]))
	mustProve(t, st, k)
}

// Known answers of our own: a change of any layout shows here. The P-256
// transcript is held to published answers in kat_test.go.
func TestPinnedProofs(t *testing.T) {
	want := map[string]string{
		"ristretto255": "a5a22b2991f5a76637e919ba51f26376ceacd5e9d72db3feedec65c3bc7aa006",
		"P256":         "488833439b57483f91b75926670e46147adf42b18f3d01fb5eb47aa18ddb04da",
	}
	forGroups(t, func(t *testing.T, g Group) {
		sum := sha256.New()
		sum.Write(g.SecondGenerator().Bytes())
		st, w := escrow(t, g, nil)
		p, err := st.ProveSeeded(&[SeedSize]byte{7}, testSession, w...)
		if err != nil {
			t.Fatal(err)
		}
		sum.Write(p)
		d := escrowOrKey(t, g)
		for branch, w := range d.witness {
			if p, err = d.d.ProveSeeded(&[SeedSize]byte{7}, testSession, branch, w...); err != nil {
				t.Fatal(err)
			}
			sum.Write(p)
		}
		if got := hex.EncodeToString(sum.Sum(nil)); got != want[g.Name()] {
			t.Errorf("%s, want %s", got, want[g.Name()])
		}
	})
}
