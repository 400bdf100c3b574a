package node

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/store"
	"waxwing/core/wire"
)

// What callers of AddPeer and RemovePeer branch on, with errors.Is.
var (
	// ErrPeer: the domain, address or pin cannot be one of a peer.
	ErrPeer = errors.New("node: not usable as a peer")
	// ErrPeerPinned: the peer is there with another pin, and it was not said
	// that it is to be replaced.
	ErrPeerPinned = errors.New("node: peer is pinned to another root key")
	// ErrNoPeer: there is no such peer.
	ErrNoPeer = errors.New("node: no such peer")
	// ErrPeers: MaxPeers are there.
	ErrPeers = errors.New("node: too many peers")
	// ErrStopping: the server is shutting down.
	ErrStopping = errors.New("node: shutting down")
)

// peers is the table of providers that this one federates with: those of the
// configuration, changed by what the operator says while the server runs.
type peers struct {
	// fixed
	n          *Node
	configured map[ids.Domain]Peer

	own   atomic.Pointer[directory.Descriptor]
	links atomic.Pointer[map[ids.Domain]*link] // replaced, never changed

	learning sync.Mutex // held while a descriptor is checked against the known one and stored

	change  sync.Mutex      // guards the table's changes and the rest
	running context.Context // nil until Run; the links' life
	work    tracker         // the links that run
}

func (p *peers) link(d ids.Domain) *link { return (*p.links.Load())[d] }

// all returns the links in the order of their domains.
func (p *peers) all() []*link {
	return slices.SortedFunc(maps.Values(*p.links.Load()), func(a, b *link) int {
		return cmp.Compare(a.peer.Domain.String(), b.peer.Domain.String())
	})
}

// Known implements relay.PeerTable.
func (p *peers) Known(d ids.Domain) bool { return p.link(d) != nil }

// Descriptor implements relay.PeerTable.
func (p *peers) Descriptor(d ids.Domain) (*directory.Descriptor, bool) {
	if d == p.n.domain {
		own := p.own.Load()
		return own, own != nil
	}
	l := p.link(d)
	if l == nil {
		return nil, false
	}
	known := l.descriptor.Load()
	return known, known != nil
}

// pin is for handshakes of connecting peers.
func (p *peers) pin(d ids.Domain) (keys.Pin, bool) {
	l := p.link(d)
	if l == nil {
		return keys.Pin{}, false
	}
	return l.peer.Pin, true
}

// check returns ErrPeer for what cannot be a peer of the provider.
func (p *Peer) check(own ids.Domain) error {
	_, port, err := net.SplitHostPort(p.Addr)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil || len(p.Addr) > maxPeerAddr || p.Domain.IsZero() || p.Domain == own || p.Pin == (keys.Pin{}) {
		return ErrPeer
	}
	return nil
}

// federate makes the table of peers and loads what is known of them.
func (n *Node) federate(list []Peer) error {
	p := &peers{n: n, configured: map[ids.Domain]Peer{}}
	n.peers = p
	table := map[ids.Domain]*link{}
	p.links.Store(&table)
	for _, peer := range list {
		if _, twice := p.configured[peer.Domain]; twice || peer.check(n.domain) != nil {
			return fmt.Errorf("%w: a peer without domain, address or pin, with the own domain, or twice", ErrConfig)
		}
		p.configured[peer.Domain] = peer
	}
	if err := p.loadOwn(); err != nil {
		return err
	}
	all := maps.Clone(p.configured)
	entries, err := p.entries(context.Background())
	if err != nil {
		return err
	}
	for d, e := range entries {
		if delete(all, d); !e.removed {
			all[d] = Peer{d, e.addr, e.pin}
		}
	}
	if len(all) > MaxPeers {
		return fmt.Errorf("%w: more than %d peers", ErrConfig, MaxPeers)
	}
	for d, peer := range all {
		if table[d], err = p.newLink(context.Background(), peer); err != nil {
			return err
		}
	}
	return nil
}

// entries returns what the operator said by command.
func (p *peers) entries(ctx context.Context) (map[ids.Domain]*peerEntry, error) {
	out := map[ids.Domain]*peerEntry{}
	for after := prefixEntry; ; {
		docs, err := p.n.store.List(ctx, prefixEntry, after, 0)
		if err != nil || len(docs) == 0 {
			return out, err
		}
		for _, doc := range docs {
			after = doc.Key
			e := new(peerEntry)
			d, err := ids.ParseDomain(strings.TrimPrefix(string(doc.Key), string(prefixEntry)))
			if err != nil || wire.Unmarshal(doc.Value, e) != nil {
				return nil, errors.New("node: stored entry of a peer is corrupt")
			}
			out[d] = e
		}
	}
}

// loadOwn loads the own descriptor from its file.
func (p *peers) loadOwn() error {
	b, err := os.ReadFile(p.n.path(fileDescriptor))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	// Also one that has expired: the next one continues its chain.
	own, err := directory.VerifyDescriptor(b, directory.DescriptorTrust{
		Domain: p.n.domain, Pin: p.n.identity.Pin(),
	})
	if err != nil {
		return fmt.Errorf("node: own descriptor cannot be used: %w", err)
	}
	p.own.Store(own)
	return nil
}

// newLink makes a peer's link with what is known of the peer.
func (p *peers) newLink(ctx context.Context, peer Peer) (*link, error) {
	l := newLink(p.n, peer)
	doc, err := p.n.store.Get(ctx, descriptorKey(peer.Domain))
	if errors.Is(err, store.ErrNotFound) {
		return l, nil
	}
	if err != nil {
		return nil, err
	}
	known, err := directory.VerifyDescriptor(doc.Value, directory.DescriptorTrust{
		Domain: peer.Domain, Pin: peer.Pin,
	})
	if errors.Is(err, directory.ErrPin) {
		return l, nil // the operator pinned another root: start anew
	}
	l.descriptor.Store(known)
	return l, err
}

// learn checks a descriptor that a peer sent against its pin and against the
// newest one known, and stores it. The error is a *descriptorError or the
// store's.
func (p *peers) learn(ctx context.Context, l *link, b []byte) error {
	p.learning.Lock()
	defer p.learning.Unlock()
	known := l.descriptor.Load()
	if known != nil && bytes.Equal(known.Bytes(), b) && ids.DayOf(p.n.now()) <= known.Expiry() {
		return nil
	}
	d, err := directory.VerifyDescriptor(b, directory.DescriptorTrust{
		Domain: l.peer.Domain, Pin: l.peer.Pin, Today: ids.DayOf(p.n.now()), Known: known,
	})
	if err != nil {
		return &descriptorError{err}
	}
	if err := p.n.put(ctx, descriptorKey(l.peer.Domain), b); err != nil {
		return err
	}
	// Durable: an older descriptor of this peer will not be accepted again.
	l.descriptor.Store(d)
	return nil
}

// descriptorError says why a peer's descriptor is refused.
type descriptorError struct{ err error }

func (e *descriptorError) Error() string { return "node: peer's descriptor is refused" }
func (e *descriptorError) Unwrap() error { return e.err }

// put replaces a document that only this process writes; nil removes it.
func (n *Node) put(ctx context.Context, key store.Key, value []byte) error {
	doc, err := n.store.Get(ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		if value == nil {
			return nil
		}
	} else if err != nil {
		return err
	}
	_, err = n.store.CAS(ctx, key, doc.Version, value)
	return err
}

// says reports whether a descriptor says about endpoints and keys what f says.
func says(d *directory.Descriptor, f *directory.DescriptorFields) bool {
	have := d.Next()
	return slices.Equal(have.Endpoints, f.Endpoints) && slices.Equal(have.Certificates, f.Certificates) &&
		slices.EqualFunc(have.Relay, f.Relay, func(a, b directory.RelayKey) bool {
			return a.ID == b.ID && bytes.Equal(a.Key.Bytes(), b.Key.Bytes())
		})
}
