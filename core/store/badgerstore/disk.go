package badgerstore

import "errors"

var errDiskLow = errors.New("badgerstore: the disk is nearly full")

// checkEvery is how many bytes are written before the free space is looked at
// again: little enough that MinFree is not overrun.
const checkEvery = 16 << 20

// spaceUsed counts what was written; only the committer calls it.
func (e *Engine) spaceUsed(n int64) {
	c := &e.committer
	if c.written += n; c.written >= checkEvery {
		c.written = 0
		e.checkDisk()
	}
}

// checkDisk notes whether there is room for more. A system that cannot tell is
// taken to have room.
func (e *Engine) checkDisk() {
	free, err := freeBytes(e.cfg.Dir)
	e.diskLow.Store(err == nil && free < e.cfg.MinFree)
}
