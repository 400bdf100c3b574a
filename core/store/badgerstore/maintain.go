package badgerstore

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/dgraph-io/badger/v4"

	"waxwing/core/ids"
)

const (
	// sweepBatch is the number of mailboxes that one look for due ones returns.
	sweepBatch = 256
	// kickEvery is how often a mailbox is swept on request: whoever fills one
	// with messages of short lives must not make the engine read it each time.
	kickEvery = time.Minute
	// dropDays is the number of days of spent rows dropped in one step.
	dropDays = 64
	// collectRatio is the share of a value log file that must be garbage for
	// it to be rewritten: each message is then written twice on average.
	collectRatio = 0.5
)

// maintain is the maintenance goroutine. Each of its steps may be repeated or
// left undone: a crash leaves expired things to be found again.
func (e *Engine) maintain(ctx context.Context) {
	sweep, collect := time.NewTicker(e.cfg.SweepEvery), time.NewTicker(e.cfg.CollectEvery)
	defer sweep.Stop()
	defer collect.Stop()
	if f, ok := errors.AsType[*fault](e.loadSieve(ctx)); ok {
		e.fail(f)
	}
	kicked := make(map[ids.MailboxID]time.Time)
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case id := <-e.kicks:
			if now := e.cfg.Now(); now.Sub(kicked[id]) >= kickEvery {
				if len(kicked) >= kickBuffer {
					clear(kicked)
				}
				kicked[id] = now
				err = e.sweepMailbox(ctx, mark{mailbox: id})
			}
		case <-sweep.C:
			if e.checkDisk(); e.diskLow.Load() {
				// What waits for Badger counts as used: it is to be no more than there is.
				err = e.submit(ctx, &settleOp{newCall()})
				e.checkDisk()
			}
			err = errors.Join(err, e.sweepDue(ctx), e.dropEpochs(ctx))
		case <-collect.C:
			e.collect(ctx)
		}
		if f, ok := errors.AsType[*fault](err); ok {
			e.fail(f)
		}
	}
}

// kick asks for a mailbox to be swept soon. It never waits.
func (e *Engine) kick(mailbox ids.MailboxID) {
	select {
	case e.kicks <- mailbox:
	default:
	}
}

// sweepDue sweeps the mailboxes whose hour has come.
func (e *Engine) sweepDue(ctx context.Context) error {
	hour := ids.HourOf(e.cfg.Now())
	var due []mark
	err := e.view(ctx, func(s *snapshot) (err error) {
		due, err = s.marks(hour)
		return err
	})
	if err != nil {
		return err
	}
	var from []byte
	for {
		for _, m := range due {
			if err := e.sweepMailbox(ctx, m); err != nil {
				return err
			}
		}
		if due, err = e.due(ctx, hour, from); err != nil || len(due) == 0 {
			return err
		}
		last := due[len(due)-1]
		from = append(markKey(last.hour, &last.mailbox), 0) // the first key after it
	}
}

// mark is an 'e' row; hour 0 stands for none.
type mark struct {
	hour    ids.Hour
	mailbox ids.MailboxID
}

func parseMark(key []byte) (mark, error) {
	if len(key) != markKeySize {
		return mark{}, newFault("read", errCorrupt)
	}
	return mark{ids.Hour(beUint32(key[1:])), ids.MailboxID(key[5:])}, nil
}

// due returns marks of hours that have begun, from a key on, of those of which no
// table knows anything. A sweep of the mailbox removes the mark.
func (e *Engine) due(ctx context.Context, hour ids.Hour, from []byte) (due []mark, err error) {
	err = e.view(ctx, func(s *snapshot) error {
		o := badger.DefaultIteratorOptions
		o.PrefetchValues = false
		o.Prefix = []byte{tagMark}
		it := s.txn.NewIterator(o)
		defer it.Close()
		for it.Seek(from); it.Valid() && len(due) < sweepBatch; it.Next() {
			m, err := parseMark(it.Item().Key())
			if err != nil || m.hour > hour {
				return err
			}
			if _, ok := s.inTables(it.Item().Key()); ok {
				continue
			}
			due = append(due, m)
		}
		return nil
	})
	return due, err
}

// dropEpochs forgets the spent rows of days that are over.
func (e *Engine) dropEpochs(ctx context.Context) error {
	today := ids.DayOf(e.cfg.Now())
	var days []ids.Day
	err := e.view(ctx, func(s *snapshot) error {
		days = s.spentDays(today)
		o := badger.DefaultIteratorOptions
		o.PrefetchValues = false
		o.Prefix = []byte{tagSpent}
		it := s.txn.NewIterator(o)
		defer it.Close()
		for it.Rewind(); it.Valid() && len(days) < dropDays; {
			k := it.Item().Key()
			if len(k) != spentKeySize {
				return newFault("read", errCorrupt)
			}
			day := ids.Day(beUint32(k[1:]))
			if day >= today {
				return nil
			}
			if !slices.Contains(days, day) {
				days = append(days, day)
			}
			it.Seek(append([]byte{tagSpent}, u32(uint32(day+1))...))
		}
		return nil
	})
	if err != nil || len(days) == 0 {
		return err
	}
	slices.Sort(days)
	return e.submit(ctx, &epochOp{call: newCall(), days: days})
}

// epochOp drops the spent rows of days.
type epochOp struct {
	call
	days    []ids.Day
	floored bool
}

func (o *epochOp) run(g *group) bool {
	if !g.roomForStep() {
		return false
	}
	if !o.floored {
		// First the floor, in a commit of its own: once a day's rows are gone,
		// a clock that goes back must not make their serials unspent again.
		g.put(keyFloor, u32(uint32(max(g.c.day(), o.days[len(o.days)-1]+1))))
		o.floored = true
		return false
	}
	// What is dropped has to be in Badger, which takes no other writes meanwhile.
	if err := g.c.settle(); err != nil {
		g.stop(err)
		return true
	}
	prefixes := make([][]byte, len(o.days))
	for i, d := range o.days {
		prefixes[i] = append([]byte{tagSpent}, u32(uint32(d))...)
	}
	// A crash in here leaves rows behind that the next round finds.
	if err := g.c.e.db.DropPrefix(prefixes...); err != nil {
		g.stop(newFault("drop", err))
	}
	g.c.forgetSpent(o.days)
	return true
}

// collect gives the space of deleted messages back to the file system.
func (e *Engine) collect(ctx context.Context) {
	for e.failed() == nil {
		select {
		case <-ctx.Done():
			return
		default:
		}
		// While an iterator is open Badger only notes which files can go.
		txn := e.db.NewTransaction(false)
		o := badger.DefaultIteratorOptions
		o.PrefetchValues = false
		o.Prefix = keyFormat
		pin := txn.NewIterator(o)
		err := e.db.RunValueLogGC(collectRatio)
		// They go once nobody is between looking a value up and reading it.
		e.reading.Lock()
		pin.Close()
		txn.Discard()
		e.reading.Unlock()
		if errors.Is(err, badger.ErrNoRewrite) || errors.Is(err, badger.ErrRejected) {
			return
		}
		if err != nil {
			e.fail(newFault("collect", err))
			return
		}
	}
}
