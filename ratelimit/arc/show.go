package arc

import (
	"waxwing/core/group"
	"waxwing/core/keys"
)

// Shown is a credential, randomised: a fresh U = a*U, U' hidden under r, m1
// hidden under z. Two showings cannot be linked, by the issuer neither.
type Shown struct {
	U, UPrimeCommit, M1Commit group.Element
}

// Opening holds the secrets of one Shown.
type Opening struct {
	_    keys.NotComparable
	Z, R group.Scalar
	keys.Redacted
}

// Secret returns m1.
func (c *Credential) Secret() group.Scalar { return c.m1 }

// Show randomises the credential. Its proof is M1Commit = m1*U + z*H and V =
// z*X1 - r*G with the V of both sides' Residue; whoever shows a credential in a
// statement of its own adds these.
func (c *Credential) Show(src *Source) (Shown, *Opening) {
	g := c.s.g
	a, r, z := src.Scalar(), src.Scalar(), src.Scalar()
	defer a.Erase()
	u := c.u.Mul(a)
	return Shown{
		U:            u,
		UPrimeCommit: g.MultiMul([]group.Scalar{a, r}, []group.Element{c.uPrime, g.Generator()}),
		M1Commit:     g.MultiMul([]group.Scalar{c.m1, z}, []group.Element{u, c.s.h}),
	}, &Opening{Z: z, R: r}
}

// Residue returns V as the holder computes it, z*X1 - r*G.
func (c *Credential) Residue(o *Opening) group.Element {
	return c.s.g.MultiMul([]group.Scalar{o.Z, o.R.Negate()}, []group.Element{c.x1, c.s.g.Generator()})
}

// IssuerX1 returns the issuer's X1, a base of V.
func (c *Credential) IssuerX1() group.Element { return c.x1 }

// X1 returns the key's X1, a base of V.
func (pk *PublicKey) X1() group.Element { return pk.x1 }

// Residue returns V as the issuer computes it for a credential on the given
// attribute, (x0 + x2*m2)*U + x1*m1Commit - U'commit: equal to the holder's if
// and only if the credential is of this key and attribute.
func (k *SecretKey) Residue(sh Shown, m2 group.Scalar) group.Element {
	x := k.x0.Add(k.x2.Mul(m2))
	defer x.Erase()
	return k.s.g.MultiMul([]group.Scalar{x, k.x1}, []group.Element{sh.U, sh.M1Commit}).Sub(sh.UPrimeCommit)
}
