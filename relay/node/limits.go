package node

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"waxwing/core/ids"
	"waxwing/core/store"
	"waxwing/core/wire"
	"waxwing/ratelimit/limits"
)

// ErrNoChange: nothing was set there by command.
var ErrNoChange = errors.New("node: no such value was set by command")

// rules holds the limits in force and changes them by command.
type rules struct {
	book *limits.Book

	change sync.Mutex // held while a change is stored and put into force
	stored map[limits.Target]struct{}
}

// openLimits makes the limits: defaults, configuration and what was set by
// command before. Errors are ErrConfig and the store's.
func (n *Node) openLimits(ctx context.Context, config limits.Settings) error {
	book, err := limits.New(config)
	if err != nil {
		return errors.Join(ErrConfig, err)
	}
	n.rules = rules{book: book, stored: map[limits.Target]struct{}{}}
	for after := prefixLimit; ; {
		docs, err := n.store.List(ctx, prefixLimit, after, 0)
		if err != nil {
			return err
		}
		if len(docs) == 0 {
			break
		}
		for _, doc := range docs {
			after = doc.Key
			if err := n.loadLimit(doc); err != nil {
				return err
			}
		}
	}
	return n.dropOver(ctx, n.now())
}

// loadLimit puts a stored change into force. One that this version has no limit
// for, or no such value, stays stored and counts for nothing, so that the way
// back to another version is open.
func (n *Node) loadLimit(doc store.KeyDoc) error {
	c := new(limits.Change)
	if err := wire.Unmarshal(doc.Value, c); err != nil {
		return errors.New("node: stored change of a limit is corrupt")
	}
	t, err := limits.ParseKey(strings.TrimPrefix(string(doc.Key), string(prefixLimit)))
	if err == nil {
		err = n.rules.book.Set(t, c)
	}
	if err != nil {
		n.log.Warn("a change of a limit by command is not in force: this version has no such limit or value")
		return nil
	}
	n.rules.stored[t] = struct{}{}
	return nil
}

// SetLimit puts a value into force, also after a restart. A positive span is for
// how long; then what was there before comes back. Errors are limits.ErrTarget,
// limits.ErrValue and limits.ErrChanges, ErrNoPeer, and the store's.
func (n *Node) SetLimit(ctx context.Context, t limits.Target, c limits.Change, span time.Duration) error {
	if !t.Peer.IsZero() && !n.peers.Known(t.Peer) && t.Peer != n.domain {
		return ErrNoPeer
	}
	if span < 0 || span > limits.MaxSpan {
		return fmt.Errorf("%w: it can be for %d days at most", limits.ErrValue, limits.MaxSpan/(24*time.Hour))
	}
	now := n.now()
	c.Until = time.Time{}
	if span > 0 {
		c.Until = now.Add(span)
	}
	r := &n.rules
	r.change.Lock()
	defer r.change.Unlock()
	if err := n.dropOver(ctx, now); err != nil {
		return err
	}
	if err := r.book.Check(t, &c); err != nil {
		return err
	}
	if err := n.put(ctx, limitKey(t), wire.MustMarshal(&c)); err != nil {
		return err
	}
	// Durable: it is in force after a crash, too. Until then a crash leaves what
	// was there, and the operator without an answer.
	r.stored[t] = struct{}{}
	if err := r.book.Set(t, &c); err != nil {
		return err
	}
	// Which limit, and not which peer's.
	n.log.Info("a limit was changed by command", "limit", t.Name.String(), "dry_run", t.DryRun, "of_one_peer", !t.Peer.IsZero())
	return nil
}

// ResetLimit takes back what was set by command. Errors are limits.ErrTarget,
// ErrNoChange and the store's.
func (n *Node) ResetLimit(ctx context.Context, t limits.Target) error {
	r := &n.rules
	r.change.Lock()
	defer r.change.Unlock()
	if err := r.book.Check(t, nil); err != nil {
		return err
	}
	if _, ok := r.stored[t]; !ok {
		return ErrNoChange
	}
	if err := n.forget(ctx, t); err != nil {
		return err
	}
	n.log.Info("a limit was reset by command", "limit", t.Name.String(), "dry_run", t.DryRun, "of_one_peer", !t.Peer.IsZero())
	return nil
}

// forget removes a change. The caller holds change, or is Open.
func (n *Node) forget(ctx context.Context, t limits.Target) error {
	if err := n.put(ctx, limitKey(t), nil); err != nil {
		return err
	}
	// Durable: a crash does not bring it back.
	delete(n.rules.stored, t)
	return n.rules.book.Set(t, nil)
}

// dropOver removes the changes whose time is over. The caller holds change, or
// is Open.
func (n *Node) dropOver(ctx context.Context, now time.Time) error {
	for _, t := range n.rules.book.Over(now) {
		if err := n.forget(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

// Limit tells of one limit, with a peer of that one's alone.
func (n *Node) Limit(name limits.Name, peer ids.Domain) limits.Status {
	s := n.rules.book.Status(n.now(), name, peer)
	load := n.listener.Load()
	switch name {
	case limits.Connections:
		s.Active, s.Used = 1, int64(load.Conns)
	case limits.PrefixConnections:
		s.Active, s.Used = load.Prefixes, int64(load.Fullest)
	case limits.Handshakes:
		s.Active, s.Used = 1, int64(load.Proven)
	}
	return s
}

// Limits tells of all limits or, with a peer, of those that have values of its
// own. The error is ErrNoPeer.
func (n *Node) Limits(peer ids.Domain) ([]limits.Status, error) {
	if !peer.IsZero() && !n.peers.Known(peer) && peer != n.domain {
		return nil, ErrNoPeer
	}
	var out []limits.Status
	for name := range limits.End {
		if peer.IsZero() || limits.All[name].Scope == limits.Peer {
			out = append(out, n.Limit(name, peer))
		}
	}
	return out, nil
}

// countLimits makes the counts of a Book metrics. The labels are those of the
// table of limits and of the causes.
func (m *metrics) countLimits(b *limits.Book) {
	total := func(name, help string, labels prometheus.Labels, value func() uint64) {
		m.registry.MustRegister(prometheus.NewCounterFunc(
			prometheus.CounterOpts{Name: name, Help: help, ConstLabels: labels}, func() float64 { return float64(value()) }))
	}
	for name := range limits.End {
		for c := range limits.CauseEnd {
			total("waxwing_limit_over_total", "Decisions over a limit, by limit and cause.",
				prometheus.Labels{"limit": name.String(), "cause": c.String()}, func() uint64 { return b.Refused(name, c) })
		}
		total("waxwing_limit_dry_run_total", "Decisions within a limit, but over its value for a dry run.",
			prometheus.Labels{"limit": name.String()}, func() uint64 { return b.Dried(name) })
	}
}
