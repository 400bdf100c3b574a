package node

import (
	"context"
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

// delivery pushes a mailbox to one device over one stream.
type delivery struct {
	// fixed
	n      *Node
	stream *quicnet.Stream
	who    *directory.Authenticated

	acked atomic.Uint64 // highest sequence number that the device has stored
	woken chan struct{} // holds one token: acked has grown
}

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
	d.woken = make(chan struct{}, 1)
	d.acked.Store(sub.After)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		defer cancel()
		done <- d.takeAcks(ctx)
	}()
	err = d.push(ctx, sub.After)
	d.stream.Cancel(wire.CodeBusy)
	if e := <-done; e != nil {
		return e
	}
	return err
}

// sent is a pushed message that is not acked yet.
type sent struct {
	cursor store.Cursor
	size   int
}

func (d *delivery) push(ctx context.Context, after uint64) error {
	w := d.n.notify.wait(d.who.Mailbox())
	defer d.n.notify.done(w)
	at, caughtUp := store.Cursor(after), false
	var flying []sent
	bytes := 0
	for {
		for len(flying) > 0 && uint64(flying[0].cursor) <= d.acked.Load() {
			bytes -= flying[0].size
			flying = flying[1:]
		}
		if len(flying) >= pushWindow || bytes >= pushBytes {
			if err := await(ctx, d.woken, nil); err != nil {
				return err
			}
			continue
		}
		msgs, err := d.n.store.Fetch(ctx, d.who.Mailbox(), at, min(pushFetch, pushWindow-len(flying)), pushBytes-bytes)
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
			flying = append(flying, sent{m.Cursor, len(m.Body)})
			bytes += len(m.Body)
			at, caughtUp = m.Cursor, false
		}
		d.n.metrics.pushed.Add(float64(len(msgs)))
		if len(msgs) > 0 {
			if err := d.stream.Flush(); err != nil {
				return err
			}
			continue
		}
		if !caughtUp {
			caughtUp = true
			if err := d.stream.WriteFrame(wire.TypeCaughtUp, &wire.CaughtUp{Sequence: uint64(at)}); err != nil {
				return err
			}
			if err := d.stream.Flush(); err != nil {
				return err
			}
		}
		if err := await(ctx, w.wake, d.woken); err != nil {
			return err
		}
	}
}

// await waits for one of two wake-ups or the end of ctx.
func await(ctx context.Context, a, b <-chan struct{}) error {
	select {
	case <-a:
	case <-b:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// takeAcks removes what the device has stored. Acks that are there already
// become one.
func (d *delivery) takeAcks(ctx context.Context) error {
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
			select {
			case d.woken <- struct{}{}:
			default:
			}
		}
	}
}
