package group

import (
	"crypto/rand"
	"crypto/subtle"
)

// Disjunction is the claim that at least one of several statements is known
// (Cramer, Damgard, Schoenmakers, CRYPTO 1994). Its proofs have one size and
// look alike whichever branch was known: who holds the witness of any branch
// could have made them. It never changes and is safe for concurrent use.
//
// The prover picks the challenges of all branches but one; the transcript fixes
// their sum and so the last one, which it must answer honestly.
type Disjunction struct {
	s        *suite
	branches []*Statement
	label    []byte
}

// NewDisjunction returns the claim that one of the branches is known, 2 to
// MaxBranches of one group, or ErrStatement. Their order is part of the claim.
func NewDisjunction(branches ...*Statement) (*Disjunction, error) {
	if len(branches) < 2 || len(branches) > MaxBranches {
		return nil, ErrStatement
	}
	for _, st := range branches {
		if st == nil || st.s != branches[0].s {
			return nil, ErrStatement
		}
	}
	d := &Disjunction{s: branches[0].s, branches: append([]*Statement(nil), branches...)}
	d.label = d.appendLabel(nil)
	return d, nil
}

// Group returns the group of the branches.
func (d *Disjunction) Group() Group { return d.s }

// ProofSize is the size of every proof of this claim, in bytes.
func (d *Disjunction) ProofSize() int {
	n := 0
	for _, st := range d.branches {
		n += st.ProofSize()
	}
	return n
}

// Prove returns a proof, ProofSize bytes, by someone who knows the witness of
// the branch with the given number, from 0. Errors are those of
// Statement.Prove, and ErrStatement for a branch that does not exist.
func (d *Disjunction) Prove(session Session, branch int, witness ...Scalar) ([]byte, error) {
	var seed [SeedSize]byte
	rand.Read(seed[:]) // does not fail
	defer clear(seed[:])
	return d.ProveSeeded(&seed, session, branch, witness...)
}

// ProveSeeded is Prove with a secret seed of the caller's in place of fresh
// randomness, under the conditions of Statement.ProveSeeded.
func (d *Disjunction) ProveSeeded(seed *[SeedSize]byte, session Session, branch int, witness ...Scalar) ([]byte, error) {
	if branch < 0 || branch >= len(d.branches) {
		return nil, ErrStatement
	}
	if err := d.branches[branch].checkWitness(session, witness); err != nil {
		return nil, err
	}
	witness = d.pad(witness)
	n := newNonces(d.s, seed, session, d.label, uint32(branch), witness)
	defer n.erase()

	// Every branch takes the same steps, so that time tells nothing of which is
	// true. real is 1 for the true branch and 0 for the others; it selects by
	// multiplication. A branch is simulated: challenge and responses first, then
	// the commitments that fit. With a challenge of 0 this is what an honest
	// prover does, and its responses so far are its nonces.
	ts := make([]transcript, len(d.branches))
	truth := make([]Scalar, len(d.branches))
	defer eraseAll(truth)
	var commitments []Element
	rest := d.s.ScalarFromUint64(0)
	for b, st := range d.branches {
		truth[b] = d.s.ScalarFromUint64(uint64(subtle.ConstantTimeEq(int32(b), int32(branch))))
		c := n.next()
		ts[b].challenge = c.Sub(c.Mul(truth[b]))
		ts[b].responses = make([]Scalar, st.scalars)
		for j := range ts[b].responses {
			ts[b].responses[j] = n.next()
		}
		commitments = append(commitments, st.combine(d.s.MultiMul, ts[b].responses, &ts[b].challenge)...)
		rest = rest.Sub(ts[b].challenge)
	}
	rest = rest.Add(challenge(d.s, orProofID, session, d.label, commitments))

	for b := range ts {
		c := rest.Mul(truth[b]) // what the true branch still has to answer
		ts[b].challenge = ts[b].challenge.Add(c)
		for j, nonce := range ts[b].responses {
			cw := c.Mul(witness[j])
			ts[b].responses[j] = nonce.Add(cw)
			cw.Erase()
			nonce.Erase()
		}
	}
	if !d.holds(session, ts) { // as in Statement.ProveSeeded
		return nil, ErrWitness
	}
	return appendProof(nil, ts...), nil
}

// pad returns the witness followed by zeros, as many as the largest branch
// needs.
func (d *Disjunction) pad(witness []Scalar) []Scalar {
	n := 0
	for _, st := range d.branches {
		n = max(n, st.scalars)
	}
	out := append(make([]Scalar, 0, n), witness...)
	for len(out) < n {
		out = append(out, d.s.ScalarFromUint64(0))
	}
	return out
}

// Verify returns nil if proof shows, under this session, that its maker knew a
// witness of one of the branches; else ErrProof, or ErrStatement for a session
// that cannot be one. It takes variable time: claim and proof are public.
func (d *Disjunction) Verify(session Session, proof []byte) error {
	if err := session.check(); err != nil {
		return err
	}
	responses := make([]int, len(d.branches))
	for b, st := range d.branches {
		responses[b] = st.scalars
	}
	ts, err := decodeProof(d.s, proof, responses...)
	if err != nil {
		return err
	}
	if !d.holds(session, ts) {
		return ErrProof
	}
	return nil
}

// holds reports whether the challenges add up to the one that the commitments
// give.
func (d *Disjunction) holds(session Session, ts []transcript) bool {
	sum := d.s.ScalarFromUint64(0)
	var commitments []Element
	for b, st := range d.branches {
		sum = sum.Add(ts[b].challenge)
		commitments = append(commitments, st.combine(d.s.VarTimeMultiMul, ts[b].responses, &ts[b].challenge)...)
	}
	return challenge(d.s, orProofID, session, d.label, commitments).Equal(sum)
}
