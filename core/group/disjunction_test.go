package group

import (
	"bytes"
	"fmt"
	"math/bits"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// knownAll is a claim with the witnesses of all its branches.
type knownAll struct {
	d       *Disjunction
	witness [][]Scalar
}

// escrowOrKey is the deniable form: the escrow, or the secret key of J.
func escrowOrKey(t fataler, g Group) knownAll {
	t.Helper()
	j := g.HashToScalar([]byte("j"), "test scalar")
	st, w := escrow(t, g, nil)
	key, err := Possession(g.MulGenerator(j))
	if err != nil {
		t.Fatalf("%v", err)
	}
	d, err := NewDisjunction(st, key)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return knownAll{d, [][]Scalar{w, {j}}}
}

func TestRandomDisjunctions(t *testing.T) {
	forGroups(t, func(t *testing.T, g Group) {
		rapid.Check(t, func(t *rapid.T) {
			var branches []*Statement
			var witness [][]Scalar
			for i := range rapid.IntRange(2, 3).Draw(t, "branches") {
				k := drawKnown(t, g, fmt.Sprint("branch ", i))
				branches, witness = append(branches, k.st), append(witness, k.witness)
			}
			d, err := NewDisjunction(branches...)
			if err != nil {
				t.Fatal(err)
			}
			for branch, w := range witness {
				proof, err := d.Prove(testSession, branch, w...)
				if err != nil || len(proof) != d.ProofSize() {
					t.Fatalf("branch %d: %d bytes, %v", branch, len(proof), err)
				}
				if err := d.Verify(testSession, proof); err != nil {
					t.Fatalf("branch %d: %v", branch, err)
				}
				wrong := slices.Clone(w)
				i := rapid.IntRange(0, len(w)-1).Draw(t, "wrong")
				wrong[i] = wrong[i].Add(g.ScalarFromUint64(1))
				if _, err := d.Prove(testSession, branch, wrong...); err != ErrWitness {
					t.Fatalf("branch %d, wrong witness: %v", branch, err)
				}
				bit := rapid.IntRange(0, len(proof)*8-1).Draw(t, "bit")
				proof[bit/8] ^= 1 << (bit % 8)
				if err := d.Verify(testSession, proof); err != ErrProof {
					t.Fatalf("branch %d, bit %d flipped: %v", branch, bit, err)
				}
			}
		})
	})
}

func (k knownAll) prove(t fataler, branch int) []byte {
	t.Helper()
	proof, err := k.d.Prove(testSession, branch, k.witness[branch]...)
	if err != nil {
		t.Fatalf("%v", err)
	}
	if err := k.d.Verify(testSession, proof); err != nil {
		t.Fatalf("%v", err)
	}
	return proof
}

func TestEveryBitOfOrCounts(t *testing.T) {
	forGroups(t, func(t *testing.T, g Group) {
		k := escrowOrKey(t, g)
		step := 1
		if g == P256() {
			step = 13 // odd, so that every position in a byte occurs; the slower group
		}
		for branch := range k.witness {
			proof := k.prove(t, branch)
			for i := 0; i < len(proof)*8; i += step {
				bad := bytes.Clone(proof)
				bad[i/8] ^= 1 << (i % 8)
				if err := k.d.Verify(testSession, bad); err != ErrProof {
					t.Fatalf("branch %d, bit %d: %v", branch, i, err)
				}
			}
		}
	})
}

func TestBadOrProofs(t *testing.T) {
	forGroups(t, func(t *testing.T, g Group) {
		k := escrowOrKey(t, g)
		for branch := range k.witness {
			for name, b := range badProofs(g, k.prove(t, branch), len(k.witness)) {
				if err := k.d.Verify(testSession, b); err != ErrProof {
					t.Errorf("branch %d, %s: %v", branch, name, err)
				}
			}
		}
	})
}

// simulate makes a transcript of a statement without its witness, for a
// challenge that is known before.
func simulate(st *Statement, c Scalar) (transcript, []Element) {
	t := transcript{challenge: c}
	for range st.scalars {
		t.responses = append(t.responses, st.s.RandomScalar())
	}
	return t, st.combine(st.s.MultiMul, t.responses, &c)
}

// accepts is an interactive verifier in plain arithmetic: it knows the
// commitments and trusts that the challenge came after them.
func accepts(st *Statement, commitments []Element, t transcript) bool {
	for i, eq := range st.equations {
		sum := st.s.Identity()
		for _, term := range eq.terms {
			sum = sum.Add(st.elements[term.base].Mul(t.responses[term.scalar]))
		}
		if !sum.Equal(commitments[i].Add(st.elements[eq.lhs].Mul(t.challenge))) {
			return false
		}
	}
	return true
}

// A simulated transcript convinces whoever lets the challenge be chosen, which
// is what makes the proofs zero-knowledge, and nobody who derives it.
func TestSimulation(t *testing.T) {
	forGroups(t, func(t *testing.T, g Group) {
		s := g.closed()
		k := escrowOrKey(t, g)
		for i, st := range k.d.branches {
			c := g.RandomScalar()
			sim, commitments := simulate(st, c)
			if !accepts(st, commitments, sim) {
				t.Errorf("branch %d: simulated transcript refused", i)
			}
			commitments[0] = commitments[0].Add(g.Generator())
			if accepts(st, commitments, sim) {
				t.Errorf("branch %d: the interactive verifier accepts anything", i)
			}
			if err := st.Verify(testSession, appendProof(nil, sim)); err != ErrProof {
				t.Errorf("branch %d: simulation as a proof: %v", i, err)
			}
			// Honest transcripts pass the same verifier.
			ts, err := decodeProof(s, mustProve(t, st, k.witness[i]...), st.scalars)
			if err != nil || !accepts(st, st.combine(s.MultiMul, ts[0].responses, &ts[0].challenge), ts[0]) {
				t.Errorf("branch %d: honest transcript refused: %v", i, err)
			}
		}
	})
}

// Whoever chooses all challenges knows no branch: their sum is not what the
// hash gives. With one chosen after the hash, its branch cannot be answered.
func TestOrNeedsOneTrueBranch(t *testing.T) {
	forGroups(t, func(t *testing.T, g Group) {
		s := g.closed()
		d := escrowOrKey(t, g).d
		c0, c1 := g.RandomScalar(), g.RandomScalar()
		t0, a0 := simulate(d.branches[0], c0)
		t1, a1 := simulate(d.branches[1], c1)
		commitments := append(a0, a1...)
		refuse := func(name string, ts ...transcript) {
			t.Helper()
			if err := d.Verify(testSession, appendProof(nil, ts...)); err != ErrProof {
				t.Errorf("%s: %v", name, err)
			}
		}
		refuse("both challenges chosen", t0, t1)
		sum := challenge(s, orProofID, testSession, d.label, commitments)
		for name, ts := range map[string][]transcript{
			"the first fitted":  {{sum.Sub(c1), t0.responses}, t1},
			"the second fitted": {t0, {sum.Sub(c0), t1.responses}},
			"the sum given twice": {
				{sum, t0.responses},
				{sum, t1.responses},
			},
			"the sum and zero": {{sum, t0.responses}, {g.ScalarFromUint64(0), t1.responses}},
			"the sum halved":   halves(g, sum, t0, t1),
		} {
			refuse(name, ts...)
		}
		// The oracle that lets itself be programmed would have been convinced.
		if !accepts(d.branches[0], a0, t0) || !accepts(d.branches[1], a1, t1) {
			t.Error("the simulation is wrong")
		}
		refuse("zero challenges", transcript{g.ScalarFromUint64(0), t0.responses}, transcript{g.ScalarFromUint64(0), t1.responses})
	})
}

func halves(g Group, sum Scalar, t0, t1 transcript) []transcript {
	inv, _ := g.ScalarFromUint64(2).Invert()
	half := sum.Mul(inv)
	return []transcript{{half, t0.responses}, {half, t1.responses}}
}

// Proofs of parts are no proofs of the whole, nor the other way round.
func TestOrAndItsBranchesAreApart(t *testing.T) {
	forGroups(t, func(t *testing.T, g Group) {
		x, y := g.RandomScalar(), g.RandomScalar()
		a, _ := Possession(g.MulGenerator(x))
		b, _ := Possession(g.MulGenerator(y))
		pa, pb := mustProve(t, a, x), mustProve(t, b, y)
		or := func(st ...*Statement) *Disjunction {
			d, err := NewDisjunction(st...)
			if err != nil {
				t.Fatal(err)
			}
			return d
		}
		n := g.ScalarSize()
		ab := or(a, b)
		joined := slices.Concat(pa[:n], pb[:n], pa[n:], pb[n:])
		if err := ab.Verify(testSession, joined); err != ErrProof {
			t.Errorf("two proofs joined: %v", err)
		}
		proof, err := ab.Prove(testSession, 0, x)
		if err != nil {
			t.Fatal(err)
		}
		part := slices.Concat(proof[:n], proof[2*n:3*n])
		if err := a.Verify(testSession, part); err != ErrProof {
			t.Errorf("branch cut out: %v", err)
		}
		swapped := slices.Concat(proof[n:2*n], proof[:n], proof[3*n:], proof[2*n:3*n])
		for name, tc := range map[string]struct {
			d     *Disjunction
			proof []byte
		}{
			"branches swapped": {or(b, a), proof}, "branches and proof swapped": {or(b, a), swapped},
			"a branch twice": {or(a, a), proof}, "the other twice": {or(b, b), proof}, "a branch more": {or(a, b, b), append(bytes.Clone(proof), make([]byte, 2*n)...)},
		} {
			if err := tc.d.Verify(testSession, tc.proof); err != ErrProof {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := ab.Verify(NewSession("other"), proof); err != ErrProof {
			t.Errorf("other session: %v", err)
		}
	})
}

func TestDisjunctionsAreChecked(t *testing.T) {
	g := Ristretto255()
	k := escrowOrKey(t, g)
	a := k.d.branches[0]
	for name, branches := range map[string][]*Statement{
		"none": nil, "one": {a}, "over the limit": slices.Repeat([]*Statement{a}, MaxBranches+1), "nil": {a, nil}, "nil first": {nil, a},
	} {
		if d, err := NewDisjunction(branches...); err != ErrStatement || d != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, prove := range map[string]func() ([]byte, error){
		"branch -1":              func() ([]byte, error) { return k.d.Prove(testSession, -1, k.witness[0]...) },
		"branch 2":               func() ([]byte, error) { return k.d.Prove(testSession, 2, k.witness[0]...) },
		"witness of the other":   func() ([]byte, error) { return k.d.Prove(testSession, 0, k.witness[1]...) },
		"witness of the other 2": func() ([]byte, error) { return k.d.Prove(testSession, 1, k.witness[0]...) },
		"no session":             func() ([]byte, error) { return k.d.Prove(Session{}, 0, k.witness[0]...) },
	} {
		if proof, err := prove(); err != ErrStatement || proof != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := k.d.Verify(Session{}, k.prove(t, 0)); err != ErrStatement {
		t.Errorf("verify without a session: %v", err)
	}
	if k.d.ProofSize() != 192 || k.d.Group() != g { // reference: escrow with its deniable branch
		t.Errorf("%d bytes", k.d.ProofSize())
	}
	four, err := NewDisjunction(slices.Repeat([]*Statement{a}, MaxBranches)...)
	if err != nil {
		t.Fatal(err)
	}
	if proof, err := four.Prove(testSession, MaxBranches-1, k.witness[0]...); err != nil || four.Verify(testSession, proof) != nil {
		t.Errorf("largest claim: %v", err)
	}
}

// Not a proof of indistinguishability (the construction's is): a prover that
// left a branch's fields biased or constant, or marked the true branch, shows.
func TestOrFieldsLookAlike(t *testing.T) {
	g := Ristretto255()
	k := escrowOrKey(t, g)
	const proofs, low = 40, 31 // the last byte of a scalar is not uniform
	n := g.ScalarSize()
	for branch := range k.witness {
		ones := make([]int, k.d.ProofSize()/n)
		seen := map[string]bool{}
		for range proofs {
			proof := k.prove(t, branch)
			for f := range ones {
				field := proof[f*n : (f+1)*n]
				if seen[string(field)] {
					t.Fatalf("branch %d: field %d repeats", branch, f)
				}
				seen[string(field)] = true
				for _, v := range field[:low] {
					ones[f] += bits.OnesCount8(v)
				}
			}
		}
		// 9920 bits: expected 4960, deviation 50; seven deviations.
		for f, got := range ones {
			if want := proofs * low * 8 / 2; got < want-350 || got > want+350 {
				t.Errorf("branch %d: field %d has %d ones of %d", branch, f, got, 2*want)
			}
		}
	}
}
