package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"waxwing/cmd/waxwing/internal/child"
	"waxwing/core/ids"
	"waxwing/core/wire"
	"waxwing/relay/quicnet"
)

// quiet is how long a relay may still work on the last acks before its
// processor time is read.
const quiet = 100 * time.Millisecond

// path is a way of messages: from one account to another, over relays whose
// processor time counts.
type path struct {
	from, to *account
	dest     ids.Domain
	relays   []*child.Server

	last uint64 // sequence number of the last delivery so far
}

// sample is what one load of one round measured.
type sample struct {
	perSecond float64
	cpu       float64 // microseconds per message
	p50, p99  float64 // milliseconds, from submission to delivery
}

// run sends n messages along the path.
func (p *path) run(ctx context.Context, n int) (sample, error) {
	tickets, err := p.to.mint(ctx, n)
	if err != nil {
		return sample{}, fmt.Errorf("mint tickets: %w", err)
	}
	frames, err := load(tickets, p.dest)
	if err != nil {
		return sample{}, err
	}
	before, err := p.cpu(ctx)
	if err != nil {
		return sample{}, err
	}
	start := time.Now()
	latency, err := p.transfer(ctx, frames)
	took := time.Since(start)
	if err != nil {
		return sample{}, err
	}
	time.Sleep(quiet)
	after, err := p.cpu(ctx)
	if err != nil {
		return sample{}, err
	}
	slices.Sort(latency)
	return sample{
		perSecond: float64(n) / took.Seconds(),
		cpu:       micros(after-before) / float64(n),
		p50:       millis(latency[n/2]), p99: millis(latency[n*99/100]),
	}, nil
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// cpu returns the processor time of all relays on the path.
func (p *path) cpu(ctx context.Context) (sum time.Duration, err error) {
	for _, r := range p.relays {
		m, err := r.Metrics(ctx)
		if err != nil {
			return 0, err
		}
		sum += m.CPU()
	}
	return sum, nil
}

// transfer submits the frames and receives what they become, and returns how
// long each took.
func (p *path) transfer(ctx context.Context, frames [][]byte) ([]time.Duration, error) {
	out, err := p.from.conn.OpenStream(ctx, wire.StreamSubmit)
	if err != nil {
		return nil, err
	}
	defer out.Cancel(quicnet.CodeNone)
	in, err := p.to.conn.OpenStream(ctx, wire.StreamDeliver)
	if err != nil {
		return nil, err
	}
	defer in.Cancel(quicnet.CodeNone)

	sent := make([]atomic.Int64, len(frames)) // when, in nanoseconds since epoch
	latency := make([]time.Duration, len(frames))
	epoch, w := time.Now(), newWindow()
	// Reads end only with their stream: an error of one, or of ctx, cancels both.
	cancel := func() { out.Cancel(quicnet.CodeNone); in.Cancel(quicnet.CodeNone) }
	stop := context.AfterFunc(ctx, cancel)
	defer stop()
	group, ctx := errgroup.WithContext(ctx)
	run := func(f func() error) {
		group.Go(func() error {
			err := f()
			if err != nil {
				cancel()
			}
			return err
		})
	}
	run(func() error { return acks(out, w, uint64(len(frames))) })
	run(func() error {
		return w.send(ctx, len(frames), Window, func(i int) error {
			sent[i].Store(int64(time.Since(epoch)))
			return out.Append(func(b []byte) ([]byte, error) { return append(b, frames[i]...), nil })
		}, out.Flush)
	})
	run(func() error {
		return p.deliveries(in, len(frames), func(i int) {
			latency[i] = time.Since(epoch) - time.Duration(sent[i].Load())
		})
	})
	if err := group.Wait(); err != nil {
		return nil, err
	}
	// Unlike Cancel this sends the last ack first.
	return latency, in.Close()
}

// acks reads a submit stream until n submissions are acknowledged.
func acks(s *quicnet.Stream, w *window, n uint64) error {
	for {
		typ, body, err := s.ReadFrame()
		if err != nil {
			return fmt.Errorf("acks: %w", err)
		}
		switch typ {
		case wire.TypeAck:
			var a wire.Ack
			if err := wire.Unmarshal(body, &a); err != nil {
				return err
			}
			w.ack(a.UpTo)
			if a.UpTo >= n {
				return nil
			}
		case wire.TypeRefused:
			var r wire.Refused
			if err := wire.Unmarshal(body, &r); err != nil {
				return err
			}
			return fmt.Errorf("message %d was refused: %s", r.Number, r.Code)
		default:
			return quicnet.ErrProtocol
		}
	}
}

// deliveries receives and acknowledges n messages, each once, and calls got
// with the number of each.
func (p *path) deliveries(s *quicnet.Stream, n int, got func(i int)) error {
	if err := s.WriteFrame(wire.TypeSubscribe, &wire.Subscribe{After: p.last}); err != nil {
		return err
	}
	if err := s.Flush(); err != nil {
		return err
	}
	seen := make([]bool, n)
	for count := 0; count < n; {
		typ, body, err := s.ReadFrame()
		if err != nil {
			return fmt.Errorf("deliveries: %w", err)
		}
		if typ == wire.TypeDelivery {
			seq, raw, err := wire.ParseDelivered(body)
			if err != nil {
				return err
			}
			i, ok := numberOf(raw)
			if !ok || i >= n || seen[i] {
				return errors.New("a delivery is none of this load, or comes twice")
			}
			seen[i] = true
			got(i)
			p.last = seq
			count++
		}
		// Whatever has arrived is acknowledged together.
		if !s.Buffered() || count == n {
			if err := s.WriteFrame(wire.TypeAck, &wire.Ack{UpTo: p.last}); err != nil {
				return err
			}
			if err := s.Flush(); err != nil {
				return err
			}
		}
	}
	return nil
}
