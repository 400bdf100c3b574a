package store_test

import (
	"testing"
	"time"

	"waxwing/core/store"
	"waxwing/core/store/storetest"
)

func TestMemory(t *testing.T) {
	storetest.Run(t, func(t testing.TB, now func() time.Time) (store.Store, func() store.Store) {
		m := store.NewMemory(store.MemoryConfig{Now: now})
		t.Cleanup(func() { _ = m.Close() })
		return m, nil
	})
}
