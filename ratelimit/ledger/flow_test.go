package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/store"
	"waxwing/core/wire"
	"waxwing/ratelimit"
	"waxwing/ratelimit/arc"
	"waxwing/ratelimit/introduction"
	"waxwing/ratelimit/keylist"
	"waxwing/ratelimit/ledger"
	"waxwing/ratelimit/membership"
	"waxwing/ratelimit/privacypass"
)

var (
	alpha = ids.MustParseDomain("alpha.example")
	beta  = ids.MustParseDomain("beta.example")
	day   = ids.Day(20000)
	g     = group.Ristretto255()
)

// providers are alpha and beta with all their keys, and bob's mailbox at beta.
type providers struct {
	t           *testing.T
	now         time.Time
	ledger      *ledger.Ledger
	home, epoch *arc.SecretKey
	tokens      *privacypass.Key
	ring        *privacypass.Ring
	relay       *keys.SealKey
	verifier    *introduction.Verifier
	w           group.Scalar
	bob         introduction.Mailbox

	ofAlpha, ofBeta *keylist.List // as every client has them
}

func newProviders(t *testing.T) *providers {
	t.Helper()
	p := &providers{t: t, now: day.Start().Add(time.Hour), relay: keys.NewSealKey(), w: g.RandomScalar()}
	s := store.NewMemory(store.MemoryConfig{Now: func() time.Time { return p.now }})
	t.Cleanup(func() { s.Close() })
	p.ledger = ledger.New(s)
	p.home, p.epoch = arc.Ristretto255().NewSecretKey(), arc.Ristretto255().NewSecretKey()
	var err error
	p.tokens, err = privacypass.NewKey(privacypass.Ristretto255)
	p.must(err)
	p.ring = privacypass.NewRing(alpha)
	p.must(p.ring.Add(privacypass.EpochOf(day), p.tokens))
	p.verifier, err = introduction.NewVerifier(p.epoch, beta, day, introduction.DefaultLimits)
	p.must(err)
	w, err := g.DecodeElement(g.MulGenerator(p.w).Bytes())
	p.must(err)
	p.bob = introduction.Mailbox{ID: ids.NewMailboxID(), W: w}

	p.ofAlpha = p.list(keylist.Fields{
		Provider: alpha, Number: 1,
		Tokens:      []keylist.TokenKey{{Epoch: privacypass.EpochOf(day), Key: [32]byte(p.tokens.Public().Bytes())}},
		Memberships: []keylist.MembershipKey{{At: beta, Month: ratelimit.MonthOf(day), Key: [96]byte(p.home.Public().Bytes())}},
	})
	p.ofBeta = p.list(keylist.Fields{
		Provider: beta, Number: 1,
		Credentials: []keylist.CredentialKey{{
			Day: day, Key: [96]byte(p.epoch.Public().Bytes()), New: introduction.DefaultLimits.New, Member: introduction.DefaultLimits.Member,
		}},
	})
	return p
}

func (p *providers) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *providers) list(f keylist.Fields) *keylist.List {
	p.t.Helper()
	root := keys.NewSigningKey()
	b, err := keylist.Sign(f, root)
	p.must(err)
	l, err := keylist.Parse(b, f.Provider, root.Public())
	p.must(err)
	return l
}

// member is an account of alpha with a membership at beta.
func (p *providers) member(k group.Scalar, tier ratelimit.Tier) *arc.Credential {
	p.t.Helper()
	m := membership.Membership{Home: alpha, Provider: beta, Month: ratelimit.MonthOf(day), Tier: tier}
	listed, ok := p.ofAlpha.Membership(beta, m.Month)
	if !ok {
		p.t.Fatal("no key listed")
	}
	pending, err := m.Request(k, listed)
	p.must(err)
	answer, err := m.Issue(p.home, g.MulGenerator(k), pending.Bytes())
	p.must(err)
	c, err := pending.Finish(answer)
	p.must(err)
	return c
}

// refill is what beta does with a refill: verify, look up bans, admit once.
func (p *providers) refill(c *arc.Credential, tier ratelimit.Tier, banned map[[32]byte]bool) (*introduction.Sender, error) {
	p.t.Helper()
	listed, ok := p.ofBeta.Credential(day)
	memberKey, there := p.ofAlpha.Membership(beta, ratelimit.MonthOf(day))
	if !ok || !there {
		p.t.Fatal("no key listed")
	}
	r := membership.Refill{
		Home: alpha, Provider: beta, Month: ratelimit.MonthOf(day), Tier: tier, Epoch: day,
		Membership: memberKey, Key: listed,
	}
	p.must(r.Check(day))
	pending, err := r.Request(c)
	p.must(err)
	shown, err := r.Verify(p.home, pending.Bytes())
	p.must(err)
	if banned[shown.NB] {
		return nil, errBanned
	}
	if err := p.ledger.Refill(context.Background(), day, shown.Place, shown.Hash, p.now); err != nil {
		return nil, err
	}
	answer, err := shown.Issue(p.epoch)
	p.must(err)
	credential, err := pending.Finish(answer)
	p.must(err)
	fresh, members := p.ofBeta.Limits(day)
	return &introduction.Sender{
		Credential: credential, Home: alpha, Provider: beta, Tier: tier, Epoch: day,
		Limits: introduction.Limits{New: fresh, Member: members},
	}, nil
}

var errBanned = errors.New("banned")

// arrive is what beta does with an introduction before lists and limits.
func (p *providers) arrive(s *introduction.Sender, nonce uint32, env introduction.Envelope, id ids.EnvelopeID) (*introduction.Verified, error) {
	address, err := s.Introduce(p.relay.Public(), 1, &p.bob, &env, nonce, nil)
	if err != nil {
		return nil, err
	}
	in, err := introduction.Open(p.relay, beta, &env, address)
	if err != nil {
		return nil, err
	}
	v, err := p.verifier.Verify(introduction.Asked{Home: alpha, W: p.bob.W, In: in})
	if err != nil {
		return nil, err
	}
	tag := ledger.TagSpend{Tag: v.Tag, Claimant: id}
	return v, p.ledger.SpendTags(context.Background(), day, []ledger.TagSpend{tag}, p.now)[0]
}

func envelope(n byte) (introduction.Envelope, ids.EnvelopeID) {
	return introduction.Envelope{Com: [32]byte{n}, Day: day, Class: wire.Class16K, TTL: 60}, ids.EnvelopeID{n}
}

// An account of alpha that beta has never heard of reaches bob, within its limit,
// and is the same to bob whatever it takes anew.
func TestFromAccountToMailbox(t *testing.T) {
	p := newProviders(t)
	k := g.RandomScalar()
	cred := p.member(k, ratelimit.TierNew)
	carol, err := p.refill(cred, ratelimit.TierNew, nil)
	p.must(err)

	// She hands it to alpha on a connection without an account.
	listed, _ := p.ofAlpha.Token(privacypass.EpochOf(day))
	pending, err := listed.RequestSeeded(keys.NewSecret(), 0, privacypass.SubmissionChallenge(alpha, privacypass.EpochOf(day)), 8)
	p.must(err)
	answer, err := p.tokens.Issue(pending.Bytes())
	p.must(err)
	tokens, err := pending.Finish(answer)
	p.must(err)
	spend, err := p.ring.Redeem(&tokens[0], day)
	p.must(err)
	p.must(p.ledger.SpendToken(context.Background(), spend, beta, ids.EnvelopeID{0}, p.now))

	shares, err := introduction.Split(uint32(day), introduction.DefaultLimits.New, 1)
	p.must(err)
	share, pseudonyms := shares[0], map[[32]byte]bool{}
	for {
		nonce, after, err := share.Reserve()
		if errors.Is(err, introduction.ErrSpent) {
			break
		}
		share = after
		env, id := envelope(byte(nonce))
		v, err := p.arrive(carol, nonce, env, id)
		p.must(err)
		pseudonyms[v.NR] = true
		nr, err := g.DecodeElement(v.NR[:])
		p.must(err)
		if !ratelimit.Matches(p.w, g.MulGenerator(k), nr) {
			t.Error("not the account's pseudonym")
		}
	}
	if len(pseudonyms) != 1 {
		t.Errorf("%d pseudonyms", len(pseudonyms))
	}

	// The limit is used up, and a modified client does not get beyond it.
	env, id := envelope(99)
	if _, err := p.arrive(carol, 0, env, id); !errors.Is(err, ledger.ErrSpent) {
		t.Errorf("a nonce again: %v", err)
	}
	again, err := p.refill(cred, ratelimit.TierNew, nil) // the same bytes, from her other device
	p.must(err)
	if !bytes.Equal(again.Credential.Bytes(), carol.Credential.Bytes()) {
		t.Error("a second credential for the epoch")
	}
	again.Tier = ratelimit.TierMember // more of them, she hopes
	if _, err := p.arrive(again, 20, env, id); !errors.Is(err, introduction.ErrProof) {
		t.Errorf("with another tier's limit: %v", err)
	}
}

// Credentials.md 4, 1, with real presentations: one nonce for 16 envelopes at
// once reaches the mailbox once, and its retry again.
func TestAttackRace(t *testing.T) {
	p := newProviders(t)
	alice, err := p.refill(p.member(g.RandomScalar(), ratelimit.TierMember), ratelimit.TierMember, nil)
	p.must(err)
	var wg sync.WaitGroup
	errs := make([]error, 16)
	for i := range errs {
		env, id := envelope(byte(i))
		wg.Go(func() { _, errs[i] = p.arrive(alice, 7, env, id) })
	}
	wg.Wait()
	winner := -1
	for i, err := range errs {
		switch {
		case err == nil && winner < 0:
			winner = i
		case !errors.Is(err, ledger.ErrSpent):
			t.Errorf("envelope %d: %v", i, err)
		}
	}
	if winner < 0 {
		t.Fatal("nobody won")
	}
	env, id := envelope(byte(winner))
	if _, err := p.arrive(alice, 7, env, id); err != nil {
		t.Errorf("the winner again: %v", err)
	}
}

// Credentials.md 4, 33: a ban of N_B stops the next refill, whatever the account
// takes anew, and nobody else's.
func TestAttackBan(t *testing.T) {
	p := newProviders(t)
	k := g.RandomScalar()
	banned := map[[32]byte]bool{[32]byte(ratelimit.PlatformBase(beta).Mul(k).Bytes()): true}
	for _, tier := range []ratelimit.Tier{ratelimit.TierNew, ratelimit.TierMember} {
		if _, err := p.refill(p.member(k, tier), tier, banned); !errors.Is(err, errBanned) {
			t.Errorf("tier %d: %v", tier, err)
		}
	}
	if _, err := p.refill(p.member(g.RandomScalar(), ratelimit.TierMember), ratelimit.TierMember, banned); err != nil {
		t.Errorf("another account: %v", err)
	}
}
