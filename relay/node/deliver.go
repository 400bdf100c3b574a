package node

import (
	"context"
	"sync"
	"sync/atomic"

	"waxwing/core/directory"
	"waxwing/core/store"
	"waxwing/core/wire"
	"waxwing/relay/quicnet"
)

const (
	// pushWindow and pushBytes bound what is sent to a device ahead of its
	// acks: enough to keep a fast one busy while it stores a batch, little
	// enough that a slow one holds only this much.
	pushWindow = 1024
	pushBytes  = 8 << 20
	// pushFetch is how many messages are read from the store at once.
	pushFetch = 256
)

// delivery pushes a mailbox to one device over one stream. A device that has
// everything and sends nothing costs one goroutine, which reads its acks; the
// one that pushes begins when there is something to push and ends when it is.
type delivery struct {
	// fixed
	n      *Node
	stream *quicnet.Stream
	who    *directory.Authenticated

	acked atomic.Uint64 // highest sequence number that the device has stored

	state   atomic.Int32 // whether a pusher runs
	pushers sync.WaitGroup

	// owned by the pusher that runs
	at       store.Cursor // the last message that was pushed
	caughtUp bool         // and the device was told that there are no more
	flying   []sent       // pushed and not acked
	bytes    int          // of these
}

// States of a delivery's pusher.
const (
	pusherIdle  = iota
	pusherRuns  // it may have seen all that there is
	pusherAgain // something came since, so it goes on
)

// run pushes until the stream or ctx ends. ErrProtocol means that the
// connection has to go.
func (d *delivery) run(ctx context.Context) error {
	t, body, err := d.stream.ReadFrame()
	if err != nil {
		return err
	}
	var sub wire.Subscribe
	if t != wire.TypeSubscribe || wire.Unmarshal(body, &sub) != nil {
		return quicnet.ErrProtocol
	}
	d.acked.Store(sub.After)
	d.at = store.Cursor(sub.After)
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(ctx, func() { d.stream.Cancel(wire.CodeBusy) })
	kick := func() { d.kick(ctx) }
	w := d.n.notify.call(d.who.Mailbox(), kick)
	kick()
	err = d.takeAcks(ctx, kick)
	d.n.notify.done(w) // from here on nobody kicks
	stop()
	cancel()
	d.stream.Cancel(wire.CodeBusy)
	d.pushers.Wait()
	return err
}

// kick sees to it that a pusher looks for messages after this call. It does not
// block.
func (d *delivery) kick(ctx context.Context) {
	for {
		switch d.state.Load() {
		case pusherIdle:
			if d.state.CompareAndSwap(pusherIdle, pusherRuns) {
				d.pushers.Go(func() { d.pushAll(ctx) })
				return
			}
		case pusherRuns:
			if d.state.CompareAndSwap(pusherRuns, pusherAgain) {
				return
			}
		default:
			return
		}
	}
}

// pushAll is a pusher. After an error the stream ends, and no other begins.
func (d *delivery) pushAll(ctx context.Context) {
	for {
		if err := d.push(ctx); err != nil {
			d.n.countStalled(err)
			d.stream.Cancel(wire.CodeBusy)
			return
		}
		if d.state.CompareAndSwap(pusherRuns, pusherIdle) {
			return
		}
		d.state.Store(pusherRuns)
	}
}

// sent is a pushed message that is not acked yet.
type sent struct {
	cursor store.Cursor
	size   int
}

// landed forgets what has been acked.
func (d *delivery) landed() {
	acked, n := store.Cursor(d.acked.Load()), 0
	for n < len(d.flying) && d.flying[n].cursor <= acked {
		d.bytes -= d.flying[n].size
		n++
	}
	if d.flying = d.flying[n:]; len(d.flying) == 0 {
		d.flying = nil
	}
}

// push pushes what there is, as far as the window allows: the next ack, and the
// next message, kick again.
func (d *delivery) push(ctx context.Context) error {
	for {
		d.landed()
		if len(d.flying) >= pushWindow || d.bytes >= pushBytes {
			return nil
		}
		msgs, err := d.n.store.Fetch(ctx, d.who.Mailbox(), d.at, min(pushFetch, pushWindow-len(d.flying)), pushBytes-d.bytes)
		if err != nil {
			return err
		}
		for i := range msgs {
			m := &msgs[i]
			if err := d.stream.Append(func(b []byte) ([]byte, error) {
				return wire.AppendDelivered(b, uint64(m.Cursor), m.Body)
			}); err != nil {
				return err
			}
			d.flying = append(d.flying, sent{m.Cursor, len(m.Body)})
			d.bytes += len(m.Body)
			d.at, d.caughtUp = m.Cursor, false
		}
		d.n.metrics.pushed.Add(float64(len(msgs)))
		if len(msgs) == 0 {
			if d.caughtUp {
				return nil
			}
			d.caughtUp = true
			if err := d.stream.WriteFrame(wire.TypeCaughtUp, &wire.CaughtUp{Sequence: uint64(d.at)}); err != nil {
				return err
			}
		}
		if err := d.stream.Flush(); err != nil {
			return err
		}
		if len(msgs) == 0 {
			return nil
		}
	}
}

// takeAcks removes what the device has stored. Acks that are there already
// become one.
func (d *delivery) takeAcks(ctx context.Context, kick func()) error {
	for {
		var ack wire.Ack
		for {
			t, body, err := d.stream.ReadFrame()
			if err != nil {
				return err
			}
			var a wire.Ack
			if t != wire.TypeAck || wire.Unmarshal(body, &a) != nil {
				return quicnet.ErrProtocol
			}
			ack.UpTo = max(ack.UpTo, a.UpTo)
			if !d.stream.Buffered() {
				break
			}
		}
		req := store.AckReq{Mailbox: d.who.Mailbox(), Reader: store.ReaderID(d.who.Device()), UpTo: store.Cursor(ack.UpTo)}
		if err := d.n.store.Ack(ctx, []store.AckReq{req})[0]; err != nil {
			return err
		}
		// The removal is durable. A crash before it means that the device gets
		// the messages again, which it knows by their sequence numbers.
		if ack.UpTo > d.acked.Load() {
			d.acked.Store(ack.UpTo)
			kick()
		}
	}
}
