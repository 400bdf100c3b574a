package arc

import "waxwing/core/group"

// All bytes of this package. E is an element, S a scalar (core/group), k the
// number of bits of the limit, len(Bases).
//
//	secret key     x0 S | x1 S | x2 S | xb S                       none zero
//	public key     X0 E | X1 E | X2 E
//	request        m1E E | m2E E | proof                           P-256: 2 E, 5 S
//	response       U E | encU' E | X0aux E | X1aux E | X2aux E | Haux E | proof
//	                                                               P-256: 6 E, 8 S
//	credential     m1 S | U E | U' E | X1 E                        secret
//	presentation   U E | U'commit E | m1commit E | tag E | nonceCommit E | k*D E | proof
//	                                                               P-256: 5+k E, 6+3k S
//
// proof is a plain proof of core/group for P-256 and a committed one for
// ristretto255. Elements are never the identity. There are no lengths: the
// limit and the pseudonyms, which both sides know, determine them.

// reader takes fields from the front of b; the first failure sticks.
type reader struct {
	s   *Suite
	b   []byte
	err error
}

func (r *reader) take(n int) []byte {
	if r.err != nil || len(r.b) < n {
		r.err = ErrMalformed
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) element() group.Element {
	e, err := r.s.g.DecodeElement(r.take(r.s.g.ElementSize()))
	if err != nil {
		r.err = ErrMalformed
	}
	return e
}

func (r *reader) scalar() group.Scalar {
	x, err := r.s.g.DecodeScalar(r.take(r.s.g.ScalarSize()))
	if err != nil {
		r.err = ErrMalformed
	}
	return x
}

func (r *reader) proof(n int) []byte { return append([]byte(nil), r.take(n)...) }

// end returns ErrMalformed unless everything was taken and was well-formed.
func (r *reader) end() error {
	if r.err != nil || len(r.b) != 0 {
		return ErrMalformed
	}
	return nil
}

func appendElements(b []byte, es ...group.Element) []byte {
	for _, e := range es {
		b = e.Append(b)
	}
	return b
}

// Bytes encodes the request.
func (r *Request) Bytes() []byte { return append(appendElements(nil, r.M1E, r.M2E), r.Proof...) }

// ParseRequest is the inverse of Request.Bytes. The error is ErrMalformed.
func (s *Suite) ParseRequest(b []byte) (*Request, error) {
	r := reader{s: s, b: b}
	q := &Request{r.element(), r.element(), r.proof(s.proofSize(2, 4))}
	return q, r.end()
}

// Bytes encodes the response.
func (r *Response) Bytes() []byte {
	return append(appendElements(nil, r.U, r.EncUPrime, r.X0Aux, r.X1Aux, r.X2Aux, r.HAux), r.Proof...)
}

// ResponseSize is the size of every response, in bytes.
func (s *Suite) ResponseSize() int { return 6*s.g.ElementSize() + s.proofSize(11, 7) }

// ParseResponse is the inverse of Response.Bytes. The error is ErrMalformed.
func (s *Suite) ParseResponse(b []byte) (*Response, error) {
	r := reader{s: s, b: b}
	q := &Response{r.element(), r.element(), r.element(), r.element(), r.element(), r.element(), r.proof(s.proofSize(11, 7))}
	return q, r.end()
}

// CredentialSize is the size of an encoded credential, in bytes.
func (s *Suite) CredentialSize() int { return s.g.ScalarSize() + 3*s.g.ElementSize() }

// Bytes encodes the credential with its secret, for the account's own devices.
func (c *Credential) Bytes() []byte { return appendElements(c.m1.Bytes(), c.u, c.uPrime, c.x1) }

// ParseCredential is the inverse of Credential.Bytes. The error is ErrMalformed.
func (s *Suite) ParseCredential(b []byte) (*Credential, error) {
	r := reader{s: s, b: b}
	c := &Credential{s: s, m1: r.scalar(), u: r.element(), uPrime: r.element(), x1: r.element()}
	return c, r.end()
}

// PresentationSize is the size of every presentation under these terms with so
// many pseudonyms, in bytes.
func (t *Terms) PresentationSize(pseudonyms int) int {
	k := len(t.bases)
	return (5+k)*t.s.g.ElementSize() + t.s.proofSize(4+2*k+pseudonyms, 5+3*k)
}

// Bytes encodes the presentation.
func (p *Presentation) Bytes() []byte {
	b := appendElements(nil, p.U, p.UPrimeCommit, p.M1Commit, p.Tag, p.NonceCommit)
	return append(appendElements(b, p.D...), p.Proof...)
}

// ParsePresentation is the inverse of Presentation.Bytes for a presentation
// under these terms with so many pseudonyms. The error is ErrMalformed.
func (t *Terms) ParsePresentation(b []byte, pseudonyms int) (*Presentation, error) {
	if pseudonyms < 0 || pseudonyms > MaxPseudonyms {
		return nil, ErrMalformed
	}
	r := reader{s: t.s, b: b}
	p := &Presentation{U: r.element(), UPrimeCommit: r.element(), M1Commit: r.element(), Tag: r.element(), NonceCommit: r.element()}
	for range t.bases {
		p.D = append(p.D, r.element())
	}
	k := len(t.bases)
	p.Proof = r.proof(t.s.proofSize(4+2*k+pseudonyms, 5+3*k))
	return p, r.end()
}
