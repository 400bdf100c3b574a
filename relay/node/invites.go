package node

import (
	"context"
	"time"

	"waxwing/core/directory"
)

// NewInvite makes an invite for a number of accounts that is valid for a time
// from now on. Errors are those of directory.NewInvite.
func (n *Node) NewInvite(ctx context.Context, uses int, life time.Duration) (*directory.InviteCode, *directory.Invite, error) {
	now := n.now()
	return n.directory.NewInvite(ctx, uses, now.Add(life), now)
}

// Invites lists the invites that are kept.
func (n *Node) Invites(ctx context.Context) ([]*directory.Invite, error) {
	return n.directory.Invites(ctx)
}

// RevokeInvite ends an invite. Errors are those of directory.RevokeInvite.
func (n *Node) RevokeInvite(ctx context.Context, id directory.InviteID) error {
	return n.directory.RevokeInvite(ctx, id)
}

// Now is the server's clock.
func (n *Node) Now() time.Time { return n.now() }
