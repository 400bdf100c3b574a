package membership

import (
	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
	"waxwing/ratelimit"
	"waxwing/ratelimit/arc"
)

// GraceDays is how long a membership is still shown after its month, so that
// not everybody fetches the next one on one day.
const GraceDays = 3

// InForce reports whether a membership of a month is shown on a day.
func InForce(m ratelimit.Month, d ids.Day) bool {
	return m == ratelimit.MonthOf(d) || m+1 == ratelimit.MonthOf(d) && d%ratelimit.MonthDays < GraceDays
}

// Membership is what home and account both know of a credential to be issued.
type Membership struct {
	Home, Provider ids.Domain
	Month          ratelimit.Month
	Tier           ratelimit.Tier
}

// Pending is a request until its answer. It prints redacted.
type Pending struct {
	_       keys.NotComparable
	key     *arc.PublicKey
	bl      *arc.Blinding
	answer  group.Session
	request []byte
	keys.Redacted
}

func (m *Membership) sessionParts(key *arc.PublicKey) [][]byte {
	return terms(m.Home, m.Provider, m.Month, m.Tier, key)
}

func (m *Membership) attribute() group.Scalar {
	return suite().Attribute(ratelimit.MembershipContext(m.Home, m.Provider, m.Month, m.Tier))
}

func membershipStatement(account, m1E group.Element) (*group.Statement, error) {
	r := group.NewRelation(suite().Group())
	x := r.AllocScalars(2) // k, r1
	e := r.AllocElements(suite().Group().Generator(), suite().H(), account, m1E)
	r.Constrain(e[2], x[0].Times(e[0]))
	r.Constrain(e[3], x[0].Times(e[0]), x[1].Times(e[1]))
	return r.Build()
}

// Request asks home for a membership of the account whose secret is k, to be
// issued under the key from home's log. The same k, terms and key give the same
// bytes. Errors are ErrSecret and ErrTerms.
func (m *Membership) Request(k group.Scalar, key *arc.PublicKey) (*Pending, error) {
	if !m.Tier.Valid() {
		return nil, ErrTerms
	}
	if !usable(k) {
		return nil, ErrSecret
	}
	parts := m.sessionParts(key)
	secret := k.Bytes()
	defer clear(secret)
	src := suite().Derived(secret, append([]byte("F0"), hashParts(parts...)...))
	bl := blinding(k, src, m.attribute())
	account, m1E := suite().Group().MulGenerator(k), suite().Commit(k, bl.R1)
	st, err := membershipStatement(account, m1E)
	if err != nil {
		return nil, ErrSecret
	}
	f := requestFields{M1E: [elementSize]byte(m1E.Bytes())}
	if f.Proof, err = st.ProveCommittedSeeded(src.Seed(), group.NewSession(labelMembership, parts...), k, bl.R1); err != nil {
		return nil, ErrSecret
	}
	request := wire.MustMarshal(&f)
	return &Pending{key: key, bl: bl, request: request, answer: m.answerSession(key, account, request)}, nil
}

func usable(k group.Scalar) bool {
	return k.IsSet() && k.Group() == group.Ristretto255() && !k.IsZero()
}

// blinding is that of a request whose context is public: m2 is not blinded.
func blinding(k group.Scalar, src *arc.Source, m2 group.Scalar) *arc.Blinding {
	return &arc.Blinding{M1: k, R1: src.Scalar(), M2: m2, R2: suite().Group().ScalarFromUint64(0)}
}

func (m *Membership) answerSession(key *arc.PublicKey, account group.Element, request []byte) group.Session {
	return group.NewSession(labelMembershipAnswer, append(m.sessionParts(key), hashParts(account.Bytes(), request))...)
}

// Bytes returns the request.
func (p *Pending) Bytes() []byte { return append([]byte(nil), p.request...) }

// Finish opens the answer. ErrProof: it was not made under the logged key for
// this request; ErrMalformed.
func (p *Pending) Finish(answer []byte) (*arc.Credential, error) {
	r, err := suite().ParseResponse(answer)
	if err != nil {
		return nil, ErrMalformed
	}
	c, err := p.key.Open(p.bl, r, p.answer)
	if err != nil {
		return nil, ErrProof
	}
	return c, nil
}

// Issue verifies a request of the account whose row has X_S and answers it, the
// same request with the same bytes. That the account may have the tier, and a
// membership for this provider and month, was decided before. Errors are
// ErrTerms, ErrMalformed and ErrProof.
func (m *Membership) Issue(key *arc.SecretKey, account group.Element, request []byte) ([]byte, error) {
	if !m.Tier.Valid() {
		return nil, ErrTerms
	}
	var f requestFields
	if wire.Unmarshal(request, &f) != nil {
		return nil, ErrMalformed
	}
	m1E, err := decode(f.M1E)
	if err != nil {
		return nil, err
	}
	st, err := membershipStatement(account, m1E)
	if err != nil {
		return nil, ErrProof
	}
	if st.VerifyCommitted(group.NewSession(labelMembership, m.sessionParts(key.Public())...), f.Proof) != nil {
		return nil, ErrProof
	}
	return issue(key, m1E, m.attribute(), m.answerSession(key.Public(), account, request), m.sessionParts(key.Public()), account.Bytes(), request)
}

// issue answers for m1E and a public attribute. Its randomness depends on
// everything in inputs: two answers with one b and different attributes would
// give away x2*U, and with it every tier and month.
func issue(key *arc.SecretKey, m1E group.Element, m2 group.Scalar, session group.Session, parts [][]byte, inputs ...[]byte) ([]byte, error) {
	src := key.IssuanceSource(hashParts(append(parts, inputs...)...))
	r, err := key.Issue(m1E, suite().Group().MulGenerator(m2), session, src)
	if err != nil {
		return nil, ErrProof
	}
	return r.Bytes(), nil
}
