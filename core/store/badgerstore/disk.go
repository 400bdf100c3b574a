package badgerstore

import "errors"

var errDiskLow = errors.New("badgerstore: the disk is nearly full")

// checkEvery is how many bytes are written before the free space is looked at
// again: little enough that MinFree is not overrun.
const checkEvery = 16 << 20

// startFree is what a start needs: new files' first pages. Without it the start
// would end the process, as the files are mapped.
const startFree = 4 << 20

// spaceUsed counts what was written; only the committer calls it.
func (e *Engine) spaceUsed(n int64) {
	c := &e.committer
	if c.written += n; c.written >= checkEvery {
		c.written = 0
		e.checkDisk()
	}
}

// checkDisk notes whether there is room for more beside what is in the journal and
// has yet to be written to Badger.
func (e *Engine) checkDisk() {
	e.diskLow.Store(low(e.cfg.Dir, e.cfg.MinFree+uint64(e.tables.size())))
}

// low reports whether less than least bytes are free. A system that cannot tell
// is taken to have room.
func low(dir string, least uint64) bool {
	free, err := freeBytes(dir)
	return err == nil && free < least
}
