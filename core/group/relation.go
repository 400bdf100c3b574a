package group

import "slices"

// Relation builds a Statement: allocate its secret scalars and its public
// elements, state the equations between them, Build. Mistakes are kept and
// reported by Build. Order matters: prover and verifier must build alike.
//
//	r := group.NewRelation(g)
//	x := r.AllocScalars(1)
//	e := r.AllocElements(g.Generator(), public)
//	r.Constrain(e[1], x[0].Times(e[0])) // public = x*G
//	statement, err := r.Build()
//
// It is not safe for concurrent use.
type Relation struct {
	s         *suite
	scalars   int
	elements  []Element
	equations []equation
	err       error
}

// ScalarVar stands for a secret scalar of one Relation.
type ScalarVar struct {
	of *Relation
	i  int
}

// ElementVar stands for a public element of one Relation.
type ElementVar struct {
	of *Relation
	i  int
}

// Term is a secret scalar times a public element.
type Term struct {
	x ScalarVar
	e ElementVar
}

// Times returns the term x*e.
func (x ScalarVar) Times(e ElementVar) Term { return Term{x, e} }

// equation is elements[lhs] = sum of terms.
type equation struct {
	lhs   int
	terms []term
}

// term is the secret number scalar times elements[base].
type term struct{ scalar, base int }

// NewRelation starts a relation between elements of g.
func NewRelation(g Group) *Relation { return &Relation{s: g.closed()} }

// AllocScalars adds n secret scalars. The witness lists them in this order.
func (r *Relation) AllocScalars(n int) []ScalarVar {
	if n < 0 || n > MaxScalars-r.scalars {
		r.err = ErrStatement
		return make([]ScalarVar, max(n, 0)) // of no relation: Constrain refuses them
	}
	vars := make([]ScalarVar, n)
	for i := range vars {
		vars[i] = ScalarVar{r, r.scalars + i}
	}
	r.scalars += n
	return vars
}

// AllocElements adds public elements: left sides, bases, and elements that
// occur in no equation but belong to what the proof binds.
//
// The identity is refused. As a base it frees a scalar of every restraint, as a
// left side it proves something about nobody's key.
func (r *Relation) AllocElements(e ...Element) []ElementVar {
	vars := make([]ElementVar, len(e))
	if len(e) > MaxElements-len(r.elements) {
		r.err = ErrStatement
		return vars
	}
	for i := range e {
		if e[i].s != r.s || e[i].IsIdentity() {
			r.err = ErrStatement
			return vars
		}
		vars[i] = ElementVar{r, len(r.elements)}
		r.elements = append(r.elements, e[i])
	}
	return vars
}

// Constrain adds the equation lhs = sum of terms.
func (r *Relation) Constrain(lhs ElementVar, terms ...Term) {
	if lhs.of != r || len(terms) == 0 || len(terms) > MaxTerms || len(r.equations) == MaxEquations {
		r.err = ErrStatement
		return
	}
	eq := equation{lhs: lhs.i, terms: make([]term, len(terms))}
	for i, t := range terms {
		if t.x.of != r || t.e.of != r {
			r.err = ErrStatement
			return
		}
		eq.terms[i] = term{t.x.i, t.e.i}
	}
	r.equations = append(r.equations, eq)
}

// Build returns the statement, or ErrStatement if anything before was
// malformed, there is no equation, or a scalar occurs in none.
func (r *Relation) Build() (*Statement, error) {
	used := make([]bool, r.scalars)
	for _, eq := range r.equations {
		for _, t := range eq.terms {
			used[t.scalar] = true
		}
	}
	// A scalar in no equation would have a response that nothing checks: bytes
	// that anyone can change without the proof failing.
	if r.err != nil || len(r.equations) == 0 || slices.Contains(used, false) {
		return nil, ErrStatement
	}
	st := &Statement{
		s:         r.s,
		scalars:   r.scalars,
		elements:  slices.Clone(r.elements),
		equations: slices.Clone(r.equations),
	}
	st.label = st.appendLabel(nil)
	return st, nil
}
