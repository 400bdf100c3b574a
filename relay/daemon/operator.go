package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"waxwing/core/directory"
	"waxwing/core/ids"
	"waxwing/core/store"
	"waxwing/relay/admin"
	"waxwing/relay/node"
)

// operator carries out what is asked for on the admin socket.
type operator struct {
	// fixed
	n    *node.Node
	stop context.CancelFunc // drains the server
}

// minID is how much of an invite's id has to be given to revoke it.
const minID = 4

// listenAdmin serves the admin socket until it is closed.
func listenAdmin(path string, n *node.Node, stop context.CancelFunc, log *slog.Logger) (*admin.Server, error) {
	o := &operator{n, stop}
	return admin.Listen(path, map[admin.Method]admin.Handler{
		admin.Health:       admin.Handle(o.health),
		admin.Stats:        admin.Handle(o.stats),
		admin.Drain:        admin.Handle(o.drain),
		admin.InviteCreate: admin.Handle(o.invite),
		admin.InviteList:   admin.Handle(o.invites),
		admin.InviteRevoke: admin.Handle(o.revoke),
		admin.PeerAdd:      admin.Handle(o.addPeer),
		admin.PeerList:     admin.Handle(o.peers),
		admin.PeerRemove:   admin.Handle(o.removePeer),
		admin.KeysRotate:   admin.Handle(o.rotate),
		admin.ReportList:   admin.Handle(o.reports),
		admin.ReportShow:   admin.Handle(o.report),
		admin.ReportDecide: admin.Handle(o.decide),
		admin.ReportExport: admin.Handle(o.export),
		admin.ReportOpen:   admin.Handle(o.openPseudonym),
		admin.ReportBans:   admin.Handle(o.bans),
		admin.EpochRevoke:  admin.Handle(o.revokeEpoch),
		admin.ReportHeads:  admin.Handle(o.heads),
		admin.ReportLog:    admin.Handle(o.logFile),
		admin.ReportTrail:  admin.Handle(o.trail),
		admin.StandingShow: admin.Handle(o.standing),
		admin.LimitList:    admin.Handle(o.limits),
		admin.LimitSet:     admin.Handle(o.setLimit),
		admin.LimitReset:   admin.Handle(o.resetLimit),
	}, log)
}

// refusals is what the operator is told of an error. The first that fits
// counts; what is in no row is told without its text.
var refusals = []struct {
	err        error
	code       admin.Code
	what, next string
}{
	{
		directory.ErrInviteLimits, admin.CodeUsage,
		fmt.Sprintf("an invite is for 1 to %d accounts and 1 to %d days", directory.MaxInviteUses, directory.MaxInviteLife/(24*time.Hour)), "choose --uses and --days within that",
	},
	{directory.ErrFull, admin.CodeLimit, "there are too many invites", "wait until some have been over for a month"},
	{directory.ErrUnknown, admin.CodeNotFound, "there is no such invite", "list them with \"waxwing admin invites\""},
	{
		node.ErrPeer, admin.CodeUsage, "this cannot be a peer: want another provider's domain, HOST:PORT and its pin",
		"ask its operator; \"waxwingd pin\" prints the pin",
	},
	{node.ErrPeers, admin.CodeLimit, fmt.Sprintf("there are %d peers, as many as are allowed", node.MaxPeers), "remove one"},
	{node.ErrStopping, admin.CodeFailed, "the server is shutting down", "try again when it runs"},
	{store.ErrUnavailable, admin.CodeFailed, "the store does not work", "look at the log and the disk, then start the server again"},
}

func refusal(err error) error {
	for _, r := range refusals {
		if errors.Is(err, r.err) {
			return &admin.Error{Code: r.code, What: r.what, Next: r.next}
		}
	}
	return err
}

func (o *operator) health(ctx context.Context, _ *admin.Done) (*admin.HealthResult, error) {
	if err := o.n.Health(ctx); err != nil {
		return &admin.HealthResult{Reason: err.Error()}, nil
	}
	return &admin.HealthResult{Healthy: true}, nil
}

func (o *operator) stats(ctx context.Context, _ *admin.Done) (*admin.StatsResult, error) {
	s, err := o.n.Stats(ctx)
	if err != nil {
		return nil, refusal(err)
	}
	out := &admin.StatsResult{
		Domain: o.n.Domain().String(), Started: s.Started.UTC(), Uptime: int64(o.n.Now().Sub(s.Started) / time.Second),
		Healthy: o.n.Health(ctx) == nil, Clients: s.Clients, Peers: s.Peers, Links: s.Links,
		Handshakes: s.Load.Handshakes, Refused: s.Load.Refused, Queues: []admin.Queue{}, Counters: s.Counters,
	}
	for _, q := range s.Queues {
		out.Queues = append(out.Queues, admin.Queue{Domain: q.Domain.String(), Messages: q.Messages, Bytes: q.Bytes})
	}
	return out, nil
}

func (o *operator) drain(context.Context, *admin.Done) (*admin.Done, error) {
	o.stop()
	return new(admin.Done), nil
}

func (o *operator) invite(ctx context.Context, p *admin.InviteParams) (*admin.InviteResult, error) {
	if p.Days < 1 || p.Days > int(directory.MaxInviteLife/(24*time.Hour)) {
		return nil, refusal(directory.ErrInviteLimits)
	}
	code, made, err := o.n.NewInvite(ctx, p.Uses, time.Duration(p.Days)*24*time.Hour)
	if err != nil {
		return nil, refusal(err)
	}
	return &admin.InviteResult{Code: code.Text(), Invite: o.describe(made)}, nil
}

func (o *operator) describe(i *directory.Invite) admin.Invite {
	out := admin.Invite{ID: i.ID.String(), Uses: i.Uses, Used: i.Used, Expires: i.Expires, State: "open"}
	switch {
	case i.Revoked:
		out.State = "revoked"
	case i.Used >= i.Uses:
		out.State = "used"
	case !i.Open(o.n.Now()):
		out.State = "expired"
	}
	return out
}

func (o *operator) invites(ctx context.Context, _ *admin.Done) (*admin.InvitesResult, error) {
	all, err := o.n.Invites(ctx)
	if err != nil {
		return nil, refusal(err)
	}
	slices.SortFunc(all, func(a, b *directory.Invite) int {
		return cmp.Or(b.Expires.Compare(a.Expires), slices.Compare(a.ID[:], b.ID[:]))
	})
	out := &admin.InvitesResult{Invites: []admin.Invite{}}
	for _, i := range all {
		out.Invites = append(out.Invites, o.describe(i))
	}
	return out, nil
}

func (o *operator) revoke(ctx context.Context, p *admin.IDParams) (*admin.Done, error) {
	all, err := o.n.Invites(ctx)
	if err != nil {
		return nil, refusal(err)
	}
	all = slices.DeleteFunc(all, func(i *directory.Invite) bool { return !strings.HasPrefix(i.ID.String(), p.ID) })
	switch {
	case len(p.ID) < minID:
		return nil, &admin.Error{
			Code: admin.CodeUsage, What: fmt.Sprintf("want at least %d characters of the invite's id", minID),
			Next: "list the ids with \"waxwing admin invites\"",
		}
	case len(all) > 1:
		return nil, &admin.Error{
			Code: admin.CodeUsage, What: fmt.Sprintf("%d invites begin with %s", len(all), p.ID), Next: "give more of the id",
		}
	case len(all) == 0:
		return nil, refusal(directory.ErrUnknown)
	}
	return new(admin.Done), refusal(o.n.RevokeInvite(ctx, all[0].ID))
}

func (o *operator) rotate(_ context.Context, p *admin.RotateParams) (*admin.RotateResult, error) {
	var done []node.Rotated
	var err error
	if p.Credentials {
		done = make([]node.Rotated, 1)
		done[0], err = o.n.RenewCredentials()
	} else {
		done, err = o.n.RotateKeys()
	}
	if err != nil {
		return nil, &admin.Error{
			Code: admin.CodeFailed, What: "not all keys could be rotated: " + err.Error(), Next: "look at the disk, then do it again",
		}
	}
	out := new(admin.RotateResult)
	for _, r := range done {
		k := admin.RotatedKey{Kind: r.Kind.String(), Reason: r.Reason}
		if r.Reason == "" {
			k.From = date(r.From)
		}
		out.Keys = append(out.Keys, k)
	}
	return out, nil
}

func date(d ids.Day) string { return d.Start().Format(time.DateOnly) }
