//go:build linux || darwin

package badgerstore

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// freeBytes returns how many bytes this process may still write to the file
// system that holds dir.
func freeBytes(dir string) (uint64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, err
	}
	return uint64(s.Bavail) * uint64(s.Bsize), nil
}

// lockFolder takes the lock that Badger takes, for a moment; false if another
// process has it.
func lockFolder(dir string) (unlock func(), ok bool, err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, false, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = nil
		}
		return nil, false, err
	}
	return func() { _ = f.Close() }, true, nil
}
