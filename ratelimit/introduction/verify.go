package introduction

import (
	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/ratelimit"
	"waxwing/ratelimit/arc"
)

// Verifier verifies the introductions of one epoch and the standing requests of
// its week, at one provider. It is made once an epoch, never changes and is safe
// for concurrent use.
type Verifier struct {
	key      *arc.SecretKey
	provider ids.Domain
	epoch    ids.Day
	limits   Limits
	terms    map[ratelimit.Tier]*arc.Terms
	standing *arc.Terms
}

// NewVerifier returns the verifier of an epoch's key, or ErrTerms.
func NewVerifier(key *arc.SecretKey, provider ids.Domain, epoch ids.Day, limits Limits) (*Verifier, error) {
	v := &Verifier{key: key, provider: provider, epoch: epoch, limits: limits, terms: map[ratelimit.Tier]*arc.Terms{}}
	if key.Suite() != suite() {
		return nil, ErrTerms
	}
	for _, t := range []ratelimit.Tier{ratelimit.TierNew, ratelimit.TierMember} {
		limit, err := limits.Of(t)
		if err != nil {
			return nil, err
		}
		if v.terms[t], err = suite().NewTerms(ratelimit.IntroductionContext(provider, epoch, limit), limit); err != nil {
			return nil, ErrTerms
		}
	}
	var err error
	v.standing, err = suite().NewTerms(ratelimit.StandingContext(provider, ratelimit.WeekOf(epoch), StandingLimit), StandingLimit)
	if err != nil {
		return nil, ErrTerms
	}
	return v, nil
}

// Epoch returns the verifier's day.
func (v *Verifier) Epoch() ids.Day { return v.epoch }

// Asked is one introduction or standing request with what the relay knows of it.
type Asked struct {
	Home     ids.Domain    // the forwarding provider, authenticated
	W        group.Element // of mailbox and generation, or DummyW
	In       *Introduction // of a standing request, its Introduction
	Standing bool
}

// Verified is what an introduction showed.
type Verified struct {
	// Tag is spent once in the epoch (a standing request's: in the week), with
	// the envelope's id as claimant.
	Tag [elementSize]byte
	// NR is the sender's pseudonym at the mailbox.
	NR [elementSize]byte
}

// Verify verifies one; the error is ErrProof. Tag, blocklist and limits come
// after it, whatever it says.
func (v *Verifier) Verify(a Asked) (*Verified, error) {
	vs, errs := v.VerifyBatch([]Asked{a})
	return vs[0], errs[0]
}

// VerifyBatch verifies at most MaxBatch together. Each has either a Verified or
// ErrProof; a false one takes nothing from the others.
func (v *Verifier) VerifyBatch(asked []Asked) ([]*Verified, []error) {
	vs, errs := make([]*Verified, len(asked)), make([]error, len(asked))
	claims, at := make([]arc.Claim, 0, len(asked)), make([]int, 0, len(asked))
	ws := shared{}
	for i := range asked {
		c, err := v.claim(&asked[i], ws)
		if err != nil || len(asked) > MaxBatch {
			errs[i] = ErrProof
			continue
		}
		claims, at = append(claims, c), append(at, i)
	}
	for j, err := range arc.VerifyBatch(claims) {
		i := at[j]
		if err != nil {
			errs[i] = ErrProof
			continue
		}
		vs[i] = &Verified{Tag: [elementSize]byte(claims[j].Presentation.Tag.Bytes()), NR: asked[i].In.NR}
	}
	return vs, errs
}

// shared keeps one element in memory for each W, so that a batch to one mailbox
// multiplies it once.
type shared map[[elementSize]byte]group.Element

func (s shared) of(w group.Element) group.Element {
	enc := [elementSize]byte(w.Bytes())
	if e, ok := s[enc]; ok {
		return e
	}
	s[enc] = w
	return w
}

func (v *Verifier) claim(a *Asked, ws shared) (c arc.Claim, err error) {
	in := a.In
	terms, label, period := v.terms[in.Tier], labelIntroductionProof, uint32(v.epoch)
	if a.Standing {
		terms, label, period = v.standing, labelStandingProof, uint32(ratelimit.WeekOf(v.epoch))
	}
	if terms == nil {
		return c, ErrProof
	}
	size := terms.PresentationSize(1)
	if len(in.rest) < size || !zero(in.rest[size:]) {
		return c, ErrProof
	}
	p, err := terms.ParsePresentation(in.rest[:size], 1)
	if err != nil {
		return c, ErrProof
	}
	nr, err := group.Ristretto255().DecodeElement(in.NR[:])
	if err != nil {
		return c, ErrProof
	}
	w := ws.of(a.W)
	return arc.Claim{
		Key:          v.key,
		Attribute:    suite().Attribute(ratelimit.EpochContext(a.Home, v.provider, v.epoch, in.Tier)),
		Terms:        terms,
		Session:      session(label, in.enc, w, in.Mailbox, a.Home, v.provider, period, terms.Limit()),
		Presentation: p,
		Pseudonyms:   []arc.Pseudonym{{Base: w, Value: nr}},
	}, nil
}

func zero(b []byte) bool {
	var or byte
	for _, v := range b {
		or |= v
	}
	return or == 0
}
