package node

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"waxwing/core/store"
	"waxwing/core/wire"
	"waxwing/relay/quicnet"
)

const (
	// forwardWindow and forwardBytes bound what is sent to a peer ahead of its
	// acks: several of its commits, so that it never waits for the network.
	forwardWindow = 1024
	forwardBytes  = 8 << 20
	// forwardBatch is how many envelopes are mixed with one another: what is
	// there leaves in random order, so that order tells nothing about who
	// handed it in.
	forwardBatch = 256
	// resendMin is the shortest pause after a refusal for now, whatever the
	// peer says.
	resendMin = 100 * time.Millisecond
	// resendMax is the longest: a peer does not stop this queue for an hour.
	resendMax = time.Minute
)

// forwarder empties an outbox over one stream. The outbox rows stay until the
// peer has acked them, so a crash or a lost connection costs a resend.
type forwarder struct {
	// fixed
	l      *link
	stream *quicnet.Stream
	wake   chan struct{} // holds one token: something was answered

	mu      sync.Mutex // guards the rest; held for one ack or one batch
	next    uint64     // number of the next frame
	acked   uint64     // highest number that the peer has acked
	flying  []flight   // sent and not acked, by number
	batches []*batch   // from the oldest that is not settled; at most one for each row of the outbox
	again   []resend   // refused for now
	parked  parking    // refused for their mailboxes; in nobody's way
	bytes   int        // in flight or to be sent again
}

// batch is what one fetch brought. When all of it is settled, and all before
// it, its rows are removed up to last.
type batch struct {
	left int
	last store.Cursor
}

// row is an envelope of the outbox.
type row struct {
	envelope []byte
	batch    *batch
	at       store.Cursor
	tries    int // how often it was refused for its mailbox
}

type flight struct {
	number uint64
	row
}

type resend struct {
	row
	due time.Time
}

func newForwarder(l *link, s *quicnet.Stream) *forwarder {
	return &forwarder{l: l, stream: s, wake: make(chan struct{}, 1), next: 1}
}

// run forwards until the stream or ctx ends.
func (f *forwarder) run(ctx context.Context) error {
	at, err := f.l.n.store.OpenReader(ctx, f.l.outbox, outboxReader)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		defer cancel()
		done <- f.takeAnswers(ctx)
	}()
	err = f.sendAll(ctx, at)
	f.stream.Cancel(quicnet.CodeNone)
	if e := <-done; e != nil {
		return e
	}
	return err
}

// outboxReader is the only reader of an outbox.
const outboxReader store.ReaderID = 0

func (f *forwarder) sendAll(ctx context.Context, at store.Cursor) error {
	n := f.l.n
	w := n.notify.wait(f.l.outbox)
	defer n.notify.done(w)
	for {
		now := time.Now()
		due, pause := f.takeDue(now)
		if err := f.send(due); err != nil {
			return err
		}
		due, late, err := f.unpark(ctx, now)
		if err != nil {
			return err
		}
		if late > 0 && (pause == 0 || late < pause) {
			pause = late
		}
		if err := f.send(due); err != nil {
			return err
		}
		room, bytes := f.room()
		if room > 0 && bytes > 0 {
			msgs, err := n.store.Fetch(ctx, f.l.outbox, at, min(room, forwardBatch), bytes)
			if err != nil {
				return err
			}
			if len(msgs) > 0 {
				at = msgs[len(msgs)-1].Cursor
				if err := f.send(f.mix(msgs)); err != nil {
					return err
				}
				continue
			}
		}
		if err := f.await(ctx, w.wake, pause); err != nil {
			return err
		}
	}
}

// await waits for new rows, for an answer or for the time of a resend.
func (f *forwarder) await(ctx context.Context, rows <-chan struct{}, pause time.Duration) error {
	var timer <-chan time.Time
	if pause > 0 {
		t := time.NewTimer(pause)
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-rows:
	case <-f.wake:
	case <-timer:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

func (f *forwarder) room() (messages, bytes int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return forwardWindow - len(f.flying) - len(f.again), forwardBytes - f.bytes
}

// mix makes a batch of what was fetched, in random order.
func (f *forwarder) mix(msgs []store.Message) []row {
	b := &batch{left: len(msgs), last: msgs[len(msgs)-1].Cursor}
	out := make([]row, len(msgs))
	f.mu.Lock()
	for i, m := range msgs {
		out[i] = row{envelope: m.Body, batch: b, at: m.Cursor}
		f.bytes += len(m.Body)
	}
	f.batches = append(f.batches, b)
	f.mu.Unlock()
	rand.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// takeDue returns what is to be sent again now, and how long until the next.
func (f *forwarder) takeDue(now time.Time) (due []row, pause time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	kept := f.again[:0]
	for _, r := range f.again {
		wait := r.due.Sub(now)
		if wait <= 0 {
			due = append(due, r.row)
			continue
		}
		if pause == 0 || wait < pause {
			pause = wait
		}
		kept = append(kept, r)
	}
	f.again = kept
	return due, pause
}

func (f *forwarder) send(batch []row) error {
	if len(batch) == 0 {
		return nil
	}
	for _, r := range batch {
		f.mu.Lock()
		number := f.next
		f.next++
		f.flying = append(f.flying, flight{number, r})
		f.mu.Unlock()
		if err := f.stream.Append(func(b []byte) ([]byte, error) {
			return wire.AppendForward(b, number, r.envelope)
		}); err != nil {
			return err
		}
	}
	return f.stream.Flush()
}

// takeAnswers settles what the peer answers until the stream ends.
func (f *forwarder) takeAnswers(ctx context.Context) error {
	for {
		t, body, err := f.stream.ReadFrame()
		if err != nil {
			return err
		}
		switch t {
		case wire.TypeAck:
			var a wire.Ack
			if wire.Unmarshal(body, &a) != nil {
				return quicnet.ErrProtocol
			}
			err = f.ack(ctx, a.UpTo)
		case wire.TypeRefused:
			var r wire.Refused
			if wire.Unmarshal(body, &r) != nil {
				return quicnet.ErrProtocol
			}
			err = f.refused(&r)
		default:
			err = quicnet.ErrProtocol
		}
		if err != nil {
			return err
		}
		select {
		case f.wake <- struct{}{}:
		default:
		}
	}
}

// refused takes one envelope out of those in flight: for good, or to be sent
// again later.
func (f *forwarder) refused(r *wire.Refused) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, fl := range f.flying {
		if fl.number != r.Number {
			continue
		}
		f.flying = append(f.flying[:i], f.flying[i+1:]...)
		f.l.status.countRefused(r.Code)
		if r.RetryAfter == 0 {
			// The peer will never take it: too old, or not an envelope to it.
			f.l.n.metrics.givenUp.Inc()
			f.bytes -= len(fl.envelope)
			fl.batch.left--
			return nil
		}
		f.l.n.metrics.peerRefused.Inc()
		wait := min(max(time.Duration(r.RetryAfter)*time.Millisecond, resendMin), resendMax)
		if r.Code == wire.CodeMailbox && f.park(&fl.row, wait) {
			return nil
		}
		f.again = append(f.again, resend{fl.row, time.Now().Add(wait)})
		return nil
	}
	return quicnet.ErrProtocol // it was never sent, or is settled
}

// ack settles everything up to a number and removes the rows of the oldest
// batches that are settled as a whole.
func (f *forwarder) ack(ctx context.Context, upTo uint64) error {
	f.mu.Lock()
	if upTo < f.acked || upTo >= f.next {
		f.mu.Unlock()
		return quicnet.ErrProtocol
	}
	f.acked = upTo
	done := 0
	for done < len(f.flying) && f.flying[done].number <= upTo {
		f.bytes -= len(f.flying[done].envelope)
		f.flying[done].batch.left--
		done++
	}
	f.l.n.metrics.relayed.Add(float64(done))
	f.flying = append(f.flying[:0], f.flying[done:]...)
	var last store.Cursor
	for len(f.batches) > 0 && f.batches[0].left == 0 {
		last = f.batches[0].last
		f.batches = f.batches[1:]
	}
	f.mu.Unlock()
	if last == 0 {
		return nil
	}
	req := store.AckReq{Mailbox: f.l.outbox, Reader: outboxReader, UpTo: last}
	// Durable on return: the rows are gone. A crash before it sends them once
	// more, and the peer knows them by their ids.
	return f.l.n.store.Ack(ctx, []store.AckReq{req})[0]
}
