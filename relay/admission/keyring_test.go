package admission

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/ratelimit"
	"waxwing/ratelimit/arc"
	"waxwing/ratelimit/keylist"
)

// Every day has its keys a day ahead, every month some days ahead; all are listed
// before, stay the same through restarts, and go when nothing can come under them.
func TestKeyLife(t *testing.T) {
	p := newProvider(t, alpha, beta)
	known := p.list()
	for n := range 130 {
		now := days(n)
		day := today + ids.Day(n)
		if n%7 == 3 {
			p.open()
		}
		p.renew(now)
		l := p.list()
		if err := l.Follows(known); err != nil || l.Term() != 0 {
			t.Fatalf("day %d: term %d, %v", n, l.Term(), err)
		}
		known = l
		for _, d := range []int{0, 1} {
			key, ok := p.Credential(day + ids.Day(d))
			listed, there := l.Credential(day + ids.Day(d))
			if !ok || !there || !bytes.Equal(key.Public().Bytes(), listed.Bytes()) {
				t.Fatalf("day %d: credential of day +%d: %v, listed %v", n, d, ok, there)
			}
		}
		if _, ok := p.Credential(day + 2); ok {
			t.Fatalf("day %d: a key too early", n)
		}
		if n > credentialKept {
			if _, ok := p.Credential(day - credentialKept); !ok {
				t.Fatalf("day %d: a key was erased early", n)
			}
			if _, ok := p.Credential(day - credentialKept - 1); ok {
				t.Fatalf("day %d: a key was kept", n)
			}
		}
		m := ratelimit.MonthOf(day)
		for _, at := range []place{{alpha, m}, {beta, m}, {alpha, ratelimit.MonthOf(day + aheadDays)}, {beta, ratelimit.MonthOf(day + aheadDays)}} {
			if _, ok := l.Membership(at.provider, at.month); !ok {
				t.Fatalf("day %d: no membership key", n)
			}
		}
		_, early := l.Membership(beta, ratelimit.MonthOf(day+aheadDays)+1)
		_, late := p.keyring.issuer(place{beta, m - 1})
		if early || n >= 30 && late != (day%ratelimit.MonthDays < membershipKept) {
			t.Fatalf("day %d: early %v, late %v", n, early, late)
		}
	}
}

// A provider that was away draws what is due, and erases what is over.
func TestMissedRotation(t *testing.T) {
	p := newProvider(t, alpha, beta)
	known := p.list()
	p.open()
	p.renew(days(45))
	l := p.list()
	must(t, l.Follows(known))
	if _, ok := l.Credential(today + 45); !ok {
		t.Error("no key of the day")
	}
	if _, ok := l.Membership(beta, ratelimit.MonthOf(today+45)); !ok {
		t.Error("no key of the month")
	}
	if n := len(p.keyring.credentials); n != 2 {
		t.Errorf("%d days' keys", n)
	}
}

// A clock that is ahead for minutes erases nothing. One that is ahead for longer
// does, and when it goes back the keys that are drawn again are of a new term:
// others may have been listed for the same days.
func TestClockStep(t *testing.T) {
	p := newProvider(t, alpha, beta)
	known := p.list()
	must(t, p.Renew(t.Context(), days(300), Due{Peers: p.peers}))
	p.renew(start)
	if l := p.list(); l.Term() != 0 || l.Follows(known) != nil {
		t.Errorf("after minutes: term %d, %v", l.Term(), l.Follows(known))
	}
	p.renew(days(300))
	p.renew(start)
	l := p.list()
	if l.Term() == 0 || l.Follows(known) != nil {
		t.Errorf("after long: term %d, %v", l.Term(), l.Follows(known))
	}
	if _, ok := l.Credential(today); !ok {
		t.Error("no key of the day")
	}
}

// Each list has a number of its own and stands in the log before anybody sees it.
func TestEveryListIsLogged(t *testing.T) {
	p := newProvider(t, alpha, beta)
	seen := map[uint32][32]byte{}
	for n := range 20 {
		p.renew(days(n))
		l := p.list()
		if h, ok := seen[l.Number()]; ok && h != l.Hash() {
			t.Fatalf("two lists with number %d", l.Number())
		}
		seen[l.Number()] = l.Hash()
		p.renew(days(n).Add(time.Minute))
		if p.list().Hash() != l.Hash() {
			t.Fatal("the same keys make another list")
		}
	}
	logged, err := openTrail(t.Context(), p.st)
	must(t, err)
	if int(logged.log.Size()) != len(seen) {
		t.Errorf("%d entries for %d lists", logged.log.Size(), len(seen))
	}
	if last := p.list(); !bytes.Contains(mustRecord(t, p), listEntry(last)) {
		t.Error("the last entry is not of the last list")
	}
}

func mustRecord(t *testing.T, p *provider) []byte {
	size, err := p.st.LogSize(t.Context(), keyAudit)
	must(t, err)
	records, err := p.st.LogRead(t.Context(), keyAudit, size-1, 1)
	must(t, err)
	return records[0]
}

func domain(n int) ids.Domain { return ids.MustParseDomain(fmt.Sprintf("p%04d.example", n)) }

// A list has room for so many providers; beyond it those that have keys keep them.
func TestPlaces(t *testing.T) {
	p := newProvider(t, alpha)
	for n := range maxPlaces + 10 {
		p.peers = append(p.peers, domain(n))
	}
	p.renew(start)
	l := p.list()
	_, own := l.Membership(alpha, month)
	_, last := l.Membership(domain(maxPlaces-2), month)
	_, over := l.Membership(domain(maxPlaces-1), month)
	if !own || !last || over {
		t.Errorf("own %v, last %v, one more %v", own, last, over)
	}
	p.peers = append(p.peers[5:], p.peers[:5]...)
	p.renew(days(1))
	must(t, p.list().Follows(l))
	if _, ok := p.list().Membership(domain(0), month); !ok {
		t.Error("a provider lost its place")
	}
}

// A peer's key is sealed for one provider and month, can be taken again, and
// survives a restart.
func TestShare(t *testing.T) {
	a, b := newProvider(t, alpha, beta), newProvider(t, beta, alpha)
	relay := keys.NewSealKey()
	shares, err := a.Shares(beta, 3, relay.Public(), start)
	must(t, err)
	if len(shares) != 1 || shares[0].Month != uint32(month) || shares[0].KeyID != 3 {
		t.Fatalf("%d shares", len(shares))
	}
	for name, c := range map[string]struct {
		err  error
		want error
	}{
		"another home":  {b.Take(gamma, shares[0], relay, start), ErrKey},
		"another key":   {b.Take(alpha, shares[0], keys.NewSealKey(), start), ErrKey},
		"another place": {a.Take(alpha, shares[0], relay, start), ErrKey},
		"too late":      {b.Take(alpha, shares[0], relay, days(25)), ErrPeriod},
		"too early":     {b.Take(alpha, shares[0], relay, days(-15)), ErrPeriod},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: %v", name, c.err)
		}
	}
	other := *shares[0]
	other.Month++
	if err := b.Take(alpha, &other, relay, days(18)); !errors.Is(err, ErrKey) {
		t.Errorf("another month: %v", err)
	}
	if _, ok := b.Membership(alpha, month); ok {
		t.Error("taken all the same")
	}
	for range 2 {
		must(t, b.Take(alpha, shares[0], relay, start))
		b.open()
		b.renew(start)
		shares, err = a.Shares(beta, 3, relay.Public(), start)
		must(t, err)
	}
	key, ok := b.Membership(alpha, month)
	listed, _ := a.list().Membership(beta, month)
	if !ok || !bytes.Equal(key.Public().Bytes(), listed.Bytes()) {
		t.Error("the key is not the listed one")
	}
	if own, ok := b.Membership(beta, month); !ok || own == key {
		t.Error("no key for the own accounts")
	}
	ahead, err := a.Shares(beta, 3, relay.Public(), days(18))
	must(t, err)
	if len(ahead) != 1 { // not drawn yet
		t.Errorf("%d shares before the next month's key is drawn", len(ahead))
	}
	a.renew(days(18))
	if ahead, err = a.Shares(beta, 3, relay.Public(), days(18)); err != nil || len(ahead) != 2 {
		t.Errorf("%d shares ahead, %v", len(ahead), err)
	}
}

// The secrets of mailboxes never change.
func TestSecretsStay(t *testing.T) {
	p := newProvider(t, alpha)
	standing, dummy := p.Standing(), p.Dummy()
	p.open()
	if !p.Standing().Equal(standing) || !p.Dummy().Equal(dummy) || standing.Equal(dummy) {
		t.Error("a secret changed")
	}
}

// What is damaged is not used.
func TestDamagedFiles(t *testing.T) {
	for name := range newProvider(t, alpha, beta).files {
		p := newProvider(t, alpha, beta)
		for n, b := range p.files {
			if n == name || n[:5] == name[:5] {
				p.files[n] = b[:len(b)-1]
			}
		}
		a, err := Open(t.Context(), p.conf)
		if err == nil {
			err = a.Renew(t.Context(), start, Due{})
		}
		if !errors.Is(err, ErrState) {
			t.Errorf("%.12s: %v", name, err)
		}
	}
}

// Nothing prints a key.
func TestRedacted(t *testing.T) {
	p := newProvider(t, alpha)
	key, _ := p.Credential(today)
	if s := fmt.Sprintf("%v %+v", key, p.Standing()); bytes.Contains([]byte(s), key.Bytes()[:8]) {
		t.Error("a key is printed")
	}
}

// Peers' lists are kept if they follow, through restarts, and refused if they
// contradict; another pinned root begins anew.
func TestLearn(t *testing.T) {
	a, b := newProvider(t, alpha, beta), newProvider(t, beta, alpha)
	learn := func(raw []byte, want Learned, wantErr error) {
		t.Helper()
		if got, err := a.Learn(t.Context(), beta, raw); got != want || !errors.Is(err, wantErr) || err != nil && wantErr == nil {
			t.Errorf("%v, %v", got, err)
		}
	}
	kept := func(want []byte) {
		t.Helper()
		if l, err := a.List(t.Context(), beta); err != nil || !bytes.Equal(l.Bytes(), want) {
			t.Errorf("another list is kept: %v", err)
		}
	}
	first := b.list().Bytes()
	learn(first, Same, ErrUnknown)
	a.roots[beta] = b.root.Public()
	if _, err := a.List(t.Context(), beta); !errors.Is(err, ErrUnknown) {
		t.Errorf("a list before there is one: %v", err)
	}
	learn(first, Newer, nil)
	learn(first, Same, nil)
	a.open()
	kept(first)
	b.renew(days(1))
	second := b.list().Bytes()
	learn(second, Newer, nil)
	learn(first, Same, keylist.ErrOld)
	forged := keylist.Fields{Provider: beta, Number: b.list().Number() + 1}
	forged.Credentials = []keylist.CredentialKey{{Day: today, Key: [96]byte(arc.Ristretto255().NewSecretKey().Public().Bytes())}}
	fork, err := keylist.Sign(forged, b.root)
	must(t, err)
	learn(fork, Same, keylist.ErrForked)
	learn(second[:9], Same, keylist.ErrMalformed)
	stranger, err := keylist.Sign(forged, keys.NewSigningKey())
	must(t, err)
	learn(stranger, Same, keylist.ErrSignature)
	kept(second)
	forged.Term = 7
	term, err := keylist.Sign(forged, b.root)
	must(t, err)
	learn(term, NewTerm, nil)
	kept(term)
	root := keys.NewSigningKey()
	a.roots[beta] = root.Public()
	if _, err := a.List(t.Context(), beta); !errors.Is(err, ErrUnknown) {
		t.Errorf("a list of the root before: %v", err)
	}
	anew, err := keylist.Sign(keylist.Fields{Provider: beta, Number: 1}, root)
	must(t, err)
	learn(anew, Newer, nil)
	kept(anew)
}
