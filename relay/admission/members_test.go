package admission

import (
	"bytes"
	"errors"
	"sync"
	"testing"
	"time"

	"waxwing/core/directory"
	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/wire"
	"waxwing/ratelimit"
	"waxwing/ratelimit/membership"
)

func secret() group.Scalar { return group.Ristretto255().RandomScalar() }

// An account gets a membership once for each provider and month, the same request
// has the same answer, and the next month comes in time.
func TestIssue(t *testing.T) {
	p := newProvider(t, alpha, beta)
	a := p.account(alice, secret(), start)
	_, first, err := a.ask(beta, month, ratelimit.TierNew, start)
	must(t, err)
	p.open()
	p.renew(start)
	_, again, err := a.ask(beta, month, ratelimit.TierNew, days(2))
	must(t, err)
	if !bytes.Equal(first.Membership[:], again.Membership[:]) {
		t.Error("the same request has another answer")
	}
	_, _, err = a.ask(alpha, month, ratelimit.TierNew, start)
	must(t, err)

	if _, _, err = a.ask(beta, month, ratelimit.TierMember, start); !errors.Is(err, ErrTier) {
		t.Errorf("a tier that it has not: %v", err)
	}
	for name, c := range map[string]struct {
		at   ids.Domain
		m    ratelimit.Month
		want error
	}{
		"an unknown provider": {gamma, month, ErrUnknown},
		"the last month":      {beta, month - 1, ErrPeriod},
		"the next month":      {beta, month + 1, ErrPeriod},
	} {
		if _, _, err := a.ask(c.at, c.m, ratelimit.TierNew, start); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	p.renew(days(18))
	if _, _, err = a.ask(beta, month+1, ratelimit.TierNew, days(18)); err != nil {
		t.Errorf("the next month, some days ahead: %v", err)
	}
}

// The tier rises with time, and a month's membership stays what it was first.
func TestTier(t *testing.T) {
	p := newProvider(t, alpha, beta)
	a := p.account(alice, secret(), days(-25))
	_, _, err := a.ask(beta, month, ratelimit.TierNew, start)
	must(t, err)
	now := days(5)
	p.renew(now)
	_, _, err = a.ask(beta, month, ratelimit.TierMember, now)
	var limited *LimitedError
	if !errors.As(err, &limited) {
		t.Fatalf("a second membership: %v", err)
	}
	if _, _, err = a.ask(beta, month, ratelimit.TierNew, now); err != nil {
		t.Errorf("the first one again: %v", err)
	}
	if _, _, err = a.ask(alpha, month, ratelimit.TierMember, now); err != nil {
		t.Errorf("elsewhere: %v", err)
	}
	// Over the limit the error says when the next one is there.
	now = now.Add(limited.RetryAfter)
	p.renew(now)
	if _, _, err = a.ask(beta, month+1, ratelimit.TierMember, now); err != nil {
		t.Errorf("when it was said: %v", err)
	}
}

// Credentials.md 4, 17 to 19 at the issuer: what is vouched for is the secret of
// the account's row, and nobody else's.
func TestAttackSecret(t *testing.T) {
	p := newProvider(t, alpha, beta)
	k := secret()
	a := p.account(alice, k, start)
	thief := *a
	thief.k = secret()
	if _, _, err := thief.ask(beta, month, ratelimit.TierNew, start); !errors.Is(err, membership.ErrProof) {
		t.Errorf("another secret: %v", err)
	}
	other := p.account(dave, secret(), start)
	other.k = k
	if _, _, err := other.ask(beta, month, ratelimit.TierNew, start); !errors.Is(err, membership.ErrProof) {
		t.Errorf("another account's secret: %v", err)
	}
	// What was refused has taken nothing.
	if _, _, err := a.ask(beta, month, ratelimit.TierNew, start); err != nil {
		t.Error(err)
	}
	m := &wire.IssueMembership{Provider: beta, Month: uint32(month), Tier: uint8(ratelimit.TierNew)}
	if _, err := p.Issue(t.Context(), start, alice, m); !errors.Is(err, membership.ErrMalformed) {
		t.Errorf("zeros: %v", err)
	}
	m.Tier = 0
	if _, err := p.Issue(t.Context(), start, alice, m); !errors.Is(err, membership.ErrTerms) {
		t.Errorf("no tier: %v", err)
	}
	if _, err := p.Issue(t.Context(), start, ids.MustParseAddress("carol@alpha.example"), m); !errors.Is(err, directory.ErrUnknown) {
		t.Errorf("no account: %v", err)
	}
}

// Who is suspended or limited gets nothing that lasts a month.
func TestStanding(t *testing.T) {
	p := newProvider(t, alpha, beta)
	a := p.account(alice, secret(), start)
	change := func(f func(*directory.Standing)) {
		_, err := p.dir.ChangeStanding(t.Context(), alice, f)
		must(t, err)
	}
	until := uint64(start.Add(time.Hour).UnixMilli())
	change(func(s *directory.Standing) { s.SuspendedUntil = until })
	if _, _, err := a.ask(beta, month, ratelimit.TierNew, start); !errors.Is(err, ErrSuspended) {
		t.Errorf("suspended: %v", err)
	}
	change(func(s *directory.Standing) { s.SuspendedUntil, s.LimitedUntil = 0, until })
	_, _, err := a.ask(beta, month, ratelimit.TierNew, start)
	var limited *LimitedError
	if !errors.As(err, &limited) || limited.RetryAfter > time.Hour || limited.RetryAfter < 59*time.Minute {
		t.Fatalf("limited: %v", err)
	}
	if _, _, err := a.ask(beta, month, ratelimit.TierNew, start.Add(limited.RetryAfter)); err != nil {
		t.Errorf("when it was said: %v", err)
	}
}

// After a lost secret was replaced the account has the tier of new ones, and may
// take a membership for the other secret.
func TestReplacedSecret(t *testing.T) {
	p := newProvider(t, alpha, beta)
	a := p.account(alice, secret(), days(-100))
	_, _, err := a.ask(beta, month, ratelimit.TierMember, start)
	must(t, err)
	old := *a
	must(t, a.replace(secret(), start))
	if _, _, err := a.ask(beta, month, ratelimit.TierMember, start); !errors.Is(err, ErrTier) {
		t.Errorf("the tier of before: %v", err)
	}
	if _, _, err := a.ask(beta, month, ratelimit.TierNew, start); err != nil {
		t.Error(err)
	}
	if _, _, err := old.ask(alpha, month, ratelimit.TierNew, start); !errors.Is(err, membership.ErrProof) {
		t.Errorf("the secret of before: %v", err)
	}
	p.renew(days(30))
	if _, _, err := a.ask(beta, month+1, ratelimit.TierMember, days(30)); err != nil {
		t.Errorf("after thirty days: %v", err)
	}
}

// Of two requests of one account for one month, sent at once by many devices, one
// is answered, always the same.
func TestAttackRace(t *testing.T) {
	p := newProvider(t, alpha, beta)
	a := p.account(alice, secret(), days(-100))
	var mu sync.Mutex // guards answers and refused
	answers, refused := map[[wire.MembershipAnswerSize]byte]int{}, 0
	var devices sync.WaitGroup
	for n := range 16 {
		devices.Go(func() {
			_, issued, err := a.ask(beta, month, []ratelimit.Tier{ratelimit.TierNew, ratelimit.TierMember}[n%2], start)
			mu.Lock()
			defer mu.Unlock()
			var limited *LimitedError
			switch {
			case err == nil:
				answers[issued.Membership]++
			case errors.As(err, &limited):
				refused++
			default:
				t.Error(err)
			}
		})
	}
	devices.Wait()
	if len(answers) != 1 || refused != 8 {
		t.Errorf("%d answers, %d refused", len(answers), refused)
	}
}
