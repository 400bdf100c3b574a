package arc

import (
	"sync"

	"waxwing/core/group"
)

const (
	// MinLimit is the smallest presentation limit.
	MinLimit = 2
	// MaxLimit is the largest presentation limit: what fits a Statement of
	// core/group with pseudonyms beside it, and more than anybody presents in
	// one epoch.
	MaxLimit = 1 << 16
	// MaxPseudonyms bounds the pseudonyms of one presentation: two per shared
	// list and provider are far fewer.
	MaxPseudonyms = 8
	// MaxContext bounds a request or presentation context, in bytes: two
	// provider names and a few numbers.
	MaxContext = 1024
)

// Suite is a group with its hashes. There are two; both are safe for concurrent
// use.
type Suite struct {
	g group.Group
	// context is the draft's contextString.
	context string
	h       group.Element // generatorH
	// conformant suites make the proofs of the published vectors; the other one
	// committed proofs, which verify together.
	conformant bool
}

var (
	p256Suite      = sync.OnceValue(func() *Suite { return newSuite(group.P256(), "ARCV1-P256", true) })
	ristrettoSuite = sync.OnceValue(func() *Suite { return newSuite(group.Ristretto255(), "ARCV1-ristretto255", false) })
)

// P256 is the draft's suite, ARC(P-256), for conformance.
func P256() *Suite { return p256Suite() }

// Ristretto255 is the suite of everything in production.
func Ristretto255() *Suite { return ristrettoSuite() }

func newSuite(g group.Group, context string, conformant bool) *Suite {
	s := &Suite{g: g, context: context, conformant: conformant}
	h := s.hashToGroup(g.Generator().Bytes(), "generatorH")
	// Decoded, it carries its encoding along: it stands in every label.
	var err error
	if s.h, err = g.DecodeElement(h.Bytes()); err != nil {
		panic(err)
	}
	return s
}

// Group returns the suite's group.
func (s *Suite) Group() group.Group { return s.g }

// H returns generatorH, whose logarithm nobody knows.
func (s *Suite) H() group.Element { return s.h }

func (s *Suite) hashToGroup(x []byte, info string) group.Element {
	return s.g.HashToElement(x, "HashToGroup-"+s.context+info)
}

// Attribute returns m2, the scalar of a request context.
func (s *Suite) Attribute(requestContext []byte) group.Scalar {
	return s.g.HashToScalar(requestContext, "HashToScalar-"+s.context+"requestContext")
}

// Commit returns m*G + r*H.
func (s *Suite) Commit(m, r group.Scalar) group.Element {
	return s.g.MultiMul([]group.Scalar{m, r}, []group.Element{s.g.Generator(), s.h})
}

// draftSession is the session of one of the draft's proofs.
func (s *Suite) draftSession(name string) group.Session {
	return group.RawSession([]byte(s.context + name))
}

// prove and verify use the suite's form of proof.
func (s *Suite) prove(st *group.Statement, src *Source, session group.Session, witness ...group.Scalar) ([]byte, error) {
	seed := src.seed()
	defer clear(seed[:])
	if s.conformant {
		return st.ProveSeeded(seed, session, witness...)
	}
	return st.ProveCommittedSeeded(seed, session, witness...)
}

func (s *Suite) verify(st *group.Statement, session group.Session, proof []byte) error {
	verify := st.VerifyCommitted
	if s.conformant {
		verify = st.Verify
	}
	if verify(session, proof) != nil {
		return ErrProof
	}
	return nil
}

// proofSize is the size of a proof with so many equations and scalars, in bytes.
func (s *Suite) proofSize(equations, scalars int) int {
	if s.conformant {
		return (1 + scalars) * s.g.ScalarSize()
	}
	return equations*s.g.ElementSize() + scalars*s.g.ScalarSize()
}
