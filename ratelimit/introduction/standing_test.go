package introduction

import (
	"bytes"
	"testing"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/ratelimit"
)

func TestStanding(t *testing.T) {
	w := newWorld(t)
	enc := bytes.Repeat([]byte{3}, keys.SealEncSize)
	b, err := w.alice.AskStanding(enc, w.bob, 200)
	if err != nil || len(b) != StandingSize {
		t.Fatalf("%d bytes, %v", len(b), err)
	}
	s, err := ParseStanding(enc, b)
	if err != nil {
		t.Fatal(err)
	}
	v, err := w.v.Verify(Asked{Home: alpha, W: w.bob.W, In: &s.Introduction, Standing: true})
	if err != nil {
		t.Fatal(err)
	}
	intro, err := w.v.Verify(w.asked(w.alice, 0))
	if err != nil || intro.NR != v.NR || intro.Tag == v.Tag {
		t.Errorf("standing shows another pseudonym, or spends an introduction's tag: %v", err)
	}
	for name, a := range map[string]Asked{
		"as an introduction": {Home: alpha, W: w.bob.W, In: &s.Introduction},
		"at another mailbox": {Home: alpha, W: g.HashToElement([]byte("x"), "test"), In: &s.Introduction, Standing: true},
		"of another home":    {Home: gamma, W: w.bob.W, In: &s.Introduction, Standing: true},
	} {
		if _, err := w.v.Verify(a); err != ErrProof {
			t.Errorf("%s: %v", name, err)
		}
	}
	elsewhere, _ := ParseStanding(append([]byte{1}, enc[1:]...), b)
	if _, err := w.v.Verify(Asked{Home: alpha, W: w.bob.W, In: &elsewhere.Introduction, Standing: true}); err != ErrProof {
		t.Errorf("in another question: %v", err)
	}
	for _, bad := range [][]byte{nil, b[:len(b)-1], append(bytes.Clone(b), 0)} {
		if _, err := ParseStanding(enc, bad); err != ErrMalformed {
			t.Errorf("%d bytes: %v", len(bad), err)
		}
	}
	if _, err := w.alice.AskStanding(enc, w.bob, StandingLimit); err != ErrTerms {
		t.Errorf("beyond the limit: %v", err)
	}
}

// Credentials.md 4, 33, and model-findings 13: a stamp is one sender's at one
// mailbox in one week.
func TestAttackStamp(t *testing.T) {
	stand, mailbox, nr := keys.NewSecret(), ids.NewMailboxID(), [32]byte{1}
	key := StandingKey(stand, mailbox)
	week := ratelimit.Week(100)
	stamp := Stamp(key, nr, week)
	for day, want := range map[ids.Day]bool{
		699: false, 700: true, 706: true, 707: true, 706 + ids.MaxDelay: true, 707 + ids.MaxDelay: false, 714: false, 800: false,
	} {
		if CheckStamp(key, nr, day, stamp) != want {
			t.Errorf("day %d: not %v", day, want)
		}
	}
	if CheckStamp(key, [32]byte{2}, 700, stamp) || CheckStamp(StandingKey(stand, ids.NewMailboxID()), nr, 700, stamp) || CheckStamp(StandingKey(keys.NewSecret(), mailbox), nr, 700, stamp) {
		t.Error("another's stamp passes")
	}
	if CheckStamp(key, nr, 3, Stamp(key, nr, 1<<32-1)) {
		t.Error("a week before the first")
	}
}
