package store

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"waxwing/core/ids"
)

// MemoryConfig configures the engine in memory.
type MemoryConfig struct {
	// Now is the clock that things expire by; nil means time.Now.
	Now func() time.Time
}

// Memory is the engine in memory: exact, simple, and gone when the process
// ends. It is for tests and demonstrations, and the oracle for other engines.
type Memory struct {
	now      func() time.Time // fixed
	watchers Watchers         // has its own lock

	mu        sync.Mutex // guards all below; held for one whole call, which makes each atomic
	closed    bool
	mailboxes map[ids.MailboxID]*memMailbox
	serials   map[memSerial]memSpent
	oldest    ids.Day // serials of days before it were forgotten
	sets      map[SetID]*memSet
	pools     map[Key]*memPool
	docs      map[Key]Doc
	version   uint64 // last version given to a document
	logs      map[Key][][]byte
}

var _ Store = (*Memory)(nil)

// NewMemory returns an empty engine.
func NewMemory(c MemoryConfig) *Memory {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Memory{
		now:       c.Now,
		mailboxes: make(map[ids.MailboxID]*memMailbox),
		serials:   make(map[memSerial]memSpent),
		sets:      make(map[SetID]*memSet),
		pools:     make(map[Key]*memPool),
		docs:      make(map[Key]Doc),
		logs:      make(map[Key][][]byte),
	}
}

// enter begins an operation: it returns with mu held, or an error.
func (m *Memory) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return ErrUnavailable
	}
	return nil
}

// Health implements Store.
func (m *Memory) Health(ctx context.Context) error {
	if err := m.enter(ctx); err != nil {
		return err
	}
	m.mu.Unlock()
	return nil
}

// Close implements Store.
func (m *Memory) Close() error {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.watchers.Close()
	return nil
}

// Get implements Store.
func (m *Memory) Get(ctx context.Context, key Key) (Doc, error) {
	if err := key.Check(); err != nil {
		return Doc{}, err
	}
	if err := m.enter(ctx); err != nil {
		return Doc{}, err
	}
	defer m.mu.Unlock()
	d, ok := m.docs[key]
	if !ok {
		return Doc{}, ErrNotFound
	}
	d.Value = bytes.Clone(d.Value)
	return d, nil
}

// CAS implements Store.
func (m *Memory) CAS(ctx context.Context, key Key, ifVersion uint64, value []byte) (uint64, error) {
	if err := key.Check(); err != nil || len(value) > MaxValue {
		return 0, ErrInvalid
	}
	if err := m.enter(ctx); err != nil {
		return 0, err
	}
	defer m.mu.Unlock()
	d, ok := m.docs[key]
	if d.Version != ifVersion {
		return 0, ErrConflict
	}
	if value == nil {
		delete(m.docs, key)
		if ok {
			m.watchers.Publish(Event{Key: key})
		}
		return 0, nil
	}
	m.version++
	m.docs[key] = Doc{Value: bytes.Clone(value), Version: m.version}
	m.watchers.Publish(Event{Key: key, Version: m.version})
	return m.version, nil
}

// List implements Store.
func (m *Memory) List(ctx context.Context, prefix, after Key, limit int) ([]KeyDoc, error) {
	if len(prefix) > MaxKey || len(after) > MaxKey {
		return nil, ErrInvalid
	}
	if err := m.enter(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	var keys []Key
	for k := range m.docs {
		if k > after && strings.HasPrefix(string(k), string(prefix)) {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	var out []KeyDoc
	size := 0
	for _, k := range keys {
		d := m.docs[k]
		size += len(d.Value)
		if len(out) == Limit(limit, MaxList) || len(out) > 0 && size > MaxListBytes {
			break
		}
		out = append(out, KeyDoc{Key: k, Doc: Doc{Value: bytes.Clone(d.Value), Version: d.Version}})
	}
	return out, nil
}

// Watch implements Store.
func (m *Memory) Watch(ctx context.Context, prefix Key) (<-chan Event, error) {
	if err := m.enter(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	return m.watchers.Add(ctx, prefix)
}

// LogAppend implements Store.
func (m *Memory) LogAppend(ctx context.Context, log Key, expectSize uint64, entries [][]byte) error {
	if log.Check() != nil || CheckEntries(entries) != nil {
		return ErrInvalid
	}
	if err := m.enter(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	if uint64(len(m.logs[log])) != expectSize {
		return ErrConflict
	}
	for _, e := range entries {
		m.logs[log] = append(m.logs[log], bytes.Clone(e))
	}
	return nil
}

// LogRead implements Store.
func (m *Memory) LogRead(ctx context.Context, log Key, from uint64, limit int) ([][]byte, error) {
	if err := log.Check(); err != nil {
		return nil, err
	}
	if err := m.enter(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	all := m.logs[log]
	if from >= uint64(len(all)) {
		return nil, nil
	}
	var out [][]byte
	size := 0
	for _, e := range all[from:] {
		size += len(e)
		if len(out) == Limit(limit, MaxFetch) || len(out) > 0 && size > MaxFetchBytes {
			break
		}
		out = append(out, append([]byte{}, e...))
	}
	return out, nil
}

// LogSize implements Store.
func (m *Memory) LogSize(ctx context.Context, log Key) (uint64, error) {
	if err := log.Check(); err != nil {
		return 0, err
	}
	if err := m.enter(ctx); err != nil {
		return 0, err
	}
	defer m.mu.Unlock()
	return uint64(len(m.logs[log])), nil
}
