package ledger

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"time"

	"waxwing/core/ids"
	"waxwing/core/store"
	"waxwing/core/wire"
	"waxwing/ratelimit"
	"waxwing/ratelimit/privacypass"
)

var (
	// ErrSpent means that another claimant was first.
	ErrSpent = errors.New("ledger: spent")
	// ErrOver means a period whose set is closed: nothing of it is taken.
	ErrOver = errors.New("ledger: period is over")
)

const (
	// maxOpen bounds the sets that a Ledger remembers as open: a few days of
	// four purposes.
	maxOpen = 64
	// maxTries bounds how often a quota's row is read again after a conflict:
	// devices of one account ask at once, and each conflict is another's success.
	maxTries = 16
)

// Ledger is safe for concurrent use.
type Ledger struct {
	s    store.Store
	mu   sync.Mutex
	open map[store.SetID]bool
}

// New returns the ledger of a store. Several may use one store.
func New(s store.Store) *Ledger { return &Ledger{s: s, open: map[store.SetID]bool{}} }

// ensure opens a set that ends with a day and a day of clocks that differ.
func (l *Ledger) ensure(ctx context.Context, id store.SetID, last ids.Day, now time.Time) error {
	end := (last + 1).End()
	if !now.Before(end) {
		return ErrOver
	}
	l.mu.Lock()
	known := l.open[id]
	l.mu.Unlock()
	if known {
		return nil
	}
	if err := l.s.OpenSet(ctx, id, end); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.open) >= maxOpen {
		clear(l.open) // opening a set again changes nothing
	}
	l.open[id] = true
	return nil
}

// spend claims tokens of one set. Each has its error: nil, ErrSpent, or the
// store's, in which case it may be sent again.
func (l *Ledger) spend(ctx context.Context, id store.SetID, last ids.Day, now time.Time, claims []store.Claim) []error {
	errs := make([]error, len(claims))
	if err := l.ensure(ctx, id, last, now); err != nil {
		for i := range errs {
			errs[i] = err
		}
		return errs
	}
	for i, r := range l.s.Spend(ctx, id, claims) {
		switch {
		case r.Err != nil:
			errs[i] = r.Err
		case !r.Won:
			errs[i] = ErrSpent
		}
	}
	// A claim that won is durable: it is this claimant's for good. A crash before
	// the envelope is accepted costs nothing, since the same envelope wins again.
	return errs
}

// SpendToken spends a redeemed submission token for an envelope to dest, whose
// id this relay computed. Errors are ErrSpent, ErrOver and the store's.
func (l *Ledger) SpendToken(ctx context.Context, s privacypass.Spend, dest ids.Domain, id ids.EnvelopeID, now time.Time) error {
	claim := store.Claim{Token: s.ID, Claimant: privacypass.Claimant(dest, id)}
	last := s.Epoch.Last() + privacypass.OverlapDays
	return l.spend(ctx, setID(purposeTokens, uint32(s.Epoch)), last, now, []store.Claim{claim})[0]
}

// TokenSpend is a redeemed submission token with what it is spent for.
type TokenSpend struct {
	privacypass.Spend
	Dest ids.Domain
	ID   ids.EnvelopeID // as this relay computed it
}

// SpendTokens is SpendToken of several, in one step for each epoch.
func (l *Ledger) SpendTokens(ctx context.Context, list []TokenSpend, now time.Time) []error {
	errs := make([]error, len(list))
	claims, places := map[privacypass.Epoch][]store.Claim{}, map[privacypass.Epoch][]int{}
	for i, s := range list {
		e := s.Epoch
		claims[e] = append(claims[e], store.Claim{Token: s.Spend.ID, Claimant: privacypass.Claimant(s.Dest, s.ID)})
		places[e] = append(places[e], i)
	}
	for e, c := range claims {
		for i, err := range l.spend(ctx, setID(purposeTokens, uint32(e)), e.Last()+privacypass.OverlapDays, now, c) {
			errs[places[e][i]] = err
		}
	}
	return errs
}

// TagSpend is the tag of a verified introduction, or of a standing request, with
// what it is spent for: the envelope's id, or the question's.
type TagSpend struct {
	Tag      [32]byte
	Claimant [32]byte
}

func (t TagSpend) claim() store.Claim {
	return store.Claim{Token: sha256.Sum256(t.Tag[:]), Claimant: t.Claimant}
}

// SpendTags spends tags of introductions of one epoch. An envelope may arrive
// ids.MaxDelay days late, and so long the set is kept.
func (l *Ledger) SpendTags(ctx context.Context, epoch ids.Day, tags []TagSpend, now time.Time) []error {
	claims := make([]store.Claim, len(tags))
	for i, t := range tags {
		claims[i] = t.claim()
	}
	return l.spend(ctx, setID(purposeTags, uint32(epoch)), epoch+ids.MaxDelay, now, claims)
}

// SpendStanding spends the tag of a standing request of a week.
func (l *Ledger) SpendStanding(ctx context.Context, week ratelimit.Week, t TagSpend, now time.Time) error {
	last := ids.Day(week)*7 + 6
	return l.spend(ctx, setID(purposeWeekly, uint32(week)), last, now, []store.Claim{t.claim()})[0]
}

// Refill admits the first refill of a pseudonym in an epoch, named by its place and
// hash (membership.Shown), and the same one again; ErrSpent for any other. Bans were looked up before, and the answer is
// sent after: a crash in between costs nothing.
func (l *Ledger) Refill(ctx context.Context, epoch ids.Day, place, hash [32]byte, now time.Time) error {
	claim := store.Claim{Token: place, Claimant: hash}
	return l.spend(ctx, setID(purposeRefills, uint32(epoch)), epoch, now, []store.Claim{claim})[0]
}

// TakenMembership is a membership that an account takes, named by what it takes
// once, with the hash of its request.
type TakenMembership struct {
	ID, Request [32]byte
}

// TakeMembership admits the first request for a membership of a month, and the
// same one again; ErrSpent for any other.
func (l *Ledger) TakeMembership(ctx context.Context, month ratelimit.Month, t TakenMembership, now time.Time) error {
	last := (ids.Day(month)+1)*ratelimit.MonthDays - 1
	return l.spend(ctx, setID(purposeMembers, uint32(month)), last, now, []store.Claim{{Token: t.ID, Claimant: t.Request}})[0]
}

// Quota decides privacypass.Quota for an account and stores the row before it
// returns. After a conflict the decision is made anew, so that devices that ask
// at once never get more than the quota together. The error is the store's;
// store.ErrConflict after too many conflicts.
func (l *Ledger) Quota(ctx context.Context, account ids.Address, daily uint32, request []byte, n int, now time.Time) (privacypass.Granted, error) {
	key := quotaKey(account)
	for range maxTries {
		doc, err := l.s.Get(ctx, key)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return privacypass.Granted{}, err
		}
		var row privacypass.Row
		if err == nil {
			if err := wire.Unmarshal(doc.Value, &row); err != nil {
				return privacypass.Granted{}, err
			}
		}
		granted, next := privacypass.Quota(row, daily, request, n, now)
		if !granted.Allowed || granted.Repeated {
			return granted, nil
		}
		value, err := wire.Marshal(&next)
		if err != nil {
			return privacypass.Granted{}, err
		}
		_, err = l.s.CAS(ctx, key, doc.Version, value)
		if err == nil {
			// Counted. A crash before the answer costs nothing: the same request is
			// answered again without being counted again.
			return granted, nil
		}
		if !errors.Is(err, store.ErrConflict) {
			return privacypass.Granted{}, err
		}
	}
	return privacypass.Granted{}, store.ErrConflict
}

// Forget removes the quota's row of an account that is closed.
func (l *Ledger) Forget(ctx context.Context, account ids.Address) error {
	key := quotaKey(account)
	for range maxTries {
		doc, err := l.s.Get(ctx, key)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err = l.s.CAS(ctx, key, doc.Version, nil); !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
	return store.ErrConflict
}
