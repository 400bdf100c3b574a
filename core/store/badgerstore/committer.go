package badgerstore

import (
	"encoding/binary"
	"runtime"
	"time"

	"github.com/dgraph-io/badger/v4"

	"waxwing/core/ids"
	"waxwing/core/store"
)

// committer is what belongs to the committer's goroutine.
type committer struct {
	e             *Engine // fixed
	sets          map[store.SetID]set
	setN          uint32  // last number given to a set
	version       uint64  // last version given to a document
	today         ids.Day // never goes back, nor below the spent rows that were dropped
	scratchChunks uint    // chunks of noise written
	scratchSlot   uint16  // next slot of the scratch rows
	scratchSum    int     // bytes written since slot 0
	written       int64   // bytes since the free space was last looked at
	group         group
	journal       *journal
	drained       chan struct{} // closed when no drain is under way; nil before the first

	// See absent.go.
	spent *spentSieve // rows spent since start
	found *spentSieve // rows that were there at start; nil until they are read
	ids   map[ids.MailboxID]*idSieve
}

func (c *committer) init(e *Engine) {
	c.e, c.sets = e, make(map[store.SetID]set)
	c.spent, c.ids = newSpentSieve(), make(map[ids.MailboxID]*idSieve)
	c.group.c = c
	c.group.pending = make(map[string][]byte)
	e.tables.cur, e.tables.heads = newTable(), newLateHeads()
	c.group.boxes = make(map[ids.MailboxID]*box)
}

// load reads the committer's state at start.
func (c *committer) load(txn *badger.Txn) error {
	var err error
	if c.version, err = numberOf(txn, keyVersion, 8); err != nil {
		return err
	}
	n, err := numberOf(txn, keySets, 4)
	if err != nil {
		return err
	}
	c.setN = uint32(n)
	if n, err = numberOf(txn, keyFloor, 4); err != nil {
		return err
	}
	c.today = ids.Day(n)
	return c.loadSets(txn)
}

const (
	// busyBytes is the size of a group after which the next one is waited for:
	// 16 messages of the smallest class. busyPause is for how long. A commit
	// costs the same two syncs and the faults of the same pages whether it has
	// 40 messages or 200; under load the pause makes it a fifth cheaper per
	// message, and next to the time in the sync it is short. Where callers come
	// one at a time nobody waits.
	busyBytes = 16 << 10
	busyPause = 200 * time.Microsecond
)

// commitLoop is the committer: it runs until the queue is closed and empty.
func (e *Engine) commitLoop() {
	var waiting []operation
	c := &e.committer
	for {
		var closed bool
		e.gather()
		waiting, closed = e.queue.take(waiting)
		if len(waiting) == 0 {
			if closed {
				return
			}
			<-e.queue.ready
			continue
		}
		n := c.commit(waiting)
		rest := copy(waiting, waiting[n:])
		clear(waiting[rest:])
		waiting = waiting[:rest]
	}
}

// gather lets the callers that were just answered run before the next group
// begins: otherwise the first of them gets a commit of its own and all others
// wait for it.
func (e *Engine) gather() {
	if e.committer.group.bytes > busyBytes {
		time.Sleep(busyPause)
	}
	for n := 0; ; {
		runtime.Gosched()
		m := e.queue.len()
		if m == n {
			return
		}
		n = m
	}
}

// commit runs one group and answers its calls. It returns how many of the calls
// at the beginning of waiting are done with.
func (c *committer) commit(waiting []operation) (finished int) {
	if err := c.e.failed(); err != nil {
		for _, o := range waiting {
			if o.common().claim() {
				o.common().finish(err)
			}
		}
		return len(waiting)
	}
	g := &c.group
	g.begin()
	answered := g.answered[:0]
	var partly operation
	for _, o := range waiting {
		if !o.common().claim() {
			finished++
			continue
		}
		if !o.run(g) {
			partly = o
			break
		}
		finished++
		answered = append(answered, o)
		if g.err != nil || g.isFull() {
			break
		}
	}
	err := g.commit()
	if err == nil && partly != nil {
		partly.common().begun = true
		partly.settle()
	}
	if err != nil && partly != nil {
		finished++
		answered = append(answered, partly)
	}
	for _, o := range answered {
		o.common().finish(err)
	}
	clear(answered)
	g.answered = answered[:0]
	return finished
}

// nextVersion gives a version to a document; the counter's row is written in
// the same commit.
func (c *committer) nextVersion() uint64 {
	c.version++
	c.group.versionUsed = true
	return c.version
}

// day returns today's day, which never goes back: what was forgotten at the end
// of a day would otherwise be unspent again.
func (c *committer) day() ids.Day {
	c.today = max(c.today, ids.DayOf(c.group.now))
	return c.today
}

func beUint32(b []byte) uint32 { return binary.BigEndian.Uint32(b) }
func beUint64(b []byte) uint64 { return binary.BigEndian.Uint64(b) }
