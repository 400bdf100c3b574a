package badgerstore

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"waxwing/core/store/storetest"
)

// A sync of the disk fails: the nth, once, so that the next one would succeed. A
// commit has one, of the journal. What Badger writes, which is the rest, has two,
// one of the value log, of which it tells its logger only, and one of the
// write-ahead log: odd and even ones are tried.
func TestFailedSync(t *testing.T) {
	answers := 0
	for _, tt := range []struct {
		name string
		call uintptr
		nth  int
	}{
		{"fdatasync", unix.SYS_FDATASYNC, 1},
		{"fdatasync", unix.SYS_FDATASYNC, 2},
		{"fdatasync", unix.SYS_FDATASYNC, 20},
		{"pwrite64", unix.SYS_PWRITE64, 3},
		{"msync", unix.SYS_MSYNC, 1},
		{"msync", unix.SYS_MSYNC, 2},
		{"msync", unix.SYS_MSYNC, 20},
		{"msync", unix.SYS_MSYNC, 21},
		{"msync", unix.SYS_MSYNC, 150},
		{"msync", unix.SYS_MSYNC, 151},
		{"fsync", unix.SYS_FSYNC, 1},
		{"ftruncate", unix.SYS_FTRUNCATE, 2}, // while the store is made
	} {
		t.Run(fmt.Sprint(tt.name, " ", tt.nth), func(t *testing.T) {
			n := storetest.SyncFault(t, fmt.Sprint(failCallVar, "=", tt.call, " ", tt.nth), openNow)
			t.Logf("%d answers before it", n)
			answers += n
		})
	}
	if answers == 0 {
		t.Error("every fault came before the first answer")
	}
}
