package admission

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"testing"
	"time"

	"waxwing/core/keys"
	"waxwing/core/store"
	"waxwing/ratelimit/keylist"
)

// anew checks that a provider has begun a new term with other keys for the days
// that can still be shown, and none for those before.
func anew(t *testing.T, p *provider, known *keylist.List, now time.Time) {
	t.Helper()
	l := p.list()
	if err := l.Follows(known); err != nil || l.Term() <= known.Term() {
		t.Errorf("term %d after %d: %v", l.Term(), known.Term(), err)
	}
	day := known.LastDay() - 1
	for d := day - 3; d <= day+1; d++ {
		before, had := known.Credential(d)
		key, ok := p.Credential(d)
		switch {
		case ok != (d >= day):
			t.Errorf("day %+d: key %v", int64(d)-int64(day), ok)
		case ok && had && bytes.Equal(key.Public().Bytes(), before.Bytes()):
			t.Errorf("day %+d: the same key", int64(d)-int64(day))
		}
	}
	p.open()
	p.renew(now)
	if p.list().Hash() != l.Hash() {
		t.Error("another list after a restart")
	}
}

// Credentials.md 4, 37: what was spent is gone, so nothing shown under the old
// keys is verified any more.
func TestAttackRestoredStore(t *testing.T) {
	for name, restore := range map[string]func(p *provider, old store.Store){
		"put back":     func(p *provider, old store.Store) { p.st = old },
		"another one":  func(p *provider, _ store.Store) { p.st = store.NewMemory(store.MemoryConfig{Now: clockOf}) },
		"said by hand": func(p *provider, _ store.Store) { delete(p.files, fileMark) },
	} {
		t.Run(name, func(t *testing.T) {
			p := newProvider(t, alpha, beta)
			var old store.Store
			for n := range 4 {
				p.renew(days(n))
				if n == 2 {
					old = p.copyStore()
				}
			}
			p.renew(days(3).Add(markEvery))
			known := p.list()
			restore(p, old)
			p.open()
			now := days(3).Add(time.Hour)
			p.renew(now)
			anew(t, p, known, now)
		})
	}
}

// A restart, a crash between the two marks, and a provider that stood for long
// begin no term.
func TestRestartBeginsNoTerm(t *testing.T) {
	p := newProvider(t, alpha, beta)
	known := p.list()
	check := func(name string, now time.Time) {
		t.Helper()
		p.open()
		p.renew(now)
		if l := p.list(); l.Term() != 0 || l.Follows(known) != nil {
			t.Errorf("%s: term %d, %v", name, l.Term(), l.Follows(known))
		}
	}
	check("restart", start.Add(time.Minute))
	before := maps.Clone(p.files)
	p.renew(start.Add(2 * markEvery))
	p.files = before
	check("crash between the marks", start.Add(3*markEvery))
	check("long", days(20))
}

// A whole directory that is put back cannot know it, but a peer does: what it kept
// is newer than what this provider knows of itself, or contradicts it.
func TestAttackRestoredDirectory(t *testing.T) {
	p := newProvider(t, alpha, beta)
	oldest := p.list().Bytes()
	p.renew(days(1))
	oldStore, oldFiles := p.copyStore(), maps.Clone(p.files)
	p.renew(days(3))
	kept := p.list()

	p.st, p.files = oldStore, oldFiles
	p.open()
	p.renew(days(3).Add(time.Hour))
	stranger, err := keylist.Sign(keylist.Fields{Provider: alpha, Number: 1 << 31}, keys.NewSigningKey())
	must(t, err)
	for name, b := range map[string][]byte{
		"nothing": nil, "its own": p.list().Bytes(), "an older one": oldest, "somebody else's": stranger,
	} {
		if p.Recall(b) {
			t.Errorf("%s says that it was put back", name)
		}
	}
	if !p.Recall(kept.Bytes()) {
		t.Fatal("a list that it does not know says nothing")
	}
	now := days(3).Add(2 * time.Hour)
	p.renew(now)
	anew(t, p, kept, now)
	if p.Recall(kept.Bytes()) {
		t.Error("the same list again begins another term")
	}
}

// A number that is far ahead at the peer is passed.
func TestRecallPassesNumbers(t *testing.T) {
	p := newProvider(t, alpha, beta)
	ahead, err := keylist.Sign(keylist.Fields{Provider: alpha, Number: 3 << 30, Term: 3 << 29}, p.root)
	must(t, err)
	if !p.Recall(ahead) {
		t.Fatal("not noticed")
	}
	p.renew(start.Add(time.Minute))
	theirs, err := keylist.Parse(ahead, alpha, p.root.Public())
	must(t, err)
	if l := p.list(); l.Follows(theirs) != nil || l.Term() <= theirs.Term() {
		t.Errorf("term %d, number %d: %v", l.Term(), l.Number(), l.Follows(theirs))
	}
}

// By command, keys of days that can be shown are drawn anew, once.
func TestAnew(t *testing.T) {
	p := newProvider(t, alpha, beta)
	for n := range 4 {
		p.renew(days(n))
	}
	known := p.list()
	p.Anew()
	now := days(3).Add(time.Minute)
	p.renew(now)
	anew(t, p, known, now)
}

// failing is a store one of whose changes fails, before or after its effect.
type failing struct {
	store.Store
	in    int // how many more changes are made
	after bool
}

func (f *failing) change(do func() error) error {
	if f.in--; f.in != -1 {
		return do()
	}
	if f.after {
		_ = do()
	}
	return store.ErrUnknownOutcome
}

func (f *failing) CAS(ctx context.Context, k store.Key, v uint64, b []byte) (n uint64, err error) {
	err = f.change(func() error { n, err = f.Store.CAS(ctx, k, v, b); return err })
	return n, err
}

func (f *failing) LogAppend(ctx context.Context, k store.Key, size uint64, entries [][]byte) error {
	return f.change(func() error { return f.Store.LogAppend(ctx, k, size, entries) })
}

// Whatever the store does in the middle of a renewal, and whether the provider
// goes on or starts again: what is shown was logged and stored, and no number
// stands for two lists.
func TestBrokenRenewal(t *testing.T) {
	for in := range 3 { // the log, the list, the mark
		for _, after := range []bool{false, true} {
			for _, restart := range []bool{false, true} {
				p := newProvider(t, alpha, beta)
				known := p.list()
				p.st = &failing{p.st, in, after}
				p.open()
				if err := p.Renew(t.Context(), days(1), Due{Peers: p.peers}); !errors.Is(err, store.ErrUnknownOutcome) {
					t.Fatalf("change %d: %v", in, err)
				}
				if l := p.list(); l.Hash() != known.Hash() && in < 2 {
					t.Errorf("change %d: a list is shown before it is stored", in)
				}
				if restart {
					p.open()
				}
				must(t, p.Renew(t.Context(), days(1).Add(time.Minute), Due{Peers: p.peers}))
				l := p.list()
				if err := l.Follows(known); err != nil || l.Term() != 0 || l.Number() == known.Number() {
					t.Errorf("change %d: number %d, term %d, %v", in, l.Number(), l.Term(), err)
				}
				if !bytes.Contains(mustRecord(t, p), listEntry(l)) {
					t.Errorf("change %d: what is shown is not logged", in)
				}
				p.open()
				p.renew(days(2))
				must(t, p.list().Follows(l))
			}
		}
	}
}
