package arc

import (
	"crypto/sha256"

	"waxwing/core/group"
	"waxwing/core/keys"
)

// Request asks for a credential on m1 and m2, both hidden.
type Request struct {
	M1E, M2E group.Element // m1*G + r1*H, m2*G + r2*H
	Proof    []byte
}

// Blinding is what a client needs to open a response.
type Blinding struct {
	_              keys.NotComparable
	M1, R1, M2, R2 group.Scalar
	keys.Redacted
}

// Response is the issuer's answer.
type Response struct {
	U, EncUPrime              group.Element // b*G, b*(X0 + x1*m1E + x2*m2E)
	X0Aux, X1Aux, X2Aux, HAux group.Element // b*xb*H, b*X1, b*X2, b*H
	Proof                     []byte
}

// Credential is the MAC (U, U' = (x0 + x1*m1 + x2*m2)*U) with its secret. It
// prints redacted.
type Credential struct {
	_             keys.NotComparable
	s             *Suite
	m1            group.Scalar
	u, uPrime, x1 group.Element
	keys.Redacted
}

// checkSecret returns ErrSecret unless m1 is a scalar of the group, not zero.
func (s *Suite) checkSecret(m1 group.Scalar) error {
	if !m1.IsSet() || m1.Group() != s.g || m1.IsZero() {
		return ErrSecret
	}
	return nil
}

// NewRequest makes the draft's request for a credential on m1 and a context
// that the issuer does not learn. The error is ErrSecret.
func (s *Suite) NewRequest(m1 group.Scalar, requestContext []byte, src *Source) (*Request, *Blinding, error) {
	if err := s.checkSecret(m1); err != nil {
		return nil, nil, err
	}
	bl := &Blinding{M1: m1, R1: src.Scalar(), M2: s.Attribute(requestContext), R2: src.Scalar()}
	r := &Request{M1E: s.Commit(bl.M1, bl.R1), M2E: s.Commit(bl.M2, bl.R2)}
	st, err := s.requestStatement(r)
	if err != nil {
		return nil, nil, ErrSecret
	}
	r.Proof, err = s.prove(st, src, s.draftSession("CredentialRequest"), bl.M1, bl.M2, bl.R1, bl.R2)
	if err != nil {
		return nil, nil, ErrSecret
	}
	return r, bl, nil
}

func (s *Suite) requestStatement(r *Request) (*group.Statement, error) {
	rel := group.NewRelation(s.g)
	x := rel.AllocScalars(4) // m1, m2, r1, r2
	e := rel.AllocElements(s.g.Generator(), s.h, r.M1E, r.M2E)
	rel.Constrain(e[2], x[0].Times(e[0]), x[2].Times(e[1]))
	rel.Constrain(e[3], x[1].Times(e[0]), x[3].Times(e[1]))
	return rel.Build()
}

// VerifyRequest returns nil or ErrProof.
func (s *Suite) VerifyRequest(r *Request) error {
	st, err := s.requestStatement(r)
	if err != nil {
		return ErrProof
	}
	return s.verify(st, s.draftSession("CredentialRequest"), r.Proof)
}

// Respond verifies the draft's request and answers it. The error is ErrProof.
func (k *SecretKey) Respond(r *Request, src *Source) (*Response, error) {
	if err := k.s.VerifyRequest(r); err != nil {
		return nil, err
	}
	return k.Issue(r.M1E, r.M2E, k.s.draftSession("CredentialResponse"), src)
}

// IssuanceSource returns the randomness with which this key answers a request:
// the same request (with everything that determines the answer) gets the same
// bytes, without state.
func (k *SecretKey) IssuanceSource(request []byte) *Source {
	h := sha256.Sum256(request)
	secret := k.Bytes()
	defer clear(secret)
	return k.s.Derived(secret, append([]byte("issuance"), h[:]...))
}

// Issue answers for two commitments that the caller has verified: whoever asks
// must have proven to know m1 in m1E, and that m2E is what it should be. The
// error is ErrProof: an element is the identity.
func (k *SecretKey) Issue(m1E, m2E group.Element, session group.Session, src *Source) (*Response, error) {
	s, pk := k.s, k.public
	b := src.Scalar()
	defer b.Erase()
	t1, t2 := b.Mul(k.x1), b.Mul(k.x2)
	r := &Response{
		U:         s.g.MulGenerator(b),
		EncUPrime: s.g.MultiMul([]group.Scalar{b, t1, t2}, []group.Element{pk.x0, m1E, m2E}),
		X0Aux:     s.h.Mul(b.Mul(k.xb)),
		X1Aux:     pk.x1.Mul(b),
		X2Aux:     pk.x2.Mul(b),
		HAux:      s.h.Mul(b),
	}
	st, err := pk.responseStatement(m1E, m2E, r)
	if err != nil {
		return nil, ErrProof
	}
	r.Proof, err = s.prove(st, src, session, k.x0, k.x1, k.x2, k.xb, b, t1, t2)
	if err != nil {
		return nil, ErrProof
	}
	return r, nil
}

func (pk *PublicKey) responseStatement(m1E, m2E group.Element, r *Response) (*group.Statement, error) {
	rel := group.NewRelation(pk.s.g)
	x := rel.AllocScalars(7)
	x0, x1, x2, xb, b, t1, t2 := x[0], x[1], x[2], x[3], x[4], x[5], x[6]
	e := rel.AllocElements(pk.s.g.Generator(), pk.s.h, m1E, m2E, r.U, r.EncUPrime,
		pk.x0, pk.x1, pk.x2, r.X0Aux, r.X1Aux, r.X2Aux, r.HAux)
	g, h, em1, em2, u, encU := e[0], e[1], e[2], e[3], e[4], e[5]
	pub0, pub1, pub2, aux0, aux1, aux2, auxH := e[6], e[7], e[8], e[9], e[10], e[11], e[12]
	rel.Constrain(pub0, x0.Times(g), xb.Times(h))
	rel.Constrain(pub1, x1.Times(h))
	rel.Constrain(pub2, x2.Times(h))
	rel.Constrain(auxH, b.Times(h))
	rel.Constrain(aux0, xb.Times(auxH))
	rel.Constrain(aux1, t1.Times(h)) // with the next: t1 = b*x1
	rel.Constrain(aux1, b.Times(pub1))
	rel.Constrain(aux2, b.Times(pub2)) // with the next: t2 = b*x2
	rel.Constrain(aux2, t2.Times(h))
	rel.Constrain(u, b.Times(g))
	rel.Constrain(encU, b.Times(pub0), t1.Times(em1), t2.Times(em2))
	return rel.Build()
}

// Finalize opens the draft's response. The error is ErrProof.
func (pk *PublicKey) Finalize(bl *Blinding, r *Response) (*Credential, error) {
	return pk.Open(bl, r, pk.s.draftSession("CredentialResponse"))
}

// Open verifies a response to the client's own commitments and unblinds it. pk
// is the key from the issuer's log: under any other the proof fails, so a key
// for one client alone is noticed. The error is ErrProof.
func (pk *PublicKey) Open(bl *Blinding, r *Response, session group.Session) (*Credential, error) {
	s := pk.s
	st, err := pk.responseStatement(s.Commit(bl.M1, bl.R1), s.Commit(bl.M2, bl.R2), r)
	if err != nil {
		return nil, ErrProof
	}
	if err := s.verify(st, session, r.Proof); err != nil {
		return nil, err
	}
	uPrime := r.EncUPrime.Sub(r.X0Aux).Sub(s.g.MultiMul([]group.Scalar{bl.R1, bl.R2}, []group.Element{r.X1Aux, r.X2Aux}))
	if uPrime.IsIdentity() {
		return nil, ErrProof // cannot be shown; chance, or the issuer's doing
	}
	return &Credential{s: s, m1: bl.M1, u: r.U, uPrime: uPrime, x1: pk.x1}, nil
}
