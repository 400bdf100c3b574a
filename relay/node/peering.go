package node

import (
	"context"
	"maps"

	"waxwing/core/ids"
	"waxwing/core/mailbox"
	"waxwing/core/wire"
)

// Peers that come and go while the server runs.

// run starts the links and, from now on, those that are added, and returns
// when ctx has ended and all of them with it.
func (p *peers) run(ctx context.Context) {
	p.change.Lock()
	p.running = ctx
	for _, l := range p.all() {
		p.start(l)
	}
	p.change.Unlock()
	<-ctx.Done()
	p.work.wait()
}

// start runs a link, if the server runs. The caller holds change.
func (p *peers) start(l *link) {
	if p.running == nil || !p.work.begin() {
		return
	}
	ctx, stop := context.WithCancel(p.running)
	l.stop = stop
	go func() {
		defer p.work.wg.Done()
		defer close(l.done)
		l.run(ctx)
	}()
}

// swap replaces a domain's link by another, or by none. When it returns, the
// old one has ended and its peer's connections are closed. The caller holds
// change.
func (p *peers) swap(d ids.Domain, next *link) {
	old := p.link(d)
	table := maps.Clone(*p.links.Load())
	if delete(table, d); next != nil {
		table[d] = next
	}
	// From here on the old peer is refused: its handshakes, and submissions to it.
	p.links.Store(&table)
	if old != nil {
		old.end()
	}
	if next != nil {
		p.start(next)
	}
}

// AddPeer federates with a provider from now on, also after a restart. One that
// is there with the same pin gets the new address. With replace, one with
// another pin is replaced, and the descriptor that is known of it forgotten;
// what waits for it stays. Errors are ErrPeer, ErrPeerPinned, ErrPeers,
// ErrStopping and the store's.
func (n *Node) AddPeer(ctx context.Context, peer Peer, replace bool) error {
	if err := peer.check(n.domain); err != nil {
		return err
	}
	p := n.peers
	p.change.Lock()
	defer p.change.Unlock()
	old := p.link(peer.Domain)
	switch {
	case n.draining.Err() != nil:
		return ErrStopping
	case old == nil && len(*p.links.Load()) >= MaxPeers:
		return ErrPeers
	case old != nil && old.peer.Pin != peer.Pin && !replace:
		return ErrPeerPinned
	}
	if replace {
		if err := n.put(ctx, descriptorKey(peer.Domain), nil); err != nil {
			return err
		}
		// A crash here leaves the peer as it was; its descriptor is fetched anew.
	}
	e := peerEntry{addr: peer.Addr, pin: peer.Pin}
	if err := n.put(ctx, entryKey(peer.Domain), wire.MustMarshal(&e)); err != nil {
		return err
	}
	// Durable: it is a peer after a crash, too.
	if old != nil && old.peer == peer && !replace {
		return nil
	}
	n.rotating.Lock() // until it is a peer for rotations, too, which leave out the keys of others
	defer n.rotating.Unlock()
	n.welcome(peer.Domain)
	l, err := p.newLink(ctx, peer)
	if err != nil {
		return err
	}
	p.swap(peer.Domain, l)
	n.log.Info("a peer was added by command", "peers", len(*p.links.Load()))
	return nil
}

// welcome draws the keys that are shared with a new peer before there is a link to
// it, which brings them as soon as it connects: otherwise nobody could introduce
// itself there for the first minutes. n.rotating is held.
func (n *Node) welcome(d ids.Domain) {
	if err := n.renewAdmission(n.now(), d); err != nil {
		n.log.Error("keys could not be renewed; trying again", "every", rotateEvery.String())
	}
}

// RemovePeer ends the federation with a provider, also after a restart and also
// if it is configured: its connections are closed and refused, and submissions
// to it as well. What waits for it stays until it expires, for when it is added
// again, unless drop is set. With drop it may be called again for a provider
// that is no peer any more. Errors are ErrNoPeer and the store's.
func (n *Node) RemovePeer(ctx context.Context, d ids.Domain, drop bool) error {
	p := n.peers
	p.change.Lock()
	defer p.change.Unlock()
	if d.IsZero() || !p.Known(d) && !drop {
		return ErrNoPeer
	}
	if p.Known(d) {
		var entry []byte // none: it is not configured and just goes
		if _, ok := p.configured[d]; ok {
			entry = wire.MustMarshal(&peerEntry{removed: true})
		}
		if err := n.put(ctx, entryKey(d), entry); err != nil {
			return err
		}
		// Durable: it is no peer after a crash, either.
		p.swap(d, nil)
		n.log.Info("a peer was removed by command", "peers", len(*p.links.Load()))
	}
	if drop {
		return n.store.Drop(ctx, mailbox.Outbox(d))
	}
	return nil
}
