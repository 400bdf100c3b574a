package client

import (
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"waxwing/core/keys"
	"waxwing/ratelimit/privacypass"
	"waxwing/relay/client/state"
)

const (
	// bucketLow is the number of this epoch's free tokens below which more are
	// asked for: what a device sends while it waits for the moment to ask.
	bucketLow = 64
	// fetchSpread is within how long after that more are asked for, at a random
	// moment: asking then says nothing about when something was sent.
	fetchSpread = 30 * time.Minute
	// renewSpread is the same where tokens of the epoch before are still good: not
	// everybody asks in the first minutes of an epoch.
	renewSpread = 24 * time.Hour
	// refillSpread spreads those who wait for the next day's tokens.
	refillSpread = 5 * time.Minute
	// maxFetchWait is how long tokens wait for their moment at most: a day's refill.
	// Beyond it the clock was set back.
	maxFetchWait = 49 * time.Hour
	// issueRetry is how soon a provider that gives no tokens is asked again.
	issueRetry = time.Minute
	// keylistAge is how old the provider's list of keys may be before it is asked
	// for again, so that two that contradict each other are noticed.
	keylistAge = 24 * time.Hour
)

// admissionLabel has the seed of token requests come from the account's secret,
// which devices share and backups hold.
const admissionLabel = "waxwing admission seed"

// errAlarm stops a request of which the alarm is stored.
var errAlarm = errors.New("client: the provider's keys contradict each other")

// admissionSeed is what the account's requests for tokens derive from.
func (s *self) admissionSeed() (*keys.Secret, error) {
	b, err := hkdf.Key(sha256.New, s.Secrets.K[:], nil, admissionLabel, keys.SecretSize)
	if err != nil {
		return nil, err
	}
	defer clear(b)
	return keys.SecretFrom(b)
}

// admission returns how this device gets its tokens, to be changed and stored.
func (w *work) admission() (*state.Admission, error) {
	a, err := state.Admissions.Get(w.tx, state.Single)
	if errors.Is(err, state.ErrNotFound) {
		return new(state.Admission), nil
	}
	return a, err
}

func (w *work) putAdmission(a *state.Admission) error {
	return state.Admissions.Put(w.tx, state.Single, a)
}

// anonymous reports whether envelopes leave with tokens, on connections that are
// nobody's.
func (w *work) anonymous() (bool, error) {
	if w.e.identified {
		return false, nil
	}
	a, err := w.admission()
	return err == nil && !a.Identified, err
}

// bucketKey orders tokens by epoch, those that end first in front.
func bucketKey(e privacypass.Epoch, n uint64) []byte {
	return append(state.U32(e), state.U64(n)...)
}

// bucketOf returns how many free tokens there are of each epoch.
func (w *work) bucketOf() (map[privacypass.Epoch]int, error) {
	if w.bucket != nil {
		return w.bucket, nil
	}
	n := map[privacypass.Epoch]int{}
	for row, err := range state.Bucket.Scan(w.tx, nil, nil) {
		if err != nil {
			return nil, err
		}
		n[row.Record.Epoch]++
	}
	w.bucket = n
	return n, nil
}

// spendable is the number of free tokens that the provider takes today.
func (w *work) spendable() (n int, err error) {
	all, err := w.bucketOf()
	for e, k := range all {
		if e.Redeemable(w.today) {
			n += k
		}
	}
	return n, err
}

// unpaid is the number of envelopes in the outbox that no token pays for.
func (w *work) unpaid() int { return state.Outbox.Count(w.tx) - state.Paid.Count(w.tx) }

// sealable is how many more envelopes may be sealed: as many as there are tokens
// for. Without, messages wait as messages and not as envelopes, which grow old.
func (w *work) sealable() (int, error) {
	n, err := w.spendable()
	return min(submitWindow-state.Outbox.Count(w.tx)+w.e.rests.waiting(), n-w.unpaid()), err
}

// payable reports whether the first envelope of the outbox behind a number can be
// handed in with a token.
func (w *work) payable(after uint64) (bool, error) {
	if anonymous, err := w.anonymous(); err != nil || !anonymous || state.Outbox.Count(w.tx) == 0 {
		return false, err
	}
	first, err := w.outbox(after, 1)
	if err != nil || len(first) == 0 {
		return false, err
	}
	paid, err := state.Paid.Get(w.tx, state.U64(first[0].number))
	if err == nil && paid.Epoch.Redeemable(w.today) {
		return true, nil
	}
	if err != nil && !errors.Is(err, state.ErrNotFound) {
		return false, err
	}
	n, err := w.spendable()
	return n > 0, err
}

// pay returns envelopes of the outbox behind a number, each with its token. It
// stops at the first that there is none for.
func (c *Client) pay(after uint64, limit int) (rows []outgoing, err error) {
	ok := false
	if err := c.view(func(w *work) (err error) {
		ok, err = w.payable(after)
		return err
	}); err != nil || !ok {
		return nil, err
	}
	// The pairing is durable before anything is sent, and the token is out of the
	// bucket in the same step: after a crash the same envelope goes with the same
	// token, which is spent for it, and no other envelope gets that one.
	err = c.update(func(w *work) error {
		rows, err = w.pay(after, limit)
		return err
	})
	return rows, err
}

func (w *work) pay(after uint64, limit int) ([]outgoing, error) {
	rows, err := w.outbox(after, limit)
	if err != nil {
		return nil, err
	}
	for i := range rows {
		ok, err := w.payOne(&rows[i])
		if err != nil {
			return nil, err
		}
		if !ok {
			return rows[:i], nil
		}
	}
	return rows, nil
}

func (w *work) payOne(o *outgoing) (bool, error) {
	key := state.U64(o.number)
	paid, err := state.Paid.Get(w.tx, key)
	switch {
	case err == nil && paid.Epoch.Redeemable(w.today):
		o.token = paid.Token[:]
		return true, nil
	case err != nil && !errors.Is(err, state.ErrNotFound):
		return false, err
	}
	// None yet, or one that is over: should the envelope have arrived under it, the
	// provider knows it by its id.
	bucket, err := w.bucketOf()
	if err != nil {
		return false, err
	}
	for _, e := range slices.Sorted(maps.Keys(bucket)) {
		if !e.Redeemable(w.today) || bucket[e] == 0 {
			continue
		}
		rows, err := state.Bucket.Rows(w.tx, state.U32(e), nil, 1)
		if err != nil {
			return false, err
		}
		if len(rows) == 0 {
			return false, &state.CorruptError{Table: "bucket"}
		}
		w.touched = true
		bucket[e]--
		o.token = rows[0].Record.Token[:]
		return true, errors.Join(state.Bucket.Delete(w.tx, rows[0].Key), state.Paid.Put(w.tx, key, rows[0].Record))
	}
	return false, nil
}

// unpay drops the token of an envelope that the provider does not take it for.
// The envelope gets another.
func (w *work) unpay(number uint64) error { return state.Paid.Delete(w.tx, state.U64(number)) }

// dropPaid removes tokens whose envelopes are gone, and free ones that are over.
func (w *work) dropPaid() error {
	rows, err := state.Paid.Rows(w.tx, nil, nil, 0)
	if err != nil {
		return err
	}
	for _, row := range rows {
		if !state.Outbox.Has(w.tx, row.Key) {
			if err := state.Paid.Delete(w.tx, row.Key); err != nil {
				return err
			}
		}
	}
	w.touched, w.bucket = true, nil
	return expire(w, state.Bucket, func(s *state.Submission) bool { return w.today > s.Epoch.Last()+privacypass.OverlapDays })
}

// alarm stops all requests for tokens until the user has decided.
func (w *work) alarm(why state.Alarm) error {
	a, err := w.admission()
	if err != nil {
		return err
	}
	a.Alarm, a.Size, a.FetchAt = why, 0, 0
	return w.putAdmission(a)
}

// fetchDue says whether tokens are to be asked for now, and whether the moment is
// still to be fixed (schedule).
func (w *work) fetchDue() (due, unfixed bool, err error) {
	anonymous, err := w.anonymous()
	if err != nil || !anonymous || w.self == nil || !w.self.Registered {
		return false, false, err
	}
	a, err := w.admission()
	if err != nil || a.Alarm != state.AlarmNone {
		return false, false, err
	}
	all, err := w.spendable()
	if err != nil {
		return false, false, err
	}
	at := time.UnixMilli(int64(a.FetchAt))
	switch {
	case a.Refused == 0 && (a.Size != 0 || all <= w.unpaid()):
		return true, false, nil // under way; or the last one went before the moment came
	case a.FetchAt != 0 && at.Sub(w.now) <= maxFetchWait:
		return !w.now.Before(at), false, nil
	}
	bucket, err := w.bucketOf()
	low := bucket[privacypass.EpochOf(w.today)] < bucketLow
	return false, low && state.Bucket.Count(w.tx)+privacypass.MaxBatch <= state.MaxBucket, err
}

// schedule fixes when tokens are asked for next: at a random moment, and not when
// something is sent.
func (w *work) schedule() error {
	a, err := w.admission()
	if err != nil {
		return err
	}
	all, err := w.spendable()
	if err != nil {
		return err
	}
	spread := fetchSpread
	if all >= bucketLow { // of the epoch before
		spread = renewSpread
	}
	a.FetchAt, a.Refused = uint64(w.now.Add(rand.N(spread)).UnixMilli()), 0
	return w.putAdmission(a)
}

// setAnonymous fixes how envelopes leave. Turning it on again is the user's word
// that a provider with an alarm is to be asked again, under the list that it
// shows now.
func (w *work) setAnonymous(on bool) error {
	a, err := w.admission()
	if err != nil {
		return err
	}
	if on && a.Alarm != state.AlarmNone && w.self != nil {
		a.Alarm = state.AlarmNone
		if err := state.KeyLists.Delete(w.tx, []byte(w.self.Address.Domain().String())); err != nil {
			return err
		}
	}
	a.Identified = !on
	return w.putAdmission(a)
}
