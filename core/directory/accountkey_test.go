package directory

import (
	"errors"
	"testing"
	"time"

	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/wire"
)

// replacing returns the account's next manifest with another secret.
func (a *account) replacing(t testing.TB, k group.Scalar) *Manifest {
	t.Helper()
	f := a.manifest.Next()
	f.AccountKey = (&account{identity: a.identity, k: k}).accountKey(t, f.Address)
	return a.signed(t, f)
}

func secret() group.Scalar { return group.Ristretto255().RandomScalar() }

// An account replaces its X_S, not again for ReplaceDays, and the former one is
// nobody's for ever.
func TestReplaceAccountKey(t *testing.T) {
	p := newProvider(t, Config{})
	a := newAccount(t, bob, 1)
	auth := a.register(t, p)
	other := newAccount(t, ids.MustParseAddress("carol@beta.example"), 1)
	other.register(t, p)

	more := a.manifest.Next()
	more.AccountKey = (&account{identity: a.identity, k: secret()}).accountKey(t, bob)
	more.AddDevice(keys.NewSigningKey().Public(), keys.NewDHKey().Public())
	gap := a.manifest.Next()
	gap.Version++
	gap.AccountKey = (&account{identity: a.identity, k: secret()}).accountKey(t, bob)
	thief := (&account{identity: keys.NewSigningKey(), k: a.k, manifest: a.manifest}).replacing(t, secret())
	for name, c := range map[string]struct {
		m    *Manifest
		want error
	}{
		"a device as well": {a.signed(t, more), ErrMismatch},
		"not the next":     {a.signed(t, gap), ErrConflict},
		"another identity": {thief, ErrMismatch},
		"the same X_S":     {a.signed(t, a.manifest.Next()), ErrMismatch},
		"another's X_S":    {a.replacing(t, other.k), ErrAccountKeyTaken},
	} {
		if err := p.ReplaceAccountKey(t.Context(), auth, c.m.Bytes(), now); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := p.ReplaceAccountKey(t.Context(), auth, []byte{1}, now); !errors.Is(err, wire.ErrMalformed) {
		t.Errorf("garbage: %v", err)
	}
	if have, err := p.Account(t.Context(), bob); err != nil || !have.Manifest.Equal(a.manifest) || have.Since() != today {
		t.Fatalf("a refused manifest changed the account: %v", err)
	}

	old, first := a.k, a.manifest
	later := now.Add(40 * 24 * time.Hour)
	next := a.replacing(t, secret())
	for range 2 { // the second repeats a lost answer
		must(t, p.ReplaceAccountKey(t.Context(), auth, next.Bytes(), later))
	}
	a.manifest = next
	have, err := p.Account(t.Context(), bob)
	must(t, err)
	if !have.Manifest.Equal(next) || have.Replaced != ids.DayOf(later) || have.Since() != ids.DayOf(later) || have.Registered != today {
		t.Errorf("replaced on %d, since %d", have.Replaced, have.Since())
	}
	must(t, p.UpdateManifest(t.Context(), auth, a.signed(t, next.Next()).Bytes()))
	a.manifest = a.signed(t, next.Next())

	// Until ReplaceDays are over, and not a second longer.
	again := a.replacing(t, secret())
	var replaced *ReplacedError
	if err := p.ReplaceAccountKey(t.Context(), auth, again.Bytes(), later.Add(time.Hour)); !errors.As(err, &replaced) {
		t.Fatalf("again: %v", err)
	}
	then := later.Add(time.Hour).Add(replaced.RetryAfter)
	if err := p.ReplaceAccountKey(t.Context(), auth, again.Bytes(), then.Add(-time.Second)); !errors.As(err, &replaced) {
		t.Errorf("a second early: %v", err)
	}
	// The former one comes back nowhere, also not here.
	if err := p.ReplaceAccountKey(t.Context(), auth, a.replacing(t, old).Bytes(), then); !errors.Is(err, ErrAccountKeyTaken) {
		t.Errorf("its former one: %v", err)
	}
	if err := withKey(t, "dave", old).tryRegister(t, p); !errors.Is(err, ErrAccountKeyTaken) {
		t.Errorf("another account with the former one: %v", err)
	}
	who := other.authenticate(t, p, 1)
	if err := p.ReplaceAccountKey(t.Context(), who, other.replacing(t, old).Bytes(), now); !errors.Is(err, ErrAccountKeyTaken) {
		t.Errorf("another account replaces its own by it: %v", err)
	}
	must(t, p.ReplaceAccountKey(t.Context(), auth, again.Bytes(), then))
	if err := first.Replaces(again); !errors.Is(err, ErrRolledBack) {
		t.Errorf("back to the first manifest: %v", err)
	}
}

// Broken off behind any of its writes, a replacement leaves a working account, keeps
// both secrets from everybody else, and is finished by the same request.
func TestBrokenReplacement(t *testing.T) {
	for step := range 3 {
		for _, lose := range []bool{false, true} {
			p := newProvider(t, Config{})
			a := newAccount(t, bob, 1)
			auth := a.register(t, p)
			k := secret()
			next := a.replacing(t, k)
			n := 0
			arm := func() {
				if n == step {
					p.st.fail, p.st.loseReply = !lose, lose
				}
				n++
			}
			arm()
			p.st.afterCAS = arm
			err := p.ReplaceAccountKey(t.Context(), auth, next.Bytes(), now)
			p.st.afterCAS = nil
			if err == nil {
				t.Fatalf("step %d: not broken off", step)
			}
			p.st.fail, p.st.loseReply = false, false
			have, err := p.Account(t.Context(), bob)
			must(t, err)
			if !have.Manifest.Equal(a.manifest) && !(lose && step == 2) {
				t.Errorf("step %d: the account has changed", step)
			}
			a.authenticate(t, p, 1)
			if err := withKey(t, "dave", a.k).tryRegister(t, p); !errors.Is(err, ErrAccountKeyTaken) {
				t.Errorf("step %d: the old secret is to be had: %v", step, err)
			}
			if step > 0 || lose {
				if err := withKey(t, "erin", k).tryRegister(t, p); !errors.Is(err, ErrAccountKeyTaken) {
					t.Errorf("step %d: the new secret is to be had: %v", step, err)
				}
			}
			must(t, p.ReplaceAccountKey(t.Context(), auth, next.Bytes(), now))
			if have, err = p.Account(t.Context(), bob); err != nil || !have.Manifest.Equal(next) {
				t.Errorf("step %d: not finished: %v", step, err)
			}
		}
	}
}
