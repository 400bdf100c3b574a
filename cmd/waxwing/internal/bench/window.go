package bench

import (
	"context"
	"sync/atomic"
)

// window says how many messages of a sender are acknowledged, to its sending
// goroutine, from its reading one.
type window struct {
	acked atomic.Uint64
	wake  chan struct{} // holds one token
}

func newWindow() *window { return &window{wake: make(chan struct{}, 1)} }

// ack notes that everything up to n is acknowledged.
func (w *window) ack(n uint64) {
	w.acked.Store(n)
	select {
	case w.wake <- struct{}{}:
	default: // it has a token that it has not taken yet
	}
}

// send calls write for the messages 0 to n-1 in order and flush after as many
// as may be under way, size at a time, and returns when all are acknowledged.
func (w *window) send(ctx context.Context, n, size int, write func(i int) error, flush func() error) error {
	for next := 0; ; {
		acked := int(w.acked.Load())
		if acked >= n {
			return nil
		}
		if limit := min(n, acked+size); next < limit {
			for ; next < limit; next++ {
				if err := write(next); err != nil {
					return err
				}
			}
			if err := flush(); err != nil {
				return err
			}
			continue
		}
		select {
		case <-w.wake:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
