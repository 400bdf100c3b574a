package badgerstore

import (
	"context"
	"encoding/binary"
	"maps"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"waxwing/core/ids"
	"waxwing/core/store"
	"waxwing/core/store/storetest"
)

// opened counts the engines opened by openTest.
var opened atomic.Int64

// openTest opens an engine that looks for what is expired often enough for a
// test to wait for it. Every second one has nearly no cache, and of every third one
// the journal is drained all the time, which must change nothing but speed.
func openTest(t testing.TB, dir string, now func() time.Time) *Engine {
	t.Helper()
	c := Config{Dir: dir, Now: now, SweepEvery: 10 * time.Millisecond, MinFree: 1}
	n := opened.Add(1)
	if n%2 == 0 {
		c.CacheMailboxes = 1
	}
	if n%3 == 0 {
		c.hooks.journalRows = 1 // every commit goes on in the other segment
	}
	e, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	return e
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t testing.TB, now func() time.Time) (store.Store, func() store.Store) {
		dir := t.TempDir()
		e := openTest(t, dir, now)
		return e, func() store.Store {
			t.Helper()
			if err := e.Close(); err != nil {
				t.Fatal(err)
			}
			e = openTest(t, dir, now)
			return e
		}
	})
}

func benchID(i int) (id ids.EnvelopeID) {
	binary.BigEndian.PutUint64(id[:], uint64(i)*0x9e3779b97f4a7c15)
	binary.BigEndian.PutUint64(id[8:], uint64(i))
	return id
}

// rowsOf returns the keys of all rows of a kind, wherever they are.
func rowsOf(t testing.TB, e *Engine, tag byte) map[string]bool {
	t.Helper()
	keys := make(map[string]bool)
	err := e.view(t.Context(), func(s *snapshot) error {
		o := badger.DefaultIteratorOptions
		o.PrefetchValues = false
		o.Prefix = []byte{tag}
		it := s.txn.NewIterator(o)
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			keys[string(it.Item().Key())] = true
		}
		add := func(t *table) {
			for k, e := range t.rows {
				if k[0] == tag {
					keys[k] = e.value != nil
				}
			}
			for m, f := range t.fresh {
				for _, c := range f {
					if tag == tagChunk && c.value != nil {
						keys[chunkKeyString(&m, c.n)] = true
					}
				}
			}
		}
		if s.old != nil {
			add(s.old)
		}
		s.tables.mu.RLock()
		defer s.tables.mu.RUnlock()
		add(s.cur)
		for m := range s.tables.heads.at {
			if tag == tagHead {
				keys[string(headKey(&m))] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	maps.DeleteFunc(keys, func(_ string, there bool) bool { return !there })
	return keys
}

// rawOp writes a row as it is.
type rawOp struct {
	call
	key, value []byte
}

func (o *rawOp) run(g *group) bool {
	g.put(o.key, o.value)
	return true
}

func countStored(t *testing.T, e *Engine, mailbox ids.MailboxID) (n int) {
	t.Helper()
	for after := store.Cursor(0); ; {
		m, err := e.Fetch(context.Background(), mailbox, after, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		if len(m) == 0 {
			return n
		}
		n, after = n+len(m), m[len(m)-1].Cursor
	}
}
