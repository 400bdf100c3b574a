package badgerstore

import (
	"os"

	"golang.org/x/sys/unix"
)

// datasync makes what was written to a file durable, and of what describes the
// file only what reading it needs.
func datasync(f *os.File) error {
	for {
		err := unix.Fdatasync(int(f.Fd()))
		if err != unix.EINTR {
			return err
		}
	}
}
