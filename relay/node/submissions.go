package node

import (
	"fmt"
	"strconv"
	"strings"
	"sync"

	"waxwing/core/ids"
	"waxwing/ratelimit/keylist"
	"waxwing/ratelimit/privacypass"
)

// submissions holds the keys of submission tokens, one for each epoch. It
// implements relay.Submissions. Rotate is never called twice at once.
type submissions struct {
	// fixed
	dir      keydir
	provider ids.Domain

	mu   sync.RWMutex // guards the rest
	keys map[privacypass.Epoch]*privacypass.Key
	ring *privacypass.Ring  // of the epochs in use; replaced, never changed
	list []keylist.TokenKey // of the epochs that are issued; replaced, never changed
}

func submissionName(e privacypass.Epoch) string {
	return fmt.Sprintf("%s%010d", prefixSubmission, e)
}

// parseSubmissionName is the reverse of submissionName. The error is errKeyName.
func parseSubmissionName(name string) (privacypass.Epoch, error) {
	n, err := strconv.ParseUint(strings.TrimPrefix(name, prefixSubmission), 10, 32)
	if e := privacypass.Epoch(n); err == nil && submissionName(e) == name {
		return e, nil
	}
	return 0, errKeyName
}

func openSubmissions(dir keydir, provider ids.Domain, today ids.Day) (*submissions, error) {
	s := &submissions{dir: dir, provider: provider, keys: map[privacypass.Epoch]*privacypass.Key{}}
	names, err := dir.list(prefixSubmission)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		e, err := parseSubmissionName(name)
		if err != nil {
			return nil, fmt.Errorf("node: key file %s cannot be used: %w", name, err)
		}
		b, err := dir.get(name)
		if err != nil {
			return nil, fmt.Errorf("node: key file %s cannot be used: %w", name, err)
		}
		k, err := privacypass.ParseKey(privacypass.Ristretto255, b)
		clear(b)
		if err != nil {
			return nil, fmt.Errorf("node: key file %s is damaged: %w", name, err)
		}
		s.keys[e] = k
	}
	return s, s.rotate(today, false)
}

// rotate draws the keys of this epoch and the next and, if the clock has stood
// for long enough, erases those under which nothing is redeemed any more.
func (s *submissions) rotate(today ids.Day, settled bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := privacypass.EpochOf(today)
	var list []keylist.TokenKey
	for _, e := range []privacypass.Epoch{now, now + 1} {
		k, err := s.draw(e)
		if err != nil {
			return err
		}
		list = append(list, keylist.TokenKey{Epoch: e, Key: [32]byte(k.Public().Bytes())})
	}
	ring := privacypass.NewRing(s.provider)
	var over []string
	for e, k := range s.keys {
		switch {
		case e+1 >= now && e <= now+1:
			if err := ring.Add(e, k); err != nil {
				return err
			}
		case settled && e < now && today > e.Last()+privacypass.OverlapDays+1: // a day for clocks
			over = append(over, submissionName(e))
			delete(s.keys, e)
		}
	}
	s.ring, s.list = ring, list
	if len(over) == 0 {
		return nil
	}
	return s.dir.erase(over...)
}

// anew erases all keys and draws others: it is not known any more which tokens
// were spent under these.
func (s *submissions) anew(today ids.Day) error {
	if err := s.forget(); err != nil {
		return err
	}
	// They are gone. A crash now leaves none, and the next start draws others.
	return s.rotate(today, false)
}

func (s *submissions) forget() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var over []string
	for e := range s.keys {
		over = append(over, submissionName(e))
	}
	if err := s.dir.erase(over...); err != nil {
		return err
	}
	clear(s.keys)
	return nil
}

// draw returns the key of an epoch, durable before it is used. The caller holds
// mu.
func (s *submissions) draw(e privacypass.Epoch) (*privacypass.Key, error) {
	if k := s.keys[e]; k != nil {
		return k, nil
	}
	k, err := privacypass.NewKey(privacypass.Ristretto255)
	if err != nil {
		return nil, err
	}
	b := k.Bytes()
	defer clear(b)
	if err := s.dir.put(submissionName(e), b); err != nil {
		return nil, err
	}
	s.keys[e] = k
	return k, nil
}

// Issuing implements relay.Submissions.
func (s *submissions) Issuing(today ids.Day) (*privacypass.Key, error) { return s.now().Issuing(today) }

// Redeem implements relay.Submissions.
func (s *submissions) Redeem(t *privacypass.Token, today ids.Day) (privacypass.Spend, error) {
	return s.now().Redeem(t, today)
}

func (s *submissions) now() *privacypass.Ring {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.ring
}

// listed returns the keys that stand in the provider's list.
func (s *submissions) listed() []keylist.TokenKey {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.list
}
