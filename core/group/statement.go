package group

import "crypto/rand"

// SeedSize is the size of the seed of ProveSeeded, in bytes.
const SeedSize = 32

// Statement is a list of equations between public elements and secret scalars,
// made by Relation.Build. It never changes and is safe for concurrent use.
type Statement struct {
	s         *suite
	scalars   int
	elements  []Element
	equations []equation
	label     []byte
}

// Group returns the group of the statement's elements.
func (st *Statement) Group() Group { return st.s }

// ProofSize is the size of every proof of this statement, in bytes.
func (st *Statement) ProofSize() int { return (1 + st.scalars) * st.s.scalarSize }

// Prove returns a proof, ProofSize bytes, that its maker knows the witness: the
// secret scalars in the order of their allocation, zero allowed. Errors are
// ErrStatement (number or group of the witness, session) and ErrWitness.
func (st *Statement) Prove(session Session, witness ...Scalar) ([]byte, error) {
	var seed [SeedSize]byte
	rand.Read(seed[:]) // does not fail
	defer clear(seed[:])
	return st.ProveSeeded(&seed, session, witness...)
}

// ProveSeeded is Prove with a secret seed of the caller's in place of fresh
// randomness: same seed, session, statement and witness give the same bytes,
// as a request needs that several devices must make alike. Reusing a seed
// reveals only that (nonces.go); a seed that others know still hides the
// witness unless they can guess it.
func (st *Statement) ProveSeeded(seed *[SeedSize]byte, session Session, witness ...Scalar) ([]byte, error) {
	if err := st.checkWitness(session, witness); err != nil {
		return nil, err
	}
	n := newNonces(st.s, seed, session, st.label, 0, witness)
	defer n.erase()
	k := make([]Scalar, st.scalars)
	for j := range k {
		k[j] = n.next()
	}
	defer eraseAll(k)

	c := challenge(st.s, proofID, session, st.label, st.combine(st.s.MultiMul, k, nil))
	t := transcript{challenge: c, responses: make([]Scalar, st.scalars)}
	for j := range k {
		cw := c.Mul(witness[j])
		t.responses[j] = k[j].Add(cw)
		cw.Erase()
	}
	// No proof leaves that does not verify. This finds a wrong witness, and a
	// fault of the machine, whose output could reveal the witness (as a faulty
	// signature reveals its key).
	if !st.holds(session, t) {
		return nil, ErrWitness
	}
	return appendProof(nil, t), nil
}

// Verify returns nil if proof shows, under this session, that its maker knew a
// witness of the statement; else ErrProof, or ErrStatement for a session that
// cannot be one. It takes variable time: statement and proof are public.
func (st *Statement) Verify(session Session, proof []byte) error {
	if err := session.check(); err != nil {
		return err
	}
	ts, err := decodeProof(st.s, proof, st.scalars)
	if err != nil {
		return err
	}
	if !st.holds(session, ts[0]) {
		return ErrProof
	}
	return nil
}

// holds reports whether a transcript's challenge is the one that its
// commitments give.
func (st *Statement) holds(session Session, t transcript) bool {
	a := st.combine(st.s.VarTimeMultiMul, t.responses, &t.challenge)
	return challenge(st.s, proofID, session, st.label, a).Equal(t.challenge)
}

// combine returns, for each equation, sum_j z_s(j)*G_j, less c times its left
// side where there is a c, computed with mul. With responses for z this is the
// commitment that they answer; with nonces and without c it is the commitment
// itself.
func (st *Statement) combine(mul func([]Scalar, []Element) Element, z []Scalar, c *Scalar) []Element {
	out := make([]Element, len(st.equations))
	var minus Scalar
	if c != nil {
		minus = c.Negate()
	}
	for i, eq := range st.equations {
		xs := make([]Scalar, 0, len(eq.terms)+1)
		es := make([]Element, 0, len(eq.terms)+1)
		for _, t := range eq.terms {
			xs, es = append(xs, z[t.scalar]), append(es, st.elements[t.base])
		}
		if c != nil {
			xs, es = append(xs, minus), append(es, st.elements[eq.lhs])
		}
		out[i] = mul(xs, es)
	}
	return out
}

// checkWitness returns ErrStatement unless there is a session and the witness
// has the right number of scalars of the right group.
func (st *Statement) checkWitness(session Session, witness []Scalar) error {
	if err := session.check(); err != nil {
		return err
	}
	if len(witness) != st.scalars {
		return ErrStatement
	}
	for _, w := range witness {
		if w.s != st.s {
			return ErrStatement
		}
	}
	return nil
}

func eraseAll(xs []Scalar) {
	for _, x := range xs {
		x.Erase()
	}
}
