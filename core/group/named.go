package group

// Possession returns the statement x*G = public: its proof (Schnorr 1991) shows
// that someone knows the secret key. Without one, a key may have been made from
// others' keys, and its owner need not know the secret. Witness: x.
func Possession(public Element) (*Statement, error) {
	r := NewRelation(public.Group())
	x := r.AllocScalars(1)
	e := r.AllocElements(public.Group().Generator(), public)
	r.Constrain(e[1], x[0].Times(e[0]))
	return r.Build()
}

// DLEQ returns the statement z*g = gz and z*h = hz: two elements were
// multiplied by one secret (Chaum and Pedersen, CRYPTO 1992). Witness: z.
func DLEQ(g, gz, h, hz Element) (*Statement, error) {
	r := NewRelation(g.Group())
	z := r.AllocScalars(1)
	e := r.AllocElements(g, gz, h, hz)
	r.Constrain(e[1], z[0].Times(e[0]))
	r.Constrain(e[3], z[0].Times(e[2]))
	return r.Build()
}

// Representation returns the statement k*G + r*h = commitment: knowledge of a
// Pedersen commitment's opening (Okamoto, CRYPTO 1992). Nobody may know the
// logarithm of h, as for SecondGenerator. Witness: k, r.
func Representation(commitment, h Element) (*Statement, error) {
	rel := NewRelation(commitment.Group())
	x := rel.AllocScalars(2)
	e := rel.AllocElements(rel.s.Generator(), h, commitment)
	rel.Constrain(e[2], x[0].Times(e[0]), x[1].Times(e[1]))
	return rel.Build()
}
