//go:build unix

package daemon

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

// lockName is the file in the data directory that a serving process holds.
const lockName = "lock"

// lock makes sure that no other process serves dir. The system frees the lock
// when the process ends, however it ends.
func lock(dir string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, dataFailure("lock", dir, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, &failure{
				code: ExitInUse, what: "the data directory " + dir + " is served by another process",
				next: "stop that process, or give this one another directory",
			}
		}
		return nil, dataFailure("lock", dir, err)
	}
	return func() { _ = f.Close() }, nil
}
