package badgerstore

import (
	"encoding/binary"
	"sync/atomic"
	"testing"
	"time"

	"waxwing/core/ids"
	"waxwing/core/store"
	"waxwing/core/store/storetest"
)

// opened counts the engines opened by openTest.
var opened atomic.Int64

// openTest opens an engine that looks for what is expired often enough for a
// test to wait for it. Every second one has nearly no cache, which must change
// nothing but speed.
func openTest(t testing.TB, dir string, now func() time.Time) *Engine {
	t.Helper()
	c := Config{Dir: dir, Now: now, SweepEvery: 10 * time.Millisecond, MinFree: 1}
	if opened.Add(1)%2 == 0 {
		c.CacheBytes, c.CacheMailboxes = 1, 1
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
