package directory

import (
	"sync"
	"time"

	"waxwing/core/ids"
	"waxwing/core/store"
)

// memo remembers what lookups were decided, so that one that is repeated gets
// the same prekeys: else a repetition at the edge of a limit would show that
// the limit was reached in between. The zero value is ready.
type memo struct {
	mu        sync.Mutex
	decisions map[store.Claimant]*decision // guarded by mu
	order     []store.Claimant             // guarded by mu: oldest first
}

// decision says from which devices a lookup takes a one-time prekey.
type decision struct {
	until   time.Time             // fixed
	oneTime map[ids.DeviceID]bool // guarded by the account's stripe; nil until decided
}

// of returns the decision of a lookup, or a new one that is still to be made.
func (m *memo) of(c store.Claimant, now time.Time) *decision {
	m.mu.Lock()
	defer m.mu.Unlock()
	if d := m.decisions[c]; d != nil && now.Before(d.until) {
		return d
	}
	if m.decisions == nil {
		m.decisions = make(map[store.Claimant]*decision)
	}
	for len(m.order) > 0 {
		oldest := m.decisions[m.order[0]]
		if oldest != nil && now.Before(oldest.until) && len(m.order) < memoLookups {
			break
		}
		delete(m.decisions, m.order[0])
		m.order = m.order[1:]
	}
	d := &decision{until: now.Add(memoTime)}
	m.decisions[c] = d
	m.order = append(m.order, c)
	return d
}
