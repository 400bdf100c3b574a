package directory

import (
	"context"
	"errors"
	"slices"
	"time"

	"waxwing/core/ids"
	"waxwing/core/store"
	"waxwing/core/wire"
)

// ReplaceDays is how many days an account keeps its X_S after it was replaced:
// each replacement is a pseudonym that nobody has blocked.
const ReplaceDays = 90

// ReplacedError says that X_S was replaced, and when it can be again.
type ReplacedError struct{ RetryAfter time.Duration }

func (e *ReplacedError) Error() string { return "directory: account key was replaced recently" }

// Since returns the day from which the account is known under its X_S.
func (a *Account) Since() ids.Day { return max(a.Registered, a.Replaced) }

// claimAccountKey makes X_S the address's: of all accounts of the provider one
// has it, or pseudonyms would not tell accounts apart and a blocked sender could
// come back under another address at no cost but a registration. Errors are
// ErrAccountKeyTaken, ErrState and the store's.
//
// Knowledge of k was proven for this address, so nobody can take hold of an X_S
// that is not its own.
func (d *Directory) claimAccountKey(ctx context.Context, m *Manifest, claim keyClaim) error {
	key := accountKeyKey(m.XS())
	mine := wire.MustMarshal(&accountKeyRecord{m.Address(), claim})
	_, err := d.st.CAS(ctx, key, 0, mine)
	if !errors.Is(err, store.ErrConflict) {
		return err // nil: durable
	}
	doc, err := d.st.Get(ctx, key)
	if err != nil {
		return err
	}
	var have accountKeyRecord
	if wire.Unmarshal(doc.Value, &have) != nil {
		return ErrState
	}
	switch {
	case have.claim == claimFormer:
		return ErrAccountKeyTaken
	case have.owner == m.Address() && have.claim == claim:
		return nil
	case have.owner == m.Address(): // a registration that failed and a replacement
	case have.claim == claimReplacing:
		return ErrAccountKeyTaken
	default:
		switch a, err := d.Account(ctx, have.owner); {
		case errors.Is(err, ErrUnknown):
			return ErrAccountKeyTaken // by a registration under way
		case err != nil:
			return err
		case a.Manifest.XS() == m.XS():
			return ErrAccountKeyTaken
		}
	}
	_, err = d.st.CAS(ctx, key, doc.Version, mine)
	if errors.Is(err, store.ErrConflict) {
		return ErrAccountKeyTaken
	}
	return err
}

// ReplaceAccountKey replaces the account's manifest by one that has another X_S
// and is otherwise the same (Manifest.Replaces), at most once in ReplaceDays. The
// former X_S can never be registered again. The manifest already stored is
// accepted again. Errors are those of ParseManifest; ErrMismatch (another account
// or identity, or more is changed), ErrConflict (it does not follow what is
// stored), ErrAccountKeyTaken, *ReplacedError; ErrState and the store's.
func (d *Directory) ReplaceAccountKey(ctx context.Context, who *Authenticated, manifest []byte, now time.Time) error {
	m, err := ParseManifest(manifest)
	if err != nil {
		return err
	}
	a, err := d.Account(ctx, who.address)
	if err != nil {
		return err
	}
	if m.Equal(a.Manifest) {
		return nil
	}
	switch err := m.Replaces(a.Manifest); {
	case errors.Is(err, ErrMismatch):
		return err
	case err != nil:
		return ErrConflict
	}
	today := ids.DayOf(now)
	if free := a.Replaced + ReplaceDays; a.Replaced != 0 && today < free {
		return &ReplacedError{free.Start().Sub(now)}
	}
	if err := d.claimAccountKey(ctx, m, claimReplacing); err != nil {
		return err
	}
	// The new one is this account's for good. A crash now leaves the account with
	// its old one; the same request goes on.
	if err := d.bury(ctx, a.Manifest); err != nil {
		return err
	}
	// Nobody can register the old one. A crash now leaves the account with it
	// nevertheless, until the request comes again.
	rec := accountRecord{a.Mailbox, a.Registered, today, m.raw, a.Removed}
	_, err = d.st.CAS(ctx, accountKey(who.address), a.version, wire.MustMarshal(&rec))
	if errors.Is(err, store.ErrConflict) {
		return ErrConflict
	}
	return err // nil: durable, and certificates name the new one from here on
}

// bury leaves the tombstone of an account's X_S.
func (d *Directory) bury(ctx context.Context, m *Manifest) error {
	return d.update(ctx, accountKeyKey(m.XS()), func(stored []byte) ([]byte, error) {
		var have accountKeyRecord
		if stored == nil || wire.Unmarshal(stored, &have) != nil || have.owner != m.Address() {
			return nil, ErrState
		}
		return wire.MustMarshal(&accountKeyRecord{m.Address(), claimFormer}), nil
	})
}

// Replaces returns nil if m is the version after prev and differs from it in X_S
// alone: a manifest that replaces a lost k. Otherwise ErrMismatch, ErrRolledBack
// or ErrForked, as Follows.
func (m *Manifest) Replaces(prev *Manifest) error {
	if err := m.Follows(prev); !errors.Is(err, ErrAccountKeyChanged) {
		if err == nil {
			err = ErrMismatch
		}
		return err
	}
	f, old := &m.f, &prev.f
	same := f.DH == old.DH && f.LastDevice == old.LastDevice &&
		slices.EqualFunc(f.Capabilities, old.Capabilities, func(a, b []byte) bool { return string(a) == string(b) }) &&
		slices.EqualFunc(f.Devices, old.Devices, func(a, b Device) bool {
			return a.ID == b.ID && a.Sign == b.Sign && a.DH == b.DH && slices.Equal(a.Suites, b.Suites)
		})
	if !same {
		return ErrMismatch
	}
	return nil
}
