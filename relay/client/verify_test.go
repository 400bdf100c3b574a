package client

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"waxwing/core/keys"
	"waxwing/relay/client/state"
)

func (u *user) number(of *user) (n SafetyNumber) {
	u.w.t.Helper()
	u.do(func(k *work) (err error) { n, err = k.safetyNumber(of.address); return err })
	return n
}

func (u *user) hasVerified(of *user) (ok bool) {
	u.do(func(k *work) error { ok = k.verified(k.find(of.address)); return nil })
	return ok
}

func befriended(t *testing.T) (w *world, alice, bob *user) {
	w = newWorld(t)
	alice, bob = w.user("alice@alpha.example"), w.user("bob@beta.example")
	alice.add(bob.code())
	alice.send(bob, "hello")
	w.settle()
	bob.send(alice, "hello alice")
	w.settle()
	return w, alice, bob
}

// Both sides see the same digits and the same code, and any other is refused.
func TestSafetyNumberDigits(t *testing.T) {
	_, alice, bob := befriended(t)
	a, b := alice.number(bob), bob.number(alice)
	if a.String() != b.String() || a.Code() != b.Code() {
		t.Error("the two sides differ")
	}
	if !regexp.MustCompile(`^\d{5}( \d{5}){11}$`).MatchString(a.String()) {
		t.Errorf("digits: %q", a.String())
	}
	for _, good := range []string{b.Code(), b.String(), strings.ReplaceAll(b.String(), " ", "\n"), " " + b.Code() + "\n"} {
		if err := a.Compare(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	other := b
	other.Own[0] ^= 1
	for _, bad := range []string{other.Code(), other.String()} {
		if err := a.Compare(bad); !errors.Is(err, ErrMismatch) {
			t.Errorf("another number: %v", err)
		}
	}
	for _, bad := range []string{"", "waxwing-verify:", b.Code() + "A", b.String()[1:], "waxwing-verify:AAAA", strings.Replace(b.String(), " ", "x", 1)} {
		if err := a.Compare(bad); !errors.Is(err, ErrBadScan) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// A fixed number has fixed digits: another program can be held to the layout.
func TestSafetyNumberKnownAnswer(t *testing.T) {
	const want = "10527 32573 45218 36683 91368 75821 53866 68529 57435 44396 33677 28832"
	if got := (SafetyNumber{Own: [32]byte{1}, Theirs: [32]byte{2}}).String(); got != want {
		t.Errorf("digits %q", got)
	}
}

// A comparison is remembered until the contact turns up with another identity,
// and holds for the keys that were compared only.
func TestConfirm(t *testing.T) {
	w, alice, bob := befriended(t)
	c := &Client{e: bob.e, news: newNews(), conf: Config{Now: func() time.Time { return w.now }}}
	n := bob.number(alice)
	wrong := n
	wrong.Theirs[0] ^= 1
	if err := c.Confirm(alice.address, wrong); !errors.Is(err, ErrIdentityChanged) || bob.hasVerified(alice) {
		t.Errorf("another number: %v", err)
	}
	w.must(c.Confirm(alice.address, n))
	bob.reopen()
	if !bob.hasVerified(alice) {
		t.Error("forgotten")
	}
	bob.do(func(k *work) error {
		k.find(alice.address).Identity = keys.NewSigningKey().Public()
		k.dirty(k.find(alice.address))
		return nil
	})
	if bob.hasVerified(alice) {
		t.Error("another key passes for verified")
	}
	bob.do(func(k *work) error { return k.unverify(k.find(alice.address)) })
	bob.do(func(k *work) error {
		if state.Verified.Count(k.tx) != 0 {
			t.Error("still stored")
		}
		return nil
	})
}
