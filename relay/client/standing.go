package client

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"waxwing/core/directory"
	"waxwing/core/group"
	"waxwing/core/ids"
	"waxwing/core/query"
	"waxwing/core/wire"
	"waxwing/ratelimit"
	"waxwing/ratelimit/introduction"
	"waxwing/relay/client/state"
)

// Contacts give tickets to who is in standing only: who shows a stamp of the week,
// which its provider's and the contact's together let it get (design section 8).
// Each device asks for its own, once a week and contact, with nonces of its own, at
// a time that says nothing of what is written, and one at a time: the contact's
// provider sees no names, and should not see by the times either which of them are
// one account.

// labelStandingTime separates the times of these questions from everything else that
// is made of k.
const labelStandingTime = "waxwing standing time"

const (
	// standingSpread is in how much of a week the questions are spread: as long as
	// last week's stamps count, less a day for the credential and who was offline.
	standingSpread = (ids.MaxDelay - 1) * 24 * time.Hour
	// freshSpread is the same for a contact that is new this week, which takes the
	// account to be in standing as long: not at the moment of the first message.
	freshSpread = 48 * time.Hour
	// standingMargin keeps questions away from the change of weeks, which another
	// provider's clock may see earlier or later.
	standingMargin = time.Hour
	// standingRetry is when a stamp is asked for again whose answer was lost, and
	// standingTries how often in a week: each takes a nonce.
	standingRetry = 6 * time.Hour
	standingTries = 4
	// standingCheck is how often it is looked whether one is due, and standingPause
	// how long one question waits for the one before at most, by chance: a device
	// that was away has many due at once.
	standingCheck = time.Minute
	standingPause = 15 * time.Minute
)

// standingAt returns when a device asks for a week's stamp of a contact whose
// tickets it has had since some time.
func standingAt(k *[32]byte, device ids.DeviceID, to ids.Address, week ratelimit.Week, since time.Time) time.Time {
	info := binary.BigEndian.AppendUint32([]byte(labelStandingTime+to.String()), uint32(week))
	info = binary.BigEndian.AppendUint32(info, uint32(device))
	b, err := hkdf.Key(sha256.New, k[:], nil, string(info), 16)
	if err != nil {
		panic(err) // 16 bytes are not too much
	}
	after := func(b []byte, spread time.Duration) time.Duration {
		return standingMargin + time.Duration(binary.BigEndian.Uint64(b)%uint64(spread))
	}
	at := (ids.Day(week) * 7).Start().Add(after(b, standingSpread))
	if since.After(at) {
		at = since.Add(after(b[8:], freshSpread))
	}
	return at
}

// asking is a question for a stamp, with its nonce reserved.
type asking struct {
	id         state.ContactID
	provider   ids.Domain
	home       ids.Domain
	week       ratelimit.Week
	generation uint32
	nonce      uint32
	row        *state.Credential
	at         introduction.Mailbox
	today      ids.Day
}

// standing asks for a stamp, if one is due.
func (l *link) standing(ctx context.Context) error {
	const what = "standing"
	return l.attempt(what, func() error {
		if err := l.tryHop(ctx); err != nil {
			return err
		}
		var a *asking
		err := l.c.update(func(w *work) (err error) { a, err = w.askStanding(); return err })
		if err != nil {
			return err
		}
		wait := standingCheck
		if a != nil {
			// The nonce is used up, durably: a crash from here on loses it, and no
			// other question has it. The stamp is asked for again with the next one.
			wait += rand.N(standingPause)
			err = l.askStanding(ctx, a)
		}
		l.mu.Lock()
		l.later[what] = l.c.now().Add(wait)
		l.mu.Unlock()
		if errors.Is(err, ErrProvider) || errors.Is(err, introduction.ErrTerms) {
			return errUnusable // its descriptor is over, or its limits are none; asked again later
		}
		return unusable(err)
	})
}

func (l *link) askStanding(ctx context.Context, a *asking) error {
	var answer query.StandingAnswer
	err := l.ask(ctx, a.provider, query.KindStanding, a.payload, &answer)
	if err != nil {
		return err
	}
	return l.c.update(func(w *work) error { return w.takeStamp(a, answer.Stamp) })
}

// payload is the question, bound to its seal.
func (a *asking) payload(enc []byte) ([]byte, error) {
	cred, err := state.ParseCredential("credentials", &a.row.Credential)
	if err != nil {
		return nil, err
	}
	s := introduction.Sender{
		Credential: cred, Home: a.home, Provider: a.provider, Tier: a.row.Tier, Epoch: a.today, Limits: a.row.Limits,
	}
	b, err := s.AskStanding(enc, &a.at, a.nonce)
	if err != nil {
		return nil, err
	}
	return wire.Marshal(&query.Standing{Home: a.home, Epoch: a.today, Standing: [query.StandingSize]byte(b)})
}

// due is a contact of whom a stamp is to be asked for.
type due struct {
	c    *contact
	row  *state.Stamp
	door *directory.MailboxKey
	at   time.Time
}

// askStanding notes what is new, and takes the stamp that is due longest out of the
// week's share; nil if none is, or nothing to ask with is there.
func (w *work) askStanding() (*asking, error) {
	if w.self == nil || !w.self.Registered || w.ownCert() == nil || w.self.lacksAccountKey() {
		return nil, nil
	}
	week := ratelimit.WeekOf(w.today)
	if ratelimit.WeekOf(ids.DayOf(w.now.Add(standingMargin))) != week || ratelimit.WeekOf(ids.DayOf(w.now.Add(-standingMargin))) != week {
		return nil, nil
	}
	var all []due
	for _, c := range w.contacts {
		d, err := w.stampDue(c, week)
		if err != nil {
			return nil, err
		}
		if d != nil {
			all = append(all, *d)
		}
	}
	slices.SortFunc(all, func(a, b due) int { return a.at.Compare(b.at) })
	for i := range all {
		if failing, err := w.hopFailing(all[i].c.Address.Domain()); failing || err != nil {
			if err != nil {
				return nil, err
			}
			continue
		}
		if a, err := w.reserveStamp(&all[i], week); a != nil || err != nil {
			return a, err
		}
	}
	return nil, nil
}

// stampDue returns a contact of whom a stamp is due, nil for another: it has let
// this device write to it, and that was not proven to it this week. It is called for
// every contact each minute, so what costs comes last.
func (w *work) stampDue(c *contact, week ratelimit.Week) (*due, error) {
	if c.Status != state.ContactKnown || c.Blocked || c.Pending || len(c.MailboxKey) == 0 || c.Introduced != 0 && ratelimit.WeekOf(c.Introduced) == week {
		return nil, nil
	}
	row, err := w.stampOf(c)
	if err != nil {
		return nil, err
	}
	this := row != nil && row.Week == week
	if this {
		if needs, err := w.needsStamp(c, row); !needs || err != nil {
			return nil, err
		}
	}
	wallet, err := w.walletOf(c)
	if err != nil || wallet.Len(w.today) == 0 {
		return nil, err
	}
	if row == nil {
		row = &state.Stamp{Since: uint64(max(0, w.now.UnixMilli()))}
		if err := state.Stamps.Put(w.tx, state.U32(c.id), row); err != nil {
			return nil, err
		}
	}
	d := &due{c: c, row: row}
	d.at = standingAt(&w.self.Secrets.K, w.self.Device, c.Address, week, time.UnixMilli(int64(row.Since)))
	if this {
		d.at = d.at.Add(time.Duration(row.Tries) * standingRetry)
	}
	if w.now.Before(d.at) {
		return nil, nil
	}
	if d.door, err = directory.ParseMailboxKey(c.MailboxKey, c.Identity); err != nil {
		return nil, &state.CorruptError{Table: "contacts"}
	}
	return d, nil
}

// needsStamp reports whether a stamp that was asked for this week is to be asked for
// again: its answer was lost, or the contact has another W since, and keeps the one
// before for a while only.
func (w *work) needsStamp(c *contact, row *state.Stamp) (bool, error) {
	if row.Tries >= standingTries || !row.Has {
		return row.Tries < standingTries, nil
	}
	to, err := w.recipientOf(c)
	return to != nil && row.Generation < to.Generation, err
}

// stampOf returns what is known of a contact's stamp, nil for nothing.
func (w *work) stampOf(c *contact) (*state.Stamp, error) {
	row, err := state.Stamps.Get(w.tx, state.U32(c.id))
	if errors.Is(err, state.ErrNotFound) {
		return nil, nil
	}
	return row, err
}

// shareStanding stores this device's share of a week's nonces at a provider, once its
// part of the week is known.
func (w *work) shareStanding(at ids.Domain, week ratelimit.Week) error {
	key := state.At(week, at)
	if w.self.Week.Period != uint32(week) || state.Standings.Has(w.tx, key) {
		return nil
	}
	share, err := w.self.Week.Share(introduction.StandingLimit)
	if err != nil {
		return err
	}
	err = state.Standings.Put(w.tx, key, &share)
	if errors.Is(err, state.ErrFull) {
		return nil
	}
	return err
}

// reserveStamp takes the nonce of a question and notes it; nil if there is no
// credential or no nonce for it.
func (w *work) reserveStamp(d *due, week ratelimit.Week) (*asking, error) {
	domain := d.c.Address.Domain()
	a := &asking{
		id: d.c.id, provider: domain, home: w.self.Address.Domain(), week: week, generation: d.door.Generation(), today: w.today,
		at: introduction.Mailbox{ID: d.door.Mailbox(), Generation: d.door.Generation()},
	}
	var err error
	if a.row, err = state.Credentials.Get(w.tx, state.At(w.today, domain)); errors.Is(err, state.ErrNotFound) || err == nil && a.row.Over {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := w.shareStanding(domain, week); err != nil {
		return nil, err
	}
	key := state.At(week, domain)
	share, err := state.Standings.Get(w.tx, key)
	if errors.Is(err, state.ErrNotFound) || err == nil && share.Left() == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	bigW := d.door.W()
	if a.at.W, err = group.Ristretto255().DecodeElement(bigW[:]); err != nil {
		return nil, &state.CorruptError{Table: "contacts"}
	}
	var after introduction.Share
	if a.nonce, after, err = share.Reserve(); err != nil {
		return nil, err
	}
	if d.row.Week != week {
		d.row.Tries = 0
	}
	d.row.Week, d.row.Generation, d.row.Has, d.row.Told = week, a.generation, false, false
	d.row.Tries++
	return a, errors.Join(
		state.Standings.Put(w.tx, key, &after),
		state.Stamps.Put(w.tx, state.U32(d.c.id), d.row),
	)
}

// takeStamp stores a stamp. Whether it is of any use only the contact can tell.
func (w *work) takeStamp(a *asking, stamp [introduction.StampSize]byte) error {
	c := w.contacts[a.id]
	if c == nil {
		return nil
	}
	row, err := w.stampOf(c)
	if row == nil || err != nil || row.Week != a.week || row.Generation != a.generation {
		return err
	}
	w.touched = true
	w.attention[c.id] = true
	row.Has, row.Stamp, row.Day = true, stamp, w.today
	return state.Stamps.Put(w.tx, state.U32(c.id), row)
}

// sweepStanding erases what is over.
func (w *work) sweepStanding() error {
	week := ratelimit.WeekOf(w.today)
	var gone [][]byte
	for row, err := range state.Standings.Scan(w.tx, nil, nil) {
		if err != nil {
			return err
		}
		if ratelimit.Week(state.ParseAt(row.Key)) < week {
			gone = append(gone, row.Key)
		}
	}
	for _, k := range gone {
		if err := state.Standings.Delete(w.tx, k); err != nil {
			return err
		}
	}
	return nil
}
