package node

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/store"
	"waxwing/core/wire"
	"waxwing/relay"
	"waxwing/relay/quicnet"
)

// LinkError is why the link to a peer ended or does not come up: one of a
// closed list, because texts of other layers could hold an address.
type LinkError uint8

// The reasons.
const (
	LinkNone            LinkError = iota
	LinkPin                       // its root key is not the pinned one
	LinkCertificate               // its certificate is not one of its domain
	LinkExpired                   // its certificate is not valid now
	LinkRefused                   // it ends the handshake, or the connection as forbidden
	LinkUnreachable               // its address cannot be resolved or used
	LinkTimeout                   // nobody answers
	LinkBusy                      // it takes no more connections, or is shutting down
	LinkClosed                    // it ended the connection
	LinkProtocol                  // it does not speak the protocol
	LinkDescriptor                // its descriptor is malformed, or not about it
	LinkDescriptorOver            // its descriptor has expired
	LinkDescriptorOlder           // its descriptor is older than one seen before
	LinkDescriptorFork            // its descriptor contradicts one seen before
	LinkStore                     // the own store failed
	linkErrorEnd
)

// linkErrors holds the text of each reason, and what the operator can do.
var linkErrors = [linkErrorEnd]struct{ text, next string }{
	LinkNone: {"none", ""},
	LinkPin: {
		"its root key is not the pinned one",
		"somebody else may be at its address. Ask its operator for the pin by another way than the network; only if it was changed: waxwing peer add DOMAIN HOST:PORT PIN --replace",
	},
	LinkCertificate: {
		"its certificate is not one of its domain",
		"check domain and address with its operator",
	},
	LinkExpired: {
		"its certificate is not valid now",
		"check the clocks of both servers",
	},
	LinkRefused: {
		"it refuses this provider",
		"its operator has to add this provider with its domain, address and pin (waxwingd pin prints it): waxwing peer add DOMAIN HOST:PORT PIN",
	},
	LinkUnreachable: {
		"its address cannot be resolved or used",
		"check the address; another one: waxwing peer add DOMAIN HOST:PORT PIN",
	},
	LinkTimeout: {
		"nobody answers at its address",
		"check the address, that its server runs, and that UDP gets through on that port",
	},
	LinkBusy: {
		"it takes no connections now",
		"it is shutting down or overloaded; nothing is to be done here",
	},
	LinkClosed: {
		"the connection ended",
		"it is tried again; if it goes on, look at the log of its server",
	},
	LinkProtocol: {
		"it does not speak this version of the protocol",
		"compare the versions of both servers",
	},
	LinkDescriptor: {
		"its descriptor is malformed, or not about it",
		"its server is broken or not honest: tell its operator",
	},
	LinkDescriptorOver: {
		"its descriptor has expired",
		"check the clocks of both servers; a running server renews its descriptor on its own",
	},
	LinkDescriptorOlder: {
		"its descriptor is older than one seen before",
		"its data may have been restored from a backup, or a copy of its keys is in use elsewhere. Ask its operator; only if it was a backup: waxwing peer add DOMAIN HOST:PORT PIN --replace",
	},
	LinkDescriptorFork: {
		"its descriptor contradicts one seen before",
		"two servers use its keys, or its data was restored from a backup. Ask its operator; only if it was a backup: waxwing peer add DOMAIN HOST:PORT PIN --replace",
	},
	LinkStore: {
		"the own store failed",
		"look at the log and the disk of this server",
	},
}

// String returns the reason.
func (e LinkError) String() string {
	if e < linkErrorEnd {
		return linkErrors[e].text
	}
	return "unknown"
}

// Advice returns what the operator can do about it.
func (e LinkError) Advice() string {
	if e < linkErrorEnd {
		return linkErrors[e].next
	}
	return ""
}

// linkErrorOf classifies an error of a link. The first that fits counts.
func linkErrorOf(err error) LinkError {
	var closed *quicnet.CloseError
	if errors.As(err, &closed) && closed.Remote {
		switch closed.Code {
		case wire.CodeForbidden:
			return LinkRefused
		case wire.CodeBusy, wire.CodeLimit:
			return LinkBusy
		}
	}
	var d *descriptorError
	if errors.As(err, &d) {
		switch {
		case errors.Is(err, directory.ErrExpired):
			return LinkDescriptorOver
		case errors.Is(err, directory.ErrRolledBack):
			return LinkDescriptorOlder
		case errors.Is(err, directory.ErrForked):
			return LinkDescriptorFork
		}
		return LinkDescriptor
	}
	for _, c := range []struct {
		err error
		is  LinkError
	}{
		{quicnet.ErrPin, LinkPin},
		{quicnet.ErrCertificate, LinkCertificate},
		{quicnet.ErrExpired, LinkExpired},
		{quicnet.ErrHandshake, LinkRefused},
		{quicnet.ErrBusy, LinkBusy},
		{quicnet.ErrUnreachable, LinkUnreachable},
		{quicnet.ErrTimeout, LinkTimeout},
		{context.DeadlineExceeded, LinkTimeout},
		{quicnet.ErrProtocol, LinkProtocol},
		{quicnet.ErrConfig, LinkUnreachable},
		{store.ErrUnavailable, LinkStore},
		{store.ErrUnknownOutcome, LinkStore},
	} {
		if errors.Is(err, c.err) {
			return c.is
		}
	}
	return LinkClosed
}

// linkStatus is what the operator is told of a link.
type linkStatus struct {
	mu      sync.Mutex // guards all
	since   time.Time  // when the connection came up; zero while there is none
	last    LinkError
	lastAt  time.Time
	refused map[wire.Code]uint64       // what the peer refused of what was forwarded to it
	conns   map[*quicnet.Conn]struct{} // of the peer to here; nil once the peer is removed
}

func (s *linkStatus) began(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.since = now
}

func (s *linkStatus) ended(why LinkError, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.since, s.last, s.lastAt = time.Time{}, why, now
}

func (s *linkStatus) countRefused(c wire.Code) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused[c]++ // codes are few
}

// attach notes a connection of the peer. It is false if the peer was removed or
// pinned anew since the handshake: then the connection has to go.
func (l *link) attach(c *quicnet.Conn) bool {
	s := &l.status
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns == nil || c.PeerPin() != l.peer.Pin {
		return false
	}
	s.conns[c] = struct{}{} // bounded by the listener
	return true
}

func (l *link) detach(c *quicnet.Conn) {
	s := &l.status
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// detachAll closes the peer's connections and lets none begin.
func (l *link) detachAll() {
	s := &l.status
	s.mu.Lock()
	conns := s.conns
	s.conns = nil
	s.mu.Unlock()
	for c := range conns {
		c.Close(wire.CodeForbidden)
	}
}

// PeerStatus is what the operator is told of a peer.
type PeerStatus struct {
	Peer
	Configured bool // it stands in the configuration
	Differs    bool // it stands there with another address or pin, which does not count
	Removed    bool // it stands there and was removed by command; nothing else is set

	Connected   time.Time // when the link came up; zero while it is down
	Incoming    int       // connections of the peer to here
	LastError   LinkError // why the link ended last
	LastErrorAt time.Time
	Queue       store.MailboxStat // what waits for it

	Sequence uint64  // of its newest known descriptor; 0 if none is known
	Expiry   ids.Day // of that

	RefusedByPeer map[wire.Code]uint64    // of what was forwarded to it, since it was added or the start
	Forwarded     map[relay.Reason]uint64 // what became of what it forwarded here
}

// PeerStatus tells of all peers, in the order of their domains, and of those
// that are configured and removed. Errors are the store's.
func (n *Node) PeerStatus(ctx context.Context) ([]PeerStatus, error) {
	var out []PeerStatus
	for _, l := range n.peers.all() {
		s, err := l.tell(ctx)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	for d, p := range n.peers.configured {
		if !n.peers.Known(d) {
			out = append(out, PeerStatus{Peer: p, Configured: true, Removed: true})
		}
	}
	return out, nil
}

func (l *link) tell(ctx context.Context) (PeerStatus, error) {
	conf, configured := l.n.peers.configured[l.peer.Domain]
	out := PeerStatus{
		Peer: l.peer, Configured: configured, Differs: configured && conf != l.peer,
		Forwarded: map[relay.Reason]uint64{},
	}
	if d := l.descriptor.Load(); d != nil {
		out.Sequence, out.Expiry = d.Sequence(), d.Expiry()
	}
	for r := range relay.ReasonEnd {
		if n := l.admitted[r].Load(); n > 0 {
			out.Forwarded[r] = n
		}
	}
	s := &l.status
	s.mu.Lock()
	out.Connected, out.LastError, out.LastErrorAt = s.since, s.last, s.lastAt
	out.Incoming, out.RefusedByPeer = len(s.conns), maps.Clone(s.refused)
	s.mu.Unlock()
	var err error
	out.Queue, err = l.n.store.Stat(ctx, l.outbox)
	return out, err
}
