package store

import (
	"bytes"
	"context"
	"math"
	"time"

	"waxwing/core/ids"
)

// memMailbox is one mailbox; all fields are guarded by Memory.mu.
type memMailbox struct {
	last     Cursor
	messages []memMessage // in the order of cursors
	bytes    int64
	soonest  int64 // no message expires before this second
	readers  map[ReaderID]Cursor
	ids      map[ids.EnvelopeID]struct{} // of kept messages without a serial
}

type memMessage struct {
	cursor  Cursor
	id      ids.EnvelopeID
	body    []byte
	expires int64
	plain   bool // without a serial
}

type memSerial struct {
	mailbox ids.MailboxID
	serial  Serial
}

// memSpent is the fate of a serial: struck, or spent by an envelope.
type memSpent struct {
	struck bool
	by     ids.EnvelopeID
}

// mailbox returns a mailbox, with what has expired removed.
func (m *Memory) mailbox(id ids.MailboxID, now time.Time) *memMailbox {
	b := m.mailboxes[id]
	if b == nil {
		b = &memMailbox{
			readers: make(map[ReaderID]Cursor), ids: make(map[ids.EnvelopeID]struct{}),
			soonest: math.MaxInt64,
		}
		m.mailboxes[id] = b
	}
	if sec := now.Unix(); b.soonest <= sec {
		b.remove(func(x *memMessage) bool { return x.expires <= sec })
	}
	return b
}

// remove removes the messages for which gone returns true.
func (b *memMailbox) remove(gone func(*memMessage) bool) {
	b.soonest = math.MaxInt64
	kept := b.messages[:0]
	for i := range b.messages {
		x := &b.messages[i]
		if !gone(x) {
			b.soonest = min(b.soonest, x.expires)
			kept = append(kept, *x)
			continue
		}
		b.bytes -= int64(len(x.body))
		if x.plain {
			delete(b.ids, x.id)
		}
	}
	clear(b.messages[len(kept):])
	b.messages = kept
}

// removeAcked removes what all open readers have acked, if there are any.
func (b *memMailbox) removeAcked() {
	if len(b.readers) == 0 {
		return
	}
	low := Cursor(math.MaxUint64)
	for _, c := range b.readers {
		low = min(low, c)
	}
	if len(b.messages) > 0 && b.messages[0].cursor <= low {
		b.remove(func(x *memMessage) bool { return x.cursor <= low })
	}
}

// Append implements Store.
func (m *Memory) Append(ctx context.Context, reqs []AppendReq) []AppendRes {
	out := make([]AppendRes, len(reqs))
	err := m.enter(ctx)
	if err == nil {
		defer m.mu.Unlock()
		if len(reqs) > MaxBatch {
			err = ErrInvalid
		}
	}
	now := m.now()
	for i := range reqs {
		if err != nil {
			out[i].Err = err
		} else {
			out[i] = m.append(&reqs[i], now)
		}
	}
	return out
}

func (m *Memory) append(r *AppendReq, now time.Time) AppendRes {
	if err := r.Check(); err != nil {
		return AppendRes{Err: err}
	}
	if r.Discard {
		return AppendRes{Outcome: Discarded}
	}
	b := m.mailbox(r.Mailbox, now)
	serial := memSerial{r.Mailbox, r.Serial}
	if r.HasSerial {
		if !m.alive(r.Serial, now) {
			return AppendRes{Outcome: Spent}
		}
		if spent, ok := m.serials[serial]; ok {
			switch {
			case spent.struck:
				return AppendRes{Outcome: Struck}
			case spent.by == r.ID:
				return AppendRes{Outcome: Duplicate}
			}
			return AppendRes{Outcome: Spent}
		}
	} else if _, ok := b.ids[r.ID]; ok {
		return AppendRes{Outcome: Duplicate}
	}
	quota := r.Quota.OrDefault()
	if len(b.messages)+1 > quota.Messages || b.bytes+int64(len(r.Body)) > quota.Bytes {
		return AppendRes{Err: ErrFull}
	}
	if r.HasSerial {
		m.serials[serial] = memSpent{by: r.ID}
	} else {
		b.ids[r.ID] = struct{}{}
	}
	b.last++
	b.bytes += int64(len(r.Body))
	expires := ExpirySecond(r.Expires)
	b.soonest = min(b.soonest, expires)
	b.messages = append(b.messages, memMessage{
		cursor: b.last, id: r.ID, body: bytes.Clone(r.Body), expires: expires, plain: !r.HasSerial,
	})
	return AppendRes{Outcome: Appended, Cursor: b.last}
}

// alive reports whether the fate of a serial is known, and forgets what no
// longer is, once a day. It never goes back when the clock does.
func (m *Memory) alive(s Serial, now time.Time) bool {
	if today := ids.DayOf(now); today > m.oldest {
		m.oldest = today
		for k := range m.serials {
			if !k.serial.Alive(today) {
				delete(m.serials, k)
			}
		}
	}
	return s.Alive(m.oldest)
}

// OpenReader implements Store.
func (m *Memory) OpenReader(ctx context.Context, mailbox ids.MailboxID, reader ReaderID) (Cursor, error) {
	if err := m.enter(ctx); err != nil {
		return 0, err
	}
	defer m.mu.Unlock()
	b := m.mailbox(mailbox, m.now())
	if c, ok := b.readers[reader]; ok {
		return c, nil
	}
	if len(b.readers) >= MaxReaders {
		return 0, ErrFull
	}
	c := b.last
	if len(b.messages) > 0 {
		c = b.messages[0].cursor - 1
	}
	b.readers[reader] = c
	return c, nil
}

// CloseReader implements Store.
func (m *Memory) CloseReader(ctx context.Context, mailbox ids.MailboxID, reader ReaderID) error {
	if err := m.enter(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	b := m.mailbox(mailbox, m.now())
	delete(b.readers, reader)
	b.removeAcked()
	return nil
}

// Fetch implements Store.
func (m *Memory) Fetch(ctx context.Context, mailbox ids.MailboxID, after Cursor, maxMsgs, maxBytes int) ([]Message, error) {
	if err := m.enter(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	b := m.mailbox(mailbox, m.now())
	maxMsgs, maxBytes = Limit(maxMsgs, MaxFetch), Limit(maxBytes, MaxFetchBytes)
	var out []Message
	size := 0
	for i := range b.messages {
		x := &b.messages[i]
		if x.cursor <= after {
			continue
		}
		size += len(x.body)
		if len(out) == maxMsgs || len(out) > 0 && size > maxBytes {
			break
		}
		out = append(out, Message{x.cursor, x.id, bytes.Clone(x.body), time.Unix(x.expires, 0).UTC()})
	}
	return out, nil
}

// Ack implements Store.
func (m *Memory) Ack(ctx context.Context, reqs []AckReq) []error {
	out := make([]error, len(reqs))
	err := m.enter(ctx)
	if err == nil {
		defer m.mu.Unlock()
		if len(reqs) > MaxBatch {
			err = ErrInvalid
		}
	}
	now := m.now()
	for i, r := range reqs {
		if out[i] = err; err != nil {
			continue
		}
		b := m.mailbox(r.Mailbox, now)
		c, ok := b.readers[r.Reader]
		if !ok {
			out[i] = ErrNotFound
			continue
		}
		b.readers[r.Reader] = max(c, min(r.UpTo, b.last))
		b.removeAcked()
	}
	return out
}

// Remove implements Store.
func (m *Memory) Remove(ctx context.Context, mailbox ids.MailboxID, cursors []Cursor) error {
	if len(cursors) > MaxBatch {
		return ErrInvalid
	}
	if err := m.enter(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	gone := make(map[Cursor]struct{}, len(cursors))
	for _, c := range cursors {
		gone[c] = struct{}{}
	}
	m.mailbox(mailbox, m.now()).remove(func(x *memMessage) bool {
		_, ok := gone[x.cursor]
		return ok
	})
	return nil
}

// Strike implements Store.
func (m *Memory) Strike(ctx context.Context, mailbox ids.MailboxID, serials []Serial) (int, error) {
	if len(serials) > MaxBatch {
		return 0, ErrInvalid
	}
	if err := m.enter(ctx); err != nil {
		return 0, err
	}
	defer m.mu.Unlock()
	now, struck := m.now(), 0
	for _, s := range serials {
		k := memSerial{mailbox, s}
		if _, ok := m.serials[k]; !ok && m.alive(s, now) {
			m.serials[k] = memSpent{struck: true}
			struck++
		}
	}
	return struck, nil
}

// Stat implements Store.
func (m *Memory) Stat(ctx context.Context, mailbox ids.MailboxID) (MailboxStat, error) {
	if err := m.enter(ctx); err != nil {
		return MailboxStat{}, err
	}
	defer m.mu.Unlock()
	b := m.mailbox(mailbox, m.now())
	return MailboxStat{Messages: len(b.messages), Bytes: b.bytes, Last: b.last}, nil
}

// Drop implements Store.
func (m *Memory) Drop(ctx context.Context, mailbox ids.MailboxID) error {
	if err := m.enter(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	b := m.mailbox(mailbox, m.now())
	b.remove(func(*memMessage) bool { return true })
	clear(b.readers)
	return nil
}
