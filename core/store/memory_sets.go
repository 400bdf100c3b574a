package store

import (
	"bytes"
	"context"
	"time"
)

// memSet is a one-winner set; guarded by Memory.mu.
type memSet struct {
	dropAfter time.Time
	winners   map[[32]byte]Claimant
}

// memPool is a pool; guarded by Memory.mu.
type memPool struct {
	items  map[uint64][]byte
	taken  uint64 // highest ID ever taken
	claims []memClaim
}

type memClaim struct {
	by   Claimant
	at   time.Time
	item Item
}

// OpenSet implements Store.
func (m *Memory) OpenSet(ctx context.Context, set SetID, dropAfter time.Time) error {
	if err := m.enter(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	now := m.now()
	for id, s := range m.sets {
		if !now.Before(s.dropAfter) {
			delete(m.sets, id)
		}
	}
	if _, ok := m.sets[set]; ok {
		return nil
	}
	if !now.Before(dropAfter) {
		return ErrInvalid
	}
	if len(m.sets) >= MaxSets {
		return ErrFull
	}
	m.sets[set] = &memSet{dropAfter: dropAfter, winners: make(map[[32]byte]Claimant)}
	return nil
}

// Spend implements Store.
func (m *Memory) Spend(ctx context.Context, set SetID, claims []Claim) []SpendRes {
	out := make([]SpendRes, len(claims))
	err := m.enter(ctx)
	var s *memSet
	if err == nil {
		defer m.mu.Unlock()
		s = m.sets[set]
		switch {
		case len(claims) > MaxBatch:
			err = ErrInvalid
		case s == nil || !m.now().Before(s.dropAfter):
			err = ErrUnavailable
		}
	}
	for i, c := range claims {
		if err != nil {
			out[i].Err = err
			continue
		}
		winner, ok := s.winners[c.Token]
		if !ok {
			winner = c.Claimant
			s.winners[c.Token] = winner
		}
		out[i].Won = winner == c.Claimant
	}
	return out
}

// pool returns a pool, with claims that are over forgotten.
func (m *Memory) pool(key Key) *memPool {
	p := m.pools[key]
	if p == nil {
		p = &memPool{items: make(map[uint64][]byte)}
		m.pools[key] = p
	}
	over := m.now().Add(-ClaimMemory)
	for len(p.claims) > 0 && p.claims[0].at.Before(over) {
		p.claims = p.claims[1:]
	}
	return p
}

// Put implements Store.
func (m *Memory) Put(ctx context.Context, pool Key, items []Item) error {
	if pool.Check() != nil || CheckItems(items) != nil {
		return ErrInvalid
	}
	if err := m.enter(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	p := m.pool(pool)
	fresh := make(map[uint64][]byte)
	for _, it := range items {
		_, has := p.items[it.ID]
		_, twice := fresh[it.ID]
		if it.ID > p.taken && !has && !twice {
			fresh[it.ID] = it.Body
		}
	}
	if len(p.items)+len(fresh) > MaxPool {
		return ErrFull
	}
	for id, body := range fresh {
		p.items[id] = bytes.Clone(body)
	}
	return nil
}

// Take implements Store.
func (m *Memory) Take(ctx context.Context, pool Key, claimant Claimant) (Item, int, error) {
	if err := pool.Check(); err != nil {
		return Item{}, 0, err
	}
	if err := m.enter(ctx); err != nil {
		return Item{}, 0, err
	}
	defer m.mu.Unlock()
	p := m.pool(pool)
	for _, c := range p.claims {
		if c.by == claimant {
			return Item{c.item.ID, bytes.Clone(c.item.Body)}, len(p.items), nil
		}
	}
	if len(p.items) == 0 || len(p.claims) >= MaxPoolClaims {
		return Item{}, len(p.items), ErrEmpty
	}
	var it Item
	for id, body := range p.items {
		if it.ID == 0 || id < it.ID {
			it = Item{id, body}
		}
	}
	delete(p.items, it.ID)
	p.taken = it.ID
	p.claims = append(p.claims, memClaim{by: claimant, at: m.now(), item: it})
	return Item{it.ID, bytes.Clone(it.Body)}, len(p.items), nil
}

// PoolSize implements Store.
func (m *Memory) PoolSize(ctx context.Context, pool Key) (int, error) {
	if err := pool.Check(); err != nil {
		return 0, err
	}
	if err := m.enter(ctx); err != nil {
		return 0, err
	}
	defer m.mu.Unlock()
	return len(m.pool(pool).items), nil
}

// DropPool implements Store.
func (m *Memory) DropPool(ctx context.Context, pool Key) error {
	if err := pool.Check(); err != nil {
		return err
	}
	if err := m.enter(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	delete(m.pools, pool)
	return nil
}
