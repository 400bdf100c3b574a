package badgerstore

import (
	"testing"
	"time"

	"waxwing/core/store"
	"waxwing/core/store/storetest"
)

// openTest opens an engine that looks for what is expired often enough for a
// test to wait for it.
func openTest(t testing.TB, dir string, now func() time.Time) *Engine {
	t.Helper()
	e, err := Open(Config{Dir: dir, Now: now, SweepEvery: 10 * time.Millisecond, MinFree: 1})
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
