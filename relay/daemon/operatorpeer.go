package daemon

import (
	"context"
	"errors"
	"strings"

	"waxwing/core/ids"
	"waxwing/relay/admin"
	"waxwing/relay/node"
)

func noPeer(domain string) error {
	return &admin.Error{
		Code: admin.CodeNotFound, What: "there is no peer " + domain, Next: "list them with \"waxwing peer list\"",
	}
}

func badDomain(err error) error {
	return &admin.Error{Code: admin.CodeUsage, What: err.Error(), Next: "give a provider's domain, such as beta.example"}
}

func (o *operator) addPeer(ctx context.Context, p *admin.PeerAddParams) (*admin.Done, error) {
	conf := PeerConfig{Domain: p.Domain, Address: p.Address, Pin: p.Pin}
	peer, err := conf.resolve()
	if err != nil {
		return nil, &admin.Error{
			Code: admin.CodeUsage, What: "cannot add the peer: " + err.Error(), Next: "waxwing peer add DOMAIN HOST:PORT PIN",
		}
	}
	err = o.n.AddPeer(ctx, peer, p.Replace)
	if errors.Is(err, node.ErrPeerPinned) {
		return nil, &admin.Error{
			Code: admin.CodeExists, What: "the peer " + peer.Domain.String() + " is there with another pin",
			Next: "compare the pin with its operator by another way than the network; if it was changed, repeat with --replace",
		}
	}
	return new(admin.Done), refusal(err)
}

func (o *operator) removePeer(ctx context.Context, p *admin.PeerRemoveParams) (*admin.Done, error) {
	domain, err := ids.ParseDomain(p.Domain)
	if err != nil {
		return nil, badDomain(err)
	}
	err = o.n.RemovePeer(ctx, domain, p.Drop)
	if errors.Is(err, node.ErrNoPeer) {
		return nil, noPeer(domain.String())
	}
	return new(admin.Done), refusal(err)
}

func (o *operator) peers(ctx context.Context, p *admin.PeerListParams) (*admin.PeersResult, error) {
	var only ids.Domain
	if p.Domain != "" {
		var err error
		if only, err = ids.ParseDomain(p.Domain); err != nil {
			return nil, badDomain(err)
		}
	}
	all, err := o.n.PeerStatus(ctx)
	if err != nil {
		return nil, refusal(err)
	}
	out := &admin.PeersResult{Peers: []admin.Peer{}}
	for i := range all {
		if only.IsZero() || all[i].Domain == only {
			out.Peers = append(out.Peers, o.describePeer(&all[i]))
		}
	}
	if !only.IsZero() && len(out.Peers) == 0 {
		return nil, noPeer(only.String())
	}
	return out, nil
}

func (o *operator) describePeer(s *node.PeerStatus) admin.Peer {
	p := admin.Peer{
		Domain: s.Domain.String(), Address: s.Addr, Pin: s.Pin.String(), State: admin.PeerDown,
		Configured: s.Configured, Differs: s.Differs, Incoming: s.Incoming,
		Messages: s.Queue.Messages, Bytes: s.Queue.Bytes, Sequence: s.Sequence,
		RefusedByPeer: map[string]uint64{}, Forwarded: map[string]uint64{},
	}
	switch {
	case s.Removed:
		p.State = admin.PeerRemoved
		p.Next = "take it out of the configuration, or bring it back with: waxwing peer add " + p.Domain + " " + p.Address + " " + p.Pin
	case !s.Connected.IsZero():
		since := s.Connected.UTC()
		p.State, p.Since = admin.PeerConnected, &since
	}
	if s.LastError != node.LinkNone {
		at := s.LastErrorAt.UTC()
		p.Error, p.ErrorAt = s.LastError.String(), &at
		if p.State == admin.PeerDown {
			p.Next = o.advice(s)
		}
	}
	if s.Sequence > 0 {
		p.Expires = date(s.Expiry)
	}
	for code, n := range s.RefusedByPeer {
		p.RefusedByPeer[code.String()] = n
	}
	for reason, n := range s.Forwarded {
		p.Forwarded[reason.String()] = n
	}
	return p
}

// advice is what to do about a peer's last error, with the names filled in.
func (o *operator) advice(s *node.PeerStatus) string {
	of := s.Domain.String() + " HOST:PORT PIN"
	if s.LastError == node.LinkRefused { // it is the other side that has to do it
		of = strings.Join([]string{o.n.Domain().String(), o.n.Endpoints()[0], o.n.Pin().String()}, " ")
	}
	return strings.ReplaceAll(s.LastError.Advice(), "DOMAIN HOST:PORT PIN", of)
}
