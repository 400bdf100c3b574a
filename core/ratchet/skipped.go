package ratchet

import "slices"

// skippedKey is the seed of a message that has not arrived.
type skippedKey struct {
	n    uint32
	seed secret
}

// skippedSet holds the missing messages of one receiving chain, n ascending.
type skippedSet struct {
	header secret
	keys   []skippedKey
}

// skippedKeys holds the missing messages of a session, oldest chain first. No
// set is empty. It never holds more than its limits: the oldest go first.
type skippedKeys struct{ sets []skippedSet }

func (s *skippedKeys) count() (n int) {
	for i := range s.sets {
		n += len(s.sets[i].keys)
	}
	return n
}

// of returns the index of the set under a header key, or -1.
func (s *skippedKeys) of(header *secret) int {
	return slices.IndexFunc(s.sets, func(set skippedSet) bool { return set.header.equal(header) })
}

// find returns the index of message n in a set.
func (s *skippedKeys) find(set int, n uint32) (int, bool) {
	return slices.BinarySearchFunc(s.sets[set].keys, n, func(k skippedKey, n uint32) int {
		switch {
		case k.n < n:
			return -1
		case k.n > n:
			return 1
		}
		return 0
	})
}

// add appends keys with higher numbers than those already kept under header,
// and drops the oldest beyond the limits. It copies keys.
func (s *skippedKeys) add(header *secret, keys []skippedKey, limit int) {
	if len(keys) == 0 {
		return
	}
	at := s.of(header)
	if at < 0 {
		s.sets = append(s.sets, skippedSet{header: *header})
		at = len(s.sets) - 1
	}
	set := &s.sets[at]
	old := set.keys
	set.keys = make([]skippedKey, 0, len(old)+len(keys))
	set.keys = append(append(set.keys, old...), keys...)
	clear(old) // append alone would leave the seeds in the old array
	if len(s.sets) > MaxSkippedSets {
		s.drop(0, len(s.sets[0].keys))
	}
	for over := s.count() - limit; over > 0; over = s.count() - limit {
		s.drop(0, min(over, len(s.sets[0].keys)))
	}
}

// drop erases the first n keys of a set, and the set if it is empty then.
func (s *skippedKeys) drop(set, n int) {
	keys := s.sets[set].keys
	clear(keys[:n])
	s.sets[set].keys = keys[n:]
	s.dropEmpty(set)
}

// remove erases one key, and its set if it is empty then: the header key of a
// chain that is past and complete is of no use to anybody but a thief.
func (s *skippedKeys) remove(set, at int) {
	s.sets[set].keys = slices.Delete(s.sets[set].keys, at, at+1) // clears the place that becomes free
	s.dropEmpty(set)
}

func (s *skippedKeys) dropEmpty(set int) {
	if len(s.sets[set].keys) > 0 {
		return
	}
	clear(s.sets[set].header[:])
	s.sets = slices.Delete(s.sets, set, set+1)
}

func (s *skippedKeys) erase() {
	for i := range s.sets {
		clear(s.sets[i].keys)
		clear(s.sets[i].header[:])
	}
	s.sets = nil
}

// inconsistent says what a parsed list has that none written here has.
func (s *skippedKeys) inconsistent() string {
	for i := range s.sets {
		set := &s.sets[i]
		if len(set.keys) == 0 {
			return "a skipped chain without keys"
		}
		if s.of(&set.header) != i {
			return "two skipped chains with one header key"
		}
		for j := range set.keys {
			if set.keys[j].n >= maxChain || j > 0 && set.keys[j].n <= set.keys[j-1].n {
				return "skipped keys out of order"
			}
		}
	}
	if s.count() > MaxSkippedKeys {
		return "too many skipped keys"
	}
	return ""
}
