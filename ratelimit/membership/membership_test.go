package membership

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/wire"
	"waxwing/ratelimit"
	"waxwing/ratelimit/arc"
)

var (
	alpha = ids.MustParseDomain("alpha.example")
	beta  = ids.MustParseDomain("beta.example")
	gamma = ids.MustParseDomain("gamma.example")
	today = ids.Day(20000)
	g     = group.Ristretto255()
	list  = [ratelimit.ListIDSize]byte{7}
)

type fataler interface {
	Helper()
	Fatalf(string, ...any)
}

// world is alice's account at alpha, with the keys for beta.
type world struct {
	k           group.Scalar
	account     group.Element
	home, epoch *arc.SecretKey // of alpha for beta, of beta for today
	m           Membership
	r           Refill
}

func newWorld() *world {
	w := &world{k: g.RandomScalar(), home: suite().NewSecretKey(), epoch: suite().NewSecretKey()}
	w.account = g.MulGenerator(w.k)
	month := ratelimit.MonthOf(today)
	w.m = Membership{alpha, beta, month, ratelimit.TierMember}
	w.r = Refill{alpha, beta, month, ratelimit.TierMember, today, w.home.Public(), w.epoch.Public(), [][16]byte{list}}
	return w
}

func (w *world) member(t fataler) *arc.Credential {
	t.Helper()
	p, err := w.m.Request(w.k, w.home.Public())
	if err != nil {
		t.Fatalf("%v", err)
	}
	answer, err := w.m.Issue(w.home, w.account, p.Bytes())
	if err != nil {
		t.Fatalf("%v", err)
	}
	c, err := p.Finish(answer)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return c
}

func (w *world) refill(t fataler, c *arc.Credential) *Pending {
	t.Helper()
	p, err := w.r.Request(c)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return p
}

func TestLife(t *testing.T) {
	w := newWorld()
	p := w.refill(t, w.member(t))
	if err := w.r.Check(today); err != nil {
		t.Fatal(err)
	}
	s, err := w.r.Verify(w.home, p.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if want := ratelimit.PlatformBase(beta).Mul(w.k).Bytes(); !bytes.Equal(s.NB[:], want) {
		t.Error("N_B is not k*P_B")
	}
	if want := ratelimit.ListBase(list).Mul(w.k).Bytes(); len(s.NL) != 1 || !bytes.Equal(s.NL[0][:], want) {
		t.Error("N_L is not k*P_L")
	}
	answer, err := s.Issue(w.epoch)
	if err != nil || len(answer) != AnswerSize() {
		t.Fatalf("%d bytes, %v", len(answer), err)
	}
	c, err := p.Finish(answer)
	if err != nil || !c.Secret().Equal(w.k) {
		t.Fatal(err)
	}
	// It is one of the epoch, home and tier, and shows like one of ARC's.
	terms, _ := suite().NewTerms([]byte("c"), 4)
	pres, err := c.Present(terms, 0, suite().Fresh())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.epoch.Verify(ratelimit.EpochContext(alpha, beta, today, ratelimit.TierMember), terms, pres); err != nil {
		t.Error(err)
	}
	for name, context := range map[string][]byte{
		"home":  ratelimit.EpochContext(gamma, beta, today, ratelimit.TierMember),
		"epoch": ratelimit.EpochContext(alpha, beta, today+1, ratelimit.TierMember),
		"tier":  ratelimit.EpochContext(alpha, beta, today, ratelimit.TierNew),
		"kind":  ratelimit.MembershipContext(alpha, beta, ratelimit.Month(today), ratelimit.TierMember),
	} {
		if err := w.epoch.Verify(context, terms, pres); err != arc.ErrProof {
			t.Errorf("of another %s: %v", name, err)
		}
	}
}

// Every device of the account, and the same one after a crash, asks with the
// same bytes and gets the same bytes.
func TestIdempotent(t *testing.T) {
	w := newWorld()
	rapid.Check(t, func(t *rapid.T) {
		w.r.Epoch = today + ids.Day(rapid.Uint32Range(0, 3).Draw(t, "epoch"))
		one, two := w.member(t), w.member(t)
		if !bytes.Equal(one.Bytes(), two.Bytes()) {
			t.Fatal("two memberships from one secret")
		}
		p, q := w.refill(t, one), w.refill(t, two)
		if !bytes.Equal(p.Bytes(), q.Bytes()) {
			t.Fatal("two refills from one credential")
		}
		s, err := w.r.Verify(w.home, p.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		a, _ := s.Issue(w.epoch)
		b, _ := s.Issue(w.epoch)
		x, err := p.Finish(a)
		if err != nil {
			t.Fatal(err)
		}
		y, err := q.Finish(b)
		if err != nil || !bytes.Equal(a, b) || !bytes.Equal(x.Bytes(), y.Bytes()) {
			t.Fatal("two credentials for one refill")
		}
	})
}

// By the numbers of docs/admission.md.
func TestAttack(t *testing.T) {
	w := newWorld()
	cred := w.member(t)
	good := w.refill(t, cred)
	s, err := w.r.Verify(w.home, good.Bytes())
	if err != nil {
		t.Fatal(err)
	}

	t.Run("6 and 24 periods", func(t *testing.T) {
		for name, tt := range map[string]struct {
			epoch, today ids.Day
			month        ratelimit.Month
			want         error
		}{
			"today":              {today, today, ratelimit.MonthOf(today), nil},
			"tomorrow":           {today + 1, today, ratelimit.MonthOf(today + 1), nil},
			"yesterday":          {today - 1, today, ratelimit.MonthOf(today), ErrPeriod},
			"hoarded":            {today + 2, today, ratelimit.MonthOf(today), ErrPeriod},
			"last day of month":  {629, 629, 20, nil},
			"first of the next":  {630, 630, 20, nil},
			"last of grace":      {632, 632, 20, nil},
			"after grace":        {633, 633, 20, ErrPeriod},
			"two months ago":     {660, 660, 20, ErrPeriod},
			"month to come":      {629, 629, 21, ErrPeriod},
			"month to come, eve": {630, 629, 21, nil},
		} {
			r := w.r
			r.Epoch, r.Month = tt.epoch, tt.month
			if err := r.Check(tt.today); err != tt.want {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
	t.Run("9 and 27 another statement", func(t *testing.T) {
		other := suite().NewSecretKey().Public()
		for name, change := range map[string]func(*Refill){
			"home":           func(r *Refill) { r.Home = gamma },
			"provider":       func(r *Refill) { r.Provider = gamma },
			"month":          func(r *Refill) { r.Month++ },
			"tier":           func(r *Refill) { r.Tier = ratelimit.TierNew },
			"epoch":          func(r *Refill) { r.Epoch++ },
			"key":            func(r *Refill) { r.Key = other },
			"list":           func(r *Refill) { r.Lists = [][16]byte{{8}} },
			"membership key": func(r *Refill) { r.Membership = other },
		} {
			r := w.r
			change(&r)
			if _, err := r.Verify(w.home, good.Bytes()); err != ErrProof {
				t.Errorf("refill for another %s: %v", name, err)
			}
			// Model-findings 5: randomness that does not depend on the statement
			// would be shared by two proofs, and give k away.
			q, err := r.Request(cred)
			if name == "membership key" {
				if err != ErrSecret {
					t.Errorf("a credential of another key: %v", err)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			var a, b refillFields
			wire.Unmarshal(good.Bytes(), &a)
			wire.Unmarshal(q.Bytes(), &b)
			if a.U == b.U || a.M1Commit == b.M1Commit || a.M1E == b.M1E || bytes.Equal(a.Proof[:32], b.Proof[:32]) {
				t.Errorf("another %s, the same randomness", name)
			}
		}
		for _, lists := range [][][16]byte{nil, {list, {8}}} {
			r := w.r
			r.Lists = lists
			if _, err := r.Verify(w.home, good.Bytes()); err != ErrMalformed {
				t.Errorf("refill with one pseudonym for %d lists: %v", len(lists), err)
			}
		}
		for name, change := range map[string]func(*Membership){
			"home":     func(m *Membership) { m.Home = gamma },
			"provider": func(m *Membership) { m.Provider = gamma },
			"month":    func(m *Membership) { m.Month++ },
			"tier":     func(m *Membership) { m.Tier = ratelimit.TierNew },
		} {
			m := w.m
			change(&m)
			p, _ := w.m.Request(w.k, w.home.Public())
			if _, err := m.Issue(w.home, w.account, p.Bytes()); err != ErrProof {
				t.Errorf("membership for another %s: %v", name, err)
			}
			// What home says to one client alone is noticed by it.
			q, _ := m.Request(w.k, w.home.Public())
			answer, err := m.Issue(w.home, w.account, q.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := p.Finish(answer); err != ErrProof {
				t.Errorf("answer for another %s: %v", name, err)
			}
		}
	})
	t.Run("11 zero and identity", func(t *testing.T) {
		for _, k := range []group.Scalar{{}, g.ScalarFromUint64(0), group.P256().RandomScalar()} {
			if _, err := w.m.Request(k, w.home.Public()); err != ErrSecret {
				t.Errorf("secret: %v", err)
			}
		}
		p, _ := w.m.Request(w.k, w.home.Public())
		if _, err := w.m.Issue(w.home, g.Identity(), p.Bytes()); err != ErrProof {
			t.Errorf("account without a key: %v", err)
		}
	})
	t.Run("15 and 17 related keys", func(t *testing.T) {
		p, _ := w.m.Request(w.k, w.home.Public())
		// X_S + G belongs to nobody who does not know k: the request of k is not
		// one of it, and neither is any that its maker could derive.
		for name, account := range map[string]group.Element{
			"shifted": w.account.Add(g.Generator()), "another": g.MulGenerator(g.RandomScalar()), "negated": w.account.Negate(),
		} {
			if _, err := w.m.Issue(w.home, account, p.Bytes()); err != ErrProof {
				t.Errorf("%s account: %v", name, err)
			}
		}
	})
	t.Run("16 base", func(t *testing.T) {
		// P_B is hashed from the name by everybody: there is no field for one.
		r := w.r
		r.Provider = gamma
		if ratelimit.PlatformBase(gamma).Equal(ratelimit.PlatformBase(beta)) {
			t.Error("two providers, one base")
		}
		if _, err := r.Verify(w.home, good.Bytes()); err != ErrProof {
			t.Errorf("N_B of another base: %v", err)
		}
	})
	t.Run("18 another secret", func(t *testing.T) {
		var f refillFields
		if err := wire.Unmarshal(good.Bytes(), &f); err != nil {
			t.Fatal(err)
		}
		other := g.RandomScalar()
		for name, change := range map[string]func(f *refillFields){
			"N_B": func(f *refillFields) { f.NB = enc(ratelimit.PlatformBase(beta).Mul(other)) },
			"N_L": func(f *refillFields) { f.Lists = [][32]byte{enc(ratelimit.ListBase(list).Mul(other))} },
			"m1E": func(f *refillFields) { f.M1E = enc(g.MulGenerator(other)) },
			"m1":  func(f *refillFields) { f.M1Commit = enc(g.MulGenerator(other)) },
		} {
			bad := f
			change(&bad)
			if _, err := w.r.Verify(w.home, wire.MustMarshal(&bad)); err != ErrProof {
				t.Errorf("%s of another secret: %v", name, err)
			}
		}
	})
	t.Run("19 accounts that share a secret", func(t *testing.T) {
		p := w.refill(t, w.member(t))
		again, err := w.r.Verify(w.home, p.Bytes())
		if err != nil || again.NB != s.NB {
			t.Error("one secret, two pseudonyms: limits and bans would not be shared")
		}
	})
	t.Run("20 twice in an epoch", func(t *testing.T) {
		stored, err := Once(nil, s)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := Once(stored, s); err != nil || !bytes.Equal(again, stored) {
			t.Errorf("the same request: %v", err)
		}
		// A modified client randomises anew: same N_B, other bytes.
		fresh := *w
		fresh.r.Lists = nil
		p, _ := fresh.r.Request(cred)
		second, err := fresh.r.Verify(w.home, p.Bytes())
		if err != nil || second.NB != s.NB || second.Place != s.Place {
			t.Fatal(err)
		}
		if _, err := Once(stored, second); err != ErrSecond {
			t.Errorf("a second request: %v", err)
		}
		// Under another key of the epoch, what the first gave is worth nothing.
		anew := *w
		anew.r.Key = arc.Ristretto255().NewSecretKey().Public()
		p, _ = anew.r.Request(cred)
		if third, err := anew.r.Verify(w.home, p.Bytes()); err != nil || third.NB != s.NB || third.Place == s.Place {
			t.Errorf("under another key: %v", err)
		}
	})
	t.Run("26 a home that substitutes", func(t *testing.T) {
		p, _ := w.m.Request(w.k, w.home.Public())
		var f requestFields
		wire.Unmarshal(p.Bytes(), &f)
		f.M1E = enc(g.MulGenerator(g.RandomScalar()))
		bad := wire.MustMarshal(&f)
		if _, err := w.m.Issue(w.home, w.account, bad); err != ErrProof {
			t.Errorf("substituted commitment: %v", err)
		}
		// Home as the hop replays somebody's refill: it is answered with the same
		// bytes, which only the secret's owner opens.
		again, _ := s.Issue(w.epoch)
		thief := w.refill(t, newWorldWith(w).member(t))
		if _, err := thief.Finish(again); err != ErrProof {
			t.Errorf("another's answer: %v", err)
		}
	})
	t.Run("27 a key for one client", func(t *testing.T) {
		tagging := suite().NewSecretKey()
		p, _ := w.m.Request(w.k, w.home.Public())
		if _, err := w.m.Issue(tagging, w.account, p.Bytes()); err != ErrProof {
			t.Errorf("home under an unlogged key: %v", err)
		}
		m1E, _ := decode([32]byte(p.Bytes()[1:33]))
		answer, err := issue(tagging, m1E, w.m.attribute(), p.answer, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Finish(answer); err != ErrProof {
			t.Errorf("its answer: %v", err)
		}
		if _, err := s.Issue(tagging); err != ErrProof {
			t.Errorf("provider under an unlogged key: %v", err)
		}
	})
	t.Run("30 a membership of another home", func(t *testing.T) {
		other := newWorld()
		p := other.refill(t, other.member(t))
		if _, err := w.r.Verify(w.home, p.Bytes()); err != ErrProof {
			t.Errorf("a foreign credential: %v", err)
		}
	})
	t.Run("terms", func(t *testing.T) {
		m, r := w.m, w.r
		m.Tier, r.Lists = 3, make([][16]byte, MaxLists+1)
		if _, err := m.Request(w.k, w.home.Public()); err != ErrTerms {
			t.Error(err)
		}
		if _, err := m.Issue(w.home, w.account, nil); err != ErrTerms {
			t.Error(err)
		}
		if _, err := r.Request(cred); err != ErrTerms {
			t.Error(err)
		}
		if _, err := r.Verify(w.home, nil); err != ErrTerms {
			t.Error(err)
		}
		if err := r.Check(today); err != ErrTerms {
			t.Error(err)
		}
	})
}

// newWorldWith is another account under the same keys.
func newWorldWith(w *world) *world {
	other := *w
	other.k = g.RandomScalar()
	other.account = g.MulGenerator(other.k)
	return &other
}

// Two answers from one b and two attributes would give away x2*U, and with it
// every month and tier: b depends on all of them.
func TestAttackAttribute(t *testing.T) {
	w := newWorld()
	m1E := suite().Commit(w.k, g.RandomScalar())
	us := map[string]bool{}
	for _, tier := range []ratelimit.Tier{ratelimit.TierNew, ratelimit.TierMember} {
		for month := range ratelimit.Month(3) {
			m := Membership{alpha, beta, month, tier}
			session := m.answerSession(w.home.Public(), w.account, nil)
			answer, err := issue(w.home, m1E, m.attribute(), session, m.sessionParts(w.home.Public()), nil)
			if err != nil {
				t.Fatal(err)
			}
			if us[string(answer[:32])] {
				t.Fatal("one U for two attributes")
			}
			us[string(answer[:32])] = true
		}
	}
}

// Credentials.md 4, 11 and 28: every byte, changed, is refused.
func TestAttackEveryByte(t *testing.T) {
	w := newWorld()
	member, err := w.m.Request(w.k, w.home.Public())
	if err != nil {
		t.Fatal(err)
	}
	answer, err := w.m.Issue(w.home, w.account, member.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	refill := w.refill(t, w.member(t))
	for name, tt := range map[string]struct {
		good   []byte
		size   int
		accept func([]byte) error
	}{
		"request": {member.Bytes(), RequestSize, func(b []byte) error { _, err := w.m.Issue(w.home, w.account, b); return err }},
		"answer":  {answer, AnswerSize(), func(b []byte) error { _, err := member.Finish(b); return err }},
		"refill":  {refill.Bytes(), MaxRefill - (MaxLists-1)*2*elementSize, func(b []byte) error { _, err := w.r.Verify(w.home, b); return err }},
	} {
		if err := tt.accept(tt.good); err != nil || len(tt.good) != tt.size {
			t.Fatalf("%s of %d bytes: %v", name, len(tt.good), err)
		}
		for i := range tt.good {
			bad := bytes.Clone(tt.good)
			bad[i] ^= 1 << (i % 8)
			if err := tt.accept(bad); !errors.Is(err, ErrProof) && !errors.Is(err, ErrMalformed) {
				t.Fatalf("%s byte %d: %v", name, i, err)
			}
		}
		for _, bad := range [][]byte{nil, tt.good[:len(tt.good)-1], append(bytes.Clone(tt.good), 0)} {
			if err := tt.accept(bad); err != ErrMalformed {
				t.Errorf("%s of %d bytes: %v", name, len(bad), err)
			}
		}
	}
}

func TestRedacted(t *testing.T) {
	w := newWorld()
	p, _ := w.m.Request(w.k, w.home.Public())
	if text := fmt.Sprintf("%v %+v %#v", p, p, p); !bytes.Contains([]byte(text), []byte("redacted")) {
		t.Error(text)
	}
}

func FuzzParse(f *testing.F) {
	w := newWorld()
	p, _ := w.m.Request(w.k, w.home.Public())
	f.Add(p.Bytes())
	f.Add(w.refill(f, w.member(f)).Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		var q requestFields
		if err := wire.Unmarshal(b, &q); err == nil && !bytes.Equal(wire.MustMarshal(&q), b) {
			t.Error("request")
		}
		var r refillFields
		if err := wire.Unmarshal(b, &r); err == nil && !bytes.Equal(wire.MustMarshal(&r), b) {
			t.Error("refill")
		}
		w.r.Verify(w.home, b)
		w.m.Issue(w.home, w.account, b)
	})
}
