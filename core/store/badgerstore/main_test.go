package badgerstore

import (
	"flag"
	"math/rand/v2"
	"testing"
	"time"

	"go.uber.org/goleak"

	"waxwing/core/store"
	"waxwing/core/store/storetest"
)

// inChild runs in a child process before it opens its store.
var inChild = func() {}

func TestMain(m *testing.M) {
	storetest.CrashChild(func(dir string) (store.Store, error) {
		inChild()
		// The smaller, the more often a child is killed while rows are drained.
		return Open(Config{Dir: dir, MinFree: 1, hooks: hooks{journalRows: 1 << rand.N(12)}})
	})
	// Each check of the model opens an engine of its own several times.
	if f := flag.Lookup("rapid.checks"); f != nil {
		_ = f.Value.Set("30")
	}
	goleak.VerifyTestMain(m)
}

func openNow(t testing.TB, dir string) store.Store {
	t.Helper()
	return openTest(t, dir, time.Now)
}

func TestCrash(t *testing.T) { storetest.Crash(t, openNow) }

func TestPowerCut(t *testing.T) { storetest.PowerCut(t, openNow) }
