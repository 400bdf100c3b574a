package admission

import (
	"bytes"
	"errors"
	"testing"

	"waxwing/core/ids"
	"waxwing/core/store"
	"waxwing/ratelimit/introduction"
	"waxwing/ratelimit/keylist"
	"waxwing/ratelimit/limits"
)

// What an operator can set is what there can be introductions under.
func TestLimitsOfTheTable(t *testing.T) {
	table := introduction.Limits{
		New:    uint32(limits.All[limits.IntroNew].Default.Burst),
		Member: uint32(limits.All[limits.IntroMember].Default.Burst),
	}
	if table != introduction.DefaultLimits {
		t.Errorf("the table has %+v", table)
	}
	for _, n := range []limits.Name{limits.IntroNew, limits.IntroMember} {
		for burst := range int64(2 * introduction.MaxLimit) {
			l := limits.All[n].Default
			l.Burst = burst
			settable := limits.Target{Name: n}.Check(l) == nil
			l2 := introduction.Limits{New: uint32(burst), Member: uint32(burst)}
			if settable != usable(l2) {
				t.Errorf("%s: %d can be set: %v, used: %v", n, burst, settable, usable(l2))
			}
		}
	}
}

// Limits are those of the day whose key is drawn: a change counts from the first
// day that is not listed yet, in the list as in what is verified, and a restart
// changes none.
func TestLimitsOfDays(t *testing.T) {
	p := newProvider(t, alpha, beta)
	want := map[ids.Day]introduction.Limits{today: introduction.DefaultLimits, today + 1: introduction.DefaultLimits}
	check := func(name string) {
		t.Helper()
		for d := today; d <= today+8; d++ {
			if _, there := p.Credential(d); p.Limits(d) != want[d] && there || !there && p.Limits(d) != (introduction.Limits{}) {
				t.Errorf("%s: day %+d is verified under %+v, want %+v", name, int64(d)-int64(today), p.Limits(d), want[d])
			}
			if _, listed := p.list().Credential(d); !listed {
				continue
			}
			if fresh, member := p.list().Limits(d); (introduction.Limits{New: fresh, Member: member}) != want[d] {
				t.Errorf("%s: day %+d is listed with %d and %d, want %+v", name, int64(d)-int64(today), fresh, member, want[d])
			}
		}
	}
	check("before")
	for n, l := range []introduction.Limits{{New: 2, Member: 64}, {New: 8, Member: 8}, {}, {New: 64, Member: 2}} {
		known := p.list()
		p.limits = l
		p.renew(days(n).Add(1))
		check("set")
		if p.list().Hash() != known.Hash() {
			t.Error("a change alone makes another list")
		}
		p.open()
		p.renew(days(n).Add(2))
		check("set and restarted")
		if l == (introduction.Limits{}) {
			l = introduction.DefaultLimits
		}
		want[today+ids.Day(n)+2] = l
		p.renew(days(n + 1))
		check("the next day")
		must(t, p.list().Follows(known))
		p.open()
		check("the next day, restarted")
	}
}

// Keys that are drawn anew for days that were listed have the limits that these
// days had: else a sender could begin again.
func TestAttackLimitsAnew(t *testing.T) {
	for name, again := range map[string]func(p *provider){
		"by command":      func(p *provider) { p.Anew() },
		"a lost mark":     func(p *provider) { delete(p.files, fileMark); p.open() },
		"a recalled list": func(p *provider) { recalled(p) },
		"keys lost": func(p *provider) {
			for n := range p.files {
				if len(n) > len(prefixCredential) && n[:len(prefixCredential)] == prefixCredential {
					delete(p.files, n)
				}
			}
			p.open()
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProvider(t, alpha, beta)
			p.limits = introduction.Limits{New: 2, Member: 64}
			known := p.list()
			again(p)
			p.renew(start.Add(3 * markEvery))
			l := p.list()
			for _, d := range []ids.Day{today, today + 1} {
				key, _ := l.Credential(d)
				before, _ := known.Credential(d)
				if key == nil || bytes.Equal(key.Bytes(), before.Bytes()) {
					t.Error("no other key")
				}
				if fresh, member := l.Limits(d); (introduction.Limits{New: fresh, Member: member}) != introduction.DefaultLimits {
					t.Errorf("limits %d and %d", fresh, member)
				}
			}
			if err := l.Follows(known); err != nil || l.Term() == known.Term() {
				t.Errorf("term %d after %d: %v", l.Term(), known.Term(), err)
			}
			p.renew(days(1))
			if p.Limits(today+2) != p.limits {
				t.Errorf("a day that was not listed: %+v", p.Limits(today+2))
			}
		})
	}
}

// recalled puts the provider's directory back to before its first list, and has a
// peer show that list.
func recalled(p *provider) {
	kept := p.list().Bytes()
	p.files, p.st = files{}, store.NewMemory(store.MemoryConfig{Now: clockOf})
	p.t.Cleanup(func() { _ = p.st.Close() })
	p.open()
	if !p.Recall(kept) {
		p.renew(start.Add(markEvery))
		if !p.Recall(kept) {
			p.t.Error("a list that it does not know says nothing")
		}
	}
}

// Limits under which there are no introductions stop the provider, and what is
// stored of such is damaged.
func TestLimitsThatCannotBe(t *testing.T) {
	p := newProvider(t, alpha)
	for _, l := range []introduction.Limits{{New: 4}, {Member: 32}, {New: 1, Member: 32}, {New: 4, Member: introduction.MaxLimit + 1}} {
		if err := p.Renew(t.Context(), start, Due{Limits: l}); !errors.Is(err, introduction.ErrTerms) {
			t.Errorf("%+v: %v", l, err)
		}
	}
	name := credentialName(today)
	good := p.files[name]
	for at := len(good) - 8; at < len(good); at++ {
		p.files[name] = bytes.Clone(good)
		p.files[name][at] ^= 0x40 // 4 and 32 with it are 68 and 96
		if _, err := Open(t.Context(), p.conf); !errors.Is(err, ErrState) {
			t.Errorf("byte %d: %v", at, err)
		}
	}
	var none *keylist.List
	p.files[name] = good
	a, err := Open(t.Context(), p.conf)
	must(t, err)
	if own := a.own.Load(); own == none || a.Limits(today) != introduction.DefaultLimits {
		t.Error("what was not damaged is not read")
	}
}
