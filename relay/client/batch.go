package client

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"waxwing/core/devicesync"
	"waxwing/core/ids"
	"waxwing/core/wire"
	"waxwing/relay/client/state"
	"waxwing/relay/quicnet"
	"waxwing/sealedsender"
)

// A batch leaves when a connection begins and then as devicesync.Next says, in a
// goroutine of its own that sees a clock and nothing of what is sent.

// syncLoop puts batches until ctx ends or the connection is lost.
func (x *exchange) syncLoop(ctx context.Context) error {
	for {
		var every time.Duration
		if err := x.c.view(func(w *work) (err error) { every, err = w.syncEvery(); return err }); err != nil {
			return err
		}
		wait := devicesync.Next(time.Time{}, every, randomJitter()).Sub(time.Time{})
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
		if err := x.putBatch(ctx); err != nil {
			return err
		}
	}
}

// putBatch seals the next batch, empty if nothing is queued, and hands it to the
// provider; or the one before, if the provider has not taken it. A provider that
// has no room for it is asked again when the next is due.
func (l *link) putBatch(ctx context.Context) error {
	if err := l.c.batch.take(ctx); err != nil {
		return err
	}
	defer l.c.batch.give()
	var b *state.SyncBatch
	if err := l.c.update(func(w *work) (err error) { b, err = w.nextBatch(); return err }); err != nil || b == nil {
		return err
	}
	// Durable, with the sessions that it was sealed on. A crash from here on sends
	// the same bytes again, which the provider stores once.
	_, err := quicnet.Ask[*wire.Done](ctx, l.caller, &wire.SyncPut{Day: b.Day, Class: b.Class, Salt: b.Salt, Payload: b.Payload})
	var refused *quicnet.RefusedError
	switch {
	case err == nil:
		return l.c.update(func(w *work) error { return w.batchDone(b, true) })
	case !errors.As(err, &refused):
		return err
	case retryable(refused.Code, uint32(min(refused.RetryAfter.Milliseconds(), 1<<31))):
		return nil
	case refused.Code == wire.CodeUnauthenticated:
		return err
	}
	// It is too old, for one that was offline: what was in it is sealed anew.
	return l.c.update(func(w *work) error { return w.batchDone(b, false) })
}

// nextBatch returns the batch that waits for the provider, or seals the next one
// and stores it. None is sealed while there is nobody to open it.
func (w *work) nextBatch() (*state.SyncBatch, error) {
	if w.self == nil || w.ownCert() == nil {
		return nil, nil
	}
	if len(w.siblings()) == 0 {
		return nil, w.endSync()
	}
	b, err := state.SyncBatches.Get(w.tx, state.Single)
	if !errors.Is(err, state.ErrNotFound) {
		return b, err
	}
	to, err := w.recipients(w.own)
	if err != nil || len(to) == 0 {
		return nil, err
	}
	s, err := w.syncState()
	if err != nil {
		return nil, err
	}
	class, room := batchRoom(to)
	queue, err := w.queued(room)
	if err != nil {
		return nil, err
	}
	batch, next, done := devicesync.Split(queue, s.Cursor, room)
	b = &state.SyncBatch{Day: w.today, Class: class, Cursor: next}
	if done > 0 {
		b.UpTo = queue[done-1].Number
	}
	if err := w.sealBatch(b, batch, to); err != nil {
		return nil, err
	}
	w.touched = true
	return b, state.SyncBatches.Put(w.tx, state.Single, b)
}

// batchRoom returns the class of a batch, which depends on the sessions alone, and
// how many bytes of records it has room for.
func batchRoom(to []recipient) (wire.Class, int) {
	class := wire.Class4K
	for _, r := range to {
		if r.prekey != nil {
			class = wire.Class16K
		}
	}
	return class, sealedsender.Room(class)
}

// queued returns the first records of the queue, as many as a batch may hold;
// none while a device is there that a session has to be begun with, and which
// would miss them.
func (w *work) queued(room int) (out []devicesync.Record, err error) {
	for _, p := range w.own.peers {
		if p.Sending == 0 && p.Asked == 0 {
			return nil, nil
		}
	}
	for row, err := range state.SyncQueue.Scan(w.tx, nil, nil) {
		if err != nil {
			return nil, err
		}
		out = append(out, devicesync.Record{Number: state.ParseU64(row.Key), Bytes: row.Record.Bytes})
		if room -= len(row.Record.Bytes); room <= 0 && len(out) > 1 || len(out) == devicesync.MaxParts {
			break
		}
	}
	return out, nil
}

// sealBatch seals a batch to the other devices.
func (w *work) sealBatch(b *state.SyncBatch, batch *devicesync.Batch, to []recipient) error {
	items, err := batch.Marshal()
	if err != nil {
		return err
	}
	body, err := sealedsender.SealSyncBody(b.Class, b.Day, &sealedsender.Content{Hour: ids.HourOf(w.now), Control: items})
	if err != nil {
		return err
	}
	entries, err := w.sealEntries(w.own, to, body.Key().Bytes(), body.SessionData())
	body.Key().Erase()
	if err != nil {
		return err
	}
	h := &sealedsender.Head{Sender: w.self.dh, Certificate: w.ownCert(), Recipient: w.own.AccountDH, Entries: entries}
	rand.Read(h.Salt[:])
	rand.Read(b.Salt[:])
	head, err := body.SealHeadSync(h, w.self.roots[w.oldestRoot()], &b.Salt)
	if err != nil {
		return err
	}
	b.Payload = append(head, body.Bytes()...)
	return nil
}

// oldestRoot is the root that batches are sealed under: also a device that was
// away when the root in use was drawn has it, and so learns the new one.
func (w *work) oldestRoot() uint16 {
	oldest := w.self.Root
	for number := range w.self.roots {
		oldest = min(oldest, number)
	}
	return oldest
}

// batchDone notes that the provider has a batch, or never will.
func (w *work) batchDone(b *state.SyncBatch, stored bool) error {
	w.touched = true
	if err := state.SyncBatches.Delete(w.tx, state.Single); err != nil || !stored {
		return err
	}
	s, err := w.syncState()
	if err != nil {
		return err
	}
	s.Cursor = b.Cursor
	rows, err := state.SyncQueue.Rows(w.tx, nil, nil, devicesync.MaxParts)
	for _, row := range rows {
		if state.ParseU64(row.Key) <= b.UpTo {
			err = errors.Join(err, state.SyncQueue.Delete(w.tx, row.Key))
		}
	}
	return errors.Join(err, state.SyncStates.Put(w.tx, state.Single, s))
}

// endSync drops what was for devices that there are no more.
func (w *work) endSync() error {
	if state.SyncQueue.Count(w.tx) == 0 && state.SyncBatches.Count(w.tx) == 0 {
		return nil
	}
	s, err := w.syncState()
	if err != nil {
		return err
	}
	s.Cursor = devicesync.Cursor{}
	return errors.Join(
		expire(w, state.SyncQueue, func(*state.SyncItem) bool { return true }),
		expire(w, state.SyncBatches, func(*state.SyncBatch) bool { return true }),
		state.SyncStates.Put(w.tx, state.Single, s),
	)
}
