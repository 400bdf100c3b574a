package introduction

import (
	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
	"waxwing/ratelimit"
	"waxwing/ratelimit/arc"
)

// Sender is what a device shows an epoch's credential with: the terms under
// which it got it.
type Sender struct {
	Credential     *arc.Credential
	Home, Provider ids.Domain
	Tier           ratelimit.Tier
	Epoch          ids.Day
	Limits         Limits // from the provider's log, as W and the relay key
}

// Mailbox is whom it is shown to.
type Mailbox struct {
	ID         ids.MailboxID
	Generation uint32        // of W
	W          group.Element // logged, with its proof of possession
}

// Introduce seals an address for one envelope to the provider's relay key. The
// nonce was reserved durably before (Share) and is never used again; the address
// is stored before it is sent, and sent again as it is. code is nil without one.
// Errors are ErrTerms (also: a nonce above the limit) and keys.ErrKey.
func (s *Sender) Introduce(to keys.SealPublic, keyID uint8, m *Mailbox, e *Envelope, nonce uint32, code *keys.Secret) ([]byte, error) {
	limit, err := s.Limits.Of(s.Tier)
	if err != nil {
		return nil, err
	}
	terms, err := suite().NewTerms(ratelimit.IntroductionContext(s.Provider, s.Epoch, limit), limit)
	if err != nil || e.Day != s.Epoch {
		return nil, ErrTerms
	}
	ps := s.Credential.Pseudonym(m.W)
	sealed, _, err := to.SealWith(info(s.Provider), e.aad(keyID), func(enc []byte) ([]byte, error) {
		in := Introduction{Mailbox: m.ID, Generation: m.Generation, Tier: s.Tier, NR: [elementSize]byte(ps.Value.Bytes())}
		if code != nil {
			in.Code = CodeProof(code, s.Provider, enc, m.ID)
		}
		session := session(labelIntroductionProof, enc, m.W, m.ID, s.Home, s.Provider, uint32(s.Epoch), limit)
		p, err := s.Credential.PresentIn(session, terms, nonce, suite().Fresh(), ps)
		if err != nil {
			return nil, ErrTerms
		}
		in.rest = make([]byte, introductionPlain-fixed)
		copy(in.rest, p.Bytes())
		return wire.Marshal(&in)
	})
	if err != nil {
		return nil, err
	}
	return append([]byte{keyID}, sealed...), nil
}

// AskStanding returns a request for this week's standing stamp at a mailbox, for
// a sealed question whose encapsulated key is enc. Nonces are as for Introduce,
// of the week's share.
func (s *Sender) AskStanding(enc []byte, m *Mailbox, nonce uint32) ([]byte, error) {
	week := ratelimit.WeekOf(s.Epoch)
	terms, err := suite().NewTerms(ratelimit.StandingContext(s.Provider, week, StandingLimit), StandingLimit)
	if err != nil || !s.Tier.Valid() {
		return nil, ErrTerms
	}
	ps := s.Credential.Pseudonym(m.W)
	session := session(labelStandingProof, enc, m.W, m.ID, s.Home, s.Provider, uint32(week), StandingLimit)
	p, err := s.Credential.PresentIn(session, terms, nonce, suite().Fresh(), ps)
	if err != nil {
		return nil, ErrTerms
	}
	st := Standing{Introduction{Mailbox: m.ID, Generation: m.Generation, Tier: s.Tier, NR: [elementSize]byte(ps.Value.Bytes()), rest: p.Bytes()}}
	return wire.Marshal(&st)
}
