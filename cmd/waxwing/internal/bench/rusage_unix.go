//go:build unix

package bench

import (
	"syscall"
	"time"
)

// processorTime returns what this process has used, the kernel's share
// included.
func processorTime() (time.Duration, error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, err
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}
