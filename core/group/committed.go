package group

import "crypto/rand"

// weightSize is the size of the random weights that fold equations into one
// sum, in bytes: a false equation survives with probability 2^-128.
const weightSize = 16

// sumClaims is the number of claims in one sum: the doublings that they share are
// then a small part, and beyond it the tables of multiples leave the caches.
const sumClaims = 8

// committedBranch separates the nonces of a committed proof from those of a
// plain one (nonces.go): made with one seed for one statement, the two have
// different challenges, and nonces in common would reveal the witness.
const committedBranch = 1<<32 - 1

// CommittedSize is the size of every committed proof of this statement, in
// bytes.
func (st *Statement) CommittedSize() int {
	return len(st.equations)*st.s.elementSize + st.scalars*st.s.scalarSize
}

// ProveCommitted returns a committed proof, CommittedSize bytes: the same
// protocol as Prove, but with the commitments in the proof instead of the
// challenge (wire.go). It is longer and verifies as one multi-scalar
// multiplication, alone or with others (VerifyBatch). The two kinds do not
// verify as one another. Errors are those of Prove.
func (st *Statement) ProveCommitted(session Session, witness ...Scalar) ([]byte, error) {
	var seed [SeedSize]byte
	rand.Read(seed[:]) // does not fail
	defer clear(seed[:])
	return st.ProveCommittedSeeded(&seed, session, witness...)
}

// ProveCommittedSeeded is ProveCommitted with a secret seed of the caller's,
// under the conditions of ProveSeeded.
func (st *Statement) ProveCommittedSeeded(seed *[SeedSize]byte, session Session, witness ...Scalar) ([]byte, error) {
	if err := st.checkWitness(session, witness); err != nil {
		return nil, err
	}
	n := newNonces(st.s, seed, session, st.label, committedBranch, witness)
	defer n.erase()
	k := make([]Scalar, st.scalars)
	for j := range k {
		k[j] = n.next()
	}
	defer eraseAll(k)

	p := committed{st: st, session: session, commitments: st.combine(st.s.MultiMul, k, nil)}
	for i, a := range p.commitments {
		p.commitments[i].enc = a.Bytes() // encoded once: for the challenge and for the proof
	}
	c := p.challenge()
	p.responses = make([]Scalar, st.scalars)
	for j := range k {
		cw := c.Mul(witness[j])
		p.responses[j] = k[j].Add(cw)
		cw.Erase()
	}
	if !batchHolds(st.s, []committed{p}) { // as in Statement.ProveSeeded
		return nil, ErrWitness
	}
	out := make([]byte, 0, st.CommittedSize())
	for _, a := range p.commitments {
		out = a.Append(out)
	}
	for _, z := range p.responses {
		out = z.Append(out)
	}
	return out, nil
}

// VerifyCommitted is Verify for a committed proof.
func (st *Statement) VerifyCommitted(session Session, proof []byte) error {
	return VerifyBatch([]Claim{{st, session, proof}})[0]
}

// Claim is a statement with its committed proof under a session.
type Claim struct {
	Statement *Statement
	Session   Session
	Proof     []byte
}

// VerifyBatch verifies at most MaxBatch committed proofs of one group together
// and returns one error per claim, in order: nil, ErrProof, or ErrStatement for
// what cannot be a claim (also: more than MaxBatch of them, another group than
// the first's). A false claim takes nothing from the others: where the common
// sum does not hold, halves are tried until the false ones stand alone, which
// makes a batch of false claims about three times as dear as single ones; so
// floods are stopped before. Elements that are one value in memory (a key that
// all claims share) are multiplied once.
func VerifyBatch(claims []Claim) []error {
	errs := make([]error, len(claims))
	parsed := make([]committed, 0, len(claims))
	var at []int
	for i, c := range claims {
		if len(claims) > MaxBatch || c.Statement == nil || c.Statement.s != claims[0].Statement.s || c.Session.check() != nil {
			errs[i] = ErrStatement
			if i == 0 && c.Statement == nil {
				return fill(errs, ErrStatement)
			}
			continue
		}
		p, err := decodeCommitted(c)
		if err != nil {
			errs[i] = err
			continue
		}
		parsed, at = append(parsed, p), append(at, i)
	}
	for first := 0; first < len(parsed); first += sumClaims {
		isolate(parsed[first:min(first+sumClaims, len(parsed))], func(i int) { errs[at[first+i]] = ErrProof })
	}
	return errs
}

func fill(errs []error, err error) []error {
	for i := range errs {
		errs[i] = err
	}
	return errs
}

// isolate calls bad with the index of every false claim. Its depth is
// log2(sumClaims).
func isolate(ps []committed, bad func(int)) {
	switch {
	case len(ps) == 0 || batchHolds(ps[0].st.s, ps):
	case len(ps) == 1:
		bad(0)
	default:
		half := len(ps) / 2
		isolate(ps[:half], bad)
		isolate(ps[half:], func(i int) { bad(half + i) })
	}
}

// committed is a claim, parsed.
type committed struct {
	st          *Statement
	session     Session
	commitments []Element
	responses   []Scalar
}

func (p *committed) challenge() Scalar {
	return challenge(p.st.s, committedID, p.session, p.st.label, p.commitments)
}

// decodeCommitted reads a claim's proof, or returns ErrProof. A commitment that
// is the identity is refused: an honest one is with negligible probability.
func decodeCommitted(c Claim) (committed, error) {
	st, b := c.Statement, c.Proof
	if len(b) != st.CommittedSize() {
		return committed{}, ErrProof
	}
	p := committed{st: st, session: c.Session, commitments: make([]Element, len(st.equations)), responses: make([]Scalar, st.scalars)}
	var err error
	for i := range p.commitments {
		if p.commitments[i], err = st.s.DecodeElement(b[:st.s.elementSize]); err != nil {
			return committed{}, ErrProof
		}
		b = b[st.s.elementSize:]
	}
	for j := range p.responses {
		if p.responses[j], err = st.s.DecodeScalarAllowZero(b[:st.s.scalarSize]); err != nil {
			return committed{}, ErrProof
		}
		b = b[st.s.scalarSize:]
	}
	return p, nil
}

// batchHolds reports whether all claims hold: the sum of
//
//	weight * (A_i + challenge*P_i - sum_j response_s(i,j)*G_i,j)
//
// over every equation of every claim is the identity, with a fresh weight for
// each (Bellare, Garay, Rabin 1998, small exponents).
func batchHolds(s *suite, ps []committed) bool {
	t := terms{s: s, at: make(map[point]int)}
	for i := range ps {
		p := &ps[i]
		c := p.challenge()
		for j, eq := range p.st.equations {
			w := s.randomWeight()
			t.xs, t.es = append(t.xs, w), append(t.es, p.commitments[j])
			t.add(w.Mul(c), p.st.elements[eq.lhs])
			minus := w.Negate()
			for _, term := range eq.terms {
				t.add(minus.Mul(p.responses[term.scalar]), p.st.elements[term.base])
			}
		}
	}
	return s.VarTimeMultiMul(t.xs, t.es).IsIdentity()
}

// terms are the terms of one sum, with one term for each element in memory.
type terms struct {
	s  *suite
	at map[point]int
	xs []Scalar
	es []Element
}

func (t *terms) add(x Scalar, e Element) {
	if i, ok := t.at[e.p]; ok {
		t.xs[i] = t.xs[i].Add(x)
		return
	}
	t.at[e.p] = len(t.xs)
	t.xs, t.es = append(t.xs, x), append(t.es, e)
}

// randomWeight draws a weight other than zero.
func (s *suite) randomWeight() Scalar {
	var b [weightSize]byte
	for {
		rand.Read(b[:]) // does not fail
		if w := s.reduce(b[:]); !w.IsZero() {
			return w
		}
	}
}
