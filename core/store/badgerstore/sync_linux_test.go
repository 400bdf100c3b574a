package badgerstore

import (
	"fmt"
	"os/exec"
	"testing"

	"waxwing/core/store/storetest"
)

// A sync of the disk fails: the nth of a thread, once, so that the next one would
// succeed. A commit has one, of the journal. What Badger writes, which is the rest,
// has two, one of the value log, of which it tells its logger only, and one of the
// write-ahead log: odd and even ones are tried.
func TestFailedSync(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("needs strace to make a system call fail")
	}
	if err := exec.Command(strace, "-o", "/dev/null", "true").Run(); err != nil {
		t.Skip("strace may not trace here")
	}
	answers := 0
	for _, tt := range []struct {
		call string
		nth  int
	}{
		{"fdatasync", 1},
		{"fdatasync", 2},
		{"fdatasync", 20},
		{"pwrite64", 3},
		{"msync", 1},
		{"msync", 2},
		{"msync", 20},
		{"msync", 21},
		{"msync", 150},
		{"msync", 151},
		{"fsync", 1},
		{"ftruncate", 2}, // while the store is made
	} {
		t.Run(fmt.Sprint(tt.call, " ", tt.nth), func(t *testing.T) {
			n := storetest.SyncFault(t, func(exe string) *exec.Cmd {
				return exec.Command(strace, "-f", "-qq", "-o", "/dev/null", "-e", "trace="+tt.call,
					"-e", fmt.Sprintf("inject=%s:error=EIO:when=%d", tt.call, tt.nth), exe)
			}, openNow)
			t.Logf("%d answers before it", n)
			answers += n
		})
	}
	if answers == 0 {
		t.Error("every fault came before the first answer")
	}
}
