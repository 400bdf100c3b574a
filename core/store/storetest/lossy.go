package storetest

import (
	"context"
	"time"

	"waxwing/core/ids"
	"waxwing/core/store"
)

// Loss says what becomes of one operation's answer.
type Loss uint8

const (
	// LossNone: the answer arrives.
	LossNone Loss = iota
	// LossBefore: the operation is lost before it has an effect.
	LossBefore
	// LossAfter: the operation has its effect, and the answer is lost.
	LossAfter
)

// Lossy is an engine whose answers get lost: the caller then gets
// ErrUnknownOutcome, and cannot tell whether anything happened. Next decides
// about each operation that changes something; it is called from the goroutine
// of the operation.
type Lossy struct {
	store.Store
	Next func() Loss
}

// lose runs an operation, or not, and reports whether its answer is lost.
func (l *Lossy) lose(run func()) bool {
	switch l.Next() {
	case LossBefore:
		return true
	case LossAfter:
		run()
		return true
	case LossNone:
	}
	run()
	return false
}

func (l *Lossy) err(run func() error) error {
	var err error
	if l.lose(func() { err = run() }) {
		return store.ErrUnknownOutcome
	}
	return err
}

// Append implements store.Store.
func (l *Lossy) Append(ctx context.Context, reqs []store.AppendReq) (res []store.AppendRes) {
	if l.lose(func() { res = l.Store.Append(ctx, reqs) }) {
		res = make([]store.AppendRes, len(reqs))
		for i := range res {
			res[i].Err = store.ErrUnknownOutcome
		}
	}
	return res
}

// OpenReader implements store.Store.
func (l *Lossy) OpenReader(ctx context.Context, mailbox ids.MailboxID, r store.ReaderID) (c store.Cursor, err error) {
	if l.lose(func() { c, err = l.Store.OpenReader(ctx, mailbox, r) }) {
		return 0, store.ErrUnknownOutcome
	}
	return c, err
}

// CloseReader implements store.Store.
func (l *Lossy) CloseReader(ctx context.Context, mailbox ids.MailboxID, r store.ReaderID) error {
	return l.err(func() error { return l.Store.CloseReader(ctx, mailbox, r) })
}

// Ack implements store.Store.
func (l *Lossy) Ack(ctx context.Context, reqs []store.AckReq) (errs []error) {
	if l.lose(func() { errs = l.Store.Ack(ctx, reqs) }) {
		errs = make([]error, len(reqs))
		for i := range errs {
			errs[i] = store.ErrUnknownOutcome
		}
	}
	return errs
}

// Remove implements store.Store.
func (l *Lossy) Remove(ctx context.Context, mailbox ids.MailboxID, cursors []store.Cursor) error {
	return l.err(func() error { return l.Store.Remove(ctx, mailbox, cursors) })
}

// Strike implements store.Store.
func (l *Lossy) Strike(ctx context.Context, mailbox ids.MailboxID, serials []store.Serial) (n int, err error) {
	if l.lose(func() { n, err = l.Store.Strike(ctx, mailbox, serials) }) {
		return 0, store.ErrUnknownOutcome
	}
	return n, err
}

// Drop implements store.Store.
func (l *Lossy) Drop(ctx context.Context, mailbox ids.MailboxID) error {
	return l.err(func() error { return l.Store.Drop(ctx, mailbox) })
}

// OpenSet implements store.Store.
func (l *Lossy) OpenSet(ctx context.Context, set store.SetID, dropAfter time.Time) error {
	return l.err(func() error { return l.Store.OpenSet(ctx, set, dropAfter) })
}

// Spend implements store.Store.
func (l *Lossy) Spend(ctx context.Context, set store.SetID, claims []store.Claim) (res []store.SpendRes) {
	if l.lose(func() { res = l.Store.Spend(ctx, set, claims) }) {
		res = make([]store.SpendRes, len(claims))
		for i := range res {
			res[i].Err = store.ErrUnknownOutcome
		}
	}
	return res
}

// Put implements store.Store.
func (l *Lossy) Put(ctx context.Context, pool store.Key, items []store.Item) error {
	return l.err(func() error { return l.Store.Put(ctx, pool, items) })
}

// Take implements store.Store.
func (l *Lossy) Take(ctx context.Context, pool store.Key, c store.Claimant) (it store.Item, n int, err error) {
	if l.lose(func() { it, n, err = l.Store.Take(ctx, pool, c) }) {
		return store.Item{}, 0, store.ErrUnknownOutcome
	}
	return it, n, err
}

// DropPool implements store.Store.
func (l *Lossy) DropPool(ctx context.Context, pool store.Key) error {
	return l.err(func() error { return l.Store.DropPool(ctx, pool) })
}

// CAS implements store.Store.
func (l *Lossy) CAS(ctx context.Context, key store.Key, ifVersion uint64, value []byte) (v uint64, err error) {
	if l.lose(func() { v, err = l.Store.CAS(ctx, key, ifVersion, value) }) {
		return 0, store.ErrUnknownOutcome
	}
	return v, err
}

// LogAppend implements store.Store.
func (l *Lossy) LogAppend(ctx context.Context, log store.Key, expectSize uint64, entries [][]byte) error {
	return l.err(func() error { return l.Store.LogAppend(ctx, log, expectSize, entries) })
}
