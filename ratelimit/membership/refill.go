package membership

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/wire"
	"waxwing/ratelimit"
	"waxwing/ratelimit/arc"
)

// Refill is what provider and sender both know of one epoch's credential. Both
// keys and the lists are those in the provider's log, the same for every sender
// of a home.
type Refill struct {
	Home, Provider ids.Domain
	Month          ratelimit.Month // of the membership shown
	Tier           ratelimit.Tier
	Epoch          ids.Day
	Membership     *arc.PublicKey // of home for provider
	Key            *arc.PublicKey // of provider for the epoch
	Lists          [][ratelimit.ListIDSize]byte
}

// Check returns ErrTerms, or ErrPeriod if it is not the time for them: a refill
// is for its own day, or for the next one on the day before.
func (r *Refill) Check(today ids.Day) error {
	switch {
	case !r.Tier.Valid() || len(r.Lists) > MaxLists:
		return ErrTerms
	case r.Epoch != today && r.Epoch != today+1 || !InForce(r.Month, r.Epoch):
		return ErrPeriod
	}
	return nil
}

func (r *Refill) sessionParts() [][]byte {
	parts := terms(r.Home, r.Provider, r.Month, r.Tier, r.Membership)
	parts = append(parts, binary.BigEndian.AppendUint32(nil, uint32(r.Epoch)), r.Key.Bytes())
	for i := range r.Lists {
		parts = append(parts, r.Lists[i][:])
	}
	return parts
}

func (r *Refill) attribute() group.Scalar {
	return suite().Attribute(ratelimit.EpochContext(r.Home, r.Provider, r.Epoch, r.Tier))
}

func (r *Refill) answerSession(request []byte) group.Session {
	return group.NewSession(labelRefillAnswer, append(r.sessionParts(), hashParts(request))...)
}

// shown is a refill, decoded.
type shown struct {
	arc.Shown
	nb, m1E group.Element
	nl      []group.Element
}

func (r *Refill) statement(s *shown, v group.Element) (*group.Statement, error) {
	g := suite().Group()
	rel := group.NewRelation(g)
	x := rel.AllocScalars(4)
	k, z, negR, r1 := x[0], x[1], x[2], x[3]
	e := rel.AllocElements(g.Generator(), suite().H(), s.U, s.UPrimeCommit, s.M1Commit, v, r.Membership.X1(),
		ratelimit.PlatformBase(r.Provider), s.nb, s.m1E)
	eG, eH, u, mc, vv, x1, base, nb, m1E := e[0], e[1], e[2], e[4], e[5], e[6], e[7], e[8], e[9]
	rel.Constrain(mc, k.Times(u), z.Times(eH))
	rel.Constrain(vv, z.Times(x1), negR.Times(eG))
	rel.Constrain(nb, k.Times(base))
	rel.Constrain(m1E, k.Times(eG), r1.Times(eH))
	for i := range r.Lists {
		l := rel.AllocElements(ratelimit.ListBase(r.Lists[i]), s.nl[i])
		rel.Constrain(l[1], k.Times(l[0]))
	}
	return rel.Build()
}

// Request shows a membership credential and asks for the epoch's. Every device
// that holds the credential makes the same bytes. Errors are ErrTerms and
// ErrSecret (also: a credential under another key than the logged one).
func (r *Refill) Request(c *arc.Credential) (*Pending, error) {
	if !r.Tier.Valid() || len(r.Lists) > MaxLists {
		return nil, ErrTerms
	}
	if !c.IssuerX1().Equal(r.Membership.X1()) {
		return nil, ErrSecret
	}
	k := c.Secret()
	secret, credential, parts := k.Bytes(), c.Bytes(), r.sessionParts()
	defer clear(secret)
	defer clear(credential)
	info := wire.AppendPrefixed([]byte("F1"), []byte(r.Provider.String()))
	info = binary.BigEndian.AppendUint32(info, uint32(r.Epoch))
	src := suite().Derived(secret, append(info, hashParts(append([][]byte{credential}, parts...)...)...))

	sh, o := c.Show(src)
	bl := blinding(k, src, r.attribute())
	s := &shown{Shown: sh, nb: ratelimit.PlatformBase(r.Provider).Mul(k), m1E: suite().Commit(k, bl.R1)}
	f := refillFields{
		U: enc(s.U), UPrimeCommit: enc(s.UPrimeCommit), M1Commit: enc(s.M1Commit), NB: enc(s.nb), M1E: enc(s.m1E),
	}
	for i := range r.Lists {
		n := ratelimit.ListBase(r.Lists[i]).Mul(k)
		s.nl, f.Lists = append(s.nl, n), append(f.Lists, enc(n))
	}
	st, err := r.statement(s, c.Residue(o))
	if err != nil {
		return nil, ErrSecret
	}
	f.Proof, err = st.ProveCommittedSeeded(src.Seed(), group.NewSession(labelRefill, parts...), k, o.Z, o.R.Negate(), bl.R1)
	if err != nil {
		return nil, ErrSecret
	}
	request := wire.MustMarshal(&f)
	return &Pending{key: r.Key, bl: bl, request: request, answer: r.answerSession(request)}, nil
}

func enc(e group.Element) [elementSize]byte { return [elementSize]byte(e.Bytes()) }

// Shown is a refill that was verified: what provider may look up before it
// answers, and nothing that names an account.
type Shown struct {
	// NB is the sender's pseudonym at this provider, and NL those on the lists of
	// the terms, in their order.
	NB [elementSize]byte
	NL [][elementSize]byte
	// Place is what is refilled once in the epoch: SHA-256(N_B | the epoch's key
	// 96). Under another key, which a provider draws that lost what was spent under
	// the first, the sender refills again, as what it had is worth nothing.
	Place [sha256.Size]byte
	// Hash names the request among those of its place (Once).
	Hash [sha256.Size]byte

	r       *Refill
	m1E     group.Element
	request []byte
}

// Verify verifies a refill against the membership key that home shares with
// this provider. Errors are ErrTerms, ErrMalformed and ErrProof. Bans, lists and
// Once come next, then Issue.
func (r *Refill) Verify(membership *arc.SecretKey, request []byte) (*Shown, error) {
	if !r.Tier.Valid() || len(r.Lists) > MaxLists {
		return nil, ErrTerms
	}
	var f refillFields
	if wire.Unmarshal(request, &f) != nil || len(f.Lists) != len(r.Lists) {
		return nil, ErrMalformed
	}
	s := new(shown)
	for _, p := range []struct {
		to   *group.Element
		from [elementSize]byte
	}{{&s.U, f.U}, {&s.UPrimeCommit, f.UPrimeCommit}, {&s.M1Commit, f.M1Commit}, {&s.nb, f.NB}, {&s.m1E, f.M1E}} {
		var err error
		if *p.to, err = decode(p.from); err != nil {
			return nil, err
		}
	}
	for _, n := range f.Lists {
		e, err := decode(n)
		if err != nil {
			return nil, err
		}
		s.nl = append(s.nl, e)
	}
	m := Membership{r.Home, r.Provider, r.Month, r.Tier}
	st, err := r.statement(s, membership.Residue(s.Shown, m.attribute()))
	if err != nil || st.VerifyCommitted(group.NewSession(labelRefill, r.sessionParts()...), f.Proof) != nil {
		return nil, ErrProof
	}
	return &Shown{
		NB: f.NB, NL: f.Lists, Hash: sha256.Sum256(request), Place: sha256.Sum256(append(f.NB[:], r.Key.Bytes()...)),
		r: r, m1E: s.m1E, request: slices.Clone(request),
	}, nil
}

// Issue answers a verified refill with the epoch's credential, the same refill
// with the same bytes. The error is ErrProof: key is not that of the terms.
func (s *Shown) Issue(key *arc.SecretKey) ([]byte, error) {
	if !slices.Equal(key.Public().Bytes(), s.r.Key.Bytes()) {
		return nil, ErrProof
	}
	return issue(key, s.m1E, s.r.attribute(), s.r.answerSession(s.request), s.r.sessionParts(), s.request)
}

// Once decides about a refill, given the hash that is stored for its epoch and
// place, nil for none. It returns the hash to store before the answer is sent; a
// crash between the two costs nothing, since the same request is answered again.
// ErrSecond: another request was first, and a second credential would double the
// sender's limit.
func Once(stored []byte, s *Shown) ([]byte, error) {
	switch {
	case stored == nil:
		return s.Hash[:], nil
	case slices.Equal(stored, s.Hash[:]):
		return stored, nil
	}
	return nil, ErrSecond
}
