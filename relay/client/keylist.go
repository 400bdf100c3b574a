package client

import (
	"errors"
	"time"

	"waxwing/core/ids"
	"waxwing/ratelimit/keylist"
	"waxwing/ratelimit/privacypass"
	"waxwing/relay/client/state"
)

// knownList returns a provider's newest list of keys that is known, or nil, and
// when it was fetched.
func (w *work) knownList(d ids.Domain) (*keylist.List, time.Time, error) {
	p, err := state.KeyLists.Get(w.tx, []byte(d.String()))
	if errors.Is(err, state.ErrNotFound) {
		return nil, time.Time{}, nil
	}
	if err != nil {
		return nil, time.Time{}, err
	}
	root, err := w.rootOf(d)
	if err != nil {
		return nil, time.Time{}, err
	}
	l, err := keylist.Parse(p.Bytes, d, root)
	if err != nil {
		return nil, time.Time{}, &state.CorruptError{Table: "keylists"}
	}
	return l, time.UnixMilli(int64(p.Fetched)), nil
}

// takeList takes the own provider's list of keys. The error is ErrServer for what is
// no list of it. One that contradicts the known one is an alarm and is not taken.
func (w *work) takeList(b []byte) error {
	own := w.self.Address.Domain()
	root, err := w.rootOf(own)
	if err != nil {
		return err
	}
	l, err := keylist.Parse(b, own, root)
	if err != nil {
		return ErrServer
	}
	known, _, err := w.knownList(own)
	if err != nil {
		return err
	}
	switch err := l.Follows(known); {
	case errors.Is(err, keylist.ErrForked):
		return w.alarm(state.AlarmForked)
	case err != nil: // an older one: the known one stays
		l = known
	}
	if err := errors.Join(w.dropForeign(l), w.outdate(own, l)); err != nil {
		return err
	}
	return state.KeyLists.Put(w.tx, []byte(own.String()), &state.Published{Fetched: uint64(w.now.UnixMilli()), Bytes: l.Bytes()})
}

// learnList takes another provider's list. Errors are ErrServer, also for one that
// contradicts the known one, under which nothing is asked: a key for one account
// alone would tell whose it is.
func (w *work) learnList(d ids.Domain, b []byte) error {
	known, _, err := w.knownList(d)
	if err != nil {
		return err
	}
	root, err := w.rootOf(d)
	if err != nil {
		return err
	}
	l, err := keylist.Parse(b, d, root)
	if err != nil {
		return ErrServer
	}
	switch err := l.Follows(known); {
	case errors.Is(err, keylist.ErrOld):
		return nil
	case err != nil:
		w.count().Forked++
		return nil
	}
	w.touched = true
	if err := w.outdate(d, l); err != nil {
		return err
	}
	return state.KeyLists.Put(w.tx, []byte(d.String()), &state.Published{Fetched: uint64(w.now.UnixMilli()), Bytes: b})
}

// outdate marks the day's credential as over if the provider's list has another
// key of the day: it lost what was spent, or had everybody ask again.
func (w *work) outdate(d ids.Domain, l *keylist.List) error {
	key := state.At(w.today, d)
	row, err := state.Credentials.Get(w.tx, key)
	if errors.Is(err, state.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	cred, err := state.ParseCredential("credentials", &row.Credential)
	if err != nil {
		return err
	}
	day, ok := l.Credential(w.today)
	if !ok || row.Over || cred.IssuerX1().Equal(day.X1()) {
		return nil
	}
	row.Over = true
	return state.Credentials.Put(w.tx, key, row)
}

// dropForeign drops free tokens under other keys than the list's: the provider lost
// what was spent, and drew new ones for everybody (keylist.List.Term). Those that
// envelopes were paired with are dropped when they are refused.
func (w *work) dropForeign(l *keylist.List) error {
	w.touched, w.bucket = true, nil
	return expire(w, state.Bucket, func(s *state.Submission) bool {
		t, err := privacypass.ParseToken(s.Token[:])
		key, listed := l.Token(s.Epoch)
		return err != nil || listed && t.KeyID != key.ID()
	})
}

// ageList has the list asked for again.
func (w *work) ageList() error {
	key := []byte(w.self.Address.Domain().String())
	p, err := state.KeyLists.Get(w.tx, key)
	if errors.Is(err, state.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	p.Fetched = 0
	return state.KeyLists.Put(w.tx, key, p)
}
