package node

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"waxwing/core/ids"
	"waxwing/core/wire"
	"waxwing/relay"
	"waxwing/relay/quicnet"
)

const (
	// maxSettle is how many envelopes of one stream are settled in one commit
	// at most: a sender's window, so that a full one becomes one commit.
	maxSettle = 256
	// maxSettleBytes bounds the same in bytes, for large envelopes: what such a
	// batch has of the smallest class. With two batches under way a stream holds
	// 512 KiB and one envelope at most.
	maxSettleBytes = maxSettle << 10
	// intakeJobs is the number of batches of a stream: one is settled while
	// the other is read, so that reading overlaps with the sync of the disk.
	intakeJobs = 2
	// maxIntroductions bounds the introductions of a batch: each costs a
	// millisecond before the commit, which everything else in the batch waits for.
	maxIntroductions = 8
)

// intake takes envelopes from one stream: one goroutine reads and admits them
// in batches, another settles the batches and acks them in order.
type intake struct {
	// fixed
	n      *Node
	stream *quicnet.Stream
	parse  func(body []byte) (number uint64, dest ids.Domain, envelope []byte, err error)
	admit  func(now time.Time, dest ids.Domain, envelope []byte, a *relay.Admitted) *relay.Refusal
	sender *sender // whose budget and turn it is
	frame  wire.FrameType
	counts *[relay.ReasonEnd]prometheus.Counter
	peer   *[relay.ReasonEnd]atomic.Uint64 // the same of one peer; nil for clients

	next uint64 // owned by the reading goroutine: the number that has to come
}

func (in *intake) count(r relay.Reason) {
	in.counts[r].Inc()
	if in.peer != nil {
		in.peer[r].Add(1)
	}
}

// job is a batch. It belongs to whoever received it last.
type job struct {
	slots    []*relay.Admitted // room for admitted ones, used again
	admitted []*relay.Admitted
	numbers  []uint64 // of the admitted ones
	refused  []refusedNumber
	last     uint64 // the highest number in the batch
	bytes    int
	intros   int // introductions among them
	held     int // bytes of the sender's backlog
}

type refusedNumber struct {
	number uint64
	*relay.Refusal
}

func (j *job) reset() {
	j.admitted, j.numbers, j.refused, j.bytes = j.slots[:0], j.numbers[:0], j.refused[:0], 0
	j.intros = 0
}

// slot returns room for one more.
func (j *job) slot() *relay.Admitted {
	i := len(j.admitted)
	if i == len(j.slots) {
		j.slots = append(j.slots, new(relay.Admitted))
		j.admitted = j.slots[:i]
	}
	return j.slots[i]
}

func (j *job) keep(number uint64) {
	j.admitted = j.slots[:len(j.admitted)+1]
	j.numbers = append(j.numbers, number)
}

// run takes envelopes until the stream ends or the server drains, and returns
// when everything that was taken is settled. ErrProtocol means that the
// connection has to go.
func (in *intake) run(ctx context.Context) error {
	if !in.n.intakes.begin() {
		return quicnet.ErrClosed
	}
	defer in.n.intakes.wg.Done()
	stop := context.AfterFunc(in.n.draining, func() { in.stream.StopReading(wire.CodeBusy) })
	defer stop()
	ready, free := make(chan *job, intakeJobs), make(chan *job, intakeJobs)
	for range intakeJobs {
		j := new(job)
		free <- j
		defer func() { in.sender.give(j.held) }() // what an error left
	}
	done := make(chan error, 1)
	go func() { done <- in.settleAll(ctx, ready, free) }()
	in.next = 1
	err := in.readAll(ready, free)
	close(ready)
	if e := <-done; e != nil {
		return e
	}
	return err
}

func (in *intake) readAll(ready chan<- *job, free <-chan *job) error {
	for j := range free {
		j.reset()
		err := in.fill(j)
		if len(j.numbers)+len(j.refused) > 0 {
			ready <- j // capacity intakeJobs: never blocks
		}
		if err != nil {
			return err
		}
	}
	return nil // settleAll failed and closed free
}

// fill reads frames into a batch: the first whenever it comes, others as long
// as they are there already.
func (in *intake) fill(j *job) error {
	for len(j.numbers)+len(j.refused) < maxSettle && j.bytes < maxSettleBytes && j.intros < maxIntroductions {
		if len(j.numbers)+len(j.refused) > 0 && !in.stream.Buffered() {
			return nil
		}
		t, body, err := in.stream.ReadFrame()
		if err != nil {
			return err
		}
		if t != in.frame {
			return quicnet.ErrProtocol
		}
		number, dest, envelope, err := in.parse(body)
		if err != nil || number != in.next {
			return quicnet.ErrProtocol
		}
		ref := in.sender.take(len(body))
		if ref == nil {
			j.held += len(body)
			ref = in.admit(in.n.now(), dest, envelope, j.slot())
		}
		in.next++
		j.last, j.bytes = number, j.bytes+len(body)
		if ref != nil {
			in.count(ref.Reason)
			j.refused = append(j.refused, refusedNumber{number, ref})
			continue
		}
		if j.slot().Introduction() {
			j.intros++
		}
		j.keep(number)
	}
	return nil
}

// settleAll settles batches in order. After an error it stops the reading side
// by closing free.
func (in *intake) settleAll(ctx context.Context, ready <-chan *job, free chan<- *job) error {
	defer close(free)
	for j := range ready {
		if err := in.settle(ctx, j); err != nil {
			in.stream.Cancel(wire.CodeBusy)
			// Until the reading side has seen it. It gets its batches back: one
			// that waited for a free batch would never read again.
			free <- j
			for j := range ready {
				free <- j
			}
			return err
		}
		free <- j
	}
	return nil
}

func (in *intake) settle(ctx context.Context, j *job) error {
	defer func() { in.sender.give(j.held); j.held = 0 }()
	if len(j.admitted) > 0 {
		in.n.metrics.batches.Observe(float64(len(j.admitted)))
		woken := ids.MailboxID{}
		if err := in.sender.settling(ctx, j.bytes); err != nil {
			return err // nothing of it was begun
		}
		settled := in.n.relay.Settle(ctx, j.admitted)
		in.sender.settled(j.bytes)
		for i, s := range settled {
			in.count(s.Reason)
			switch {
			case s.Refusal != nil:
				j.refused = append(j.refused, refusedNumber{j.numbers[i], s.Refusal})
			// A duplicate may be what became of an append whose outcome was unknown,
			// and of which nobody was told.
			case s.Reason == relay.Delivered || s.Reason == relay.Queued || s.Reason == relay.Duplicate:
				if m := j.admitted[i].Mailbox(); m != woken {
					in.n.notify.wake(m)
					woken = m
				}
			}
		}
	}
	// Everything up to here is durable or refused. A crash before the ack costs
	// the sender a resend, which is a duplicate.
	for _, r := range j.refused {
		m := wire.Refused{Number: r.number, Code: r.Code(), RetryAfter: r.Milliseconds()}
		if err := in.stream.WriteFrame(wire.TypeRefused, &m); err != nil {
			return err
		}
	}
	if err := in.stream.WriteFrame(wire.TypeAck, &wire.Ack{UpTo: j.last}); err != nil {
		return err
	}
	return in.stream.Flush()
}
