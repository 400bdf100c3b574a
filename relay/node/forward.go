package node

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
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

// forwarder empties an outbox over one stream. A row stays in the outbox until the
// peer has acked it, so a crash or a lost connection costs a resend; one that the
// peer does not take for now keeps no other there.
type forwarder struct {
	// fixed
	l      *link
	stream *quicnet.Stream
	wake   chan struct{} // holds one token: something was answered
	room   int           // how many rows may be parked

	expired bool // owned by sendAll: some that waited have expired

	// removing is held, before mu, while settled rows are removed, and while rows
	// are read of which only a batch's bounds are known: none that is read then is
	// one that is settled and no longer remembered.
	removing sync.Mutex

	mu       sync.Mutex // guards the rest; held for one ack or one batch
	next     uint64     // number of the next frame
	acked    uint64     // highest number that the peer has acked
	flying   []flight   // sent and not acked, by number
	again    []resend   // refused for now
	parked   parking    // refused for their mailboxes; in nobody's way
	looked   time.Time  // when rows that were left behind were read last
	bytes    int        // in flight or to be sent again
	progress progress   // which rows are settled
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
	return &forwarder{l: l, stream: s, wake: make(chan struct{}, 1), room: cmp.Or(l.n.maxParked, maxParked), next: 1}
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
	f.progress.end = at
	for {
		pause, err := f.sendAgain(ctx)
		if err != nil {
			return err
		}
		room, bytes := f.window()
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

// sendAgain sends what was refused and is due, and returns how long until the
// next is; 0 if that is not known.
func (f *forwarder) sendAgain(ctx context.Context) (pause time.Duration, err error) {
	now := time.Now()
	for _, take := range []func(context.Context, time.Time) ([]row, time.Duration, error){f.takeDue, f.unpark, f.lookBehind} {
		due, wait, err := take(ctx, now)
		if err == nil {
			err = f.send(due)
		}
		if err != nil {
			return 0, err
		}
		if wait > 0 && (pause == 0 || wait < pause) {
			pause = wait
		}
	}
	if f.expired {
		f.expired = false
		return pause, f.removeSettled(ctx)
	}
	return pause, nil
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

// window returns how much more may be sent ahead of the peer's acks.
func (f *forwarder) window() (messages, bytes int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return forwardWindow - len(f.flying) - len(f.again), forwardBytes - f.bytes
}

// mix makes a batch of what was fetched, in random order.
func (f *forwarder) mix(msgs []store.Message) []row {
	out := make([]row, len(msgs))
	f.mu.Lock()
	b := f.progress.fetched(msgs[len(msgs)-1].Cursor, len(msgs))
	for i, m := range msgs {
		out[i] = row{envelope: m.Body, batch: b, at: m.Cursor}
		f.bytes += len(m.Body)
	}
	f.mu.Unlock()
	rand.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// takeDue returns what is to be sent again now, and how long until the next.
func (f *forwarder) takeDue(_ context.Context, now time.Time) (due []row, pause time.Duration, _ error) {
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
	return due, pause, nil
}

func (f *forwarder) send(batch []row) error {
	if len(batch) == 0 {
		return nil
	}
	for _, r := range batch {
		number := f.fly(r)
		if err := f.stream.Append(func(b []byte) ([]byte, error) {
			return wire.AppendForward(b, number, r.envelope)
		}); err != nil {
			return err
		}
	}
	return f.stream.Flush()
}

// fly gives a row that is about to be sent its number.
func (f *forwarder) fly(r row) (number uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	number = f.next
	f.next++
	f.flying = append(f.flying, flight{number, r})
	return number
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
			err = f.ack(a.UpTo)
		case wire.TypeRefused:
			var r wire.Refused
			if wire.Unmarshal(body, &r) != nil {
				return quicnet.ErrProtocol
			}
			err = f.refused(&r)
		default:
			err = quicnet.ErrProtocol
		}
		if err == nil {
			err = f.removeSettled(ctx)
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
			f.settle(&fl.row)
			return nil
		}
		f.l.n.metrics.peerRefused.Inc()
		wait := min(max(time.Duration(r.RetryAfter)*time.Millisecond, resendMin), resendMax)
		if r.Code == wire.CodeMailbox {
			f.putAside(&fl.row, wait)
			return nil
		}
		f.again = append(f.again, resend{fl.row, time.Now().Add(wait)})
		return nil
	}
	return quicnet.ErrProtocol // it was never sent, or is settled
}

// ack settles everything up to a number.
func (f *forwarder) ack(upTo uint64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if upTo < f.acked || upTo >= f.next {
		return quicnet.ErrProtocol
	}
	f.acked = upTo
	done := 0
	for done < len(f.flying) && f.flying[done].number <= upTo {
		f.settle(&f.flying[done].row)
		done++
	}
	f.l.n.metrics.relayed.Add(float64(done))
	f.flying = append(f.flying[:0], f.flying[done:]...)
	return nil
}

// settle is for a row that was on its way and will not be sent again. The caller
// holds mu.
func (f *forwarder) settle(r *row) {
	f.bytes -= len(r.envelope)
	f.progress.settled(r.batch, r.at)
}

// removeSettled removes rows that are settled.
func (f *forwarder) removeSettled(ctx context.Context) error {
	f.removing.Lock()
	defer f.removing.Unlock()
	f.mu.Lock()
	upTo, single := f.progress.removable()
	f.mu.Unlock()
	// Durable on return of each: the rows are gone. A crash before it sends them
	// once more, and the peer knows them by their ids.
	if upTo > 0 {
		req := store.AckReq{Mailbox: f.l.outbox, Reader: outboxReader, UpTo: upTo}
		if err := f.l.n.store.Ack(ctx, []store.AckReq{req})[0]; err != nil {
			return err
		}
	}
	for some := range slices.Chunk(single, store.MaxBatch) {
		if err := f.l.n.store.Remove(ctx, f.l.outbox, some); err != nil {
			return err
		}
	}
	return nil
}
