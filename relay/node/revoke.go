package node

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"waxwing/core/ids"
	"waxwing/core/keys"
	"waxwing/core/store"
	"waxwing/core/wire"
	"waxwing/franking"
	"waxwing/relay/quicnet"
)

// RevokeEpoch revokes the token-signing key of a day and puts another in its
// place. Peers are told at once, or when they are connected; clients are refused
// until they have asked for the list, and get new tokens. Errors are those of
// reports.Revoke.
func (n *Node) RevokeEpoch(ctx context.Context, day ids.Day) error {
	if err := n.reports.Revoke(ctx, n.now(), day); err != nil {
		return err
	}
	n.noteRevoked()
	n.publications.forgetIssuer(n.domain)
	for _, l := range n.peers.all() {
		select {
		case l.notice <- struct{}{}:
		default:
		}
	}
	n.log.Warn("a day's token-signing key was revoked by command")
	return nil
}

// noteRevoked has clients refused that do not know of the newest revocation.
func (n *Node) noteRevoked() {
	at, _ := n.reports.Revoked()
	n.revoked.Store(at)
}

// noticeTime is how long connections that are nobody's are told of a revocation:
// as long as messages may be sealed under tokens of the day, which are had a day
// ahead.
const noticeTime = 48 * time.Hour

// untold reports whether a connection that is nobody's has not asked for the list
// since a revocation that may matter to it.
func (c *connection) untold() bool {
	at := c.n.revoked.Load()
	return c.told.Load() < at && c.n.now().Sub(time.UnixMilli(int64(at))) < noticeTime
}

// forgetIssuer drops what peers said about a provider's keys.
func (p *publications) forgetIssuer(issuer ids.Domain) {
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.DeleteFunc(p.set, func(k publicationKey, _ publication) bool { return k.issuer == issuer })
}

// bringNotices tells the peer of revocations until ctx ends: of those that there
// are when the connection begins, and of others at once.
func (l *link) bringNotices(ctx context.Context, caller *quicnet.Caller) error {
	for {
		if at, list := l.n.reports.Revoked(); at != 0 {
			if err := l.bringNotice(ctx, caller, list); err != nil {
				return err
			}
		}
		select {
		case <-l.notice:
		case <-ctx.Done():
			return nil
		}
	}
}

// bringNotice brings one list. A refusal is left: the peer fetches it as well.
func (l *link) bringNotice(ctx context.Context, caller *quicnet.Caller, list []byte) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	_, err := quicnet.Ask[*wire.Done](ctx, caller, &wire.Notice{List: list})
	var refused *quicnet.RefusedError
	if errors.As(err, &refused) {
		return nil
	}
	if err == nil {
		// What it said before is out of date.
		l.n.publications.forgetIssuer(l.n.domain)
	}
	return err
}

// noticed takes a peer's list, unasked.
func (n *Node) noticed(ctx context.Context, peer ids.Domain, list []byte) wire.Message {
	root, ok := n.peers.root(peer)
	if !ok {
		return unreachable()
	}
	err := n.reports.Learn(ctx, peer, list, root, n.now())
	switch {
	case err == nil:
		return new(wire.Done)
	case errors.Is(err, franking.ErrForked), errors.Is(err, keys.ErrSignature):
		return &wire.Refusal{Code: wire.CodeForbidden}
	case errors.Is(err, store.ErrUnavailable):
		n.fail(err)
	}
	return reportAnswer(err)
}

// Unlinked returns the peers that there is no connection to: they are told of
// revocations when there is.
func (n *Node) Unlinked() (out []ids.Domain) {
	for _, l := range n.peers.all() {
		if l.caller.Load() == nil {
			out = append(out, l.peer.Domain)
		}
	}
	slices.SortFunc(out, func(a, b ids.Domain) int { return strings.Compare(a.String(), b.String()) })
	return out
}
