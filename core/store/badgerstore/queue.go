package badgerstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"waxwing/core/store"
)

// maxQueue is the largest number of calls that wait for the committer: some
// seconds of its work. Beyond that callers are refused at once.
const maxQueue = 1 << 14

// operation is one call that changes something. Its methods are called by the
// committer only, until answer is received.
type operation interface {
	common() *call
	// run does as much as fits into the group and reports whether all is done.
	// If not, it is called again for the next group.
	run(g *group) (done bool)
	// settle says that what was run so far is durable.
	settle()
}

// call is the part that all operations share.
type call struct {
	answer chan error // buffered; nil, ErrUnknownOutcome or ErrUnavailable
	state  atomic.Int32
	begun  bool // owned by the committer: a part of it is durable
}

const (
	callQueued = iota
	callTaken
	callAbandoned
)

func newCall() call { return call{answer: make(chan error, 1)} }

func (c *call) common() *call { return c }
func (c *call) settle()       {}

// claim makes the call the committer's, if it is not already; false if the
// caller has gone.
func (c *call) claim() bool {
	return c.state.CompareAndSwap(callQueued, callTaken) || c.state.Load() == callTaken
}

// finish answers the call. One of which a part is durable was not left undone.
func (c *call) finish(err error) {
	if err != nil && c.begun && !errors.Is(err, store.ErrUnknownOutcome) {
		err = fmt.Errorf("%w: %w", store.ErrUnknownOutcome, err)
	}
	c.begun = false
	c.answer <- err
}

type queue struct {
	ready chan struct{} // fixed; holds one token if calls wait or the queue is closed

	closed atomic.Bool // set under mu

	mu    sync.Mutex // guards all below
	calls []operation
}

func (q *queue) init() { q.ready = make(chan struct{}, 1) }

func (q *queue) signal() {
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

func (q *queue) close() {
	q.mu.Lock()
	q.closed.Store(true)
	q.mu.Unlock()
	q.signal()
}

// put adds a call; false if there is no room or the queue is closed.
func (q *queue) put(o operation) bool {
	q.mu.Lock()
	if q.closed.Load() || len(q.calls) >= maxQueue {
		q.mu.Unlock()
		return false
	}
	q.calls = append(q.calls, o)
	first := len(q.calls) == 1
	q.mu.Unlock()
	if first {
		q.signal()
	}
	return true
}

// take moves all waiting calls to the end of into.
func (q *queue) take(into []operation) (calls []operation, closed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	into = append(into, q.calls...)
	clear(q.calls)
	q.calls = q.calls[:0]
	return into, q.closed.Load()
}

func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.calls)
}

// submit hands an operation to the committer and waits for its answer. When
// the context ends it is withdrawn, or, if the committer has it already, waited
// for: that takes one commit, after which the outcome is known.
func (e *Engine) submit(ctx context.Context, o operation) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := e.failed(); err != nil {
		return err
	}
	if !e.queue.put(o) {
		return store.ErrUnavailable
	}
	c := o.common()
	select {
	case err := <-c.answer:
		return err
	case <-ctx.Done():
		if c.state.CompareAndSwap(callQueued, callAbandoned) {
			return ctx.Err()
		}
		return <-c.answer
	}
}
