package store

import (
	"context"
	"strings"
	"sync"
)

// Watchers delivers events to watches; engines share it. The zero value has no
// watches and is ready for use.
type Watchers struct {
	mu     sync.Mutex
	all    map[*watcher]struct{} // guarded by mu
	closed bool                  // guarded by mu
}

type watcher struct {
	prefix string      // fixed
	events chan Event  // fixed; sent to and closed under Watchers.mu only
	lost   bool        // guarded by Watchers.mu: the last event in the buffer is a Resync
	stop   func() bool // fixed; ends the wait for the context
}

// Add starts a watch that ends with ctx.
func (w *Watchers) Add(ctx context.Context, prefix Key) (<-chan Event, error) {
	if len(prefix) > MaxKey {
		return nil, ErrInvalid
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	one := &watcher{prefix: string(prefix), events: make(chan Event, WatchBuffer)}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.closed:
		return nil, ErrUnavailable
	case len(w.all) >= MaxWatchers:
		return nil, ErrFull
	case w.all == nil:
		w.all = make(map[*watcher]struct{})
	}
	w.all[one] = struct{}{}
	one.stop = context.AfterFunc(ctx, func() { w.remove(one) })
	return one.events, nil
}

func (w *Watchers) remove(one *watcher) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.all[one]; ok {
		delete(w.all, one)
		close(one.events)
	}
}

// Publish hands an event to all whose prefix it has. It never waits: the last
// place of a buffer is kept for a Resync, after which events are dropped until
// the watcher has taken it.
func (w *Watchers) Publish(e Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for one := range w.all {
		if !strings.HasPrefix(string(e.Key), one.prefix) {
			continue
		}
		// Only this function sends, and a Resync is the last thing sent, so an
		// empty buffer means that it was taken.
		waiting := len(one.events)
		if one.lost && waiting > 0 {
			continue
		}
		one.lost = waiting == cap(one.events)-1
		if one.lost {
			one.events <- Event{Resync: true}
		} else {
			one.events <- e
		}
	}
}

// Close ends all watches and refuses new ones.
func (w *Watchers) Close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	for one := range w.all {
		one.stop()
		close(one.events)
	}
	clear(w.all)
}
