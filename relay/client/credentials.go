package client

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"waxwing/core/ids"
	"waxwing/core/query"
	"waxwing/core/wire"
	"waxwing/ratelimit"
	"waxwing/ratelimit/arc"
	"waxwing/ratelimit/introduction"
	"waxwing/ratelimit/keylist"
	"waxwing/ratelimit/membership"
	"waxwing/relay/client/state"
	"waxwing/relay/quicnet"
)

// What introductions need, at each provider that the account has contacts at: the
// month's membership, which the own provider issues and learns nothing by but that
// the account may write there, and the day's credential, which the other provider
// gives against it over the own one and cannot tell for whom. Every device of the
// account asks with the same bytes and has the same credential; each has a share of
// the day's introductions of its own (shares.go).

// labelRefillTime separates the times of refills from everything else that is made
// of k.
const labelRefillTime = "waxwing refill time"

// credentialSpread is in how much of a day refills are spread: the rest is for who
// was offline.
const credentialSpread = 20 * time.Hour

// refillAt is when a day's credential is asked for, if nobody waits for it: at
// random over the day, so that a refill says nothing of when somebody writes, and
// for every provider at which there is a contact.
func refillAt(k *[32]byte, d ids.Domain, day ids.Day) time.Time {
	info := binary.BigEndian.AppendUint32([]byte(labelRefillTime+d.String()), uint32(day))
	b, err := hkdf.Key(sha256.New, k[:], nil, string(info), 8)
	if err != nil {
		panic(err) // 8 bytes are not too much
	}
	return day.Start().Add(time.Duration(binary.BigEndian.Uint64(b) % uint64(credentialSpread)))
}

// refills lists the providers of which the day's credential is due: those that a
// message waits for, and those whose time has come.
func (w *work) refills() ([]ids.Domain, error) {
	if w.self == nil || !w.self.Registered || w.ownCert() == nil || !w.divided() || w.self.lacksAccountKey() {
		return nil, nil
	}
	due := map[ids.Domain]bool{}
	for _, c := range w.contacts {
		d := c.Address.Domain()
		if due[d] || c.Pending || c.Blocked {
			continue
		}
		if has, err := w.credited(d); err != nil || has {
			if err != nil {
				return nil, err
			}
			continue
		}
		waits, err := w.waits(c)
		if err != nil {
			return nil, err
		}
		if waits || !w.now.Before(refillAt(&w.self.Secrets.K, d, w.today)) {
			due[d] = true
		}
	}
	return slices.SortedFunc(maps.Keys(due), func(a, b ids.Domain) int { return strings.Compare(a.String(), b.String()) }), nil
}

// credited reports whether the day's credential at a provider is here.
func (w *work) credited(d ids.Domain) (bool, error) {
	row, err := state.Credentials.Get(w.tx, state.At(w.today, d))
	if errors.Is(err, state.ErrNotFound) {
		return false, nil
	}
	return err == nil && !row.Over, err
}

// uncredited reports whether messages wait for a credential, which may come within
// moments: another provider may just be connecting.
func (c *Client) uncredited() (waits bool, err error) {
	err = c.view(func(w *work) error {
		for _, k := range w.contacts {
			some, err := w.waits(k)
			if err != nil {
				return err
			}
			if !some {
				continue
			}
			has, err := w.credited(k.Address.Domain())
			if err != nil {
				return err
			}
			h, err := w.hopTo(k.Address.Domain())
			if err != nil {
				return err
			}
			// A hop that failed again and again is not back within moments.
			waits = waits || !has && (h == nil || w.hopWait(h) < providerPatience)
		}
		return nil
	})
	return waits, err
}

// renewedAfter is when a list is asked for again under which a credential was given:
// as long a provider that had to draw another key for the day disposes of
// introductions under the first.
const renewedAfter = 6 * time.Hour

// agedLists returns the providers whose day's credential is here, and whose list
// is to be asked for again.
func (w *work) agedLists() ([]ids.Domain, error) {
	if w.self == nil {
		return nil, nil
	}
	aged := map[ids.Domain]bool{}
	for _, c := range w.contacts {
		d := c.Address.Domain()
		if aged[d] {
			continue
		}
		has, err := w.credited(d)
		if err != nil {
			return nil, err
		}
		p, err := state.KeyLists.Get(w.tx, []byte(d.String()))
		if errors.Is(err, state.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		aged[d] = has && w.now.Sub(time.UnixMilli(int64(p.Fetched))).Abs() >= renewedAfter
	}
	maps.DeleteFunc(aged, func(_ ids.Domain, is bool) bool { return !is })
	return slices.SortedFunc(maps.Keys(aged), func(a, b ids.Domain) int { return strings.Compare(a.String(), b.String()) }), nil
}

// renewLists asks for them.
func (l *link) renewLists(ctx context.Context) error {
	var own ids.Domain
	var aged []ids.Domain
	if err := l.c.view(func(w *work) (err error) {
		if aged, err = w.agedLists(); len(aged) > 0 {
			own = w.self.Address.Domain()
		}
		return err
	}); err != nil {
		return err
	}
	for _, d := range aged {
		what := "keys " + d.String()
		if err := l.attempt(what, func() error {
			fetch := l.fetchList
			if d == own {
				fetch = l.fetchOwnList
			}
			if err := fetch(ctx, d); err != nil {
				return unusable(err)
			}
			l.mu.Lock()
			l.later[what] = l.c.now().Add(renewedAfter)
			l.mu.Unlock()
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// credentials gets the credentials that are due.
func (l *link) credentials(ctx context.Context) error {
	if err := l.renewLists(ctx); err != nil {
		return err
	}
	var due []ids.Domain
	if err := l.c.view(func(w *work) (err error) { due, err = w.refills(); return err }); err != nil {
		return err
	}
	for _, d := range due {
		err := l.attempt("credential "+d.String(), func() error {
			err := l.credential(ctx, d)
			if errors.Is(err, ErrProvider) {
				return errUnusable // the own provider may be connecting to it
			}
			return unusable(err)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *link) credential(ctx context.Context, at ids.Domain) error {
	var own ids.Domain
	var today ids.Day
	var stale []ids.Domain
	if err := l.c.view(func(w *work) (err error) {
		own, today = w.self.Address.Domain(), w.today
		stale, err = w.stale([]ids.Domain{own, at})
		return err
	}); err != nil {
		return err
	}
	if err := l.describe(ctx, stale); err != nil {
		return err
	}
	month := ratelimit.MonthOf(today)
	ours, err := l.keyList(ctx, own, func(k *keylist.List) bool { _, ok := k.Membership(at, month); return ok })
	if err != nil {
		return err
	}
	theirs, err := l.keyList(ctx, at, func(k *keylist.List) bool { _, ok := k.Credential(today); return ok })
	if err != nil {
		return err
	}
	member, err := l.membership(ctx, ours, at, month)
	if err != nil {
		return err
	}
	return l.refill(ctx, &refilling{home: own, at: at, month: month, today: today, ours: ours, theirs: theirs, member: member})
}

// keyList returns a provider's list, asked for anew if the one that is stored lacks
// what is needed. It is stored before anything is asked under it: whoever lists
// another key later is found out. Errors are errUnusable, those of learnList, of the
// link and the store's.
func (l *link) keyList(ctx context.Context, d ids.Domain, enough func(*keylist.List) bool) (*keylist.List, error) {
	var own ids.Domain
	var known *keylist.List
	look := func() error {
		return l.c.view(func(w *work) (err error) {
			own = w.self.Address.Domain()
			known, _, err = w.knownList(d)
			return err
		})
	}
	if err := look(); err != nil || known != nil && enough(known) {
		return known, err
	}
	var err error
	if d == own {
		err = l.fetchOwnList(ctx, own)
	} else {
		err = l.fetchList(ctx, d)
	}
	if err == nil {
		err = look()
	}
	if err == nil && (known == nil || !enough(known)) {
		err = errUnusable // the own provider has not fetched it yet
	}
	return known, err
}

// fetchList asks the own provider for another one's list.
func (l *link) fetchList(ctx context.Context, d ids.Domain) error {
	m, err := askOwn[*wire.AdmissionKeysAre](ctx, l, &wire.AdmissionKeys{Provider: d})
	if err != nil {
		return err
	}
	return l.c.update(func(w *work) error { return w.learnList(d, m.List) })
}

// member is a month's membership, ready to be shown.
type member struct {
	tier ratelimit.Tier
	cred *arc.Credential
	xs   [32]byte // of the k in it
}

// membership returns the account's membership at a provider, issued now if this
// device has none. The tier is the higher one that the own provider vouches for.
func (l *link) membership(ctx context.Context, ours *keylist.List, at ids.Domain, month ratelimit.Month) (*member, error) {
	var row *state.Membership
	key := state.At(month, at)
	var xs [32]byte
	if err := l.c.view(func(w *work) (err error) {
		xs = w.self.xs
		if row, err = state.Memberships.Get(w.tx, key); errors.Is(err, state.ErrNotFound) {
			row, err = nil, nil
		}
		return err
	}); err != nil {
		return nil, err
	}
	listed, _ := ours.Membership(at, month)
	if row != nil {
		cred, err := state.ParseCredential("memberships", &row.Credential)
		if err != nil || cred.IssuerX1().Equal(listed.X1()) {
			return &member{row.Tier, cred, xs}, err
		}
		// The own provider drew another key for the month.
	}
	cred, tier, err := l.vouched(ctx, at, month, listed)
	if errors.Is(err, membership.ErrProof) || errors.Is(err, membership.ErrMalformed) {
		return nil, ErrServer // not under the listed key
	}
	if err != nil {
		return nil, err
	}
	row = &state.Membership{Tier: tier, Credential: [state.CredentialSize]byte(cred.Bytes())}
	return &member{tier, cred, xs}, l.c.update(func(w *work) error {
		if w.self.xs != xs {
			return ErrServer // replaced meanwhile
		}
		return state.Memberships.Put(w.tx, key, row)
	})
}

// refilling is what a refill is made of.
type refilling struct {
	home, at     ids.Domain
	month        ratelimit.Month
	today        ids.Day
	ours, theirs *keylist.List
	member       *member
}

// refill shows the membership at the other provider, by a sealed question, and
// stores the day's credential with this device's share of it.
func (l *link) refill(ctx context.Context, r *refilling) error {
	listed, _ := r.ours.Membership(r.at, r.month)
	day, _ := r.theirs.Credential(r.today)
	terms := membership.Refill{
		Home: r.home, Provider: r.at, Month: r.month, Tier: r.member.tier, Epoch: r.today,
		Membership: listed, Key: day,
	}
	pending, err := terms.Request(r.member.cred)
	if err != nil {
		return ErrServer
	}
	payload, err := wire.Marshal(&query.Refill{
		Home: r.home, Month: uint32(r.month), Tier: uint8(r.member.tier), Epoch: r.today, Refill: pending.Bytes(),
	})
	if err != nil {
		return err
	}
	var a query.RefillAnswer
	if err := l.ask(ctx, r.at, query.KindRefill, func([]byte) ([]byte, error) { return payload, nil }, &a); err != nil {
		return err
	}
	switch a.Status {
	case query.RefillLater:
		return &quicnet.RefusedError{Code: wire.CodeLimit, RetryAfter: time.Duration(min(a.Retry, 1<<31)) * time.Millisecond}
	case query.RefillRefused:
		return &quicnet.RefusedError{Code: wire.CodeForbidden, RetryAfter: refillRetry}
	}
	cred, err := pending.Finish(a.Answer[:])
	if err != nil {
		return ErrServer // not under the listed key
	}
	fresh, others := r.theirs.Limits(r.today)
	err = l.c.update(func(w *work) error {
		return w.refilled(r, introduction.Limits{New: fresh, Member: others}, cred)
	})
	if err == nil {
		l.fresh.Store(true) // what waited for it can be sealed
	}
	return err
}

// refilled stores a day's credential.
func (w *work) refilled(r *refilling, limits introduction.Limits, cred *arc.Credential) error {
	limit, err := limits.Of(r.member.tier)
	if err != nil || w.self.xs != r.member.xs {
		return ErrServer
	}
	w.touched = true
	for id := range w.contacts {
		w.attention[id] = true
	}
	if w.self.Part.Period != uint32(r.today) {
		return nil // the day was over before the answer came
	}
	share, err := w.self.Part.Share(limit)
	if err != nil {
		return ErrServer
	}
	key := state.At(r.today, r.at)
	switch before, err := state.Credentials.Get(w.tx, key); {
	case err == nil:
		// What is used stays used, also if the day has another limit now: a provider
		// that goes to and fro between two would see nonces again under one of them.
		share = before.Share.Within(limit)
	case !errors.Is(err, state.ErrNotFound):
		return err
	}
	return state.Credentials.Put(w.tx, key, &state.Credential{
		Tier: r.member.tier, Limits: limits, Credential: [state.CredentialSize]byte(cred.Bytes()), Share: share,
	})
}

// sweepCredentials erases what is over.
func (w *work) sweepCredentials() error {
	month := ratelimit.MonthOf(w.today)
	drop := func(keys [][]byte, del func(key []byte) error) (err error) {
		for _, k := range keys {
			err = errors.Join(err, del(k))
		}
		return err
	}
	var days, months [][]byte
	for row, err := range state.Credentials.Scan(w.tx, nil, nil) {
		if err != nil {
			return err
		}
		if ids.Day(state.ParseAt(row.Key)) < w.today {
			days = append(days, row.Key)
		}
	}
	for row, err := range state.Memberships.Scan(w.tx, nil, nil) {
		if err != nil {
			return err
		}
		if ratelimit.Month(state.ParseAt(row.Key)) < month {
			months = append(months, row.Key)
		}
	}
	return errors.Join(
		drop(days, func(k []byte) error { return state.Credentials.Delete(w.tx, k) }),
		drop(months, func(k []byte) error { return state.Memberships.Delete(w.tx, k) }),
	)
}
