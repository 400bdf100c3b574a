package badgerstore

import (
	"crypto/rand"
	"fmt"

	"waxwing/core/store"
)

// persist makes a group's rows durable in the journal.
func (c *committer) persist(rows []row) error {
	if !c.journal.fits(rows) || c.e.tables.fill() >= c.e.cfg.hooks.journalRows {
		if err := c.rotate(carryBytes); err != nil {
			return err
		}
	}
	return c.journal.write(rows)
}

// carryRows is how many heads are carried in one record, with which it is no larger than
// that of the largest group.
const carryRows = groupBytes / (journalRow + headKeySize + headSize + store.MaxReaders*readerSize)

// rotate goes on in the other segment, and has the rows of this one drained. Over
// the other one's, whose segment is written anew, it waits: that holds back who
// writes faster than Badger takes it. Of the heads carry bytes may go on here.
func (c *committer) rotate(carry int64) error {
	c.awaitDrained()
	e := c.e
	if err := e.failed(); err != nil {
		return err
	}
	var salt [saltBytes]byte
	rand.Read(salt[:])
	if err := c.journal.begin(salt); err != nil {
		return err
	}
	old, carried := e.tables.rotate(carry)
	for len(carried) > 0 {
		n := min(len(carried), carryRows)
		if err := c.journal.write(carried[:n]); err != nil {
			return err
		}
		carried = carried[n:]
	}
	// What is carried is in both segments now, and goes on in this one. A crash before
	// finds it in the other, and some of it, as it is, in this one, too.
	done := make(chan struct{})
	c.drained = done
	e.running.Go(func() {
		defer close(done)
		if err := e.drain(old); err != nil {
			e.fail(err) // what is not in Badger stays in the journal
			return
		}
		e.tables.dropOld()
	})
	return nil
}

func (c *committer) awaitDrained() {
	if c.drained != nil {
		<-c.drained
	}
}

// settle has everything that was committed before this group in Badger.
func (c *committer) settle() error {
	if !c.e.tables.empty() {
		if err := c.rotate(0); err != nil {
			return err
		}
	}
	c.awaitDrained()
	return c.e.failed()
}

// drain writes a table's rows to Badger. When it returns they are durable there; a
// crash before finds all of them in the journal, and writes them again.
func (e *Engine) drain(t *table) error {
	if h := e.cfg.hooks.beforeDrain; h != nil {
		if err := h(); err != nil {
			return err
		}
	}
	b := e.db.NewWriteBatch()
	defer b.Cancel()
	for _, r := range t.sorted() {
		var err error
		if r.value != nil {
			err = b.Set([]byte(r.key), r.value)
		} else {
			err = b.Delete([]byte(r.key))
		}
		if err != nil {
			return newFault("drain", err)
		}
	}
	if err := b.Flush(); err != nil {
		return newFault("drain", err)
	}
	// A failed sync of the value log is logged by Badger and not returned.
	if f := e.fault.Load(); f != nil {
		return f
	}
	return nil
}

// settleOp is settle as an operation.
type settleOp struct{ call }

func (o *settleOp) run(g *group) bool {
	if err := g.c.settle(); err != nil {
		g.stop(err)
	}
	return true
}

// recover opens the journal and writes what it has to Badger.
func (e *Engine) recover() error {
	j, err := openJournal(e.cfg.Dir)
	if err != nil {
		return err
	}
	e.committer.journal = j
	t := newTable()
	if err := j.replay(t.apply); err != nil {
		return err
	}
	if len(t.rows)+t.chunks == 0 {
		return nil
	}
	if low(e.cfg.Dir, startFree+uint64(t.bytes)) {
		return fmt.Errorf("%w: %w", store.ErrUnavailable, errDiskLow)
	}
	return e.drain(t)
}
