package arc

import (
	"crypto/subtle"

	"waxwing/core/group"
)

// Pseudonym is m1*Base, proven beside the tag: the same for one secret and one
// base, whatever the credential, and unlinkable between bases.
type Pseudonym struct {
	Base, Value group.Element
}

// Presentation shows a credential once.
type Presentation struct {
	U, UPrimeCommit, M1Commit, Tag, NonceCommit group.Element
	D                                           []group.Element // commitments to the bits of the nonce
	Proof                                       []byte
}

// Pseudonym returns the credential's pseudonym for a base.
func (c *Credential) Pseudonym(base group.Element) Pseudonym {
	return Pseudonym{base, base.Mul(c.m1)}
}

// Present makes the draft's presentation with a nonce below the limit, which
// the caller has never used under these terms with any credential on the same
// secret, and has reserved durably before. Errors are ErrLimit and ErrSecret.
func (c *Credential) Present(t *Terms, nonce uint32, src *Source) (*Presentation, error) {
	return c.PresentIn(c.s.draftSession("CredentialPresentation"), t, nonce, src)
}

// PresentIn is Present for a session and with pseudonyms.
func (c *Credential) PresentIn(session group.Session, t *Terms, nonce uint32, src *Source, pseudonyms ...Pseudonym) (*Presentation, error) {
	if c.s != t.s || nonce >= t.limit || len(pseudonyms) > MaxPseudonyms {
		return nil, ErrLimit
	}
	s := c.s
	inverse, err := c.m1.Add(s.g.ScalarFromUint64(uint64(nonce))).Invert()
	if err != nil {
		return nil, ErrSecret
	}
	shown, o := c.Show(src)
	nb := src.Scalar()
	i := s.g.ScalarFromUint64(uint64(nonce))
	p := &Presentation{
		U: shown.U, UPrimeCommit: shown.UPrimeCommit, M1Commit: shown.M1Commit,
		Tag: t.tag.Mul(inverse), NonceCommit: s.Commit(i, nb),
	}
	b, blind, rest := t.decompose(nonce, nb, src)
	for j := range b {
		p.D = append(p.D, s.Commit(b[j], blind[j]))
	}
	st, err := p.statement(t, c.Residue(o), c.x1, pseudonyms)
	if err != nil {
		return nil, ErrSecret
	}
	w := append([]group.Scalar{c.m1, o.Z, o.R.Negate(), i, nb}, b...)
	w = append(append(w, blind...), rest...)
	if p.Proof, err = s.prove(st, src, session, w...); err != nil {
		return nil, ErrSecret
	}
	return p, nil
}

// decompose returns the bits of the nonce over the bases, greedily, in constant
// time; blindings whose sum over the bases is nb; and (1-bit)*blinding.
func (t *Terms) decompose(nonce uint32, nb group.Scalar, src *Source) (b, blind, rest []group.Scalar) {
	g := t.s.g
	left, sum, one := int(nonce), g.ScalarFromUint64(0), g.ScalarFromUint64(1)
	for j, base := range t.bases {
		bit := subtle.ConstantTimeLessOrEq(int(base), left)
		left -= bit * int(base)
		s := nb.Sub(sum) // the last base is 1
		if j < len(t.bases)-1 {
			s = src.Scalar()
			sum = sum.Add(g.ScalarFromUint64(uint64(base)).Mul(s))
		}
		bs := g.ScalarFromUint64(uint64(bit))
		b, blind, rest = append(b, bs), append(blind, s), append(rest, one.Sub(bs).Mul(s))
	}
	return b, blind, rest
}

// statement is what a presentation proves, about the V of one of the sides.
func (p *Presentation) statement(t *Terms, v, x1 group.Element, pseudonyms []Pseudonym) (*group.Statement, error) {
	s, k := t.s, len(t.bases)
	rel := group.NewRelation(s.g)
	x := rel.AllocScalars(5)
	m1, z, negR, nonce, nb := x[0], x[1], x[2], x[3], x[4]
	e := rel.AllocElements(s.g.Generator(), s.h, p.U, p.UPrimeCommit, p.M1Commit, v, x1, p.Tag, t.tag, p.NonceCommit)
	g, h, u, mc, vv, pub1, tag, base, nc := e[0], e[1], e[2], e[4], e[5], e[6], e[7], e[8], e[9]
	rel.Constrain(mc, m1.Times(u), z.Times(h))
	rel.Constrain(vv, z.Times(pub1), negR.Times(g))
	rel.Constrain(nc, nonce.Times(g), nb.Times(h))
	rel.Constrain(base, m1.Times(tag), nonce.Times(tag))

	bit, blind, rest := rel.AllocScalars(k), rel.AllocScalars(k), rel.AllocScalars(k)
	d := []group.ElementVar{nc} // with one bit, its commitment is the nonce's
	if k > 1 {
		d = rel.AllocElements(p.D...)
	}
	for j := range d {
		// Both hold for bit = 0 and bit = 1 only: else log H follows.
		rel.Constrain(d[j], bit[j].Times(g), blind[j].Times(h))
		rel.Constrain(d[j], bit[j].Times(d[j]), rest[j].Times(h))
	}
	for _, ps := range pseudonyms {
		n := rel.AllocElements(ps.Base, ps.Value)
		rel.Constrain(n[1], m1.Times(n[0]))
	}
	return rel.Build()
}
