package badgerstore

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/dgraph-io/badger/v4"

	"waxwing/core/ids"
	"waxwing/core/store"
)

// set is an open one-winner set.
type set struct {
	number    uint32 // in the keys of its spent rows
	dropAfter int64  // Unix nanoseconds
}

// lastDay is the day that the set's spent rows are kept under.
func (s set) lastDay() ids.Day { return ids.DayOf(time.Unix(0, s.dropAfter)) }

func (s set) isOver(now time.Time) bool { return now.UnixNano() >= s.dropAfter }

const setRowSize = 4 + 8

// loadSets reads all sets; there are at most MaxSets that are open, and about
// as many that are over.
func (c *committer) loadSets(txn *badger.Txn) error {
	o := badger.DefaultIteratorOptions
	o.Prefix = []byte{tagSet}
	it := txn.NewIterator(o)
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		k := it.Item().KeyCopy(nil)
		v, err := it.Item().ValueCopy(nil)
		if err != nil || len(k) != 1+len(store.SetID{}) || len(v) != setRowSize {
			return newFault("read", errCorrupt)
		}
		c.sets[store.SetID(k[1:])] = set{beUint32(v), int64(beUint64(v[4:]))}
	}
	return nil
}

// openSetOp is one call of OpenSet.
type openSetOp struct {
	call
	id        store.SetID
	dropAfter time.Time
	err       error
}

// OpenSet implements store.Store.
func (e *Engine) OpenSet(ctx context.Context, id store.SetID, dropAfter time.Time) error {
	if y := dropAfter.Year(); y < 1971 || y > 2200 { // what Unix nanoseconds can hold
		return store.ErrInvalid
	}
	if e.diskLow.Load() {
		return store.ErrUnavailable
	}
	o := &openSetOp{call: newCall(), id: id, dropAfter: dropAfter}
	if err := e.submit(ctx, o); err != nil {
		return err
	}
	return o.err
}

func (o *openSetOp) run(g *group) bool {
	c := g.c
	s, ok := c.sets[o.id]
	switch {
	case ok && !s.isOver(g.now):
		return true
	case !g.roomForStep():
		return false
	case !g.now.Before(o.dropAfter) || ids.DayOf(o.dropAfter) < c.day():
		o.err = store.ErrInvalid
		return true
	}
	c.forgetSets(g)
	if len(c.sets) >= store.MaxSets {
		o.err = store.ErrFull
		return true
	}
	c.setN++
	s = set{c.setN, o.dropAfter.UnixNano()}
	c.sets[o.id] = s
	g.put(setKey(&o.id), binary.BigEndian.AppendUint64(u32(s.number), uint64(s.dropAfter)))
	g.put(keySets, u32(c.setN))
	return true
}

// forgetSets removes sets that are over, as many as one step may.
func (c *committer) forgetSets(g *group) {
	n := 0
	for id, s := range c.sets {
		if n == stepRows-2 {
			return
		}
		if s.isOver(g.now) {
			delete(c.sets, id)
			g.del(setKey(&id))
			n++
		}
	}
}

// spendOp is one call of Spend.
type spendOp struct {
	call
	id     store.SetID
	claims []store.Claim
	res    []store.SpendRes
	next   int // elements before it are decided
	done   int // elements before it are durable
}

// Spend implements store.Store.
func (e *Engine) Spend(ctx context.Context, id store.SetID, claims []store.Claim) []store.SpendRes {
	o := &spendOp{call: newCall(), id: id, claims: claims, res: make([]store.SpendRes, len(claims))}
	var err error
	switch {
	case len(claims) == 0:
	case len(claims) > store.MaxBatch:
		err = store.ErrInvalid
	case e.diskLow.Load():
		err = store.ErrUnavailable
	default:
		err = e.submit(ctx, o)
	}
	if err != nil {
		for i := o.done; i < len(o.res); i++ {
			o.res[i] = store.SpendRes{Err: err}
		}
	}
	return o.res
}

func (o *spendOp) settle() { o.done = o.next }

func (o *spendOp) run(g *group) bool {
	s, ok := g.c.sets[o.id]
	open := ok && !s.isOver(g.now) && s.lastDay() >= g.c.day()
	for ; o.next < len(o.claims); o.next++ {
		if !g.room(1) {
			return false
		}
		if !open {
			o.res[o.next].Err = store.ErrUnavailable
			continue
		}
		o.res[o.next].Won = g.spend(s, &o.claims[o.next])
	}
	return true
}

func (g *group) spend(s set, c *store.Claim) (won bool) {
	salts := &g.c.e.salts
	key := spentKey(s.lastDay(), s.number, salts.tokenOf(tagSpent, c.Token[:], nil))
	if found := g.spentRow(key); found != nil {
		return g.fate(found, (*[32]byte)(&c.Claimant)) == store.Duplicate
	}
	f := salts.claimantOf((*[32]byte)(&c.Claimant))
	g.putSpent(key, f[:])
	return true
}
