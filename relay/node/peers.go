package node

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/store"
	"waxwing/relay/quicnet"
)

// peers is the table of providers that this one federates with.
type peers struct {
	// fixed
	n     *Node
	links map[ids.Domain]*link

	own atomic.Pointer[directory.Descriptor]
	mu  sync.Mutex // held while a descriptor is checked against the known one and stored
}

func (p *peers) link(d ids.Domain) *link { return p.links[d] }

// Known implements relay.PeerTable.
func (p *peers) Known(d ids.Domain) bool { return p.links[d] != nil }

// Descriptor implements relay.PeerTable.
func (p *peers) Descriptor(d ids.Domain) (*directory.Descriptor, bool) {
	if d == p.n.domain {
		own := p.own.Load()
		return own, own != nil
	}
	l := p.links[d]
	if l == nil {
		return nil, false
	}
	known := l.descriptor.Load()
	return known, known != nil
}

// pin is for handshakes of connecting peers.
func (p *peers) pin(d ids.Domain) (quicnet.Pin, bool) {
	l := p.links[d]
	if l == nil {
		return quicnet.Pin{}, false
	}
	return l.peer.Pin, true
}

// peerKey is where the newest descriptor of a peer is stored.
func peerKey(d ids.Domain) store.Key { return store.Key("peer/descriptor/" + d.String()) }

// load loads the descriptors that are known: the own one from its file, those
// of peers from the store.
func (p *peers) load() error {
	n := p.n
	b, err := os.ReadFile(n.path(fileDescriptor))
	if err == nil {
		// Also one that has expired: the next one continues its chain.
		var own *directory.Descriptor
		own, err = directory.VerifyDescriptor(b, directory.DescriptorTrust{
			Domain: n.domain, Pin: directory.Pin(n.identity.Pin()),
		})
		p.own.Store(own)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, l := range p.links {
		doc, err := n.store.Get(context.Background(), peerKey(l.peer.Domain))
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		known, err := directory.VerifyDescriptor(doc.Value, directory.DescriptorTrust{
			Domain: l.peer.Domain, Pin: directory.Pin(l.peer.Pin),
		})
		if errors.Is(err, directory.ErrPin) {
			continue // the operator pinned another root: start anew
		}
		if err != nil {
			return err
		}
		l.descriptor.Store(known)
	}
	return nil
}

// learn checks a descriptor that a peer sent against its pin and against the
// newest one known, and stores it. The error is errDescriptor or the store's.
func (p *peers) learn(ctx context.Context, l *link, b []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	known := l.descriptor.Load()
	if known != nil && bytes.Equal(known.Bytes(), b) && ids.DayOf(p.n.now()) <= known.Expiry() {
		return nil
	}
	d, err := directory.VerifyDescriptor(b, directory.DescriptorTrust{
		Domain: l.peer.Domain, Pin: directory.Pin(l.peer.Pin), Today: ids.DayOf(p.n.now()), Known: known,
	})
	if err != nil {
		return errors.Join(errDescriptor, err)
	}
	var version uint64
	doc, err := p.n.store.Get(ctx, peerKey(l.peer.Domain))
	if err == nil {
		version = doc.Version
	} else if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if _, err := p.n.store.CAS(ctx, peerKey(l.peer.Domain), version, b); err != nil {
		return err
	}
	// Durable: an older descriptor of this peer will not be accepted again.
	l.descriptor.Store(d)
	return nil
}

// says reports whether a descriptor says about endpoints and keys what f says.
func says(d *directory.Descriptor, f *directory.DescriptorFields) bool {
	have := d.Next()
	return slices.Equal(have.Endpoints, f.Endpoints) && slices.Equal(have.Certificates, f.Certificates) &&
		slices.EqualFunc(have.Relay, f.Relay, func(a, b directory.RelayKey) bool {
			return a.ID == b.ID && bytes.Equal(a.Key.Bytes(), b.Key.Bytes())
		})
}
