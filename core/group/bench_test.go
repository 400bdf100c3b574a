package group

import (
	"fmt"
	"slices"
	"testing"
)

func forGroupsB(b *testing.B, f func(b *testing.B, g Group)) {
	for _, g := range bothGroups {
		b.Run(g.Name(), func(b *testing.B) { f(b, g) })
	}
}

func run(b *testing.B, name string, f func()) {
	b.Run(name, func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			f()
		}
	})
}

// floor is what the rest is measured against: one scalar multiplication.
func floor(b *testing.B, g Group) {
	x, e := g.RandomScalar(), g.SecondGenerator()
	run(b, "floor: one multiplication", func() { e.Mul(x) })
}

func BenchmarkGroup(b *testing.B) {
	forGroupsB(b, func(b *testing.B, g Group) {
		floor(b, g)
		x, y := g.RandomScalar(), g.RandomScalar()
		e := g.SecondGenerator().Mul(y)
		enc, sc := e.Bytes(), x.Bytes()
		run(b, "multiply generator", func() { g.MulGenerator(x) })
		run(b, "decode element", func() { g.DecodeElement(enc) })
		run(b, "encode element", func() { e.Bytes() })
		run(b, "decode scalar", func() { g.DecodeScalar(sc) })
		run(b, "hash to element", func() { g.HashToElement(enc, "bench") })
		run(b, "invert scalar", func() { x.Invert() })
		for _, n := range []int{2, 3, 8, 32} {
			xs, es := make([]Scalar, n), make([]Element, n)
			for i := range n {
				xs[i], es[i] = g.RandomScalar(), g.MulGenerator(g.RandomScalar())
			}
			run(b, fmt.Sprintf("%d terms", n), func() { g.MultiMul(xs, es) })
			run(b, fmt.Sprintf("%d terms, variable time", n), func() { g.VarTimeMultiMul(xs, es) })
		}
	})
}

func BenchmarkProofs(b *testing.B) {
	forGroupsB(b, func(b *testing.B, g Group) {
		floor(b, g)
		k := g.RandomScalar()
		possession, _ := Possession(g.MulGenerator(k))
		h := g.HashToElement([]byte("h"), "bench")
		dleq, _ := DLEQ(g.Generator(), g.MulGenerator(k), h, h.Mul(k))
		esc, w := escrow(b, g, nil)
		both := func(name string, st *Statement, w ...Scalar) {
			proof := mustProve(b, st, w...)
			run(b, name+", prove", func() { st.Prove(testSession, w...) })
			run(b, name+", verify", func() { st.Verify(testSession, proof) })
		}
		both("possession", possession, k)
		both("dleq", dleq, k)
		both("escrow", esc, w...)
		arcShape, aw := presentationShape(b, g, 5)
		both("presentation, limit 32", arcShape, aw...)
		committed, err := arcShape.ProveCommitted(testSession, aw...)
		if err != nil {
			b.Fatal(err)
		}
		run(b, "presentation, committed, verify", func() { arcShape.VerifyCommitted(testSession, committed) })
		for _, n := range []int{8, MaxBatch} {
			claims := slices.Repeat([]Claim{{arcShape, testSession, committed}}, n)
			run(b, fmt.Sprintf("%d presentations, committed, verify", n), func() { VerifyBatch(claims) })
		}

		or := escrowOrKey(b, g)
		for branch, w := range or.witness {
			run(b, fmt.Sprintf("escrow or key, prove branch %d", branch), func() { or.d.Prove(testSession, branch, w...) })
		}
		proof := or.prove(b, 0)
		run(b, "escrow or key, verify", func() { or.d.Verify(testSession, proof) })
	})
}

// presentationShape is a statement with the shape of an ARC presentation whose
// nonce has the given number of bits, with the pseudonym's equation beside it.
func presentationShape(t fataler, g Group, bits int) (*Statement, []Scalar) {
	h := g.SecondGenerator()
	el := func(s string) Element { return mustElement(t, g, g.HashToElement([]byte(s), "bench").Bytes()) }
	rnd := func(n int) (xs []Scalar) {
		for range n {
			xs = append(xs, g.RandomScalar())
		}
		return xs
	}
	u, x1, tag, w := el("U"), el("X1"), el("tag"), el("W")
	r := NewRelation(g)
	ws := rnd(5) // m1, z, -r, nonce, nb
	x := r.AllocScalars(5)
	e := r.AllocElements(g.Generator(), h, u, x1, tag, w,
		g.MultiMul([]Scalar{ws[0], ws[1]}, []Element{u, h}),
		g.MultiMul([]Scalar{ws[1], ws[2]}, []Element{x1, g.Generator()}),
		g.MultiMul([]Scalar{ws[3], ws[4]}, []Element{g.Generator(), h}),
		tag.Mul(ws[0].Add(ws[3])), w.Mul(ws[0]))
	r.Constrain(e[6], x[0].Times(e[2]), x[1].Times(e[1]))
	r.Constrain(e[7], x[1].Times(e[3]), x[2].Times(e[0]))
	r.Constrain(e[8], x[3].Times(e[0]), x[4].Times(e[1]))
	r.Constrain(e[9], x[0].Times(e[4]), x[3].Times(e[4]))
	r.Constrain(e[10], x[0].Times(e[5]))
	one := g.ScalarFromUint64(1)
	for i := range bits {
		bit, s := g.ScalarFromUint64(uint64(i%2)), g.RandomScalar()
		b := r.AllocScalars(3)
		d := r.AllocElements(mustElement(t, g, g.MulGenerator(bit).Add(h.Mul(s)).Bytes()))[0]
		r.Constrain(d, b[0].Times(e[0]), b[1].Times(e[1]))
		r.Constrain(d, b[0].Times(d), b[2].Times(e[1]))
		ws = append(ws, bit, s, one.Sub(bit).Mul(s))
	}
	st, err := r.Build()
	if err != nil {
		t.Fatalf("%v", err)
	}
	return st, ws
}
