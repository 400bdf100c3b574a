package badgerstore

import (
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"waxwing/core/store"
	"waxwing/core/store/storetest"
)

func TestMain(m *testing.M) {
	storetest.CrashChild(func(dir string) (store.Store, error) { return Open(Config{Dir: dir, MinFree: 1}) })
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(goleak.IgnoreTopFunction("github.com/golang/glog.(*fileSink).flushDaemon")); err != nil {
			println(err.Error())
			code = 1
		}
	}
	os.Exit(code)
}

func TestCrash(t *testing.T) {
	storetest.Crash(t, func(t testing.TB, dir string) store.Store { return openTest(t, dir, time.Now) })
}
