package badgerstore

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// removeUnborn removes log files without any bytes: the process ended, or the
// disk failed, after such a file got its name and before it got its length.
// Badger would refuse the folder because of it. Nothing can be lost with it: a
// commit is acknowledged after a sync of the file that it is in, which has its
// length then.
//
// A folder that another process has open is left alone; Badger reports it.
func removeUnborn(dir string) error {
	unlock, ok, err := lockFolder(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !ok {
		return nil
	}
	if err != nil {
		return err
	}
	defer unlock()
	for _, pattern := range []string{"*.vlog", "*.mem"} {
		files, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return err
		}
		for _, f := range files { // as many as Badger has made
			st, err := os.Stat(f)
			if err == nil && st.Size() == 0 {
				err = os.Remove(f)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}
