package relay

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/mailbox"
	"waxwing/core/store"
	"waxwing/core/wire"
	"waxwing/ratelimit/gcra"
	"waxwing/ratelimit/limits"
	"waxwing/ratelimit/privacypass"
)

// tokenKeys is an issuer of one epoch's tokens.
type tokenKeys struct {
	*privacypass.Ring
	key      *privacypass.Key
	provider ids.Domain
	epoch    privacypass.Epoch
	batch    uint64
}

func newTokenKeys(t testing.TB, d ids.Domain, e privacypass.Epoch) *tokenKeys {
	t.Helper()
	k, err := privacypass.NewKey(privacypass.Ristretto255)
	must(t, err)
	r := privacypass.NewRing(d)
	must(t, r.Add(e, k))
	return &tokenKeys{r, k, d, e, 0}
}

// tokens gets eight tokens.
func (k *tokenKeys) tokens(t testing.TB) [][]byte {
	t.Helper()
	k.batch++
	pending, err := k.key.Public().RequestSeeded(keys.NewSecret(), k.batch, privacypass.SubmissionChallenge(k.provider, k.epoch), 8)
	must(t, err)
	answer, err := k.key.Issue(pending.Bytes())
	must(t, err)
	list, err := pending.Finish(answer)
	must(t, err)
	out := make([][]byte, len(list))
	for i, x := range list {
		out[i] = x.Bytes()
	}
	return out
}

// withTokens makes the provider one that issues.
func (p *provider) withTokens() *tokenKeys {
	k := newTokenKeys(p.t, beta, privacypass.EpochOf(p.today()))
	p.Relay.submissions = k
	return k
}

// bear submits one envelope with a token, on a connection of its own.
func (p *provider) bear(dest ids.Domain, token, raw []byte) Reason {
	var a Admitted
	if ref := p.AdmitToken(p.now, BearerOf("192.0.2.1/32"), dest, token, raw, &a); ref != nil {
		return ref.Reason
	}
	return p.Settle(context.Background(), []*Admitted{&a})[0].Reason
}

func (p *provider) expect(what string, got, want Reason) {
	p.t.Helper()
	if got != want {
		p.t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// Attacks on submission tokens that need the relay's state, by the number that
// docs/admission.md gives them.
func TestAttack(t *testing.T) {
	for _, tt := range []struct {
		name string
		run  func(p *provider, k *tokenKeys)
	}{
		{"1 one token, many envelopes", func(p *provider, k *tokenKeys) {
			token := k.tokens(p.t)[0]
			p.expect("first", p.bear(alpha, token, p.fresh()), Queued)
			p.expect("second", p.bear(alpha, token, p.fresh()), RefusedToken)
		}},
		{"1 one token, two envelopes of one batch", func(p *provider, k *tokenKeys) {
			token := k.tokens(p.t)[0]
			var a, b Admitted
			from := BearerOf("x")
			if p.AdmitToken(p.now, from, alpha, token, p.fresh(), &a) != nil || p.AdmitToken(p.now, from, alpha, token, p.fresh(), &b) != nil {
				p.t.Fatal("not admitted")
			}
			s := p.Settle(context.Background(), []*Admitted{&a, &b})
			p.expect("first", s[0].Reason, Queued)
			p.expect("second", s[1].Reason, RefusedToken)
		}},
		{"2 one token, one envelope, two destinations", func(p *provider, k *tokenKeys) {
			token, raw := k.tokens(p.t)[0], p.fresh()
			p.expect("there", p.bear(alpha, token, raw), Queued)
			p.expect("here", p.bear(beta, token, raw), RefusedToken)
			p.expect("there again", p.bear(alpha, token, raw), Duplicate)
		}},
		{"3 a crash between spend and append", func(p *provider, k *tokenKeys) {
			token, raw, good := k.tokens(p.t)[0], p.fresh(), p.store
			p.Relay.store = failing{good, store.ErrUnknownOutcome}
			p.expect("crash", p.bear(alpha, token, raw), RefusedStore)
			p.Relay.store = good
			p.expect("another envelope", p.bear(alpha, token, p.fresh()), RefusedToken)
			p.expect("resend", p.bear(alpha, token, raw), Queued)
			p.expect("resend after the ack", p.bear(alpha, token, raw), Duplicate)
		}},
		{"4 another relay's token", func(p *provider, _ *tokenKeys) {
			other := newTokenKeys(p.t, alpha, privacypass.EpochOf(p.today()))
			p.expect("token", p.bear(alpha, other.tokens(p.t)[0], p.fresh()), RefusedToken)
		}},
		{"6 after the epoch", func(p *provider, k *tokenKeys) {
			tokens := k.tokens(p.t)
			p.now = (k.epoch.Last() + privacypass.OverlapDays).End().Add(-time.Second)
			p.rotate()
			p.expect("last day", p.bear(alpha, tokens[0], p.fresh()), Queued)
			p.now = p.now.Add(time.Minute)
			p.rotate()
			p.expect("a day later", p.bear(alpha, tokens[1], p.fresh()), RefusedToken)
			p.expect("replay", p.bear(alpha, tokens[0], p.fresh()), RefusedToken)
		}},
		{"7 every field changed", func(p *provider, k *tokenKeys) {
			token := k.tokens(p.t)[0]
			for _, i := range []int{0, 1, 2, 33, 34, 65, 66, 97, 98, 161} {
				bad := append([]byte(nil), token...)
				bad[i] ^= 1
				p.expect("changed", p.bear(alpha, bad, p.fresh()), RefusedToken)
			}
			p.expect("the token itself", p.bear(alpha, token, p.fresh()), Queued)
		}},
		{"7 what is refused costs no token", func(p *provider, k *tokenKeys) {
			token, gone := k.tokens(p.t)[0], p.fresh()
			p.expect("cut", p.bear(alpha, token, gone[:len(gone)-1]), RefusedMalformed)
			p.expect("no peer", p.bear(gamma, token, p.fresh()), RefusedDestination)
			day := p.now
			p.now = day.Add(-48 * time.Hour) // the token is of an epoch to come, too
			p.expect("of a day to come", p.bear(alpha, token, gone), RefusedStale)
			p.now = day
			p.expect("then", p.bear(alpha, token, p.fresh()), Queued)
		}},
		{"7 a provider that issues none", func(p *provider, k *tokenKeys) {
			p.Relay.submissions = nil
			p.expect("token", p.bear(alpha, k.tokens(p.t)[0], p.fresh()), RefusedToken)
		}},
		{"38 a flood of bad tokens", func(p *provider, k *tokenKeys) {
			from, good, bad, raw := BearerOf("x"), k.tokens(p.t)[0], make([]byte, wire.SubmissionTokenSize), p.fresh()
			for range maxBadTokens {
				p.expect("bad", p.AdmitToken(p.now, from, alpha, bad, raw, new(Admitted)).Reason, RefusedToken)
			}
			ref := p.AdmitToken(p.now, from, alpha, good, raw, new(Admitted))
			if ref == nil || ref.Reason != RefusedAddress || ref.RetryAfter == 0 {
				p.t.Errorf("after the flood: %v", ref)
			}
		}},
		{"38 a flood of spent tokens", func(p *provider, k *tokenKeys) {
			from, tokens := BearerOf("x"), k.tokens(p.t)
			p.expect("first", p.bear(alpha, tokens[0], p.fresh()), Queued)
			for i := range maxBadTokens {
				var a Admitted
				if ref := p.AdmitToken(p.now, from, alpha, tokens[0], p.fresh(), &a); ref != nil {
					p.t.Fatalf("%d: not looked at: %v", i, ref.Reason)
				}
				p.expect("spent", p.Settle(context.Background(), []*Admitted{&a})[0].Reason, RefusedToken)
			}
			ref := p.AdmitToken(p.now, from, alpha, tokens[1], p.fresh(), new(Admitted))
			if ref == nil || ref.Reason != RefusedAddress || ref.RetryAfter == 0 {
				p.t.Errorf("after the flood: %v", ref)
			}
			p.expect("on another connection", p.bear(alpha, tokens[1], p.fresh()), Queued)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newProvider(t, nil)
			tt.run(p, p.withTokens())
		})
	}
}

// Sixteen at once with one token: one envelope is stored.
func TestAttackTokenRace(t *testing.T) {
	p := newProvider(t, nil)
	token := p.withTokens().tokens(t)[0]
	const racers = 16
	var admitted [racers]Admitted
	for i := range admitted {
		if ref := p.AdmitToken(p.now, BearerOf("x"), alpha, token, p.fresh(), &admitted[i]); ref != nil {
			t.Fatal(ref.Reason)
		}
	}
	var got [racers]Reason
	var wg sync.WaitGroup
	for i := range admitted {
		wg.Go(func() { got[i] = p.Settle(context.Background(), []*Admitted{&admitted[i]})[0].Reason })
	}
	wg.Wait()
	count := map[Reason]int{}
	for _, r := range got {
		count[r]++
	}
	if count[Queued] != 1 || count[RefusedToken] != racers-1 {
		t.Errorf("%v", count)
	}
	if msgs, err := p.store.Fetch(context.Background(), mailbox.Outbox(alpha), 0, 0, 0); err != nil || len(msgs) != 1 {
		t.Errorf("%d in the outbox, %v", len(msgs), err)
	}
}

// The limit of an address prefix comes before a token is looked at.
func TestAddressLimitComesFirst(t *testing.T) {
	p := newProvider(t, limits.Settings{{Name: limits.PrefixSubmissions}: gcra.PerSecond(1, 1)})
	k := &countingKeys{tokenKeys: p.withTokens()}
	p.Relay.submissions = k
	token := k.tokens(t)[0]
	p.expect("first", p.bear(alpha, token, p.fresh()), Queued)
	p.expect("second", p.bear(alpha, token, p.fresh()), RefusedAddress)
	if k.redeemed != 1 {
		t.Errorf("%d tokens were verified", k.redeemed)
	}
}

type countingKeys struct {
	*tokenKeys
	redeemed int
}

func (k *countingKeys) Redeem(t *privacypass.Token, d ids.Day) (privacypass.Spend, error) {
	k.redeemed++
	return k.tokenKeys.Redeem(t, d)
}

// A connection that submits with tokens never becomes an account's, and one that
// is an account's never submits with tokens.
func TestBearerIsNobody(t *testing.T) {
	s := NewSession([32]byte{}, [wire.NonceSize]byte{}, func() {})
	if s.Bearer("x") == nil || s.attempt() {
		t.Error("the connection may become somebody's")
	}
	if first, again := s.Bearer("x"), s.Bearer("x"); first != again {
		t.Error("streams of one connection are counted apart")
	}
	s = NewSession([32]byte{}, [wire.NonceSize]byte{}, func() {})
	s.taken.Store(true)
	if s.Bearer("x") != nil {
		t.Error("somebody's connection submits with tokens")
	}
}

// An account gets its day's tokens and no more, and the same request twice costs
// it nothing.
func TestIssueSubmission(t *testing.T) {
	p := newProvider(t, nil)
	k := p.withTokens()
	a := p.applicant("carol@beta.example", group.Ristretto255().RandomScalar())
	if _, ok := a.register(a.manifest.Bytes()).(*wire.Session); !ok {
		t.Fatal("not registered")
	}
	seed := keys.NewSecret()
	ask := func(n int, batch uint64) (*wire.SubmissionIssued, error) {
		pending, err := k.key.Public().RequestSeeded(seed, batch, privacypass.SubmissionChallenge(beta, k.epoch), n)
		must(t, err)
		switch m := a.ask(&wire.IssueSubmission{Tokens: pending.Bytes()}).(type) {
		case *wire.SubmissionIssued:
			_, err := pending.Finish(m.Tokens)
			return m, err
		case *wire.Refusal:
			if m.Code != wire.CodeLimit || m.RetryAfter == 0 {
				t.Errorf("refused with %v, retry after %d", m.Code, m.RetryAfter)
			}
		}
		return nil, errRefused
	}
	for i := range uint64(dailyTokens / privacypass.MaxBatch) {
		m, err := ask(privacypass.MaxBatch, i)
		must(t, err)
		if want := dailyTokens - uint32(i+1)*privacypass.MaxBatch; m.Remaining != want {
			t.Fatalf("%d left, want %d", m.Remaining, want)
		}
	}
	if _, err := ask(8, 1000); !errors.Is(err, errRefused) {
		t.Error("more than a day's tokens")
	}
	if _, err := ask(privacypass.MaxBatch, 0); err != nil {
		t.Errorf("the same request again: %v", err)
	}
	p.Relay.submissions = newTokenKeys(t, beta, k.epoch)
	pending, err := k.key.Public().RequestSeeded(seed, 0, privacypass.SubmissionChallenge(beta, k.epoch), 8)
	must(t, err)
	m := a.ask(&wire.IssueSubmission{Tokens: pending.Bytes()})
	if r, ok := m.(*wire.Refusal); !ok || r.Code != wire.CodeStale && r.Code != wire.CodeMalformed {
		t.Errorf("a request for another key: %v", m)
	}
	a.session.suspended.Store(true)
	if r, ok := a.ask(&wire.IssueSubmission{Tokens: pending.Bytes()}).(*wire.Refusal); !ok || r.Code != wire.CodeSuspended {
		t.Error("tokens for a suspended account")
	}
}

// The operator's number of a day is in force at once, in both directions, and what
// a day has had counts under each.
func TestIssueUnderAnotherNumber(t *testing.T) {
	p := newProvider(t, limits.Settings{{Name: limits.TokensDaily}: {Burst: 40}, {Name: limits.TokensDaily, DryRun: true}: {Burst: 32}})
	k := p.withTokens()
	a := p.applicant("carol@beta.example", group.Ristretto255().RandomScalar())
	if _, ok := a.register(a.manifest.Bytes()).(*wire.Session); !ok {
		t.Fatal("not registered")
	}
	seed := keys.NewSecret()
	for i, tt := range []struct {
		daily int64 // set before, if not 0
		n     int
		left  int // -1: refused
	}{{0, 32, 8}, {0, 32, -1}, {0, 8, 0}, {0, 8, -1}, {60, 8, 12}, {16, 8, -1}, {1 << 20, 128, privacypass.MaxDaily - 176}} {
		if tt.daily != 0 {
			must(t, p.limits.Set(limits.Target{Name: limits.TokensDaily}, &limits.Change{Limit: gcra.Limit{Burst: tt.daily}}))
		}
		pending, err := k.key.Public().RequestSeeded(seed, uint64(i), privacypass.SubmissionChallenge(beta, k.epoch), tt.n)
		must(t, err)
		left := -1
		switch m := a.ask(&wire.IssueSubmission{Tokens: pending.Bytes()}).(type) {
		case *wire.SubmissionIssued:
			left = int(m.Remaining)
		case *wire.Refusal:
			if m.Code != wire.CodeLimit || m.RetryAfter == 0 {
				t.Errorf("%d: refused with %v, retry after %d", i, m.Code, m.RetryAfter)
			}
		}
		if left != tt.left {
			t.Errorf("%d: %d left, want %d", i, left, tt.left)
		}
	}
	if over, dried := p.limits.Refused(limits.TokensDaily, limits.OverRate), p.limits.Dried(limits.TokensDaily); over != 3 || dried != 3 {
		t.Errorf("%d refused, %d over the dry run", over, dried)
	}
}

const dailyTokens = 4096 // the default

var errRefused = errors.New("refused")
