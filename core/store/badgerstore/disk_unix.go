//go:build linux || darwin

package badgerstore

import "golang.org/x/sys/unix"

// freeBytes returns how many bytes this process may still write to the file
// system that holds dir.
func freeBytes(dir string) (uint64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, err
	}
	return uint64(s.Bavail) * uint64(s.Bsize), nil
}
