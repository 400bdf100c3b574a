package group

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func mustCommitted(t fataler, st *Statement, w ...Scalar) []byte {
	t.Helper()
	proof, err := st.ProveCommitted(testSession, w...)
	if err != nil || len(proof) != st.CommittedSize() {
		t.Fatalf("%d bytes, %v", len(proof), err)
	}
	return proof
}

// Any relation that can be solved can be proven in this form too, and neither
// form verifies as the other.
func TestCommittedProofs(t *testing.T) {
	for _, g := range bothGroups {
		t.Run(g.Name(), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				k := drawKnown(t, g, "statement")
				proof := mustCommitted(t, k.st, k.witness...)
				if err := k.st.VerifyCommitted(testSession, proof); err != nil {
					t.Fatal(err)
				}
				if err := k.st.Verify(testSession, proof); err == nil {
					t.Fatal("verified as a plain proof")
				}
				if err := k.st.VerifyCommitted(NewSession("another", []byte("context")), proof); err != ErrProof {
					t.Fatalf("another session: %v", err)
				}
				wrong := slices.Clone(k.witness)
				wrong[len(wrong)-1] = wrong[len(wrong)-1].Add(g.ScalarFromUint64(1))
				if _, err := k.st.ProveCommitted(testSession, wrong...); err != ErrWitness {
					t.Fatalf("wrong witness: %v", err)
				}
			})
		})
	}
}

// Every bit of a byte matters, in every byte of the proof.
func TestCommittedEveryByte(t *testing.T) {
	g := Ristretto255()
	st, w := escrow(t, g, nil)
	proof := mustCommitted(t, st, w...)
	for i := range proof {
		for _, flip := range []byte{1, 0x80} {
			bad := bytes.Clone(proof)
			bad[i] ^= flip
			if err := st.VerifyCommitted(testSession, bad); err != ErrProof {
				t.Fatalf("byte %d: %v", i, err)
			}
		}
	}
	for _, n := range []int{0, 1, len(proof) - 1} {
		if st.VerifyCommitted(testSession, proof[:n]) != ErrProof {
			t.Errorf("%d bytes accepted", n)
		}
	}
	if st.VerifyCommitted(testSession, append(bytes.Clone(proof), 0)) != ErrProof {
		t.Error("trailing byte accepted")
	}
	identity := append(make([]byte, g.ElementSize()), proof[g.ElementSize():]...)
	if st.VerifyCommitted(testSession, identity) != ErrProof {
		t.Error("a commitment that is the identity accepted")
	}
	if st.VerifyCommitted(Session{}, proof) != ErrStatement {
		t.Error("no session accepted")
	}
}

// One seed, one statement: the same bytes; and no nonce in common with a plain
// proof of the same seed, from which the witness would follow.
func TestCommittedSeeded(t *testing.T) {
	g := Ristretto255()
	x := g.RandomScalar()
	st, err := Possession(g.MulGenerator(x))
	if err != nil {
		t.Fatal(err)
	}
	seed := [SeedSize]byte{1}
	one, err := st.ProveCommittedSeeded(&seed, testSession, x)
	if err != nil {
		t.Fatal(err)
	}
	two, _ := st.ProveCommittedSeeded(&seed, testSession, x)
	if !bytes.Equal(one, two) {
		t.Error("not the same bytes")
	}
	plain, err := st.ProveSeeded(&seed, testSession, x)
	if err != nil {
		t.Fatal(err)
	}
	c, z := mustScalar(t, g, plain[:32]), mustScalar(t, g, plain[32:])
	nonce := g.MulGenerator(z).Sub(g.MulGenerator(x).Mul(c))
	if bytes.Equal(nonce.Bytes(), one[:32]) {
		t.Error("both kinds of proof have one nonce")
	}
}

// Credentials.md 4, 43: one false proof among a full batch is found, and only
// it, wherever it stands and however many there are.
func TestAttackBatch(t *testing.T) {
	g := Ristretto255()
	var claims []Claim
	for range MaxBatch {
		x := g.RandomScalar()
		st, err := Possession(g.MulGenerator(x))
		if err != nil {
			t.Fatal(err)
		}
		claims = append(claims, Claim{st, testSession, mustCommitted(t, st, x)})
	}
	// Two proofs whose errors cancel out in an unweighted sum.
	cancel := func(cs []Claim) {
		for i, by := range []Scalar{g.ScalarFromUint64(1), g.ScalarFromUint64(1).Negate()} {
			p := bytes.Clone(cs[i].Proof)
			z := mustScalar(t, g, p[32:])
			cs[i].Proof = append(p[:32], z.Add(by).Bytes()...)
		}
	}
	for name, tt := range map[string]struct {
		spoil func([]Claim)
		bad   map[int]error
	}{
		"none":      {func([]Claim) {}, nil},
		"first":     {func(cs []Claim) { cs[0].Proof = cs[1].Proof }, map[int]error{0: ErrProof}},
		"last":      {func(cs []Claim) { cs[63].Session = NewSession("x") }, map[int]error{63: ErrProof}},
		"cancel":    {cancel, map[int]error{0: ErrProof, 1: ErrProof}},
		"malformed": {func(cs []Claim) { cs[7].Proof = cs[7].Proof[1:] }, map[int]error{7: ErrProof}},
		"nothing":   {func(cs []Claim) { cs[8] = Claim{} }, map[int]error{8: ErrStatement}},
		"session":   {func(cs []Claim) { cs[9].Session = Session{} }, map[int]error{9: ErrStatement}},
	} {
		cs := slices.Clone(claims)
		tt.spoil(cs)
		for i, err := range VerifyBatch(cs) {
			if !errors.Is(err, tt.bad[i]) || err != nil && tt.bad[i] == nil {
				t.Errorf("%s: claim %d: %v", name, i, err)
			}
		}
	}
	p256, w := escrow(t, P256(), nil)
	mixed := []Claim{claims[0], {p256, testSession, mustCommitted(t, p256, w...)}}
	if errs := VerifyBatch(mixed); errs[0] != nil || errs[1] != ErrStatement {
		t.Errorf("two groups: %v", errs)
	}
	for _, cs := range [][]Claim{append(slices.Clone(claims), claims[0]), {{}, claims[0]}} {
		for _, err := range VerifyBatch(cs) {
			if err != ErrStatement {
				t.Errorf("no batch: %v", err)
			}
		}
	}
	if len(VerifyBatch(nil)) != 0 {
		t.Error("errors of nothing")
	}
}

func FuzzVerifyCommitted(f *testing.F) {
	g := Ristretto255()
	st, w := escrow(f, g, nil)
	f.Add(mustCommitted(f, st, w...))
	f.Add([]byte{})
	good := mustCommitted(f, st, w...)
	f.Fuzz(func(t *testing.T, proof []byte) {
		c, err := decodeCommitted(Claim{st, testSession, proof})
		if err != nil {
			return
		}
		var again []byte
		for _, a := range c.commitments {
			again = a.Append(again)
		}
		for _, z := range c.responses {
			again = z.Append(again)
		}
		if !bytes.Equal(again, proof) {
			t.Error("accepted bytes are not the encoder's")
		}
		if st.VerifyCommitted(testSession, proof) == nil && bytes.Equal(proof[:32], good[:32]) && !bytes.Equal(proof, good) {
			t.Error("two answers to one commitment")
		}
	})
}
