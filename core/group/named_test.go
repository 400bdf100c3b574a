package group

import (
	"testing"

	"pgregory.net/rapid"
)

func TestNamedStatements(t *testing.T) {
	forGroups(t, func(t *testing.T, g Group) {
		rapid.Check(t, func(t *rapid.T) {
			x := g.HashToScalar(rapid.SliceOfN(rapid.Byte(), 8, 8).Draw(t, "x"), "test scalar")
			r := drawScalar(t, g, "r")
			other := x.Add(g.ScalarFromUint64(1))
			h := g.SecondGenerator()
			base := g.HashToElement(rapid.SliceOf(rapid.Byte()).Draw(t, "base"), "test element")
			public := g.MulGenerator(x)
			session := NewSession("test", rapid.SliceOf(rapid.Byte()).Draw(t, "context"))
			build := func(st *Statement, err error) *Statement {
				if err != nil {
					t.Fatal(err)
				}
				return st
			}
			for name, tc := range map[string]struct {
				st           *Statement
				size         int
				right, wrong []Scalar
			}{
				"possession":     {build(Possession(public)), 64, []Scalar{x}, []Scalar{other}},
				"dleq":           {build(DLEQ(g.Generator(), public, base, base.Mul(x))), 64, []Scalar{x}, []Scalar{other}},
				"representation": {build(Representation(public.Add(h.Mul(r)), h)), 96, []Scalar{x, r}, []Scalar{other, r}},
			} {
				if tc.st.ProofSize() != tc.size || tc.st.Group() != g {
					t.Fatalf("%s: %d bytes", name, tc.st.ProofSize())
				}
				proof, err := tc.st.Prove(session, tc.right...)
				if err != nil || len(proof) != tc.size {
					t.Fatalf("%s: %v", name, err)
				}
				if err := tc.st.Verify(session, proof); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if _, err := tc.st.Prove(session, tc.wrong...); err != ErrWitness {
					t.Fatalf("%s, wrong witness: %v", name, err)
				}
			}
		})
	})
}

// A DLEQ between different multiples cannot be proven with either.
func TestDLEQOfUnequal(t *testing.T) {
	forGroups(t, func(t *testing.T, g Group) {
		x, y := g.RandomScalar(), g.RandomScalar()
		h := g.SecondGenerator()
		st, err := DLEQ(g.Generator(), g.MulGenerator(x), h, h.Mul(y))
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range []Scalar{x, y} {
			if _, err := st.Prove(NewSession("test"), w); err != ErrWitness {
				t.Errorf("%v", err)
			}
		}
	})
}

func TestNamedStatementsRefuseIdentity(t *testing.T) {
	forGroups(t, func(t *testing.T, g Group) {
		e, o := g.Generator(), g.Identity()
		calls := map[string]func() (*Statement, error){
			"possession":              func() (*Statement, error) { return Possession(o) },
			"representation, element": func() (*Statement, error) { return Representation(o, e) },
			"representation, base":    func() (*Statement, error) { return Representation(e, o) },
		}
		for i, name := range []string{"g", "gz", "h", "hz"} {
			in := []Element{e, e, e, e}
			in[i] = o
			calls["dleq, "+name] = func() (*Statement, error) { return DLEQ(in[0], in[1], in[2], in[3]) }
		}
		for name, f := range calls {
			if st, err := f(); err != ErrStatement || st != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
	if _, err := DLEQ(P256().Generator(), P256().Generator(), P256().Generator(), Ristretto255().Generator()); err != ErrStatement {
		t.Errorf("dleq over groups: %v", err)
	}
}
