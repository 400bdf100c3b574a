package admission

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/store"
	"waxwing/core/wire"
	"waxwing/ratelimit"
	"waxwing/ratelimit/arc"
	"waxwing/ratelimit/introduction"
	"waxwing/ratelimit/keylist"
	"waxwing/ratelimit/ledger"
)

// Store is the part of the store that Admission uses.
type Store interface {
	store.Documents
	store.Logs
	store.Sets
}

// Config is what Admission is made of. All is required.
type Config struct {
	Domain    ids.Domain
	Root      *keys.SigningKey
	Files     Files
	Store     Store
	Ledger    *ledger.Ledger
	Directory *directory.Directory
	// Roots returns the pinned root key of another provider.
	Roots func(ids.Domain) (keys.VerifyKey, bool)
}

// Admission is the state of one provider. It is safe for concurrent use.
type Admission struct {
	// fixed
	conf    Config
	keyring *keyring

	changing sync.Mutex // held while keys and the own list change; guards the next five
	audit    *trail
	marked   time.Time     // when keys and store were last marked; zero before they were compared
	lost     bool          // what was spent may be missing from the store
	renewing bool          // by command
	above    *keylist.List // one of this provider's that it did not know; nil for none

	own atomic.Pointer[keylist.List] // nil before the first Renew

	learning sync.Mutex // guards known, and is held while a list is compared and stored
	known    map[ids.Domain]*keylist.List
}

// Open loads the state. Nothing is there before the first Renew. Errors wrap
// ErrState, or are those of the files and the store.
func Open(ctx context.Context, c Config) (*Admission, error) {
	if c.Domain.IsZero() || c.Root == nil || c.Files == nil || c.Store == nil || c.Ledger == nil || c.Directory == nil || c.Roots == nil {
		return nil, errors.New("admission: something required is missing")
	}
	a := &Admission{conf: c, known: map[ids.Domain]*keylist.List{}}
	var err error
	if a.keyring, err = openKeyring(c.Files, c.Domain); err != nil {
		return nil, err
	}
	if a.audit, err = openTrail(ctx, c.Store); err != nil {
		return nil, err
	}
	doc, err := c.Store.Get(ctx, listKey(c.Domain))
	if errors.Is(err, store.ErrNotFound) {
		return a, nil
	}
	if err != nil {
		return nil, err
	}
	own, err := keylist.Parse(doc.Value, c.Domain, c.Root.Public())
	if err != nil {
		return nil, ErrState
	}
	a.own.Store(own)
	return a, nil
}

// Due is what a renewal goes by.
type Due struct {
	Peers []ids.Domain // for use at whom memberships are issued, in a fixed order
	// Tokens returns the keys of submission tokens, ascending; with anew after it
	// drew others, as it is not known what was spent under these. Nil for none.
	Tokens func(anew bool) ([]keylist.TokenKey, error)
	// Limits are the introductions that the credentials of days are good for whose
	// keys are drawn from now on. Zero for introduction.DefaultLimits.
	Limits introduction.Limits
	// Settled: the clock has stood on its day for long enough for what is for
	// ever.
	Settled bool
}

// Renew draws the keys that are due, lists them, and erases those that are over.
// It is called before anything is served and every minute. Errors are those of
// the files and the store, ErrTrail, and introduction.ErrTerms for limits that
// cannot be.
func (a *Admission) Renew(ctx context.Context, now time.Time, due Due) error {
	due.Limits = cmp.Or(due.Limits, introduction.DefaultLimits)
	if !usable(due.Limits) {
		return introduction.ErrTerms
	}
	a.changing.Lock()
	defer a.changing.Unlock()
	if a.marked.IsZero() {
		lost, err := a.compare(ctx)
		if err != nil {
			return err
		}
		a.lost = a.lost || lost
	}
	if a.lost || a.renewing {
		if err := a.keyring.anew(); err != nil {
			return err
		}
	}
	var tokens []keylist.TokenKey
	if due.Tokens != nil {
		var err error
		if tokens, err = due.Tokens(a.lost); err != nil {
			return err
		}
	}
	today := ids.DayOf(now)
	drew, err := a.keyring.renew(today, due.Peers, func(day ids.Day) introduction.Limits { return a.limitsFor(day, due.Limits) })
	if err != nil {
		return err
	}
	// The clock was ahead and went back: keys of these days may have been listed
	// and erased.
	own := a.own.Load()
	again := a.lost || a.renewing || drew && own != nil && own.LastDay() > today+1
	if err := a.publish(ctx, now, tokens, again); err != nil {
		return err
	}
	// The list is durable, and with it that a term began.
	a.lost, a.renewing = false, false
	if err := a.mark(ctx, now); err != nil {
		return err
	}
	if !due.Settled {
		return nil
	}
	return a.keyring.expire(today)
}

// put replaces a document that only this process writes.
func (a *Admission) put(ctx context.Context, key store.Key, value []byte) error {
	for range tries {
		doc, err := a.conf.Store.Get(ctx, key)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if _, err = a.conf.Store.CAS(ctx, key, doc.Version, value); !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
	return store.ErrConflict
}

// limitsFor returns the limits of a day whose key is drawn. Those that a list of
// this provider's gave the day stay when another key takes the place of the listed
// one: under other limits the nonces that are spent would be good again, since the
// limit is in the context of tags. The caller holds changing.
func (a *Admission) limitsFor(day ids.Day, now introduction.Limits) introduction.Limits {
	for _, l := range []*keylist.List{a.above, a.own.Load()} {
		if l == nil {
			continue
		}
		if fresh, member := l.Limits(day); usable(introduction.Limits{New: fresh, Member: member}) {
			return introduction.Limits{New: fresh, Member: member}
		}
	}
	return now
}

// Credential implements relay.AdmissionKeys.
func (a *Admission) Credential(epoch ids.Day) (*arc.SecretKey, bool) {
	c, ok := a.keyring.credential(epoch)
	return c.key, ok
}

// Limits implements relay.AdmissionKeys.
func (a *Admission) Limits(epoch ids.Day) introduction.Limits {
	c, _ := a.keyring.credential(epoch)
	return c.limits
}

// Membership implements relay.AdmissionKeys.
func (a *Admission) Membership(home ids.Domain, month ratelimit.Month) (*arc.SecretKey, bool) {
	return a.keyring.membership(place{home, month})
}

// Standing implements relay.AdmissionKeys.
func (a *Admission) Standing() *keys.Secret { return a.keyring.standing }

// Dummy implements relay.AdmissionKeys.
func (a *Admission) Dummy() *keys.Secret { return a.keyring.dummy }

// Shares returns what a peer has to be given, sealed to a relay key of its. Each
// is sent again until the peer says that it has it; more often does no harm.
func (a *Admission) Shares(at ids.Domain, id uint8, to keys.SealPublic, now time.Time) ([]*wire.ShareMembershipKey, error) {
	var out []*wire.ShareMembershipKey
	today := ids.DayOf(now)
	for _, m := range []ratelimit.Month{ratelimit.MonthOf(today), ratelimit.MonthOf(today) + 1} {
		key, ok := a.keyring.issuer(place{at, m})
		if !ok || !issuing(m, today) {
			continue
		}
		secret := key.Bytes()
		sealed, _, err := to.Seal([]byte(labelShare), shareAAD(a.conf.Domain, at, m), secret)
		clear(secret)
		if err != nil {
			return nil, ErrKey
		}
		out = append(out, &wire.ShareMembershipKey{Month: uint32(m), KeyID: id, Sealed: [wire.SharedKeySize]byte(sealed)})
	}
	return out, nil
}

// Take keeps a key that a peer shares, durably before it returns nil. The same key
// again changes nothing; another one, which a peer has that lost the first, counts
// from now on. Errors are ErrPeriod, ErrKey and those of the files.
func (a *Admission) Take(home ids.Domain, m *wire.ShareMembershipKey, relay *keys.SealKey, now time.Time) error {
	month, today := ratelimit.Month(m.Month), ids.DayOf(now)
	// A day more, for the peer's clock.
	if !issuing(month, today) && !issuing(month, today+1) {
		return ErrPeriod
	}
	secret, _, err := relay.Open([]byte(labelShare), shareAAD(home, a.conf.Domain, month), m.Sealed[:])
	if err != nil {
		return ErrKey
	}
	defer clear(secret)
	key, err := arc.Ristretto255().ParseSecretKey(secret)
	if err != nil {
		return ErrKey
	}
	return a.keyring.take(place{home, month}, key)
}
