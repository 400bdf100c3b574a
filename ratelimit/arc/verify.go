package arc

import "waxwing/core/group"

// Verify returns nil if the draft's presentation was made with a credential of
// this key for the request context, else ErrProof. Whether its tag is new is
// the caller's question, asked after.
func (k *SecretKey) Verify(requestContext []byte, t *Terms, p *Presentation) error {
	c := Claim{Key: k, Attribute: k.s.Attribute(requestContext), Terms: t, Session: k.s.draftSession("CredentialPresentation"), Presentation: p}
	return c.Verify()
}

// Claim is a presentation with everything that it is verified against.
type Claim struct {
	Key          *SecretKey
	Attribute    group.Scalar // Suite.Attribute of the request context
	Terms        *Terms
	Session      group.Session
	Presentation *Presentation
	Pseudonyms   []Pseudonym
}

// statement checks what is not in the proof and returns what is.
func (c *Claim) statement() (*group.Statement, error) {
	k, t, p := c.Key, c.Terms, c.Presentation
	if k.s != t.s || len(p.D) != len(t.bases) || len(c.Pseudonyms) > MaxPseudonyms {
		return nil, ErrProof
	}
	// Without this the bits would be those of any number.
	if !t.sum(p.D).Equal(p.NonceCommit) {
		return nil, ErrProof
	}
	v := k.Residue(Shown{p.U, p.UPrimeCommit, p.M1Commit}, c.Attribute)
	st, err := p.statement(t, v, k.public.x1, c.Pseudonyms)
	if err != nil {
		return nil, ErrProof
	}
	return st, nil
}

// Verify returns nil or ErrProof.
func (c *Claim) Verify() error {
	st, err := c.statement()
	if err != nil {
		return err
	}
	return c.Key.s.verify(st, c.Session, c.Presentation.Proof)
}

// MaxBatch bounds VerifyBatch.
const MaxBatch = group.MaxBatch

// VerifyBatch verifies at most MaxBatch claims of the suite Ristretto255
// together and returns one error per claim, nil or ErrProof. A false one is
// found and takes nothing from the others. Claims of another suite, and those
// of a batch that is too large, are ErrProof.
func VerifyBatch(claims []Claim) []error {
	errs := make([]error, len(claims))
	batch := make([]group.Claim, len(claims))
	for i := range claims {
		errs[i] = ErrProof
		if claims[i].Key.s.conformant || len(claims) > MaxBatch {
			continue
		}
		if st, err := claims[i].statement(); err == nil {
			batch[i] = group.Claim{Statement: st, Session: claims[i].Session, Proof: claims[i].Presentation.Proof}
			errs[i] = nil
		}
	}
	// Only well-formed ones go on: one that is not must not choose the group.
	var at []int
	var ready []group.Claim
	for i := range batch {
		if errs[i] == nil {
			at, ready = append(at, i), append(ready, batch[i])
		}
	}
	for j, err := range group.VerifyBatch(ready) {
		if err != nil {
			errs[at[j]] = ErrProof
		}
	}
	return errs
}
